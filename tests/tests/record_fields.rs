//! Records in files as their fields (§5.4.8 to §5.4.12): all of bhyve's, of every layout, and what
//! is kept whole instead.

// Helpers of tests fail as tests do; offsets and sizes of small files fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::fs;

use arbitrary::Unstructured;
use snapfmt::Digest;
use snapfmt::bhyve::{Generation, Meta, Section};
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::codec::Compression;
use snapfmt::part::device::{Chooser, Kept, Record, RecordId, Whole};
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::read::{Part, Seeker};
use snapfmt::state::{Evidence, FormError, Unknown, layouts};
use snapfmt::write::Writer;
use tests::drive::{map, quick, walk, walk_in_chunks};
use tests::fixtures::{fixtures, unpack_without_memory};
use tests::images;
use tests::records;
use tests::spec_rules::{chain, sound_plans};

type Plain = (String, String, Vec<u8>);

/// A state without memory of its own: a machine, `.meta`, records in the order of `.kern`.
struct State {
    vm: Vm,
    meta: MetaText,
    records: Vec<Plain>,
}

impl State {
    fn fixture(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = unpack_without_memory(name, dir.path()).unwrap();
        let read = |ending| fs::read(base.with_extension(ending)).unwrap();
        let (text, kern) = (read("ckp.meta"), read("ckp.kern"));
        let meta = Meta::parse(&text).unwrap();
        let mut listed: Vec<_> = meta.records.iter().collect();
        listed.sort_by_key(|record| record.offset);
        let record = |record: &&snapfmt::bhyve::Record| {
            let at = record.offset as usize;
            let bytes = kern[at..at + record.size as usize].to_vec();
            (meta.key(record.section).to_owned(), record.name.clone(), bytes)
        };
        let records = listed.iter().map(record).collect();
        let generation = if meta.generation == Generation::A { 'A' } else { 'B' };
        let vm = machine(&meta.vm.name, meta.vm.ncpus.into(), meta.vm.memsize);
        let vm = Vm { memflags: meta.vm.memflags, ..vm };
        Self { vm, meta: MetaText { generation, text }, records }
    }

    /// A small machine with just these records.
    fn of(ncpus: u64, generation: char, records: Vec<Plain>) -> Self {
        let vm = machine("vm0", ncpus, 1 << 20);
        let meta = images::meta(&vm, generation, &records);
        Self { vm, meta, records }
    }

    /// The file, and how each record was stored.
    fn write(&self, compression: Compression, whole: bool) -> (Vec<u8>, Vec<Kept>) {
        let (mut out, mut kept) = (Vec::new(), Vec::new());
        let head = images::header(&self.vm.name);
        let vm = self.vm.clone();
        let mut writer = Writer::begin(&head, vm, &self.meta, compression, &mut out).unwrap();
        for (section, name, bytes) in &self.records {
            if whole {
                writer.record_whole(section, name, bytes, &mut out).unwrap();
            } else {
                kept.push(writer.record(section, name, bytes, &mut out).unwrap());
            }
        }
        writer.memory().unwrap().finish(&mut out).unwrap();
        (out, kept)
    }
}

/// What bhyve's three files say of a machine: the hole below 4 GiB is not in its RAM.
fn machine(name: &str, ncpus: u64, memsize: u64) -> Vm {
    let low = memsize.min(3 << 30);
    let mut segments = vec![Segment { gpa: 0, len: low }];
    if memsize > low {
        segments.push(Segment { gpa: 4 << 30, len: memsize - low });
    }
    let memory = MemoryMap::new(segments).unwrap();
    Vm { arch: AMD64.to_owned(), name: name.to_owned(), ncpus, memflags: 0, memory }
}

/// The records of a file, which is intact by every check.
fn records(file: &[u8]) -> Vec<Record> {
    walk(file).unwrap();
    quick(file).unwrap();
    map(file).unwrap();
    let (parts, _) = walk_in_chunks(file);
    let records = parts.into_iter().filter_map(|part| match part {
        Part::Record(record) => Some(record),
        _ => None,
    });
    records.collect()
}

fn content(file: &[u8]) -> Digest {
    Seeker::open(file).unwrap().index().content
}

#[test]
fn every_record_of_every_fixture_is_stored_as_fields_and_comes_back() {
    for name in fixtures() {
        let state = State::fixture(name);
        let meta = Meta::parse(&state.meta.text).unwrap();
        let evidence = Evidence::of(&meta);
        for compression in [Compression::None, Compression::Zstd(3)] {
            let (file, kept) = state.write(compression, false);
            let found = records(&file);
            assert_eq!(found.len(), state.records.len());
            for ((record, kept), (section, own, bytes)) in
                found.iter().zip(&kept).zip(&state.records)
            {
                assert_eq!(record.id(), &RecordId::of(section, own, bytes));
                assert!(record.bytes() == bytes, "{name}: {own}");
                if bytes.is_empty() {
                    assert_eq!(kept, &Kept::Whole(Whole::Unknown(Unknown::Absent)));
                    assert_eq!(record.fields(), None);
                    continue;
                }
                let listed = meta
                    .records
                    .iter()
                    .find(|listed| meta.key(listed.section) == section && listed.name == *own);
                let fields = evidence.choose_record(listed.unwrap(), bytes).unwrap();
                let held = record.fields().unwrap_or_else(|| panic!("{name}: {own}: {kept:?}"));
                let (layout, version) = (fields.layout().id, fields.layout().version);
                assert_eq!((held.layout(), held.version()), (layout, version));
                assert!(held.is_known());
                let layout = layout.to_owned();
                assert_eq!(kept, &Kept::Fields { layout, version });
            }
        }
    }
}

