//! Properties of random small machines: what is written is read again; how memory is divided and
//! stored changes no identity; how input arrives changes nothing at all.
// Helpers of tests fail as tests do; offsets and page numbers of small files fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use snapfmt::memory::bitmap::Bitmap;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::memory::tree::{RootBuilder, block_root};
use snapfmt::part::codec::Compression;
use snapfmt::read::Part;
use tests::drive::{Chunks, digest, map, quick, walk, walk_in_chunks, write};
use tests::forge::plan::page;
use tests::forge::{Extent, Plan, Record};

const PAGE: u64 = 4096;
const SIZES: [u64; 5] = [64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20];

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_260_823),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A machine: segments, and seeds for data pages by guest-physical address.
#[derive(Debug, Clone)]
struct Machine {
    segments: Vec<(u64, u64)>,
    pages: BTreeMap<u64, u8>,
    records: Vec<(bool, Vec<u8>)>,
    ncpus: u64,
}

/// One to three segments apart from each other, at no particular alignment.
fn segments() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let run = (1_u64..600, 1_u64..500, any::<bool>());
    prop::collection::vec(run, 1..4).prop_map(|runs| {
        let mut free = 0;
        let place = |(gap, len, far): (u64, u64, bool)| {
            let gpa = free + gap * PAGE + if far { 1 << 32 } else { 0 };
            free = gpa + len * PAGE;
            (gpa, len * PAGE)
        };
        runs.into_iter().map(place).collect()
    })
}

fn machine() -> impl Strategy<Value = Machine> {
    let pages = prop::collection::vec((any::<prop::sample::Index>(), 0..6_u8), 0..24);
    let record = (any::<bool>(), prop::collection::vec(0..4_u8, 0..200));
    let records = prop::collection::vec(record, 0..5);
    (segments(), pages, records, 1..=1024_u64).prop_map(|(segments, picks, mut records, ncpus)| {
        records.sort_by_key(|(device, _)| *device);
        let all: Vec<u64> = segments
            .iter()
            .flat_map(|&(gpa, len)| (gpa..gpa + len).step_by(PAGE as usize))
            .collect();
        let pages = picks.iter().map(|(pick, seed)| (all[pick.index(all.len())], *seed)).collect();
        Machine { segments, pages, records, ncpus }
    })
}

/// A page for a seed: zeros, noise, or something that compresses.
fn contents(seed: u8) -> Vec<u8> {
    match seed {
        0 => vec![0; PAGE as usize],
        1 => {
            let mut state = 7_u64;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            };
            (0..PAGE).map(|_| next()).collect()
        }
        seed => page(seed),
    }
}

impl Machine {
    /// Its plan with blocks whose sizes follow from `sizes`, region by region.
    fn plan(&self, sizes: &[u64]) -> Plan {
        let mut extents: BTreeMap<u64, Extent> = BTreeMap::new();
        for (&gpa, &seed) in &self.pages {
            let size = sizes[(gpa >> 20) as usize % sizes.len()];
            let base = gpa / size * size;
            let none = Extent { gpa: base, size, ..Extent::default() };
            let extent = extents.entry(base).or_insert(none);
            extent.pages.insert((gpa - base) / PAGE, contents(seed));
        }
        let record = |(number, (device, bytes)): (usize, &(bool, Vec<u8>))| {
            let section = if *device { "devices" } else { "kern_structs" };
            Record::new(section, &format!("r{number}"), bytes.clone())
        };
        Plan {
            segments: self.segments.clone(),
            ncpus: self.ncpus,
            extents: extents.into_values().collect(),
            records: self.records.iter().enumerate().map(record).collect(),
            ..Plan::small()
        }
    }

    fn memory(&self) -> MemoryMap {
        let segment = |&(gpa, len): &(u64, u64)| Segment { gpa, len };
        MemoryMap::new(self.segments.iter().map(segment).collect()).unwrap()
    }
}

