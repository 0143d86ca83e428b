//! What a target holds of the memory, block by block, and how it says that (§6.3).

use snapfmt::Digest;
use snapfmt::limits;
use snapfmt::memory::map::MemoryMap;
use snapfmt::memory::tree::RootBuilder;

use super::trouble::{Code, trouble};
use crate::grid::runs;
use crate::stream::message::{Have, Trouble};

/// Roots in one message.
const ROOTS: usize = 4096;

/// The memory that the target holds, block by block (§6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Bytes of a block.
    pub size: u64,
    /// Subtree roots of those with RAM, ascending.
    pub roots: Vec<Digest>,
}

impl Blocks {
    /// The aligned blocks of `size` bytes that have RAM, ascending.
    pub fn addresses(map: &MemoryMap, size: u64) -> impl Iterator<Item = u64> {
        runs(map, size).flatten().map(move |block| block.saturating_mul(size))
    }

    /// How many there are.
    #[must_use]
    pub fn count(map: &MemoryMap, size: u64) -> u64 {
        runs(map, size).map(|run| run.end.saturating_sub(run.start)).sum()
    }

    /// The memory root over these blocks.
    #[must_use]
    pub fn root(&self, map: &MemoryMap) -> Digest {
        let mut tree = RootBuilder::new(map.clone());
        for (gpa, root) in Self::addresses(map, self.size).zip(&self.roots) {
            tree.block(gpa, self.size, *root);
        }
        tree.finish()
    }
}

/// The root of memory that is all zero.
pub(super) fn zero_root(map: &MemoryMap) -> Digest {
    RootBuilder::new(map.clone()).finish()
}

/// What a target says of the memory that it holds.
pub(super) fn messages(root: Digest, blocks: Option<&Blocks>) -> Vec<Have> {
    let (block, roots) = match blocks {
        Some(blocks) => (blocks.size, blocks.roots.as_slice()),
        None => (limits::EXTENT_MIN, &[][..]),
    };
    let mut first = 0;
    let mut messages: Vec<_> = roots
        .chunks(ROOTS)
        .map(|roots| {
            let have = Have { root, block, first, roots: roots.to_vec(), last: false };
            first += roots.len() as u64;
            have
        })
        .collect();
    match messages.last_mut() {
        Some(have) => have.last = true,
        None => messages.push(Have { root, block, first, roots: Vec::new(), last: true }),
    }
    messages
}

/// Collects what a target says of the memory that it holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Holding {
    began: Option<(Digest, Blocks)>,
}

/// The root of the memory that the target holds, and its blocks; none if all of it is zero.
pub(super) type Told = (Digest, Option<Blocks>);

impl Holding {
    /// Takes one message; gives all of it once that was the last one.
    pub(super) fn take(&mut self, have: Have, map: &MemoryMap) -> Result<Option<Told>, Trouble> {
        let wrong = |words: &str| Err(trouble(Code::Item, format!("HAVE {words} (§6.3)")));
        let size = have.block;
        if !size.is_power_of_two() || !(limits::EXTENT_MIN..=limits::EXTENT_MAX).contains(&size) {
            return wrong("has blocks of another size than 65536 to 4194304");
        }
        let (root, blocks) =
            self.began.get_or_insert_with(|| (have.root, Blocks { size, roots: Vec::new() }));
        if (*root, blocks.size) != (have.root, size) || blocks.roots.len() as u64 != have.first {
            return wrong("does not go on where the one before it ended");
        }
        let (count, came) = (Blocks::count(map, size), have.roots.len() as u64);
        if have.roots.len() > ROOTS || have.first.saturating_add(came) > count {
            return wrong("has more blocks than the machine");
        }
        blocks.roots.extend(&have.roots);
        if !have.last {
            return if have.roots.is_empty() { wrong("says nothing") } else { Ok(None) };
        }
        let Some((root, blocks)) = self.began.take() else { return Ok(None) };
        if !blocks.roots.is_empty() && (blocks.roots.len() as u64) < count {
            return wrong("has fewer blocks than the machine");
        }
        if blocks.root(map) != root {
            return wrong("has blocks that do not make its root");
        }
        Ok(Some((root, Some(blocks).filter(|blocks| !blocks.roots.is_empty()))))
    }
}
