//! `spec/state-rules.md` says what the rules say. `BLESS=1 cargo test -p tests --test state_rules`
//! writes it anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use snapfmt::bhyve::Section;
use snapfmt::bhyve::records::Vendor;
use snapfmt::state::rules::class::{self, ByteClass, Run, Tally};
use snapfmt::state::rules::{self, Basis, Chapter, Moment, Needs, Rule, Severity, Slots, Verdict};
use snapfmt::state::{Layout, layouts};

const HEAD: &str = "# Rules of device state

What must hold for the state in a snapshot before anything restores it. This file is made from the
rules themselves (`snapfmt::state::rules`); a test fails when it is not current. `snaptool` checks
them, and each finding names its rule.

A finding *fails* a snapshot if its harm was read in a source or a manual, or if bhyve cannot have
written the value. Where that is not verified, and where only the guest is concerned, it *warns*. A
person can take responsibility for a rule that is *acceptable*: one that nobody has verified, or
whose harm is to the guest or to the bhyve process alone.

";

const BYTES: &str = "
## Bytes

Of every byte of the kernel's records: the rules that restrict it, or why none does. Bytes of \
which a
rule restricts some bits count as ruled. In records of virtual CPUs the numbers are those of one \
slot.
Slots of virtual CPUs that the machine does not have are looked at only by rules that say so: \
nothing
runs from them.

";

const DEVICES: &str = "
### Records of devices

The same of the records of devices, of layouts that were seen. Fields that are there several times \
count
once, and those of varying length as one byte, unless the number is always the same.

";

const SEVERITIES: [Severity; 7] = [
    Severity::Panic,
    Severity::Corrupt,
    Severity::Ucrash,
    Severity::Entry,
    Severity::Invalid,
    Severity::Guest,
    Severity::HostSpecific,
];

fn document() -> String {
    let mut text = HEAD.to_owned();
    severities(&mut text);
    for chapter in rules::chapters() {
        write!(text, "\n## {}\n", chapter.title).unwrap();
        chapter.rules.iter().for_each(|rule| one(&mut text, rule));
        not_rules(&mut text, chapter);
    }
    text += BYTES;
    let kernel = || layouts::all().filter(|layout| layout.section == Section::Kern);
    text += "| layout | bytes | ruled | any value | opaque | host-specific | unclassed |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|\n";
    for layout in kernel() {
        let tally = class::tally(layout);
        let Tally { ruled, free, opaque, host, unclassed } = tally;
        let (id, all) = (layout.id, tally.all());
        writeln!(text, "| {id} | {all} | {ruled} | {free} | {opaque} | {host} | {unclassed} |")
            .unwrap();
    }
    for layout in kernel().filter(|layout| class::tally(layout).unclassed == 0) {
        bytes(&mut text, layout);
    }
    text += DEVICES;
    text += "| layout | bytes | ruled | any value | opaque | host-specific | unclassed |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|\n";
    let of_devices = layouts::all().filter(|layout| layout.section == Section::Device);
    for layout in of_devices.filter(|layout| !layout.seen.is_empty()) {
        let tally = class::tally(layout);
        let Tally { ruled, free, opaque, host, unclassed } = tally;
        let (id, all) = (layout.id, tally.all());
        writeln!(text, "| {id} | {all} | {ruled} | {free} | {opaque} | {host} | {unclassed} |")
            .unwrap();
    }
    text
}

fn severities(text: &mut String) {
    *text += "| severity | if it is broken | rules |\n|---|---|--:|\n";
    for severity in SEVERITIES {
        let count = rules::all().filter(|rule| rule.severity == severity).count();
        writeln!(text, "| {severity} | {} | {count} |", severity.means()).unwrap();
    }
    let fail = rules::all().filter(|rule| rule.verdict() == Verdict::Fail).count();
    let all = rules::all().count();
    write!(text, "\n{all} rules: {fail} fail a snapshot, {} warn.\n", all - fail).unwrap();
}