#[test]
fn content_is_the_same_for_fields_and_for_whole_records() {
    for name in fixtures() {
        let state = State::fixture(name);
        let write = |compression, whole| state.write(compression, whole).0;
        let files = [
            write(Compression::None, false),
            write(Compression::None, true),
            write(Compression::Zstd(3), false),
            write(Compression::Zstd(3), true),
        ];
        assert!(files.iter().all(|file| content(file) == content(&files[0])), "{name}");
        // Whole and raw, a record takes its bytes; as fields, at least the numbers of its list.
        let stored = |file| records(file).iter().map(Record::stored).collect::<Vec<_>>();
        let lens: Vec<_> = state.records.iter().map(|(_, _, bytes)| bytes.len() as u64).collect();
        assert_eq!(stored(&files[1]), lens, "{name}");
        assert!(stored(&files[0]).iter().zip(&lens).all(|(stored, len)| stored >= len), "{name}");
        let sizes = files.iter().map(Vec::len).collect::<Vec<_>>();
        let bytes: usize = state.records.iter().map(|(_, _, bytes)| bytes.len()).sum();
        println!(
            "{name}: {bytes} bytes of records; raw, zstd: fields {} {}, whole {} {}",
            sizes[0], sizes[2], sizes[1], sizes[3]
        );
        // Names cost a few KiB for each virtual CPU and device, and no more.
        assert!(sizes[0] < sizes[1] + (512 << 10), "{name}: {sizes:?}");
    }
}

