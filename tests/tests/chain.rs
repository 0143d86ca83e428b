//! Chains of deltas (§13): joined they are the state that the newest file is of, whatever the form
//! of its files; what does not belong together is refused with its file.

// Helpers of tests fail as tests do; page numbers of small machines fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use snapfmt::delta::Side;
use snapfmt::layout::header::Header;
use snapfmt::memory::block::Block;
use snapfmt::memory::tree::leaf;
use snapfmt::part::codec::Compression;
use snapfmt::part::extent::Form;
use snapfmt::read::{Chain, ChainError, ReadError};
use snapfmt::{Fault, Section};
use tests::drive::{Watched, quick_then_map, walk};
use tests::forge::Plan;
use tests::states::{SEGMENTS, Shape, State, check, join, open};

/// Something that a guest does to a page.
#[derive(Debug, Clone, Copy)]
enum Op {
    Noise(u64, u64),
    Pattern(u64, u8),
    Words(u64, u16, u64),
    Zero(u64),
}

fn page() -> impl Strategy<Value = u64> {
    let number = |(gpa, len): (u64, u64)| gpa / 4096..(gpa + len) / 4096;
    prop_oneof![number(SEGMENTS[0]), 0..16_u64, number(SEGMENTS[1])]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (page(), any::<u64>()).prop_map(|(page, seed)| Op::Noise(page, seed)),
        2 => (page(), 1..=255_u8).prop_map(|(page, byte)| Op::Pattern(page, byte)),
        4 => (page(), 1..300_u16, any::<u64>()).prop_map(|(at, n, seed)| Op::Words(at, n, seed)),
        2 => page().prop_map(Op::Zero),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    let compression = prop_oneof![Just(Compression::None), Just(Compression::Zstd(1))];
    let block = (16..=22_u32).prop_map(|bits| 1 << bits);
    (compression, any::<bool>(), block).prop_map(|(compression, aligned, block)| Shape {
        form: Form { compression, aligned },
        block,
    })
}

fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

/// The state after `ops`.
fn after(before: &State, ops: &[Op]) -> State {
    let mut state = before.clone();
    for op in ops {
        match *op {
            Op::Noise(page, mut seed) => {
                let bytes = (0..512).flat_map(|_| (random(&mut seed) | 1).to_le_bytes());
                state.pages.insert(page, bytes.collect());
            }
            Op::Pattern(page, byte) => drop(state.pages.insert(page, vec![byte; 4096])),
            Op::Words(page, count, mut seed) => {
                let page = state.pages.entry(page).or_insert_with(|| vec![0; 4096]);
                for _ in 0..count {
                    let at = random(&mut seed) as usize % 512 * 8;
                    page[at..at + 8].copy_from_slice(&(random(&mut seed) | 1).to_le_bytes());
                }
            }
            Op::Zero(page) => drop(state.pages.remove(&page)),
        }
    }
    state.record.push(state.record.len() as u8);
    state
}

/// Writes a full file of the first state, and a delta for each that follows.
fn written(states: &[State], shapes: &[Shape]) -> Vec<Vec<u8>> {
    let mut files = vec![states[0].full(0, shapes[0]).unwrap().0];
    for (number, (state, shape)) in states.iter().zip(shapes).enumerate().skip(1) {
        let (file, _) = state.delta(number, &files, *shape);
        files.push(file);
    }
    files
}

fn fault(result: Result<impl Sized, ChainError>) -> (usize, snapfmt::Error) {
    match result.err().unwrap() {
        ChainError { link, error: ReadError::Format(error) } => (link, error),
        error => panic!("{error}"),
    }
}

