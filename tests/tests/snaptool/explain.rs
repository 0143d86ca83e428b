//! `explain`: every rule, by its name.

use snapfmt::{bhyve, state::rules};

use crate::kit::Bench;

#[test]
fn every_rule_is_listed_once() {
    let bench = Bench::empty();
    let ended = bench.run("explain --list");
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""));
    let listed: Vec<_> =
        ended.stdout.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let all = rules::all().map(|rule| rule.id).chain(bhyve::rules::all().map(|rule| rule.id));
    assert!(listed.iter().map(String::as_str).eq(all));
}

#[test]
fn a_rule_says_what_it_is_and_what_can_be_done() {
    let bench = Bench::empty();
    let told = |id: &str| {
        let ended = bench.run(&format!("explain {id}"));
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{id}");
        ended.stdout
    };
    let words = told("xcr0-loadable");
    for part in ["panic", "guest_xcr0", "restore_guest_fpustate", "stock bhyve", "never"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert!(told("cr0-paging").contains("--accept cr0-paging@RECORD"));
    assert!(told("kern-overlap").contains("structure"));
    for rule in [rules::all().last().unwrap().id, bhyve::rules::all().last().unwrap().id] {
        assert!(told(rule).starts_with(rule));
    }
    let said = bench.run("explain xcr0").trouble().to_owned();
    assert!(said.contains("there are xcr0-loadable, xcr0-host"), "{said}");
    bench.run("explain nonsense").trouble();
    bench.run("explain").trouble();
}
