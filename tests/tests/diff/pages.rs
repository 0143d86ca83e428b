//! Pages: against a comparison page by page, whatever extents they are in, and what is read.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;

use proptest::prelude::*;
use snapfmt::memory::map::MemoryMap;
use snapfmt::part::codec::Compression;
use snapfmt::read::{Chain, ReadAt, Seeker};
use snaptool::cmd::diff::memory::{Change, Range, Totals, compare};
use snaptool::cmd::diff::side::Stored;
use snaptool::exit::Answer;
use tests::images::{self, Plan};

use super::kit::{self, Given, ranges};

const PAGE: u64 = 4096;

/// The pages that are stored, by number, each of one byte; 0 is stored, too.
type Pages = BTreeMap<u64, u8>;

fn plan(memory: MemoryMap, pages: &Pages, size: u64, compression: Compression) -> Plan {
    let mut plan = images::plans().swap_remove(0);
    plan.vm.memory = memory;
    plan.meta = images::meta(&plan.vm, 'B', &plan.records);
    plan.compression = compression;
    let mut blocks = BTreeMap::<u64, Vec<(usize, u8)>>::new();
    for (page, fill) in pages.iter().filter(|(page, _)| plan.vm.memory.contains(*page * PAGE)) {
        let base = page * PAGE / size;
        let at = usize::try_from(page - base * size / PAGE).unwrap();
        blocks.entry(base).or_default().push((at, *fill));
    }
    plan.blocks =
        blocks.iter().map(|(base, pages)| images::block(base * size, size, pages)).collect();
    plan
}

/// The pages that differ, one by one.
fn naive(a: (&MemoryMap, &Pages), b: (&MemoryMap, &Pages)) -> Vec<(u64, &'static str)> {
    let fill = |pages: &Pages, page: &u64| pages.get(page).copied().unwrap_or(0);
    let mut all: Vec<_> = a.1.keys().chain(b.1.keys()).copied().collect();
    all.sort_unstable();
    all.dedup();
    all.retain(|page| a.0.contains(page * PAGE) && b.0.contains(page * PAGE));
    let kind = |page: &u64| match (fill(a.1, page), fill(b.1, page)) {
        (a, b) if a == b => None,
        (0, _) => Some((*page, "zero-to-data")),
        (_, 0) => Some((*page, "data-to-zero")),
        _ => Some((*page, "data-to-data")),
    };
    all.iter().filter_map(kind).collect()
}

fn memory() -> impl Strategy<Value = MemoryMap> {
    let high = (4 << 30, 1 << 20);
    prop_oneof![
        3 => Just(kit::memory(&[(0, 8 << 20)])),
        1 => Just(kit::memory(&[(0, (5 << 20) + 0x3000)])),
        1 => Just(kit::memory(&[(0, 8 << 20), high])),
        1 => Just(kit::memory(&[(0, 1 << 20), (0x18_0000, 1 << 20), high])),
    ]
}

fn pages() -> impl Strategy<Value = Pages> {
    let number = prop_oneof![0_u64..600, 0_u64..2048, (1_u64 << 20)..(1 << 20) + 256];
    prop::collection::btree_map(number, 0_u8..3, 0..60)
}

fn stored() -> impl Strategy<Value = (u64, Compression)> {
    let size = (16_u32..=22).prop_map(|power| 1_u64 << power);
    (size, prop_oneof![Just(Compression::None), Just(Compression::Zstd(1))])
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn it_finds_what_a_naive_comparison_finds(
        (one, other) in (memory(), memory()),
        alike in any::<bool>(),
        (pages_a, changes) in (pages(), pages()),
        (stored_a, stored_b) in (stored(), stored()),
    ) {
        let other = if alike { one.clone() } else { other };
        let mut pages_b = pages_a.clone();
        pages_b.extend(changes.iter().take(20));
        let a = plan(one.clone(), &pages_a, stored_a.0, stored_a.1);
        let b = plan(other.clone(), &pages_b, stored_b.0, stored_b.1);
        let expected = naive((&one, &pages_a), (&other, &pages_b));
        let given = Given::files(&a, &b);
        let (answer, facts) = given.json();
        let found: Vec<_> = ranges(&facts)
            .iter()
            .flat_map(|(gpa, count, change)| {
                (0..*count).map(move |n| (gpa / PAGE + n, change.clone()))
            })
            .collect();
        let owned = |(page, kind): &(u64, &str)| (*page, (*kind).to_owned());
        let expected: Vec<_> = expected.iter().map(owned).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(facts["memory"]["pages"].as_u64(), Some(expected.len() as u64));
        let same = one == other && expected.is_empty();
        prop_assert_eq!(answer, if same { Answer::Yes } else { Answer::No });
        // Neighbours that changed alike are one range.
        let listed = ranges(&facts);
        let apart = |pair: &[(u64, u64, String)]| {
            pair[0].0 + pair[0].1 * PAGE < pair[1].0 || pair[0].2 != pair[1].2
        };
        prop_assert!(listed.windows(2).all(apart));
    }
}