fn config(cases: u32) -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(13);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn a_joined_chain_is_the_state_that_its_newest_file_is_of(
        steps in proptest::collection::vec(proptest::collection::vec(op(), 0..24), 1..6),
        shapes in proptest::collection::vec(shape(), 6),
        joined in shape(),
    ) {
        let mut states = vec![State::default()];
        for ops in &steps {
            let next = after(states.last().unwrap(), ops);
            states.push(next);
        }
        let states = &states[1..];
        let files = written(states, &shapes);
        let newest = states.last().unwrap();
        let (pages, verified) = check(&files).unwrap();
        prop_assert!(pages == newest.pages);
        for (state, (verified, shape)) in states.iter().zip(verified.iter().zip(&shapes)) {
            let (_, sealed) = state.full(7, *shape).unwrap();
            prop_assert_eq!(verified.index().content, sealed.index.content);
            prop_assert_eq!(verified.unsettled(), None);
        }
        let (full, sealed) = join(&files, joined);
        prop_assert_eq!(sealed.index.content, verified.last().unwrap().index().content);
        prop_assert_eq!(walk(&full).unwrap().index().clone(), sealed.index);
        // Each file by itself is sound as well, and says what it cannot know.
        for (number, file) in files.iter().enumerate() {
            let alone = walk(file).unwrap();
            prop_assert_eq!(alone.unsettled().is_some(), number > 0);
            prop_assert_eq!(quick_then_map(file), [Ok(()), Ok(())]);
        }
    }

    #[test]
    fn a_delta_is_the_same_whatever_is_known_of_the_new_state(
        first in proptest::collection::vec(op(), 0..32),
        second in proptest::collection::vec(op(), 0..16),
        third in proptest::collection::vec(op(), 0..16),
        shapes in proptest::collection::vec(shape(), 4),
    ) {
        let base = after(&State::default(), &first);
        let middle = after(&base, &second);
        let newest = after(&middle, &third);
        let states = [base, middle, newest.clone()];
        let files = written(&states, &shapes);
        // From the full file to the end of the chain, in one delta.
        let base = &files[..1];
        let (raw, _) = newest.delta(9, base, shapes[3]);
        let (chained, _) = newest.delta_between(9, base, &files, shapes[3]);
        let (full, _) = newest.full(0, shapes[2]).unwrap();
        let (known, sealed) = newest.delta_between(9, base, &[full], shapes[3]);
        let content = open(&files).unwrap().newest().seeker().index().content;
        prop_assert_eq!(sealed.index.content, content);
        for delta in [raw, chained, known] {
            let chain = [base[0].clone(), delta];
            let (pages, _) = check(&chain).unwrap();
            prop_assert!(pages == newest.pages);
        }
    }
}

fn raw(block: u64) -> Shape {
    Shape { form: Compression::None.into(), block }
}

fn zstd(block: u64) -> Shape {
    Shape { form: Compression::Zstd(1).into(), block }
}

/// A chain of as many files as asked for.
fn long(count: usize, shapes: &[Shape]) -> (Vec<State>, Vec<Vec<u8>>) {
    let (mut seed, mut states) = (5, vec![State::default()]);
    for number in 0..count {
        let ops: Vec<_> = (0..12)
            .map(|_| {
                let (page, noise) = (random(&mut seed) % 300, random(&mut seed));
                match noise % 5 {
                    0 => Op::Noise(page, noise),
                    1 => Op::Pattern(page, number as u8 + 1),
                    2 => Op::Zero(page),
                    _ => Op::Words(page, (noise % 40) as u16 + 1, noise),
                }
            })
            .collect();
        let next = after(states.last().unwrap(), &ops);
        states.push(next);
    }
    states.remove(0);
    let shapes: Vec<_> = shapes.iter().copied().cycle().take(count).collect();
    let files = written(&states, &shapes);
    (states, files)
}

#[test]
fn chains_of_one_to_twenty_files_join_to_the_state_of_each() {
    for shapes in
        [vec![raw(1 << 16)], vec![zstd(1 << 20)], vec![zstd(1 << 16), raw(1 << 22), zstd(1 << 18)]]
    {
        let (states, files) = long(20, &shapes);
        for count in 1..=20 {
            let (_, sealed) = join(&files[..count], zstd(1 << 20));
            let (_, full) = states[count - 1].full(0, raw(1 << 16)).unwrap();
            assert_eq!(sealed.index.content, full.index.content, "{count}");
        }
    }
}

