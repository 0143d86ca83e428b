//! Random and boundary values in random fields: what passes is in a byte whose class allows it, or
//! within its rule.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use snapfmt::state::rules::class::{self, ByteClass};
use snapfmt::state::rules::{Machine, Verdict};
use snapfmt::state::{Field, FieldRef};

use crate::cases::{AMD, INTEL, OLD_AMD, OLD_INTEL};
use crate::fixture::{Fixture, Memory, new_findings};

/// How a change of a record ended: how many changes each.
#[derive(Default)]
struct Row {
    refused: u32,
    warned: u32,
    /// It passed, and a rule speaks of one of its bytes: the value is within the rule.
    within: u32,
    /// It passed, and all its bytes are argued.
    argued: u32,
    /// It passed in a slot of a virtual CPU that the machine has not.
    unused: u32,
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // xorshift64*: any generator does, as long as it is the same everywhere.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Another value for a field, or for up to eight bytes of a long one: where it goes, and the bytes.
fn value(random: &mut Random, field: FieldRef<'_, '_>) -> (usize, Vec<u8>) {
    let bytes = field.bytes();
    let len = if bytes.len() <= 8 { bytes.len() } else { 1 << random.below(4) };
    let at = if bytes.len() <= 8 { 0 } else { random.below(bytes.len() - len + 1) };
    let mut was = [0; 8];
    was[..len].copy_from_slice(&bytes[at..at + len]);
    let was = u64::from_le_bytes(was);
    let top = 1 << (8 * len - 1);
    let new = match random.below(12) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => top,
        4 => top - 1,
        5 => was.wrapping_add(1),
        6 => was.wrapping_sub(1),
        7 | 8 => was ^ 1 << random.below(8 * len),
        9 => random.next() & 0xff,
        _ => random.next(),
    };
    (at, new.to_le_bytes()[..len].to_vec())
}

/// The class of each byte of each field of a layout: those that repeat are alike.
fn classes(field: FieldRef<'_, '_>, runs: &[class::Run], at: usize) -> Vec<ByteClass> {
    let same = |other: &Field| std::ptr::eq(other, field.definition());
    let byte = |at: usize| {
        let here = |run: &&class::Run| {
            let span = run.at as usize..(run.at + run.len) as usize;
            // Of what is as long as its record, one byte speaks for all.
            let open = field.definition().shape.fixed_len().is_none();
            same(run.field) && (open || span.contains(&at))
        };
        runs.iter().filter(here).map(|run| run.class.clone()).collect::<Vec<_>>()
    };
    byte(at)
}

fn run(changes: u32, seed: u64) -> BTreeMap<String, Row> {
    let mut random = Random(seed);
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let names = [INTEL, AMD, OLD_INTEL, OLD_AMD];
    for name in names {
        let mut fixture = Fixture::of(name).with(&[]);
        let good = Fixture::of(name);
        let memory = Memory::of(name);
        let before = fixture.check(Some(&memory), None);
        let machine = Machine::from_kern(&good.meta, &good.kern);
        let known: Vec<_> = machine.records.iter().filter(|record| record.fields.is_ok()).collect();
        let runs: HashMap<_, _> = known
            .iter()
            .map(|record| {
                let layout = record.fields.as_ref().unwrap().layout();
                (layout.id, class::classes(layout))
            })
            .collect();
        for _ in 0..changes / names.len() as u32 {
            let record = known[random.below(known.len())];
            let fields = record.fields.as_ref().unwrap();
            let field = fields.iter().nth(random.below(fields.len())).unwrap();
            let (at, bytes) = value(&mut random, field);
            let start = (record.entry.offset + field.offset()) as usize + at;
            let place = start..start + bytes.len();
            if fixture.kern[place.clone()] == bytes {
                continue;
            }
            fixture.kern[place.clone()].copy_from_slice(&bytes);
            let after = fixture.check(Some(&memory), None);
            let new = new_findings(&after, &before);
            let row = rows.entry(record.family.to_owned()).or_default();
            if new.iter().any(|finding| finding.rule.verdict() == Verdict::Fail) {
                row.refused += 1;
            } else if !new.is_empty() {
                row.warned += 1;
            } else if field.vcpu().is_some_and(|vcpu| vcpu >= good.meta.vm.ncpus) {
                row.unused += 1;
            } else {
                let all: Vec<_> = (at..at + bytes.len())
                    .flat_map(|at| classes(field, &runs[fields.layout().id], at))
                    .collect();
                let what = format!("{name}: {} {field:?} byte {at} to {bytes:x?}", record.family);
                assert!(!all.is_empty() && !all.contains(&ByteClass::Unclassed), "{what}");
                match all.iter().any(|class| matches!(class, ByteClass::Ruled(_))) {
                    true => row.within += 1,
                    false => row.argued += 1,
                }
            }
            fixture.kern[place.clone()].copy_from_slice(&good.kern[place]);
        }
    }
    rows
}

fn table(rows: &BTreeMap<String, Row>) -> String {
    let mut out = "record | refused | warned | within its rule | argued | unused slot\n".to_owned();
    for (name, row) in rows {
        let Row { refused, warned, within, argued, unused } = row;
        writeln!(out, "{name} | {refused} | {warned} | {within} | {argued} | {unused}").unwrap();
    }
    out
}

#[test]
fn what_passes_is_allowed_by_its_class_or_within_its_rule() {
    let rows = run(8_000, 4);
    let sum = |of: fn(&Row) -> u32| rows.values().map(of).sum::<u32>();
    assert!(sum(|row| row.refused) > 1_000, "{}", table(&rows));
    assert!(sum(|row| row.argued) > 100, "{}", table(&rows));
}

#[test]
#[ignore = "takes a minute; prints the table for 100,000 changes"]
fn one_hundred_thousand_changes() {
    println!("{}", table(&run(100_000, 41)));
}
