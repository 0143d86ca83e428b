//! Every rule is broken by a case of its own, and by no other.

use std::collections::BTreeSet;

use snapfmt::state::rules::{self, Missing, Needs};

use crate::cases::{self, Case};
use crate::fixture::{Fixture, new_findings};

fn broken_by(case: &Case) -> BTreeSet<&'static str> {
    let fixture = Fixture::of(case.fixture);
    let ram = case.ram.map(|ram| ram());
    let ram = ram.as_deref();
    // A host can be what breaks a rule.
    let mended = fixture.with(&case.first);
    let before = mended.check(ram, None);
    let after = mended.with(&case.edits).check(ram, case.host.as_ref());
    new_findings(&after, &before).into_iter().map(|finding| finding.rule.id).collect()
}

#[test]
fn each_rule_is_broken_alone() {
    let mut wrong = Vec::new();
    for case in cases::all() {
        let found = broken_by(&case);
        if found != case.also.iter().copied().chain([case.rule]).collect() {
            wrong.push(format!("{} on {}: {found:?}", case.rule, case.fixture));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_rule_has_a_case() {
    let mut cases: BTreeSet<_> = cases::all().iter().map(|case| case.rule).collect();
    // No byte of a kernel record breaks it, but its size: see the test below.
    cases.insert("kern-layout");
    let rules: BTreeSet<_> = rules::all().map(|rule| rule.id).collect();
    assert_eq!(rules.difference(&cases).collect::<Vec<_>>(), Vec::<&&str>::new());
    assert_eq!(cases.difference(&rules).collect::<Vec<_>>(), Vec::<&&str>::new());
}

/// A rule that needs more than the records says so if it has not got it.
#[test]
fn what_is_not_given_is_listed_and_not_passed() {
    for case in cases::all() {
        let rule = rules::by_id(case.rule).unwrap();
        let why = match rule.needs {
            Needs::Ram => Missing::Ram,
            Needs::Host => Missing::Host,
            Needs::Record | Needs::Records => continue,
        };
        let report = Fixture::of(case.fixture).with(&case.edits).check(None, None);
        let listed = |not: &&rules::NotChecked| not.rule == rule && not.why == why;
        assert_eq!(report.not_checked.iter().filter(listed).count(), 1, "{}", rule.id);
        assert!(report.findings.iter().all(|finding| finding.rule != rule), "{}", rule.id);
    }
}

#[test]
fn a_kernel_record_of_a_size_that_nobody_knows_fails_and_hides_nothing() {
    for name in tests::fixtures::fixtures() {
        let mut fixture = Fixture::of(name).with(&[]);
        let at = fixture.meta.records.iter().position(|record| record.name == "vm").unwrap();
        let end = fixture.meta.records[at].offset + fixture.meta.records[at].size;
        fixture.meta.records[at].size += 8;
        for record in fixture.meta.records.iter_mut().filter(|record| record.offset >= end) {
            record.offset += 8;
        }
        fixture.kern.splice(end as usize..end as usize, [0; 8]);
        let report = fixture.check(None, None);
        let failing: BTreeSet<_> = report.failing().map(|finding| finding.rule.id).collect();
        assert_eq!(failing, BTreeSet::from(["kern-layout"]), "{name}");
        assert!(report.failing().all(|finding| finding.rule.acceptable()));
    }
}