fn one(text: &mut String, rule: &Rule) {
    let verdict = match rule.verdict() {
        Verdict::Fail => "fails",
        Verdict::Warn => "warns",
    };
    let mut marks = vec![rule.severity.name(), verdict];
    if rule.basis == Basis::Unverified {
        marks.push("unverified");
    }
    if rule.acceptable() {
        marks.push("acceptable");
    }
    match rule.needs {
        Needs::Record | Needs::Records => {}
        Needs::Ram => marks.push("needs guest memory"),
        Needs::Host => marks.push("needs facts of the host"),
    }
    match rule.moment {
        Moment::Entry => marks.push("when the guest is entered"),
        Moment::Any => {}
    }
    match rule.vendor {
        Some(Vendor::Intel) => marks.push("Intel"),
        Some(Vendor::Amd) => marks.push("AMD"),
        None => {}
    }
    match rule.slots {
        Slots::Running => marks.push("virtual CPUs that run"),
        Slots::Used => {}
        Slots::All => marks.push("all slots"),
    }
    let mut subjects: Vec<_> = rule.subjects.iter().map(|subject| format!("`{subject}`")).collect();
    if subjects.is_empty() {
        subjects.push("the record as a whole".to_owned());
    }
    write!(
        text,
        "\n### `{}`\n\n{}\n\n- of `{}`: {}\n- {}\n- because {}\n- bhyve {}\n- advice: {}\n\
         - source: {}\n",
        rule.id,
        marks.join(" · "),
        rule.records.join("`, `"),
        subjects.join(", "),
        rule.condition,
        rule.reason,
        rule.bhyve,
        rule.advice,
        rule.source,
    )
    .unwrap();
}

fn not_rules(text: &mut String, chapter: &Chapter) {
    if chapter.not_rules.is_empty() {
        return;
    }
    *text += "\n### Not a rule\n\n";
    for not in chapter.not_rules {
        writeln!(text, "- `{}`: {}. Not so, because: {}.", not.about, not.fact, not.because)
            .unwrap();
    }
}

fn bytes(text: &mut String, layout: &'static Layout) {
    write!(text, "\n### {}\n\n| field | bytes | times | |\n|---|---|--:|---|\n", layout.id)
        .unwrap();
    for Run { field, at, len, times, class } in class::classes(layout) {
        let range = match (at, len) {
            (0, len) if Some(len) == field.shape.fixed_len() => "all".to_owned(),
            (at, 1) => format!("{at:#x}"),
            (at, len) => format!("{at:#x} to {:#x}", at + len - 1),
        };
        let what = match class {
            ByteClass::Ruled(rules) => {
                rules.iter().map(|rule| format!("`{}`", rule.id)).collect::<Vec<_>>().join(" ")
            }
            ByteClass::Argued(class, because) => format!("{}: {because}", class.name()),
            ByteClass::Unclassed => "unclassed".to_owned(),
        };
        writeln!(text, "| `{}` | {range} | {times} | {what} |", field.key()).unwrap();
    }
}

#[test]
fn the_document_says_what_the_rules_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/state-rules.md");
    let made = document();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "not current: BLESS=1 cargo test -p tests --test state_rules");
}

#[test]
fn every_rule_has_its_own_id_and_sentences_of_one_line() {
    let mut ids = std::collections::BTreeSet::new();
    for rule in rules::all() {
        let id = rule.id;
        assert!(ids.insert(id), "{id} twice");
        assert!(id.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-')), "{id}");
        let whole = matches!(rule.judge, rules::Judge::Layout);
        assert!((whole || !rule.subjects.is_empty()) && !rule.records.is_empty(), "{id}");
        for text in [rule.condition, rule.reason, rule.bhyve, rule.advice, rule.source] {
            assert!(!text.is_empty() && !text.contains('\n') && !text.contains("  "), "{id}");
            assert!(!text.ends_with('.'), "{id}: {text:?}");
        }
        let must = rule.condition.contains("must");
        assert!(must && rule.condition.len() < 200, "{id}: {}", rule.condition);
    }
}

#[test]
fn what_is_known_to_harm_the_host_cannot_be_accepted() {
    for rule in rules::all().filter(|rule| rule.basis == Basis::Source) {
        let host = matches!(rule.severity, Severity::Panic | Severity::Corrupt);
        assert!(!host || !rule.acceptable() && rule.verdict() == Verdict::Fail, "{}", rule.id);
    }
}
