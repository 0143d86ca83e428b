//! Whatever set the rules do not refuse, the writer takes, and the readers take what it wrote.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};
use snapfmt::bhyve::{self, Generation, Meta, RamLayout, Severity};
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::codec::Compression;
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::read::Seeker;
use snapfmt::write::Writer;
use tests::image;

/// Kernel records of a machine with one virtual CPU: number, name and size.
const KERN_A: [(u32, &str, u64); 10] = [
    (5, "vhpet", 284),
    (2, "vm", 16 * 184),
    (0, "vmx", 16 * 216),
    (1, "vioapic", 388),
    (3, "vlapic", 16 * 4173),
    (6, "vmcx", 16 * 376),
    (8, "vatpit", 172),
    (7, "vatpic", 118),
    (9, "vpmtmr", 4),
    (10, "vrtc", 140),
];
const KERN_B: [(u32, &str, u64); 9] = [
    (5, "vhpet", 284),
    (2, "vm", 312),
    (1, "vioapic", 388),
    (3, "vlapic", 4169),
    (6, "vmcx", 920),
    (8, "vatpit", 172),
    (7, "vatpic", 118),
    (9, "vpmtmr", 4),
    (10, "vrtc", 140),
];

/// A record: whether it is a device, its number, its name, its size, its distance from where it
/// belongs in `.kern`.
type Entry = (bool, u32, String, u64, i64);

/// A set: the text of `.meta`, and how long `.kern` is.
fn set(newer: bool, machine: &Value, entries: &[Entry]) -> (Vec<u8>, u64) {
    let (mut kern, mut devices, mut at) = (Vec::new(), Vec::new(), 0_u64);
    for (device, number, name, size, moved) in entries {
        let offset = at.saturating_add_signed(*moved);
        let mut entry = json!({ "size": size, "file_offset": offset });
        match (newer, device) {
            (true, _) => entry["device"] = json!(name),
            (false, true) => entry["snapshot_req"] = json!(name),
            (false, false) => {
                entry["debug_name"] = json!(name);
                entry["snapshot_req"] = json!(number);
            }
        }
        if *device {
            devices.push(entry)
        } else {
            kern.push(entry)
        }
        at += size;
    }
    let key = if newer { "kern_structs" } else { "structs" };
    let meta = json!({ "basic metadata": machine, key: kern, "devices": devices });
    (serde_json::to_vec(&meta).unwrap(), at)
}

/// Writes a set with a `.kern` of zeros and a machine whose memory is all zeros.
fn write(meta: &Meta, text: &[u8]) -> Result<Vec<u8>, snapfmt::Error> {
    let layout = RamLayout::new(meta.vm.memsize);
    let segments = layout.segments().map(|s| Segment { gpa: s.gpa, len: s.len }).collect();
    let memory = MemoryMap::new(segments).map_err(|fault| {
        let section = snapfmt::Section::Part(snapfmt::layout::kind::Kind::Vm);
        panic!("{section}: {fault}")
    })?;
    let (ncpus, memflags) = (meta.vm.ncpus.into(), meta.vm.memflags);
    let vm = Vm { arch: AMD64.to_owned(), name: meta.vm.name.clone(), ncpus, memflags, memory };
    let generation = if meta.generation == Generation::A { 'A' } else { 'B' };
    let text = MetaText { generation, text: text.to_vec() };
    let mut out = Vec::new();
    let head = image::header(&vm.name);
    let mut writer = Writer::begin(&head, vm, &text, Compression::default(), &mut out)?;
    let mut records: Vec<_> = meta.records.iter().collect();
    records.sort_by_key(|record| record.offset);
    for record in records {
        let bytes = vec![0; usize::try_from(record.size).unwrap()];
        writer.record(meta.key(record.section), &record.name, &bytes, &mut out)?;
    }
    writer.memory()?.finish(&mut out)?;
    Ok(out)
}

/// Whether the rules take a set; if so, it has to come back from a file as it was.
fn taken(text: &[u8], kern_len: u64) -> bool {
    let Ok(meta) = Meta::parse(text) else { return false };
    let findings = bhyve::check(&meta, kern_len, meta.vm.memsize);
    if findings.iter().any(|finding| finding.severity() == Severity::Refuse) {
        return false;
    }
    let file = write(&meta, text).unwrap_or_else(|error| panic!("{error}\n{meta:#?}"));
    let seeker = Seeker::open(file.as_slice()).unwrap();
    let mut records = 0;
    let quick =
        seeker.quick(|part| records += usize::from(matches!(part, snapfmt::read::Part::Record(_))));
    let quick = quick.unwrap();
    seeker.maps(&quick, |_| ()).unwrap();
    assert_eq!(records, meta.records.len());
    assert_eq!(quick.findings(), findings);
    true
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("a\0b".to_owned()),
        Just("vrtc".to_owned()),
        Just("atkbdc".to_owned()),
        (120_usize..135).prop_map(|len| "n".repeat(len)),
        (60_usize..66).prop_map(|len| "é".repeat(len)),
        "[a-c]{1,2}",
        "\\PC{1,8}",
    ]
}