/// Choices that do not repeat soon.
fn choices(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[2]
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_record_of_every_layout_is_stored_as_its_fields() {
    for (number, layout) in layouts::all().enumerate() {
        let generation = layout.generations[0];
        let slots = if generation == Generation::A { 16 } else { 3 };
        let bytes = choices(number as u64 + 1, 3000);
        let made = records::make(layout, slots, &mut Unstructured::new(&bytes)).unwrap();
        let fields = layout.decode(&made.bytes).unwrap();
        let section = if layout.section == Section::Kern { "kern_structs" } else { "devices" };
        let id = RecordId::of(section, layout.names[0], &made.bytes);
        for compression in [Compression::None, Compression::Zstd(1)] {
            let (_, kept) = Record::encode_fields(&id, &fields, compression).unwrap();
            let (layout, version) = (layout.id.to_owned(), layout.version);
            assert_eq!(kept, Kept::Fields { layout, version });
        }
    }
}

fn one(section: &str, name: &str, bytes: Vec<u8>) -> Plain {
    (section.to_owned(), name.to_owned(), bytes)
}

/// Why the only record of a state is kept whole.
fn why(state: &State) -> Whole {
    let (file, kept) = state.write(Compression::None, false);
    let found = records(&file);
    assert_eq!(found.last().unwrap().fields(), None);
    assert_eq!(found.last().unwrap().bytes(), state.records.last().unwrap().2);
    match kept.into_iter().next_back() {
        Some(Kept::Whole(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_known_is_kept_whole_and_says_why() {
    let state = |name: &str, bytes| State::of(1, 'B', vec![one("devices", name, bytes)]);
    let nvme = why(&state("nvme@pci.0.4.0", vec![1; 100]));
    assert_eq!(nvme, Whole::Unknown(Unknown::Name));
    let odd = why(&state("atkbdc", vec![1; 100]));
    assert!(matches!(odd, Whole::Unknown(Unknown::NoneFits { .. })), "{odd}");
    let absent = why(&state("fbuf", Vec::new()));
    assert!(absent.is_absent());
    let mut other = state("atkbdc", vec![0; 141]);
    other.vm.arch = "arm64".to_owned();
    assert_eq!(why(&other), Whole::Architecture);
}

#[test]
fn a_record_of_the_kernel_is_known_by_its_number_whatever_its_name_is() {
    let state = State::fixture("older-2020-intel-1cpu");
    let text = String::from_utf8(state.meta.text).unwrap().replace("\"vhpet\"", "\"timer\"");
    let meta = Meta::parse(text.as_bytes()).unwrap();
    let (section, _, bytes) = state.records.iter().find(|(_, name, _)| name == "vhpet").unwrap();
    let known = Chooser::new(AMD64, state.vm.ncpus, Some(&meta));
    let fields = known.fields(section, "timer", bytes).unwrap();
    assert!(fields.layout().names.contains(&"vhpet"));
    let by_name = Chooser::new(AMD64, state.vm.ncpus, None);
    assert_eq!(by_name.fields(section, "timer", bytes).unwrap_err(), Whole::Unknown(Unknown::Name));
}

/// An AHCI controller of the older kind with so many requests for each of its 32 ports.
fn ahci(requests: u32) -> Vec<u8> {
    // Messages, configuration space with a vendor, six BARs.
    let mut out = vec![0; 60];
    out.extend([0x86, 0x80, 0x21, 0x28]);
    out.resize(436, 0);
    let number = |out: &mut Vec<u8>, value: u32| out.extend(value.to_le_bytes());
    for at in 0..13 {
        number(&mut out, if at == 5 { 0x1_0300 } else { 0 });
    }
    for port in 0..32_u32 {
        out.extend(1_u64.to_le_bytes());
        number(&mut out, port);
        out.extend([0; 16 + 21]);
        // What a port has, up to the number of its requests.
        out.extend([0; 4 * 4 + 1 + 20 + 2 + 4 + 4 + 4 * 16]);
        number(&mut out, requests);
        out.extend(vec![0; 28 * requests as usize]);
        number(&mut out, u32::MAX);
        number(&mut out, u32::MAX);
        number(&mut out, 0xb109_b109);
        out.extend([0; 4 * 4 + 8 + 4 * 4]);
    }
    out
}

#[test]
fn what_has_more_fields_than_a_list_may_have_is_kept_whole() {
    let state = |requests| State::of(1, 'A', vec![one("devices", "ahci", ahci(requests))]);
    let (file, kept) = state(280).write(Compression::Zstd(1), false);
    let layout = "ahci-pci436-ident-queues".to_owned();
    assert_eq!(kept, [Kept::Fields { layout, version: 1 }]);
    assert!(records(&file)[0].fields().unwrap().is_known());
    let pairs = why(&state(300));
    assert!(matches!(pairs, Whole::OverLimit { limit: 65536, .. }), "{pairs}");
    let bytes = why(&state(900));
    assert!(matches!(bytes, Whole::Form(FormError::TooLong { .. })), "{bytes}");
}

#[test]
fn fields_of_a_hundred_virtual_cpus_fit_and_those_of_a_thousand_do_not() {
    let vmcx = |ncpus: u64| {
        let bytes = vec![0; 1028 * ncpus as usize];
        State::of(ncpus, 'B', vec![one("kern_structs", "vmcx", bytes)])
    };
    let (_, kept) = vmcx(128).write(Compression::None, false);
    let layout = "vmcx-amd-1028".to_owned();
    assert_eq!(kept, [Kept::Fields { layout, version: 1 }]);
    assert!(matches!(why(&vmcx(1024)), Whole::OverLimit { .. } | Whole::Form(_)));
}

#[test]
fn fields_of_a_layout_that_is_not_known_are_written_again_as_they_are() {
    let plans = sound_plans().into_iter();
    let mut count = 0;
    for sound in plans.filter(|sound| sound.what.starts_with("a record as fields")) {
        let file = chain(sound.what).pop().unwrap();
        let records = records(&file);
        let held = records[0].fields().unwrap();
        assert_eq!(
            held.is_known(),
            !["forge-sample"].contains(&held.layout()) && held.version() == 1
        );
        let meta = MetaText { generation: 'B', text: sound.plan.meta_text() };
        for compression in [Compression::None, Compression::Zstd(1)] {
            let vm = walk(&file).unwrap().vm().clone();
            let (mut out, head) = (Vec::new(), images::header(&vm.name));
            let mut writer = Writer::begin(&head, vm, &meta, compression, &mut out).unwrap();
            for record in &records {
                writer.record_again(record, &mut out).unwrap();
            }
            writer.memory().unwrap().finish(&mut out).unwrap();
            let again = self::records(&out);
            assert_eq!(again[0].fields(), records[0].fields(), "{}", sound.what);
            assert_eq!(again[0].bytes(), records[0].bytes());
        }
        count += 1;
    }
    assert!(count > 5);
}

#[test]
fn whatever_bit_of_fields_is_flipped_the_file_is_refused() {
    let mut count = 0;
    for what in
        ["a record as fields of a layout that is known", "a record as fields with bulk, compressed"]
    {
        let file = chain(what).pop().unwrap();
        let index = Seeker::open(&file[..]).unwrap().index().clone();
        let part = index.parts.iter().find(|part| part.record.is_some()).unwrap();
        let mut damaged = file.clone();
        let range = part.offset as usize..(part.offset + part.length) as usize;
        for at in range {
            for bit in 0..8 {
                damaged[at] ^= 1 << bit;
                let error = walk(&damaged).unwrap_err();
                assert!(error.at() >= part.offset && error.at() < part.offset + part.length);
                assert!(["digest", "padding", "magic"].contains(&error.fault().id()), "{error}");
                quick(&damaged).unwrap_err();
                damaged[at] ^= 1 << bit;
                count += 1;
            }
        }
    }
    assert!(count > 20_000, "{count}");
}