proptest! {
    #![proptest_config(config(128))]

    /// What was written is read again, and all of it.
    #[test]
    fn writing_and_reading_gives_the_same_machine(
        machine in machine(),
        sizes in prop::collection::vec(prop::sample::select(&SIZES[..]), 1..4),
        zstd in any::<bool>(),
    ) {
        let plan = machine.plan(&sizes);
        let compression = if zstd { Compression::Zstd(1) } else { Compression::None };
        let file = write(&plan, compression);
        let (parts, end) = walk_in_chunks(&file[..]);
        let verified = end.unwrap();
        prop_assert!(quick(&file).is_ok() && map(&file).is_ok());
        prop_assert_eq!(verified.vm().ncpus, machine.ncpus);
        prop_assert_eq!(&verified.vm().memory, &machine.memory());
        prop_assert_eq!(verified.index().content, digest(plan.content()));
        prop_assert_eq!(verified.index().memory_root, digest(plan.memory().root()));
        let (mut pages, mut records) = (BTreeMap::new(), Vec::new());
        for part in parts {
            match part {
                Part::Extent(extent) => {
                    pages.extend(extent.block.iter().map(|(gpa, page)| (gpa, page.to_vec())));
                }
                Part::Record(record) => {
                    records.push((record.id().section == "devices", record.bytes().to_vec()));
                }
                _ => {}
            }
        }
        let data = machine.pages.iter().filter(|(_, seed)| **seed != 0);
        let expected: BTreeMap<_, _> = data.map(|(gpa, seed)| (*gpa, contents(*seed))).collect();
        prop_assert!(pages == expected);
        prop_assert_eq!(verified.index().totals.pages_data, expected.len() as u64);
        prop_assert_eq!(records, machine.records);
    }

    /// How memory is divided into blocks and stored is no part of what it is.
    #[test]
    fn block_size_and_compression_change_no_identity(machine in machine()) {
        let mut seen = BTreeSet::new();
        for (size, compression) in [
            (&SIZES[..1], Compression::None),
            (&SIZES[2..3], Compression::Zstd(1)),
            (&SIZES[4..], Compression::Zstd(9)),
            (&SIZES[..], Compression::Zstd(-3)),
        ] {
            let verified = walk(&write(&machine.plan(size), compression)).unwrap();
            seen.insert((verified.index().content, verified.index().memory_root));
        }
        prop_assert_eq!(seen.len(), 1);
    }

    /// By hand or by the library: without compression there is one file for one plan.
    #[test]
    fn the_library_writes_what_the_spec_gives(
        machine in machine(),
        sizes in prop::collection::vec(prop::sample::select(&SIZES[..]), 1..4),
    ) {
        let machine = Machine {
            pages: machine.pages.into_iter().filter(|(_, seed)| *seed != 0).collect(),
            ..machine
        };
        let plan = machine.plan(&sizes);
        prop_assert!(write(&plan, Compression::None) == plan.forge());
    }

    /// The tree of the library against the tree of the definition, block by block.
    #[test]
    fn the_memory_tree_is_the_one_of_the_definition(
        machine in machine(),
        sizes in prop::collection::vec(prop::sample::select(&SIZES[..]), 1..4),
    ) {
        let (plan, memory) = (machine.plan(&sizes), machine.memory());
        let naive = plan.memory();
        let mut tree = RootBuilder::new(memory.clone());
        for Extent { gpa, size, pages, .. } in &plan.extents {
            let mut data = Bitmap::new((size / PAGE) as usize);
            pages.keys().for_each(|&number| data.set(number as usize));
            let bytes: Vec<u8> = pages.values().flatten().copied().collect();
            let root = block_root(&memory, *gpa, *size, &data, &bytes);
            prop_assert_eq!(root, digest(naive.block(*gpa, *size)));
            tree.block(*gpa, *size, root);
        }
        prop_assert_eq!(tree.finish(), digest(naive.root()));
    }
}

/// What can happen to a file on its way.
#[derive(Debug, Clone)]
enum Mishap {
    None,
    Cut(prop::sample::Index),
    Longer(u8),
    Flip(prop::sample::Index, u8),
    Overwrite(prop::sample::Index, Vec<u8>),
    Splice(prop::sample::Index, prop::sample::Index, prop::sample::Index),
}

fn mishap() -> impl Strategy<Value = Mishap> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        Just(Mishap::None),
        place().prop_map(Mishap::Cut),
        any::<u8>().prop_map(Mishap::Longer),
        (place(), 0..8_u8).prop_map(|(at, bit)| Mishap::Flip(at, bit)),
        (place(), prop::collection::vec(any::<u8>(), 1..64))
            .prop_map(|(at, bytes)| Mishap::Overwrite(at, bytes)),
        (place(), place(), place()).prop_map(|(from, to, len)| Mishap::Splice(from, to, len)),
    ]
}

impl Mishap {
    fn befall(&self, file: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Cut(at) => file.truncate(at.index(file.len())),
            Self::Longer(byte) => file.push(*byte),
            Self::Flip(at, bit) => {
                let at = at.index(file.len());
                file[at] ^= 1 << bit;
            }
            Self::Overwrite(at, bytes) => {
                let at = at.index(file.len() - bytes.len());
                file[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::Splice(from, to, len) => {
                // Whole multiples of 64, so that frames can land where frames are expected.
                let blocks = file.len() / 64;
                let (from, to) = (from.index(blocks), to.index(blocks));
                let len = len.index(blocks - from.max(to)) * 64;
                file.copy_within(from * 64..from * 64 + len, to * 64);
            }
        }
    }
}

proptest! {
    #![proptest_config(config(1024))]

    /// However a file arrives: the same parts come out, and the same error at the same offset.
    #[test]
    fn split_is_whole(
        zstd in any::<bool>(),
        mishap in mishap(),
        lens in prop::collection::vec(1..5000_usize, 1..8),
    ) {
        let mut file = Plan { zstd, ..Plan::small() }.forge();
        mishap.befall(&mut file);
        let (parts, end) = walk_in_chunks(&file[..]);
        let (parts_split, end_split) = walk_in_chunks(Chunks::new(&file, &lens));
        prop_assert!(parts == parts_split);
        prop_assert_eq!(&end, &end_split);
        prop_assert_eq!(walk(&file), end);
    }

    /// What a full check accepts is the file that was written, and the lesser checks accept it too.
    #[test]
    fn nothing_but_the_file_itself_is_accepted(zstd in any::<bool>(), mishap in mishap()) {
        let file = Plan { zstd, ..Plan::small() }.forge();
        let mut after = file.clone();
        mishap.befall(&mut after);
        prop_assert_eq!(walk(&after).is_ok(), after == file);
        if map(&after).is_ok() {
            prop_assert!(quick(&after).is_ok());
        }
        prop_assert!(after != file || map(&after).is_ok());
    }
}
