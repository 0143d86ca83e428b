//! What is decided, and what is read for it.

use std::cell::Cell;
use std::convert::Infallible;

use super::*;
use crate::memory::map::Segment;
use crate::memory::tree::{block_root, leaf};

const SIZE: u64 = 16 * limits::PAGE as u64;

/// A side that counts the pages that it is asked for.
struct Told {
    block: Block,
    /// Whether it knows its root without looking at leaves.
    root: bool,
    read: Cell<usize>,
}

fn map() -> MemoryMap {
    MemoryMap::new(vec![Segment { gpa: 0, len: 12 * limits::PAGE as u64 }]).unwrap()
}

fn page(fill: u8) -> Vec<u8> {
    vec![fill; limits::PAGE]
}

fn told(root: bool, pages: &[(usize, Vec<u8>)]) -> Told {
    let mut data = Bitmap::new(16);
    pages.iter().for_each(|(index, _)| data.set(*index));
    let pages = pages.iter().flat_map(|(_, page)| page.clone()).collect();
    Told { block: Block { gpa: 0, size: SIZE, data, pages }, root, read: Cell::new(0) }
}

impl Told {
    fn true_root(&self) -> Digest {
        block_root(&map(), 0, SIZE, &self.block.data, &self.block.pages)
    }
}

impl Side for Told {
    type Error = Infallible;

    fn root(&mut self) -> Result<Option<Digest>, Infallible> {
        Ok(self.root.then(|| self.true_root()))
    }

    fn leaves(&mut self) -> Result<Leaves, Infallible> {
        Ok(paged(&self.block).iter().map(|page| page.map(leaf)).collect())
    }

    fn pages(&mut self, wanted: &[usize]) -> Result<Read, Infallible> {
        self.read.set(self.read.get().saturating_add(wanted.len()));
        Ok(Read::new(self.block.clone()))
    }
}

fn outcome(parent: &mut Told, new: &mut Told) -> Outcome {
    let Ok(outcome) = compare(&map(), (0, SIZE), parent, new);
    outcome
}

const BOTH: [bool; 2] = [true, false];

#[test]
fn equal_areas_have_no_change_and_the_root_of_the_new_state() {
    // A stored page of zeros is as good as none.
    let (pages, same) = ([(1, page(5)), (2, page(0))], [(1, page(5))]);
    for old in BOTH {
        for new in BOTH {
            let (mut old, mut new) = (told(old, &pages), told(new, &same));
            let outcome = outcome(&mut old, &mut new);
            let root = new.true_root();
            assert_eq!(outcome, Outcome { parent: root, root, change: None });
        }
    }
}

#[test]
fn areas_with_equal_roots_or_leaves_are_not_read() {
    for knows in BOTH {
        let (mut old, mut new) = (told(knows, &[(3, page(1))]), told(knows, &[(3, page(1))]));
        assert_eq!(outcome(&mut old, &mut new).change, None);
        assert_eq!((old.read.get(), new.read.get()), (0, 0));
    }
}

#[test]
fn what_changed_is_the_same_whatever_is_known() {
    let mut few = page(7);
    few[8..16].fill(9);
    let old = [(0, page(1)), (3, page(7)), (4, page(2)), (5, page(6))];
    let new = [(0, page(1)), (3, few), (5, page(8)), (9, page(4))];
    for old_knows in BOTH {
        for new_knows in BOTH {
            let (mut old, mut new) = (told(old_knows, &old), told(new_knows, &new));
            let found = outcome(&mut old, &mut new);
            assert_eq!((found.parent, found.root), (old.true_root(), new.true_root()));
            let change = found.change.unwrap();
            // Page 3 differs in one word, page 5 in all; page 9 was zero, page 4 is.
            assert_eq!(change.data.pages().collect::<Vec<_>>(), [3, 5, 9]);
            assert_eq!(change.zero.pages().collect::<Vec<_>>(), [4]);
            assert_eq!(change.xor.unwrap().pages().collect::<Vec<_>>(), [3]);
            assert_eq!(
                change.leaves,
                [&new.block.pages[4096..]]
                    .map(|p| { p.chunks(4096).map(leaf).collect::<Vec<_>>() })[0]
            );
        }
    }
}

#[test]
fn a_page_of_which_half_the_words_differ_is_no_difference() {
    for (words, differences) in [(255, vec![3]), (256, vec![]), (257, vec![])] {
        let mut changed = page(7);
        changed[..words * 8].fill(9);
        let (mut old, mut new) = (told(true, &[(3, page(7))]), told(true, &[(3, changed)]));
        let change = outcome(&mut old, &mut new).change.unwrap();
        let found: Vec<_> = change.xor.iter().flat_map(Bitmap::pages).collect();
        assert_eq!(found, differences, "{words} words");
    }
}

#[test]
fn only_pages_that_differ_are_read() {
    let mut old = told(false, &[(0, page(1)), (3, page(7)), (4, page(2))]);
    let mut new = told(false, &[(0, page(1)), (3, page(8)), (9, page(4))]);
    assert!(outcome(&mut old, &mut new).change.is_some());
    // Of the parent, only what a difference is taken from: page 3.
    assert_eq!((old.read.get(), new.read.get()), (1, 2));
    // Neither is read where pages only became zero.
    let mut new = told(false, &[(0, page(1)), (4, page(2))]);
    let mut old = told(false, &[(0, page(1)), (3, page(7)), (4, page(2))]);
    assert!(outcome(&mut old, &mut new).change.is_some());
    assert_eq!((old.read.get(), new.read.get()), (0, 0));
}

#[test]
fn named_pages_are_data_or_zero_and_no_other_page_is() {
    let mut new = told(false, &[(1, page(1)), (2, page(2)), (5, page(5))]);
    let leaves = new.leaves().unwrap();
    let mut named = Bitmap::new(16);
    [1, 3, 5, 13].into_iter().for_each(|index| named.set(index));
    let change = name(&map(), (0, SIZE), &named, &leaves, &mut new).unwrap();
    let mut expected = Change::new(0, SIZE);
    expected.data(1, &page(1), None).unwrap();
    expected.zero(3).unwrap();
    expected.data(5, &page(5), None).unwrap();
    // Page 13 is no RAM.
    assert_eq!(change, expected);
}
