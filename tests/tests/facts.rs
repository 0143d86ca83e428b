//! Two hosts compared: every grade of every rule, and every fact that may be missing.

// Helpers of tests fail as tests do.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeSet;

use migrate::facts::{DISK_RULE, FEATURES, RULES, UNSEEN, compare, refusals};
use migrate::stream::message::{Disk, Finding, Grade, Host, Needs};
use serde_json::{Value, json};
use snapfmt::state::HostFacts;
use tests::facts_doc;

use Grade::{MayFail, Refused, Same, Works};

/// A host of which everything is known, with values that a vendor's CPUs have.
fn facts(vendor: &str) -> Value {
    json!({
        "schema": 1, "os": "FreeBSD", "os_release": "14.2-RELEASE", "machine": "amd64",
        "model": "a CPU", "page_size": 4096, "cpus": 8, "tsc_frequency": 2_000_000_000,
        "tsc_invariant": true, "cpu_vendor": vendor, "cpu_family": 6, "cpu_model": 106,
        "cpu_stepping": 6, "physical_bits": 46, "linear_bits": 48, "xcr0": "0xe7",
        "cpu_feature": "0xbfebfbff", "cpu_feature2": "0x7ffefbff",
        "cpu_stdext_feature": "0xf3bfa7eb", "cpu_stdext_feature2": "0x40417f5e",
        "cpu_stdext_feature3": "0x2c002400", "amd_feature": "0x2c100800",
        "amd_feature2": "0x121", "amd_extended_feature_extensions": "0x7", "cr4": "0x3727ff",
        "efer": "0xd01", "entry_ctls": "0x0003ffff000011ff", "exit_ctls": "0x01ffffff00036dff",
        "cr0_fixed0": "0x80000021", "cr0_fixed1": "0xffffffff", "cr4_fixed0": "0x2000",
        "cr4_fixed1": "0x3727ff", "virtual_interrupt_delivery": true, "asids": 32768,
    })
}

/// All that goes into a comparison.
#[derive(Clone)]
struct Case {
    source: (Value, Host),
    needs: Needs,
    target: (Value, Host),
}

impl Case {
    fn same(vendor: &str) -> Self {
        let disk = || Disk {
            path: "/dev/da0".to_owned(),
            size: 1 << 30,
            identity: Some("serial:1".to_owned()),
        };
        let host = Host {
            facts: HostFacts::new(),
            bhyve: Some("14.2".to_owned()),
            memory: Some(8 << 30),
            room: Some(8 << 30),
            disks: vec![disk()],
        };
        let needs = Needs {
            name: "vm".to_owned(),
            arch: "amd64".to_owned(),
            ncpus: 8,
            memsize: 8 << 30,
            stored: 2 << 30,
            disks: vec![disk()],
        };
        Self { source: (facts(vendor), host.clone()), needs, target: (facts(vendor), host) }
    }

    fn compare(&self) -> Vec<Finding> {
        let host = |(facts, host): &(Value, Host)| {
            let facts = HostFacts::parse(facts.to_string().as_bytes()).unwrap();
            Host { facts, ..host.clone() }
        };
        compare(&host(&self.source), &self.needs, &host(&self.target))
    }

    /// The only finding that is not the one of equal hosts.
    fn differs(&self, vendor: &str) -> Finding {
        let usual: Vec<_> = Case::same(vendor).compare();
        let found = self.compare().into_iter().filter(|finding| !usual.contains(finding));
        let found: Vec<_> = found.collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        found[0].clone()
    }
}

const INTEL: &str = "GenuineIntel";
const AMD: &str = "AuthenticAMD";