#[test]
fn no_bit_of_a_small_chain_may_differ() {
    let base = after(&State::default(), &[Op::Pattern(3, 7), Op::Pattern(4, 1), Op::Pattern(5, 2)]);
    let next = after(&base, &[Op::Words(3, 2, 1), Op::Zero(4), Op::Pattern(9, 3)]);
    let last = after(&next, &[Op::Words(3, 2, 2), Op::Pattern(4, 8), Op::Words(9, 1, 5)]);
    let shapes = [zstd(1 << 16), zstd(1 << 16), zstd(1 << 16)];
    let files = written(&[base, next, last.clone()], &shapes);
    assert!(check(&files).unwrap().0 == last.pages);
    let whole: usize = files.iter().map(Vec::len).sum();
    assert!(whole < 32 << 10, "{whole}");
    let differences = |file: &[u8]| walk(file).unwrap().unsettled().unwrap().pages;
    assert_eq!((differences(&files[1]), differences(&files[2])), (1, 2));
    let flip = |number: usize, odd: usize| {
        let mut files = files.clone();
        for at in (odd..files[number].len()).step_by(2) {
            for bit in 0..8 {
                files[number][at] ^= 1 << bit;
                let refused = check(&files).err();
                let error = refused.unwrap_or_else(|| panic!("file {number}, {at:#x}, bit {bit}"));
                // A changed name of a parent or of a state shows in either of the two.
                assert!(error.link == number, "{number} {error}");
                files[number][at] ^= 1 << bit;
            }
        }
    };
    std::thread::scope(|scope| {
        for odd in [0, 1] {
            scope.spawn(move || (0..3).for_each(|number| flip(number, odd)));
        }
    });
}

#[test]
fn a_delta_to_another_state_is_refused_before_a_page_is_read() {
    let base = after(&State::default(), &[Op::Pattern(3, 7)]);
    let other = after(&base, &[Op::Pattern(3, 8)]);
    let shape = zstd(1 << 16);
    let files = written(&[base, after(&other, &[])], &[shape, shape]);
    let stranger = other.full(0, shape).unwrap().0;
    let chain = [stranger.clone(), files[1].clone()];
    let (link, error) = fault(open(&chain));
    assert_eq!((link, error.section()), (1, &Section::Header));
    assert!(matches!(error.fault(), Fault::Disagree { rule: "§13.1.1", .. }), "{error}");
    // Nothing between the last record and INDEX was read, of either.
    let watched: Vec<_> = chain.iter().map(|file| Watched::new(file)).collect();
    let refused = Chain::open(watched.iter(), |_, _| ());
    assert!(refused.is_err());
    for (watched, file) in watched.iter().zip(&chain) {
        let seeker = snapfmt::read::Seeker::open(file.as_slice()).unwrap();
        let index = seeker.index();
        let (from, to) = match index.maps.last() {
            Some(map) => {
                let last = index.parts.last().unwrap();
                (last.offset + last.length, map.offset + map.length)
            }
            None => continue,
        };
        let within = |&(at, len): &(u64, usize)| at < to && at + len as u64 > from;
        assert!(!watched.reads().iter().any(within));
    }
}

#[test]
fn a_state_that_is_not_what_its_file_says_is_known_before_a_page_is_read() {
    let cases = tests::spec_rules::cases();
    let case = cases.iter().find(|case| case.what == "another memory root").unwrap();
    let files = [tests::spec_rules::chain(case.parent.unwrap()), vec![case.file.clone()]].concat();
    let watched: Vec<_> = files.iter().map(|file| Watched::new(file)).collect();
    let chain = Chain::open(watched.iter(), |_, _| ()).unwrap();
    let error = chain.contents().unwrap_err();
    assert_eq!(error.link, 1);
    assert!(error.to_string().contains("§7.1.3"), "{error}");
    for (watched, file) in watched.iter().zip(&files) {
        let extents = tests::forge::places(file).into_iter().filter(|place| place.kind == 32);
        for place in extents.filter(|place| place.payload < place.payload_end) {
            let within = |&(at, len): &(u64, usize)| {
                (at as usize) < place.payload_end && at as usize + len > place.payload
            };
            assert!(!watched.reads().iter().any(within), "{place:?}");
        }
    }
}

