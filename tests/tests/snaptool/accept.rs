//! What a person may take responsibility for, and what not.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use serde_json::Value;
use snapfmt::bhyve;
use snapfmt::state::rules;
use tests::fixtures::{apply_broken, variants};

use crate::kit::{Bench, FIXTURE};
use crate::state::zero_first_kib;

/// A fixture with one of its variants, packed.
fn broken(variant: &str) -> Bench {
    let bench = Bench::fixture(FIXTURE);
    let variant = variants(FIXTURE).unwrap().into_iter().find(|v| v.name == variant).unwrap();
    apply_broken(&variant, &bench.path("")).unwrap();
    assert_eq!(bench.run("pack vm.ckp -o a.snap").code(), Some(0));
    bench
}

#[test]
fn what_was_accepted_is_unpacked_and_recorded_beside_the_files() {
    let bench = broken("cr0-pg-without-pe");
    let said = bench.run("unpack a.snap -o b").refusal().to_owned();
    let option = "--accept cr0-paging@vmcx";
    assert!(said.contains(option), "{said}");
    assert!(!bench.path("b.accepted").exists());

    let ended = bench.run(&format!("unpack a.snap -o b {option}"));
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.stderr.starts_with("snaptool: warning: a.snap: accepted: kern record vmcx"));
    bench.assert_same_set("vm.ckp", "b");
    let log: Value = serde_json::from_slice(&bench.read("b.accepted")).unwrap();
    let root = bench.json("verify --json a.snap")["root"].clone();
    assert_eq!((&log["schema"], &log["root"]), (&1.into(), &root));
    assert_eq!(log["accepted"].as_array().unwrap().len(), 1);
    let accepted = &log["accepted"][0];
    assert_eq!((&accepted["rule"], &accepted["record"]), (&"cr0-paging".into(), &"vmcx".into()));
    // That it was accepted makes it no better.
    assert_eq!(bench.run("verify b").code(), Some(1));
}

#[test]
fn nothing_is_recorded_where_nothing_was_accepted() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    let ended = bench.run("unpack a.snap -o b --accept cr0-paging@vmcx");
    assert_eq!(ended.code(), Some(0));
    assert!(ended.stderr.contains("there is nothing to accept for cr0-paging@vmcx"));
    assert_eq!(
        bench.names(),
        ["a.snap", "b", "b.kern", "b.meta", "vm.ckp", "vm.ckp.kern", "vm.ckp.meta"]
    );
    // One that tells of another set is not left beside this one.
    bench.write("c.accepted", "{}");
    assert!(bench.run("unpack a.snap -o c").trouble().contains("c.accepted exists already"));
    assert!(!bench.path("c.meta").exists());
}

#[test]
fn an_acceptance_is_for_one_rule_and_one_record() {
    let bench = broken("cr0-pg-without-pe");
    for option in ["cr0-paging@vm", "efer-long-mode@vmcx"] {
        bench.run(&format!("unpack a.snap -o b --accept {option}")).refusal();
    }
    // With another one that is not accepted, nothing passes.
    let kern = File::options().write(true).open(bench.path("vm.ckp.kern")).unwrap();
    kern.write_all_at(&[0; 8], 0).unwrap();
    assert_eq!(bench.run("pack vm.ckp -o a.snap").code(), Some(0));
    let said = bench.run("unpack a.snap -o b --accept cr0-paging@vmcx").refusal().to_owned();
    assert!(said.contains("[hpet-tick-zero]") && !said.contains("adds --accept"), "{said}");
    assert!(!bench.path("b.meta").exists());
}

#[test]
fn what_is_known_to_harm_the_host_cannot_be_accepted_by_anybody() {
    let bench = Bench::fixture(FIXTURE);
    zero_first_kib(&bench);
    bench.run("pack vm.ckp -o a.snap");
    let before = bench.names();
    let ended = bench.run("unpack a.snap -o b --accept xcr0-loadable@vm");
    assert!(ended.trouble().contains("nobody can accept xcr0-loadable"), "{ended:?}");
    for rule in rules::all().filter(|rule| !rule.acceptable()) {
        let option = format!("{}@vm", rule.id);
        let ended = bench.run_of(["unpack", "a.snap", "-o", "b", "--accept", &option]);
        assert!(ended.trouble().contains("nobody can accept"), "{option}: {ended:?}");
    }
    for rule in bhyve::rules::all().take(3) {
        let option = format!("{}@vm", rule.id);
        let ended = bench.run_of(["unpack", "a.snap", "-o", "b", "--accept", &option]);
        assert!(ended.trouble().contains("structure"), "{option}: {ended:?}");
    }
    for option in ["cr0-paging", "cr0-paging@", "@vm", "nonsense@vm", ""] {
        bench.run_of(["unpack", "a.snap", "-o", "b", "--accept", option]).trouble();
    }
    assert_eq!(bench.names(), before);
}