/// A fact of both hosts, and how it is graded.
fn graded() -> Vec<(&'static str, Grade, Value, Value)> {
    vec![
        ("machine", Refused, json!("amd64"), json!("arm64")),
        ("page_size", Refused, json!(4096), json!(16384)),
        ("xcr0", Works, json!("0x7"), json!("0xe7")),
        ("xcr0", Refused, json!("0xe7"), json!("0x7")),
        ("cpu_feature", Works, json!("0x1"), json!("0x3")),
        ("cpu_feature", MayFail, json!("0x400001"), json!("0x1")),
        ("cpu_feature", Refused, json!("0x4000001"), json!("0x1")),
        ("cpu_feature2", Works, json!("0x1"), json!("0x3")),
        ("cpu_feature2", Same, json!("0x8000001"), json!("0x1")),
        ("cpu_feature2", MayFail, json!("0x21"), json!("0x1")),
        ("cpu_feature2", Refused, json!("0x10000001"), json!("0x1")),
        ("cpu_stdext_feature", Works, json!("0x0"), json!("0x20")),
        ("cpu_stdext_feature", MayFail, json!("0x1000000"), json!("0x0")),
        ("cpu_stdext_feature", Refused, json!("0x20"), json!("0x0")),
        ("cpu_stdext_feature2", Works, json!("0x0"), json!("0x200")),
        ("cpu_stdext_feature2", MayFail, json!("0x8"), json!("0x0")),
        ("cpu_stdext_feature2", Refused, json!("0x200"), json!("0x0")),
        ("cpu_stdext_feature3", Works, json!("0x0"), json!("0x400")),
        ("cpu_stdext_feature3", MayFail, json!("0x10"), json!("0x0")),
        ("cpu_stdext_feature3", Refused, json!("0x400"), json!("0x0")),
        ("amd_feature", Works, json!("0x0"), json!("0x800")),
        ("amd_feature", MayFail, json!("0x2"), json!("0x0")),
        ("amd_feature", Refused, json!("0x8000000"), json!("0x0")),
        ("amd_feature2", Works, json!("0x0"), json!("0x1")),
        ("amd_feature2", MayFail, json!("0x400"), json!("0x0")),
        ("amd_feature2", Refused, json!("0x20"), json!("0x0")),
        ("amd_extended_feature_extensions", Works, json!("0x0"), json!("0x1")),
        ("amd_extended_feature_extensions", MayFail, json!("0x200"), json!("0x0")),
        ("amd_extended_feature_extensions", Refused, json!("0x1"), json!("0x0")),
        ("cr4", Works, json!("0x7"), json!("0xf")),
        ("cr4", Refused, json!("0xf"), json!("0x7")),
        ("efer", Works, json!("0x501"), json!("0xd01")),
        ("efer", Refused, json!("0xd01"), json!("0x501")),
        ("physical_bits", Works, json!(39), json!(46)),
        ("physical_bits", Refused, json!(46), json!(39)),
        ("linear_bits", Works, json!(48), json!(57)),
        ("linear_bits", Refused, json!(57), json!(48)),
        ("tsc_frequency", Works, json!(2_000_000_000), json!(2_001_000_000)),
        ("tsc_frequency", Refused, json!(2_000_000_000), json!(2_001_000_001)),
        ("tsc_invariant", Works, json!(false), json!(true)),
        ("tsc_invariant", MayFail, json!(true), json!(false)),
        ("cpu_model", MayFail, json!(106), json!(85)),
        ("cpu_stepping", Works, json!(6), json!(7)),
        ("model", Works, json!("a CPU"), json!("another")),
        ("entry_ctls", Works, json!("0x0003ffff000011ff"), json!("0x0007ffff000011fb")),
        ("entry_ctls", MayFail, json!("0x0003ffff000011ff"), json!("0x0003ffff000013ff")),
        ("exit_ctls", Works, json!("0x01ffffff00036dff"), json!("0x03ffffff00036dff")),
        ("exit_ctls", MayFail, json!("0x03ffffff00036dff"), json!("0x01ffffff00036dff")),
        ("cr0_fixed0", Works, json!("0x80000021"), json!("0x21")),
        ("cr0_fixed0", MayFail, json!("0x21"), json!("0x80000021")),
        ("cr0_fixed1", Works, json!("0x7fffffff"), json!("0xffffffff")),
        ("cr0_fixed1", MayFail, json!("0xffffffff"), json!("0x7fffffff")),
        ("cr4_fixed0", Works, json!("0x2000"), json!("0x0")),
        ("cr4_fixed0", MayFail, json!("0x2000"), json!("0x2001")),
        ("cr4_fixed1", Works, json!("0x7ff"), json!("0xfff")),
        ("cr4_fixed1", MayFail, json!("0xfff"), json!("0x7ff")),
        ("virtual_interrupt_delivery", MayFail, json!(true), json!(false)),
        ("asids", Works, json!(8), json!(16)),
        ("asids", MayFail, json!(16), json!(8)),
        ("os", MayFail, json!("FreeBSD"), json!("Linux")),
        ("os_release", MayFail, json!("14.2-RELEASE"), json!("14.3-RELEASE")),
    ]
}

