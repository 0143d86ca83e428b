//! What changed between two states of one machine, area by area (§13).
//!
//! It decides on equality by subtree roots, leaves and bytes, and by nothing weaker; of each side
//! it asks only for what it needs: an area whose roots are equal is never read. It does no I/O: a
//! [`Side`] is an area of a file, of a chain ([`crate::read::StoredArea`]), of a RAM file, or of a
//! machine's memory.
//!
//! A whole delta is the areas that either state names ([`Areas`](crate::memory::area::Areas)), each
//! compared here, its change given to [`DeltaWriter::block`](crate::write::DeltaWriter::block), and
//! its root to a [`RootBuilder`](crate::memory::tree::RootBuilder), whose result is the memory root
//! of the new state.

use crate::digest::Digest;
use crate::limits;
use crate::memory::block::Block;
use crate::memory::change::Change;
use crate::memory::map::MemoryMap;
use crate::memory::tree::{Rest, leaf, leaves_root};

/// Words of 8 bytes in a page that may differ before its difference is taken for longer than the
/// page: half of them. Pages of a running guest differ in few words or in nearly all.
const FEW_WORDS: usize = limits::PAGE / 8 / 2;

/// The leaves of all pages of an area; nothing for a page that is zero, or no RAM.
pub type Leaves = Vec<Option<Digest>>;

/// An area of one state. What is asked for is read then, and not before.
pub trait Side {
    /// Why it could not be read.
    type Error;

    /// The subtree root of the area, where that takes no pages and no leaves to know.
    ///
    /// # Errors
    /// Trouble with reading, and damage.
    fn root(&mut self) -> Result<Option<Digest>, Self::Error>;

    /// The leaves of the area, where they can be had without its pages.
    ///
    /// # Errors
    /// Trouble with reading, and damage.
    fn leaves(&mut self) -> Result<Option<Leaves>, Self::Error>;

    /// The pages with the numbers in `wanted`, or all of them; a block without data if all are
    /// zero. Pages that are not wanted may be missing.
    ///
    /// # Errors
    /// Trouble with reading, and damage.
    fn pages(&mut self, wanted: Option<&[usize]>) -> Result<Read, Self::Error>;
}

/// Pages of an area that were read, to be compared. It is no block that a writer takes: a state is
/// joined only from what the check of a chain gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    block: Block,
    leaves: Option<Leaves>,
}

impl Read {
    /// Pages, and the leaves of all the area if all was read and checking it took them.
    #[must_use]
    pub fn new(block: Block, leaves: Option<Leaves>) -> Self {
        Self { block, leaves }
    }

    /// The data pages with their guest-physical addresses, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.block.iter()
    }
}

/// What was found out about an area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The subtree root of the area in the new state.
    pub root: Digest,
    /// What changed; nothing if the states are equal here.
    pub change: Option<Change>,
}

/// Compares the aligned area of `size` bytes at `gpa`. Pages of which both leaves are known are not
/// read unless they differ; of the parent's, only those that a difference may be taken from.
///
/// # Errors
/// What the sides say.
pub fn compare<P: Side, N: Side<Error = P::Error>>(
    map: &MemoryMap,
    (gpa, size): (u64, u64),
    parent: &mut P,
    new: &mut N,
) -> Result<Outcome, P::Error> {
    let root = new.root()?;
    if let Some(root) = root
        && parent.root()? == Some(root)
    {
        return Ok(Outcome { root, change: None });
    }
    let (mut before, mut now) = (Known::of(parent)?, Known::of(new)?);
    let (differ, leaves) = differences(&mut before, &mut now);
    let named = leaves.iter().enumerate();
    let named = named.filter_map(|(index, leaf)| Some((index, (*leaf)?)));
    let root = leaves_root(map, Rest::Zero, gpa, size, named);
    if differ.is_empty() {
        return Ok(Outcome { root, change: None });
    }
    let block = now.block(new, &differ)?;
    let data = |index: &usize| leaves.get(*index).is_some_and(Option::is_some);
    let based: Vec<_> = differ.iter().copied().filter(|i| data(i) && before.is_data(*i)).collect();
    let old = if based.is_empty() { None } else { Some(before.block(parent, &based)?) };
    let change = change((gpa, size), &differ, &leaves, &block, old.as_ref());
    Ok(Outcome { root, change: Some(change) })
}

