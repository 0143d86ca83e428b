//! What changed between two states of one machine, area by area (§13).
//!
//! It decides on equality by subtree roots, leaves and bytes, and by nothing weaker; of each side it
//! asks only for what it needs: an area whose roots are equal is never read. It does no I/O: a
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

    /// The pages of the area; a block without data if all are zero.
    ///
    /// # Errors
    /// Trouble with reading, and damage.
    fn block(&mut self) -> Result<Block, Self::Error>;

    /// Whether reading pages costs less than hashing as many: not if they are compressed.
    fn is_cheap(&self) -> bool;
}

/// What was found out about an area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The subtree root of the area in the new state.
    pub root: Digest,
    /// What changed; nothing if the states are equal here.
    pub change: Option<Change>,
}

/// Compares the aligned area of `size` bytes at `gpa`.
///
/// # Errors
/// What the sides say.
pub fn compare<P: Side, N: Side<Error = P::Error>>(
    map: &MemoryMap,
    (gpa, size): (u64, u64),
    parent: &mut P,
    new: &mut N,
) -> Result<Outcome, P::Error> {
    let area = Place { map, gpa, size };
    let (before, now) = (parent.root()?, new.root()?);
    if let Some(root) = now.filter(|_| before == now) {
        return Ok(Outcome { root, change: None });
    }
    let Some(now) = new.leaves()? else { return area.unknown(before, parent, new) };
    let Some(before) = parent.leaves()? else {
        let (old, block) = (parent.block()?, new.block()?);
        let differ = differ(&paged(&old), &paged(&block));
        return Ok(area.outcome(&now, &differ, &block, Some(&old)));
    };
    let differ = differ(&before, &now);
    if differ.is_empty() {
        return Ok(Outcome { root: area.root(&now), change: None });
    }
    let block = new.block()?;
    let old = area.old(&before, &now, &differ, parent)?;
    Ok(area.outcome(&now, &differ, &block, old.as_ref()))
}

/// An area of both states.
struct Place<'a> {
    map: &'a MemoryMap,
    gpa: u64,
    size: u64,
}

impl Place<'_> {
    /// Compares pages whose leaves nobody knows yet.
    fn unknown<P: Side, N: Side<Error = P::Error>>(
        &self,
        root: Option<Digest>,
        parent: &mut P,
        new: &mut N,
    ) -> Result<Outcome, P::Error> {
        let block = new.block()?;
        let pages = paged(&block);
        if !parent.is_cheap()
            && let Some(before) = parent.leaves()?
        {
            let now: Leaves = pages.iter().map(|page| page.map(leaf)).collect();
            let differ = differ(&before, &now);
            let old = self.old(&before, &now, &differ, parent)?;
            return Ok(self.outcome(&now, &differ, &block, old.as_ref()));
        }
        let old = parent.block()?;
        let differ = differ(&paged(&old), &pages);
        if let Some(root) = root.filter(|_| differ.is_empty()) {
            return Ok(Outcome { root, change: None });
        }
        // What did not change has the leaf that it had.
        let mut now = match parent.leaves()? {
            Some(before) => before,
            None => pages.iter().map(|page| page.map(leaf)).collect(),
        };
        for &index in &differ {
            if let (Some(place), Some(page)) = (now.get_mut(index), pages.get(index)) {
                *place = page.map(leaf);
            }
        }
        Ok(self.outcome(&now, &differ, &block, Some(&old)))
    }

    /// The parent's pages, if a difference can be taken from one of them.
    fn old<P: Side>(
        &self,
        before: &Leaves,
        now: &Leaves,
        differ: &[usize],
        parent: &mut P,
    ) -> Result<Option<Block>, P::Error> {
        let data = |leaves: &Leaves, index: usize| leaves.get(index).is_some_and(Option::is_some);
        let wanted = differ.iter().any(|&index| data(before, index) && data(now, index));
        wanted.then(|| parent.block()).transpose()
    }

    fn root(&self, leaves: &Leaves) -> Digest {
        let named = leaves.iter().enumerate();
        let named = named.filter_map(|(index, leaf)| Some((index, (*leaf)?)));
        leaves_root(self.map, Rest::Zero, self.gpa, self.size, named)
    }

    fn outcome(
        &self,
        leaves: &Leaves,
        differ: &[usize],
        block: &Block,
        old: Option<&Block>,
    ) -> Outcome {
        let (pages, old) = (paged(block), old.map(paged).unwrap_or_default());
        let mut change = Change::new(self.gpa, self.size);
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
        let change = (!change.is_empty()).then_some(change);
        Outcome { root: self.root(leaves), change }
    }
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
