//! What changed between two states of one machine, area by area (§13).
//!
//! It decides on equality by subtree roots and leaves, and by nothing weaker; of each side it asks
//! only for what it needs: an area whose roots are equal is never looked into, and a page whose
//! leaves are equal is never read. It does no I/O: a [`Side`] is an area of a file, of a chain
//! ([`crate::read::StoredArea`]), of a RAM file, or of a machine's memory.
//!
//! A whole delta is the areas that either state names ([`Areas`](crate::memory::area::Areas)), each
//! compared here, its change given to [`DeltaWriter::block`](crate::write::DeltaWriter::block), and
//! its root to a [`RootBuilder`](crate::memory::tree::RootBuilder), whose result is the memory root
//! of the new state.

use crate::digest::Digest;
use crate::limits;
use crate::memory::bitmap::Bitmap;
use crate::memory::block::Block;
use crate::memory::change::Change;
use crate::memory::map::MemoryMap;
use crate::memory::tree::{Rest, leaves_root};

/// Words of 8 bytes in a page that may differ before its difference is taken for longer than the
/// page: half of them. Pages of a running guest differ in few words or in nearly all.
const FEW_WORDS: usize = limits::PAGE / 8 / 2;

/// The leaves of all pages of an area; nothing for a page that is zero, stored or not, or no RAM.
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

    /// The leaves of the area: said by whoever stored it, or hashed now from its pages.
    ///
    /// # Errors
    /// Trouble with reading, and damage.
    fn leaves(&mut self) -> Result<Leaves, Self::Error>;

    /// The pages with the numbers in `wanted`, which all are data and have the leaves that
    /// [`leaves`](Self::leaves) gave; it may have read more of them then.
    ///
    /// # Errors
    /// Trouble with reading, and damage.
    fn pages(&mut self, wanted: &[usize]) -> Result<Read, Self::Error>;
}

/// Pages of an area that were read, to be compared. It is no block that a writer takes: a state is
/// joined only from what the check of a chain gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read(Block);

impl Read {
    /// Pages; other ones than those that are wanted do no harm.
    #[must_use]
    pub fn new(block: Block) -> Self {
        Self(block)
    }

    /// The data pages with their guest-physical addresses, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.0.iter()
    }
}

/// What was found out about an area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The subtree root of the area in the parent's state, by that which was compared: together
    /// they make its memory root, and so its `content` (§13.1.1).
    pub parent: Digest,
    /// The subtree root of the area in the new state.
    pub root: Digest,
    /// What changed; nothing if the states are equal here.
    pub change: Option<Change>,
}

/// Compares the aligned area of `size` bytes at `gpa`. Of the new state, pages that changed are
/// read; of the parent's, only those that a difference may be taken from.
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
        return Ok(Outcome { parent: root, root, change: None });
    }
    let (before, leaves) = (parent.leaves()?, new.leaves()?);
    let differ = differ(&before, &leaves);
    let root = |leaves: &Leaves| {
        let named = leaves.iter().enumerate();
        let named = named.filter_map(|(index, leaf)| Some((index, (*leaf)?)));
        leaves_root(map, Rest::Zero, gpa, size, named)
    };
    let known = root(&leaves);
    if differ.is_empty() {
        return Ok(Outcome { parent: known, root: known, change: None });
    }
    let parent_root = parent.root()?.unwrap_or_else(|| root(&before));
    let root = known;
    let is_data = |leaves: &Leaves, index: &usize| leaves.get(*index).is_some_and(Option::is_some);
    let data: Vec<_> = differ.iter().copied().filter(|index| is_data(&leaves, index)).collect();
    let based: Vec<_> = data.iter().copied().filter(|index| is_data(&before, index)).collect();
    let pages = if data.is_empty() { None } else { Some(new.pages(&data)?.0) };
    let old = if based.is_empty() { None } else { Some(parent.pages(&based)?.0) };
    let change = change((gpa, size), &differ, &leaves, pages.as_ref(), old.as_ref());
    Ok(Outcome { parent: parent_root, root, change: Some(change) })
}

/// What an area is now, as a change to a parent that is not known: pages in `named` are data or
/// zero, all others are inherited. `leaves` are what [`Side::leaves`] said. For a parent that is
/// all zero, name the data pages alone.
///
/// # Errors
/// What the side says.
pub fn name<N: Side>(
    map: &MemoryMap,
    (gpa, size): (u64, u64),
    named: &Bitmap,
    leaves: &Leaves,
    new: &mut N,
) -> Result<Change, N::Error> {
    let leaf = |index: usize| leaves.get(index).copied().flatten();
    let wanted: Vec<_> = named.pages().filter(|&index| leaf(index).is_some()).collect();
    let mut change = Change::new(gpa, size);
    if !wanted.is_empty() {
        let Read(block) = new.pages(&wanted)?;
        if block.data.pages().eq(wanted.iter().copied()) {
            // The pages themselves, without a copy: nearly always it is all of them.
            change.pages = block.pages;
        } else {
            let pages = paged(&block);
            let page = |index: &usize| pages.get(*index).copied().flatten();
            change.pages = wanted.iter().filter_map(page).flatten().copied().collect();
        }
    }
    wanted.iter().for_each(|&index| change.data.set(index));
    change.leaves = wanted.into_iter().filter_map(leaf).collect();
    let is_ram = |index: usize| map.contains(gpa.saturating_add((index * limits::PAGE) as u64));
    let zero = named.pages().filter(|&index| leaf(index).is_none() && is_ram(index));
    zero.for_each(|index| change.zero.set(index));
    change.end();
    Ok(change)
}

fn change(
    (gpa, size): (u64, u64),
    differ: &[usize],
    leaves: &Leaves,
    pages: Option<&Block>,
    old: Option<&Block>,
) -> Change {
    let [pages, old] = [pages, old].map(|block| block.map(paged).unwrap_or_default());
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