/// Counts the bytes that are read.
struct Counting<'a>(&'a [u8], &'a Cell<u64>);

impl ReadAt for Counting<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.1.set(self.1.get() + buf.len() as u64);
        self.0.read_exact_at(buf, offset)
    }
}

/// Bytes that are read to compare RAM, once all else is checked; what was found.
fn cost(a: &[u8], b: &[u8]) -> (u64, Vec<Range>, Totals) {
    let count = Cell::new(0);
    let [a, b] = [a, b].map(|bytes| Chain::open([Counting(bytes, &count)], |_, _| ()).unwrap());
    count.set(0);
    let mut found = Vec::new();
    let totals = compare(
        &mut Stored::new(&a, &|error| error.into()),
        &mut Stored::new(&b, &|error| error.into()),
        &mut |range| {
            found.push(range);
            Ok(())
        },
        &mut |_| Ok(()),
    );
    (count.get(), found, totals.unwrap())
}

#[test]
fn what_is_read_follows_what_changed_and_not_how_much_ram_there_is() {
    let lengths = [64_u64, 512].map(|blocks| {
        let memory = kit::memory(&[(0, blocks << 20)]);
        let stored: Pages = (0..blocks * 256).step_by(64).map(|page| (page, 7)).collect();
        let mut changed = stored.clone();
        changed.insert(256 * 40 + 64, 8);
        let make = |pages| plan(memory.clone(), pages, 1 << 20, Compression::None).write();
        let [a, b] = [&stored, &changed].map(|pages| make(pages).unwrap().0);
        let maps = |bytes: &[u8]| {
            let seeker = Seeker::open(bytes).unwrap();
            seeker.index().maps.iter().map(|map| map.length).sum::<u64>()
        };
        let (none, found, _) = cost(&a, &a);
        assert_eq!((none, found), (2 * maps(&a), vec![]));
        let (one, found, totals) = cost(&a, &b);
        let change = Change::DataToData;
        assert_eq!(found, [Range { gpa: (40 << 20) + (64 << 12), pages: 1, change }]);
        assert_eq!((totals.read_a, totals.read_b, totals.bytes), (4, 4, PAGE));
        one - none
    });
    let [few, many] = lengths;
    assert_eq!(few, many);
    assert!(few < 2 * 6 * PAGE, "{few}");
}

#[test]
fn extents_of_other_sizes_are_compared_by_their_roots() {
    let memory = kit::memory(&[(0, 64 << 20)]);
    let stored: Pages = (0..64 * 256).step_by(16).map(|page| (page, 7)).collect();
    let mut changed = stored.clone();
    changed.insert(256 * 8 + 3, 8);
    let make = |pages, size| plan(memory.clone(), pages, size, Compression::Zstd(1)).write();
    let small = make(&changed, 1 << 16).unwrap().0;
    let large = make(&stored, 1 << 20).unwrap().0;
    let (_, found, totals) = cost(&small, &large);
    let change = Change::DataToZero;
    assert_eq!(found, [Range { gpa: (8 << 20) + (3 << 12), pages: 1, change }]);
    // One large extent, and the sixteen small ones over the same addresses.
    assert_eq!((totals.read_a, totals.read_b), (17, 16));
}