type Change = fn(&mut Case);

/// What is no fact of a file of facts, or is not compared with that of the source.
const OTHERS: &[(&str, Grade, Change)] = &[
    ("version", MayFail, |case| case.target.1.bhyve = Some("15.0".to_owned())),
    ("cpus", Refused, |case| case.needs.ncpus = 9),
    ("memory", Refused, |case| case.target.1.memory = Some((8 << 30) - 1)),
    ("room", MayFail, |case| case.target.1.room = Some((8 << 30) - 1)),
    ("room", Refused, |case| case.target.1.room = Some((2 << 30) - 1)),
    ("disk /dev/da0", Works, |case| case.target.1.disks[0].path = "/dev/da7".to_owned()),
    ("disk /dev/da0", MayFail, |case| case.target.1.disks[0].identity = None),
    ("disk /dev/da0", MayFail, |case| {
        case.target.1.disks[0].identity = Some("wwn:1".to_owned());
    }),
    ("disk /dev/da0", MayFail, |case| {
        case.needs.disks[0].size = UNSEEN;
        case.needs.disks[0].identity = None;
    }),
    ("disk /dev/da0", Refused, |case| {
        case.needs.disks[0].size = UNSEEN;
        case.target.1.disks.clear();
    }),
    ("disk /dev/da0", Refused, |case| {
        case.target.1.disks[0].identity = Some("serial:2".to_owned());
    }),
    ("disk /dev/da0", Refused, |case| case.target.1.disks[0].size += 512),
    ("disk /dev/da0", Refused, |case| case.target.1.disks.clear()),
    ("disk /dev/da0", Refused, |case| {
        case.target.1.disks[0].path = "/dev/da7".to_owned();
        case.target.1.disks[0].identity = None;
    }),
];

/// The CPU on which a fact is compared.
fn vendor(subject: &str) -> &'static str {
    if subject == "asids" { AMD } else { INTEL }
}

fn rule(subject: &str) -> &'static migrate::facts::Rule {
    RULES.iter().find(|rule| rule.subject == subject).unwrap_or(&DISK_RULE)
}

/// A finding is what its rule says, and only a refusal can be overridden.
fn check(finding: &Finding, subject: &str, grade: Grade) {
    assert_eq!((finding.subject.as_str(), finding.grade), (subject, grade), "{finding:#?}");
    let rule = rule(subject);
    assert!(finding.reason.ends_with(rule.reason(grade).unwrap()), "{finding:#?}");
    let option = (grade == Refused && rule.overridable).then(|| subject.to_owned());
    assert_eq!(finding.option, option);
    assert!(finding.source.is_some(), "{finding:#?}");
}