/// What is known of a side: its leaves, or its pages, or both.
struct Known {
    leaves: Option<Leaves>,
    block: Option<Block>,
}

impl Known {
    fn of<S: Side>(side: &mut S) -> Result<Self, S::Error> {
        if let Some(leaves) = side.leaves()? {
            return Ok(Self { leaves: Some(leaves), block: None });
        }
        let Read { block, leaves } = side.pages(None)?;
        Ok(Self { leaves, block: Some(block) })
    }

    /// The leaves, hashed now if they are not known.
    fn leaves(&mut self) -> &Leaves {
        let pages = self.block.as_ref().map(paged).unwrap_or_default();
        self.leaves.get_or_insert_with(|| pages.iter().map(|page| page.map(leaf)).collect())
    }

    fn is_data(&self, index: usize) -> bool {
        match (&self.leaves, &self.block) {
            (Some(leaves), _) => leaves.get(index).is_some_and(Option::is_some),
            (None, Some(block)) => block.data.get(index),
            (None, None) => false,
        }
    }

    fn block<S: Side>(&mut self, side: &mut S, wanted: &[usize]) -> Result<Block, S::Error> {
        match self.block.take() {
            Some(block) => Ok(block),
            None => Ok(side.pages(Some(wanted))?.block),
        }
    }
}

/// The numbers of the pages that differ, and the leaves of the new state. Pages are compared as
/// bytes where both are at hand, and hashed only where that cannot be avoided.
fn differences(before: &mut Known, now: &mut Known) -> (Vec<usize>, Leaves) {
    if let (None, Some(old), Some(new)) = (&now.leaves, &before.block, &now.block) {
        let pages = paged(new);
        let differ = differ(&paged(old), &pages);
        let hashed = |page: &Option<&[u8]>| page.map(leaf);
        // What did not change has the leaf that it had.
        let Some(mut leaves) = before.leaves.clone() else {
            return (differ, pages.iter().map(hashed).collect());
        };
        for &index in &differ {
            if let (Some(place), Some(page)) = (leaves.get_mut(index), pages.get(index)) {
                *place = hashed(page);
            }
        }
        return (differ, leaves);
    }
    let leaves = now.leaves().clone();
    (differ(before.leaves(), &leaves), leaves)
}

fn change(
    (gpa, size): (u64, u64),
    differ: &[usize],
    leaves: &Leaves,
    block: &Block,
    old: Option<&Block>,
) -> Change {
    let (pages, old) = (paged(block), old.map(paged).unwrap_or_default());
    let mut change = Change::new(gpa, size);
    for &index in differ {
        let page = pages.get(index).copied().flatten();
        match (page, leaves.get(index).copied().flatten()) {
            (Some(page), Some(leaf)) => {
                let old = old.get(index).copied().flatten();
                let old = old.filter(|old| words(page, old) < FEW_WORDS);
                change.put(index, page, leaf, old);
            }
            _ => change.put_zero(index),
        }
    }
    change
}

/// The pages of a block by number; nothing where one is zero, stored or not.
fn paged(block: &Block) -> Vec<Option<&[u8]>> {
    let count = block.data.as_bytes().len() * 8;
    let mut pages = block.pages.chunks_exact(limits::PAGE);
    let page = |index| if block.data.get(index) { pages.next() } else { None };
    let zero = [0; limits::PAGE];
    (0..count).map(page).map(|page| page.filter(|page| **page != zero)).collect()
}

/// The numbers of the pages that differ.
fn differ<T: PartialEq>(before: &[T], now: &[T]) -> Vec<usize> {
    let pairs = before.iter().zip(now).enumerate();
    pairs.filter(|(_, (before, now))| before != now).map(|(index, _)| index).collect()
}

/// In how many words of 8 bytes two pages differ.
fn words(page: &[u8], old: &[u8]) -> usize {
    let (page, old) = (page.as_chunks::<8>().0, old.as_chunks::<8>().0);
    page.iter().zip(old).filter(|(new, old)| new != old).count()
}

#[cfg(test)]
mod tests;