#[test]
fn a_chain_has_each_file_once_and_may_be_long() {
    let (states, files) = long(70, &[zstd(1 << 16)]);
    assert!(check(&files).unwrap().0 == states.last().unwrap().pages);
    // A state that did not change names its own content (§13.1.4).
    let same = written(&[states[0].clone(), states[0].clone()], &[zstd(1 << 16); 2]);
    assert!(check(&same).is_ok());
    let (link, error) = fault(open(&[same[0].clone(), same[1].clone(), same[1].clone()]));
    assert_eq!(link, 2);
    assert!(matches!(error.fault(), Fault::Value { rule: "§13.6", .. }), "{error}");
}

#[test]
fn a_chain_has_up_to_1024_files() {
    // What stays as it is can follow itself; files of it differ in their UUID.
    let state = State { pages: [(3, vec![1; 4096])].into(), ..State::default() };
    let mut files = vec![state.full(0, zstd(1 << 16)).unwrap().0];
    for number in 1..=1024 {
        let (file, _) = state.delta(number, &files[..1], zstd(1 << 16));
        files.push(file);
    }
    assert_eq!(open(&files[..1024]).unwrap().count(), 1024);
    let (link, error) = fault(open(&files));
    let (what, found) = ("the number of files", 1025);
    assert_eq!((link, error.fault()), (1024, &Fault::OverLimit { what, found, limit: 1024 }));
}

#[test]
fn an_area_of_several_blocks_has_the_pages_and_leaves_of_each() {
    let page = |byte| vec![byte; 4096];
    let pages = [(3, page(1)), (20, page(2)), (40, page(3))];
    let state = State { pages: pages.clone().into(), ..State::default() };
    for shape in [raw, zstd] {
        let [small, one] = [1 << 16, 1 << 18].map(|size| [state.full(0, shape(size)).unwrap().0]);
        let (small, one) = (open(&small).unwrap(), open(&one).unwrap());
        let area = |chain| {
            let chain: &Chain<_> = chain;
            let pieces = chain.entries(0).map(|entry| (0, entry.unwrap())).collect();
            chain.area(0, 1 << 18, pieces)
        };
        assert_eq!((small.entries(0).count(), one.entries(0).count()), (3, 1));
        let root = area(&small).root().unwrap();
        assert!(root.is_some() && root == area(&one).root().unwrap());
        let leaves = area(&small).leaves().unwrap().into_iter().enumerate();
        let leaves: Vec<_> = leaves.filter_map(|(at, leaf)| Some((at as u64, leaf?))).collect();
        assert_eq!(leaves, pages.clone().map(|(at, page)| (at, leaf(&page))));
        let read = area(&small).pages(&[20, 40]).unwrap();
        let read: Vec<_> = read.iter().map(|(gpa, page)| (gpa >> 12, page.to_vec())).collect();
        assert_eq!(read, pages[1..]);
    }
}

#[test]
fn a_block_in_which_all_became_zero_is_not_given() {
    let full =
        State { pages: [(3, vec![1; 4096]), (40, vec![2; 4096])].into(), ..State::default() };
    let less = State { pages: [(40, vec![2; 4096])].into(), ..State::default() };
    let files = written(&[full, less], &[zstd(1 << 16); 2]);
    let mut given = Vec::new();
    let take = |block: Block| {
        given.push((block.gpa, block.data.count()));
        Ok::<_, ()>(())
    };
    assert!(open(&files).unwrap().check(1 << 16, take).is_ok());
    assert_eq!(given, [(2 << 16, 1)]);
}

