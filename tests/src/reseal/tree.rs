//! The memory tree, from the top down as §6.4 defines it.

use std::collections::BTreeMap;

use super::pages::leaf;
use super::{Hash, PAGE, sha};

/// A node from the two below it.
pub(super) fn node(left: &Hash, right: &Hash) -> Hash {
    sha(&[&[1], left, right])
}

/// Which pages are RAM, and what they are.
#[derive(Clone)]
pub(super) struct Tree {
    /// Pages: the first, and the one after the last.
    segments: Vec<(u64, u64)>,
    /// What pages of RAM are where nothing else is said.
    present: Vec<Hash>,
    absent: Vec<Hash>,
}

impl Tree {
    /// Over these segments, each an address and a length. What nothing is said of is zero, or, in
    /// the tree of a delta alone, `inherited` (§13.3).
    pub(super) fn new(segments: &[(u64, u64)], inherited: bool) -> Self {
        let levels = |leaf: Hash| {
            std::iter::successors(Some(leaf), |below| Some(node(below, below))).take(41).collect()
        };
        let page = PAGE as u64;
        let pages = |(gpa, len): &(u64, u64)| (gpa / page, gpa.saturating_add(*len) / page);
        Self {
            segments: segments.iter().map(pages).collect(),
            present: levels(if inherited { sha(&[&[3]]) } else { leaf(&[0; PAGE]) }),
            absent: levels(sha(&[&[2]])),
        }
    }

    /// The node of a level at a page if all pages below it are alike, by the first.
    pub(super) fn uniform(&self, page: u64, level: usize) -> Hash {
        let present = self.segments.iter().any(|(from, to)| (*from..*to).contains(&page));
        if present { self.present[level] } else { self.absent[level] }
    }

    /// The memory root over blocks: by their first page, level and root.
    pub(super) fn root(&self, blocks: &BTreeMap<u64, (u32, Hash)>) -> Hash {
        self.node(0, 40, blocks)
    }

    fn node(&self, page: u64, level: usize, blocks: &BTreeMap<u64, (u32, Hash)>) -> Hash {
        if let Some((_, root)) = blocks.get(&page).filter(|block| block.0 as usize == level) {
            return *root;
        }
        let end = page + (1 << level);
        let inside = |edge: u64| page < edge && edge < end;
        let mixed = blocks.range(page..end).next().is_some()
            || self.segments.iter().any(|(from, to)| inside(*from) || inside(*to));
        if level == 0 || !mixed {
            return self.uniform(page, level);
        }
        let half = 1 << (level - 1);
        node(&self.node(page, level - 1, blocks), &self.node(page + half, level - 1, blocks))
    }
}