#[test]
fn every_grade_of_every_rule_is_given_where_it_belongs() {
    let mut seen = BTreeSet::new();
    for (subject, grade, source, target) in graded() {
        let mut case = Case::same(vendor(subject));
        case.source.0[subject] = source.clone();
        case.target.0[subject] = target;
        if subject == "cpu_feature2" && grade == Same {
            let all = case.compare();
            let found = all.iter().find(|finding| finding.subject == subject).unwrap();
            check(found, subject, grade);
            continue;
        }
        check(&case.differs_from(&source, subject), subject, grade);
        seen.insert((subject, grade));
    }
    for (subject, grade, change) in OTHERS {
        let mut case = Case::same(INTEL);
        change(&mut case);
        check(&case.differs(INTEL), subject, *grade);
        seen.insert((rule(subject).subject, *grade));
    }
    // The vendor brings other rules with it.
    let mut case = Case::same(INTEL);
    case.target.0["cpu_vendor"] = json!(AMD);
    let all = case.compare();
    let found = all.iter().find(|finding| finding.subject == "cpu_vendor").unwrap();
    check(found, "cpu_vendor", Refused);
    seen.insert(("cpu_vendor", Refused));

    let rules = RULES.iter().chain([&DISK_RULE]);
    let grades = rules.flat_map(|rule| {
        let grades = [Works, MayFail, Refused].into_iter();
        let grades = grades.filter(|grade| rule.reason(*grade).is_some());
        grades.map(|grade| (rule.subject, grade))
    });
    let mut all: BTreeSet<_> = grades.collect();
    // Here what is there is never the same as what is wanted.
    for subject in ["cpus", "memory", "room"] {
        assert!(all.remove(&(subject, Works)));
    }
    assert_eq!(all, seen);
}

impl Case {
    /// As [`Self::differs`], where the source is not the usual one.
    fn differs_from(&self, source: &Value, subject: &str) -> Finding {
        let mut usual = Case::same(vendor(subject));
        usual.source.0[subject] = source.clone();
        usual.target.0[subject] = source.clone();
        let usual = usual.compare();
        let found: Vec<_> =
            self.compare().into_iter().filter(|finding| !usual.contains(finding)).collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        found[0].clone()
    }
}

#[test]
fn two_hosts_that_are_the_same_are_the_same_in_every_respect() {
    for vendor in [INTEL, AMD] {
        let findings = Case::same(vendor).compare();
        for finding in &findings {
            let wanted = ["cpus", "memory", "room"].contains(&finding.subject.as_str());
            check(finding, &finding.subject, if wanted { Works } else { Same });
        }
        assert_eq!(findings.iter().filter(|f| f.subject == "asids").count(), {
            usize::from(vendor == AMD)
        });
        assert_eq!(findings.iter().filter(|f| f.subject == "entry_ctls").count(), {
            usize::from(vendor == INTEL)
        });
    }
}

#[test]
fn what_is_not_known_of_either_side_may_fail_and_says_of_which() {
    let unknown = |case: &Case, subject: &str, of: &[&str]| {
        let all = case.compare();
        let found = all.iter().find(|finding| finding.subject == subject).unwrap();
        assert_eq!((found.grade, &found.option), (MayFail, &None), "{found:#?}");
        for side in ["source", "target"] {
            let said = found.reason.contains(&format!("not known of the {side}"));
            assert_eq!(said, of.contains(&side), "{found:#?}");
        }
    };
    let mut seen = 0;
    for rule in RULES {
        let subject = rule.subject;
        let same = Case::same(vendor(subject));
        match subject {
            "version" => {
                let mut case = same;
                case.source.1.bhyve = None;
                unknown(&case, subject, &["source"]);
                case.target.1.bhyve = None;
                unknown(&case, subject, &["source", "target"]);
            }
            "memory" | "room" | "cpus" => {
                let mut case = same;
                (case.target.1.memory, case.target.1.room) = (None, None);
                case.target.0["cpus"] = Value::Null;
                unknown(&case, subject, &["target"]);
            }
            _ => {
                let mut case = same.clone();
                case.source.0[subject] = Value::Null;
                unknown(&case, subject, &["source"]);
                case.target.0[subject] = Value::Null;
                unknown(&case, subject, &["source", "target"]);
                let mut case = same;
                case.target.0[subject] = Value::Null;
                unknown(&case, subject, &["target"]);
            }
        }
        seen += 1;
    }
    assert_eq!(seen, RULES.len());
}