#[test]
fn a_missing_or_damaged_link_is_named() {
    let (_, files) = long(4, &[zstd(1 << 16)]);
    let without = |number: usize| {
        let mut files = files.clone();
        files.remove(number);
        files
    };
    let (link, error) = fault(open(&without(0)));
    assert_eq!((link, error.fault().id()), (0, "parent"));
    for number in [1, 2] {
        let (link, error) = fault(open(&without(number)));
        assert_eq!(link, number);
        assert!(matches!(error.fault(), Fault::Disagree { rule: "§13.1.1", .. }), "{error}");
    }
    let (link, error) = fault(open(&[files[0].clone(), files[0].clone()]));
    assert!(matches!(error.fault(), Fault::Value { rule: "§13", .. }), "{error}");
    assert_eq!(link, 1);
    assert_eq!(fault(open(&[])).1.fault().id(), "truncated");
    for number in 0..4 {
        let mut files = files.clone();
        let chain = open(&files).unwrap();
        let entry = chain.entries(number).next().unwrap().unwrap();
        let at = (entry.offset + entry.length - 64) as usize;
        drop(chain);
        files[number][at - 1] ^= 1;
        let (link, error) = fault(check(&files));
        assert_eq!((link, error.section()), (number, &Section::Extent { gpa: entry.gpa }));
    }
}

#[test]
fn a_file_does_not_follow_one_of_another_machine() {
    let mut other = Plan::small_delta();
    other.segments[0].1 += 4096;
    let base = Plan::small().forge();
    // It names the right parent, and is of a machine with one page more.
    let head = other.parent.as_ref().unwrap().content();
    assert_eq!(head, Plan::small().content());
    let (link, error) = fault(open(&[base.clone(), other.forge()]));
    assert_eq!(link, 1);
    assert!(matches!(error.fault(), Fault::Disagree { rule: "§13.1.3", .. }), "{error}");
    let arch = Plan { arch: "riscv".to_owned(), ..Plan::small_delta() };
    let (_, error) = fault(open(&[base, arch.forge()]));
    assert!(matches!(error.fault(), Fault::Disagree { rule: "§13.1.3", .. }), "{error}");
}

#[test]
fn chains_made_by_hand_are_those_that_the_library_makes() {
    for delta in [Plan::small_delta(), Plan::small_xor()] {
        let (pages, verified) = check(&[Plan::small().forge(), delta.forge()]).unwrap();
        let expected = delta.pages().into_iter().map(|(gpa, page)| (gpa / 4096, page));
        assert!(pages == expected.collect());
        assert_eq!(verified[1].index().content.as_bytes(), &delta.content());
    }
}

#[test]
fn a_state_that_the_chain_does_not_make_is_refused() {
    let base = after(&State::default(), &[Op::Pattern(3, 7)]);
    let next = after(&base, &[Op::Pattern(4, 1)]);
    let shape = raw(1 << 16);
    let files = written(&[base, next], &[shape, shape]);
    let lie = |parent: &Header| {
        // The same delta, sealed with the memory root of its parent.
        let seeker = snapfmt::read::Seeker::open(files[0].as_slice()).unwrap();
        let root = seeker.index().memory_root;
        let mut out = Vec::new();
        let chain = open(&files).unwrap();
        let mut meta = None;
        let each = |part| {
            if let snapfmt::read::Part::Meta(text) = part {
                meta = Some(text);
            }
        };
        chain.newest().seeker().quick(each).unwrap();
        let (vm, meta) = (chain.vm().clone(), meta.unwrap());
        let mut writer =
            snapfmt::write::Writer::begin(parent, vm, &meta, shape.form, &mut out).unwrap();
        writer.record("kern_structs", "vm", &[0, 1], &mut out).unwrap();
        let mut writer = writer.changes().unwrap();
        let mut change = snapfmt::memory::change::Change::new(0, 1 << 16);
        change.data(4, &[1; 4096], None).unwrap();
        writer.block(&change, &mut out).unwrap();
        writer.finish(root, &mut out).unwrap();
        out
    };
    let header = open(&files).unwrap().newest().seeker().header().clone();
    let chain = [files[0].clone(), lie(&header)];
    // Alone it is sound, as far as it goes.
    assert!(walk(&chain[1]).unwrap().unsettled().is_some());
    assert_eq!(quick_then_map(&chain[1]), [Ok(()), Ok(())]);
    let (link, error) = fault(check(&chain));
    assert_eq!(link, 1);
    assert!(matches!(error.fault(), Fault::Disagree { rule: "§7.1.3", .. }), "{error}");
}
