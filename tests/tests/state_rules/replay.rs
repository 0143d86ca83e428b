//! 12,000 changes of one field each, which bhyve's own restore code was given: what killed a host
//! is refused, and what it survived is listed by the rules that refuse it all the same.
//!
//! `fixtures/mutations` has what was changed and what came of it. That it survived says only that
//! no harm was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use serde::Deserialize;
use snapfmt::bhyve::Section;
use snapfmt::state::rules::Verdict;

use crate::fixture::{Fixture, new_findings};
use crate::scope::ruled;

#[derive(Deserialize)]
struct Mutation {
    record: String,
    field: String,
    offset: usize,
    was: String,
    hex: String,
    verdict: String,
    detail: String,
}

impl Mutation {
    /// Whether it was seen to kill, hang or corrupt.
    fn fatal(&self) -> bool {
        !matches!(self.verdict.as_str(), "survives" | "rejects")
    }
}

const FIXTURES: [&str; 4] =
    ["amd-2cpu-linux", "intel-1cpu-fbsd", "older-2020-amd-2cpu", "older-2020-intel-1cpu"];

fn mutations(name: &str) -> Vec<Mutation> {
    let path = format!("fixtures/mutations/{name}.jsonl.zst");
    let file = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What came of the changes of a field: how many, how many refused, how many warned about, and by
/// which rules.
#[derive(Default)]
struct Row {
    all: u32,
    failed: u32,
    warned: u32,
    rules: BTreeSet<&'static str>,
}

/// Calls `each` with every change in a ruled record of a list, and the rules that it breaks.
fn replay(section: Section, mut each: impl FnMut(&Mutation, &BTreeMap<&'static str, Verdict>)) {
    for name in FIXTURES {
        let whole = Fixture::of(name);
        // Rules of one list do not look at records of the other.
        let mut meta = whole.meta.clone();
        meta.records.retain(|record| record.section == section);
        let mut fixture = Fixture { meta, kern: whole.kern.clone() };
        let before = fixture.check(None, None);
        for mutation in mutations(name) {
            let own = fixture.meta.records.iter().any(|record| record.name == mutation.record);
            if !own || !ruled(section, &mutation.record) {
                continue;
            }
            let bytes = hex::decode(&mutation.hex).unwrap();
            let range = mutation.offset..mutation.offset + bytes.len();
            assert_eq!(hex::encode(&fixture.kern[range.clone()]), mutation.was);
            fixture.kern[range.clone()].copy_from_slice(&bytes);
            let after = fixture.check(None, None);
            fixture.kern[range.clone()].copy_from_slice(&whole.kern[range]);
            let found = new_findings(&after, &before);
            each(&mutation, &found.iter().map(|f| (f.rule.id, f.verdict())).collect());
        }
    }
}

/// What killed and is not refused, and a table of all.
fn judge(section: Section) -> (Vec<String>, String) {
    let mut passed = Vec::new();
    let mut fatal = BTreeMap::<_, Row>::new();
    let mut rows = BTreeMap::<_, Row>::new();
    replay(section, |mutation, rules| {
        let failed = rules.values().any(|verdict| *verdict == Verdict::Fail);
        if mutation.fatal() && !failed {
            let Mutation { record, field, hex, verdict, detail, .. } = mutation;
            passed.push(format!("{record} {field} {hex}: {verdict} {detail}"));
        }
        let rows = if mutation.fatal() { &mut fatal } else { &mut rows };
        let record = mutation.record.split('@').next().unwrap_or_default().to_owned();
        let row = rows.entry((record, mutation.field.clone())).or_default();
        row.all += 1;
        row.failed += u32::from(failed);
        row.warned += u32::from(!failed && !rules.is_empty());
        row.rules.extend(rules.keys());
    });
    let mut table = String::new();
    for (title, rows) in [("fatal", fatal), ("survived", rows)] {
        let sum = |part: fn(&Row) -> u32| rows.values().map(part).sum::<u32>();
        let (all, failed, warned) = (sum(|r| r.all), sum(|r| r.failed), sum(|r| r.warned));
        writeln!(table, "{title}: {all} changes, {failed} fail, {warned} warn").unwrap();
        for ((record, field), row) in rows.iter().filter(|(_, row)| !row.rules.is_empty()) {
            let Row { all, failed, warned, rules } = row;
            let rules = rules.iter().copied().collect::<Vec<_>>().join(" ");
            writeln!(table, "  {record} {field}: {all}, {failed} fail, {warned} warn: {rules}")
                .unwrap();
        }
    }
    (passed, table)
}

#[test]
fn what_killed_a_host_is_refused_and_what_did_not_is_known() {
    let (passed, table) = judge(Section::Kern);
    assert!(passed.is_empty(), "{passed:#?}");
    insta::assert_snapshot!("mutations", table);
}

#[test]
fn what_killed_bhyve_is_refused_and_what_did_not_is_known() {
    let (passed, table) = judge(Section::Device);
    assert!(passed.is_empty(), "{passed:#?}");
    insta::assert_snapshot!("device_mutations", table);
}