#[test]
fn why_a_fact_is_not_known_is_said() {
    let mut case = Case::same(INTEL);
    case.source.0["entry_ctls"] = Value::Null;
    case.source.0["unknown"] = json!({"entry_ctls": "MSRs are for root"});
    let reason = case.differs(INTEL).reason;
    assert_eq!(reason, "it is not known of the source: MSRs are for root");
}

#[test]
fn another_page_size_machine_or_vendor_has_no_way() {
    let changes =
        [("page_size", json!(65536)), ("machine", json!("i386")), { ("cpu_vendor", json!(AMD)) }];
    for (subject, value) in changes {
        let mut case = Case::same(INTEL);
        case.target.0[subject] = value;
        let findings = case.compare();
        let all: Vec<_> = RULES.iter().map(|rule| rule.subject.to_owned()).collect();
        let left: Vec<_> = refusals(&findings, &all).collect();
        assert_eq!(left.len(), 1, "{left:#?}");
        assert_eq!(left[0].subject, subject);
    }
}

#[test]
fn a_refusal_that_is_accepted_by_its_name_refuses_no_more_and_others_do() {
    let mut case = Case::same(INTEL);
    case.target.1.memory = Some(0);
    case.target.1.disks.clear();
    let findings = case.compare();
    let left = |accepted: &[&str]| {
        let accepted: Vec<_> = accepted.iter().map(|&name| name.to_owned()).collect();
        refusals(&findings, &accepted).map(|f| f.subject.clone()).collect::<Vec<_>>()
    };
    assert_eq!(left(&[]), ["memory", "disk /dev/da0"]);
    assert_eq!(left(&["memory"]), ["disk /dev/da0"]);
    assert_eq!(left(&["disk /dev/da1", "room"]), ["memory", "disk /dev/da0"]);
    assert_eq!(left(&["memory", "disk /dev/da0"]), [""; 0]);
}

#[test]
fn features_that_are_missing_are_named() {
    let mut case = Case::same(INTEL);
    case.target.0["cpu_stdext_feature"] = json!("0xd33f87cb");
    let reason = case.differs(INTEL).reason;
    assert!(reason.starts_with("it lacks AVX2, SHA, bits 0x802000: "), "{reason}");
}

#[test]
fn names_and_bits_of_features_are_given_once_and_belong_to_a_rule() {
    let bits: BTreeSet<_> = FEATURES.iter().map(|feature| (feature.word, feature.bit)).collect();
    let names: BTreeSet<_> = FEATURES.iter().map(|feature| feature.name).collect();
    assert_eq!((bits.len(), names.len()), (FEATURES.len(), FEATURES.len()));
    for feature in FEATURES {
        assert!(feature.bit < 32);
        assert!(RULES.iter().any(|rule| rule.subject == feature.word), "{}", feature.word);
    }
}

#[test]
fn every_fact_of_a_host_is_compared() {
    // The family goes with the model; the others are no facts.
    let beside = ["schema", "unknown", "cpu_family"];
    let Value::Object(facts) = facts(INTEL) else { panic!("no object") };
    let all: Value = serde_json::from_str(&HostFacts::new().to_json()).unwrap();
    for name in all.as_object().unwrap().keys() {
        assert!(facts.contains_key(name), "{name} is not in the test");
        let ruled = RULES.iter().any(|rule| rule.subject == name);
        assert_ne!(ruled, beside.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn the_document_is_current() {
    let written = std::fs::read_to_string(facts_doc::place()).unwrap();
    assert!(written == facts_doc::document(), "spec/facts.md is stale");
}

#[test]
#[ignore = "writes the document"]
fn write_the_document() {
    std::fs::write(facts_doc::place(), facts_doc::document()).unwrap();
}