fn vm_name() -> impl Strategy<Value = String> {
    prop_oneof![name(), (225_usize..260).prop_map(|len| "n".repeat(len)), "[a-z \n/]{0,9}"]
}

fn around(edges: &'static [u64]) -> impl Strategy<Value = u64> {
    (prop::sample::select(edges), -1_i64..=1)
        .prop_map(|(edge, step)| edge.saturating_add_signed(step))
}

fn memsize() -> impl Strategy<Value = u64> {
    let pages = prop::sample::select(vec![
        0,
        1,
        1 << 18,
        (3 << 18) - 1,
        3 << 18,
        (3 << 18) + 1,
        (1 << 40) - (1 << 18) - 1,
        (1 << 40) - (1 << 18),
        (1 << 40) - (1 << 18) + 1,
        1 << 40,
    ]);
    prop_oneof![9 => pages.prop_map(|pages| pages * 4096), 1 => around(&[4096, 1 << 52])]
}

fn machine() -> impl Strategy<Value = Value> {
    let memflags = prop_oneof![Just(0), around(&[1, 0x7fff_ffff, 0xffff_ffff, u64::MAX >> 1])];
    (vm_name(), memsize(), memflags, 0_u8..20).prop_map(|(name, memsize, memflags, without)| {
        let mut machine =
            json!({ "ncpus": 1, "vmname": name, "memsize": memsize, "memflags": memflags });
        let map = machine.as_object_mut().unwrap();
        match without {
            0 => drop(map.remove("vmname")),
            1 => drop(map.remove("memflags")),
            _ => {}
        }
        machine
    })
}

/// Records that are added anywhere: mostly where they belong, some without bytes.
fn extra() -> impl Strategy<Value = (prop::sample::Index, Entry)> {
    let size = prop_oneof![2 => Just(0), 1 => 1_u64..600];
    let moved = prop_oneof![9 => Just(0_i64), 1 => -300_i64..300];
    let number = prop_oneof![0_u32..12, 12_u32..15];
    let entry = (any::<bool>(), number, name(), size, moved);
    (any::<prop::sample::Index>(), entry)
}

fn entries(newer: bool, extras: Vec<(prop::sample::Index, Entry)>) -> Vec<Entry> {
    let kern: &[_] = if newer { &KERN_B } else { &KERN_A };
    let own = |&(number, name, size): &(u32, &str, u64)| (false, number, name.to_owned(), size, 0);
    let mut entries: Vec<Entry> = kern.iter().map(own).collect();
    entries.push((true, 0, "atkbdc".to_owned(), 141, 0));
    for (at, entry) in extras {
        entries.insert(at.index(entries.len() + 1), entry);
    }
    entries
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_no_rule_refuses_can_be_written(
        newer in any::<bool>(),
        machine in machine(),
        extras in prop::collection::vec(extra(), 0..3),
        longer in prop_oneof![9 => Just(0_u64), 1 => 1_u64..9],
    ) {
        let (text, kern_len) = set(newer, &machine, &entries(newer, extras));
        taken(&text, kern_len + longer);
    }
}

fn plain() -> Value {
    json!({ "ncpus": 1, "vmname": "vm", "memsize": 4096, "memflags": 0 })
}

#[test]
fn sets_at_the_limits_are_taken_and_those_above_are_not() {
    let with = |machine: &Value, extras: &[Entry]| {
        let mut all = entries(true, Vec::new());
        all.extend_from_slice(extras);
        let (text, kern_len) = set(true, machine, &all);
        taken(&text, kern_len)
    };
    let own = entries(true, Vec::new()).len();
    let device = |name: &str| (true, 0, name.to_owned(), 0, 0);
    let devices = |count| (0..count).map(|n: usize| device(&format!("d{n}"))).collect::<Vec<_>>();
    assert!(with(&plain(), &devices(1024 - own)));
    assert!(!with(&plain(), &devices(1025 - own)));
    assert!(with(&plain(), &[device(&"n".repeat(127))]));
    assert!(!with(&plain(), &[device(&"n".repeat(128))]));
    let machine = |key: &str, value: Value| {
        let mut machine = plain();
        machine[key] = value;
        with(&machine, &[])
    };
    let memory = (1_u64 << 52) - (1 << 30);
    assert!(machine("memsize", json!(memory)));
    assert!(!machine("memsize", json!(memory + 4096)));
    assert!(machine("memflags", json!(u32::MAX)));
    assert!(!machine("memflags", json!(u64::from(u32::MAX) + 1)));
    assert!(machine("vmname", json!("n".repeat(255))));
    assert!(!machine("vmname", json!("n".repeat(256))));
}

#[test]
fn records_in_another_order_than_their_bytes_are_taken() {
    let mut text = None;
    for swap in [false, true] {
        let (own, kern_len) = set(true, &plain(), &entries(true, Vec::new()));
        let mut meta: Value = serde_json::from_slice(&own).unwrap();
        let list = meta["kern_structs"].as_array_mut().unwrap();
        if swap {
            list.reverse();
        }
        let bytes = serde_json::to_vec(&meta).unwrap();
        assert!(taken(&bytes, kern_len));
        assert_ne!(text.replace(bytes.clone()), Some(bytes));
    }
}
