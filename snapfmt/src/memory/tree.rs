//! The memory tree: one binary tree of SHA-256 over all pages of guest-physical space (§6.4).
//!
//! Uniform subtrees (all absent, all zero, all inherited) have one digest per level, computed once,
//! so the work follows what is stored and not what is addressed. The state of a builder is one
//! digest per level at most.

use std::sync::OnceLock;

use crate::digest::{self, Digest, Hasher};
use crate::limits;
use crate::memory::bitmap::Bitmap;
use crate::memory::map::MemoryMap;

const PAGE: u64 = limits::PAGE as u64;
/// The level of the memory root: 2^40 pages.
pub const ROOT_LEVEL: u32 = limits::GPA_SPACE.ilog2() - PAGE.ilog2();
const LEVELS: usize = ROOT_LEVEL as usize + 1;
const _: () = assert!(ROOT_LEVEL == 40);

/// What the message of a leaf begins with.
const LEAF: u8 = 0;

/// The leaf of a page of RAM.
#[must_use]
pub fn leaf(page: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[LEAF]);
    hasher.update(page);
    hasher.finish()
}

/// The leaves of pages of RAM, one for each, in two thirds of the time that [`leaf`] takes.
pub fn leaves<'a>(pages: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = Digest> {
    let (mut pages, mut second) = (pages, None);
    std::iter::from_fn(move || {
        if let Some(leaf) = second.take() {
            return Some(leaf);
        }
        let page = pages.next()?;
        let Some(next) = pages.next() else { return Some(leaf(page)) };
        let [first, other] = digest::pair(LEAF, [page, next]);
        second = Some(other);
        Some(first)
    })
}

/// The node over two nodes or leaves.
#[must_use]
pub fn node(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [1; 65];
    if let Some(half) = bytes.get_mut(1..33) {
        half.copy_from_slice(left.as_bytes());
    }
    if let Some(half) = bytes.get_mut(33..) {
        half.copy_from_slice(right.as_bytes());
    }
    Digest::of(&bytes)
}

/// What a page of RAM is that no block names (§6.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Zero: the tree is that of a state.
    Zero,
    /// Inherited: the tree is that of a delta alone (§13.3).
    Inherited,
}

/// Digests of subtrees whose pages are all alike, by level.
struct Uniform {
    zero: [Digest; LEVELS],
    absent: [Digest; LEVELS],
    inherited: [Digest; LEVELS],
}

fn uniform() -> &'static Uniform {
    static UNIFORM: OnceLock<Uniform> = OnceLock::new();
    UNIFORM.get_or_init(|| {
        let zero = levels(leaf(&[0; limits::PAGE]));
        Uniform { zero, absent: levels(Digest::of(&[2])), inherited: levels(Digest::of(&[3])) }
    })
}

/// The leaf of a page that holds zeros, stored or not (§6.3).
#[must_use]
pub fn zero_leaf() -> Digest {
    let [leaf, ..] = uniform().zero;
    leaf
}

fn levels(leaf: Digest) -> [Digest; LEVELS] {
    let mut below = leaf;
    std::array::from_fn(|level| {
        if level > 0 {
            below = node(&below, &below);
        }
        below
    })
}

/// Collects subtrees from left to right into one root.
struct Builder {
    /// Pages collected so far.
    pages: u64,
    /// Complete subtrees, each to the left of, and higher than, the next.
    stack: Vec<(u32, Digest)>,
}

impl Builder {
    fn new() -> Self {
        Self { pages: 0, stack: Vec::with_capacity(LEVELS) }
    }

    /// Appends a subtree of 2^level pages; the pages so far are a multiple of that.
    fn push(&mut self, mut level: u32, mut digest: Digest) {
        debug_assert!(self.pages.is_multiple_of(1 << level));
        self.pages += 1 << level;
        while let Some((_, left)) = self.stack.pop_if(|(top, _)| *top == level) {
            digest = node(&left, &digest);
            level += 1;
        }
        self.stack.push((level, digest));
    }

    /// Appends `pages` pages that are all absent, or RAM that no block names.
    fn push_run(&mut self, mut pages: u64, present: bool, rest: Rest) {
        let levels = match (present, rest) {
            (false, _) => &uniform().absent,
            (true, Rest::Zero) => &uniform().zero,
            (true, Rest::Inherited) => &uniform().inherited,
        };
        while pages > 0 {
            let aligned = self.pages.trailing_zeros().min(ROOT_LEVEL);
            let level = aligned.min(pages.ilog2());
            if let Some(&digest) = levels.get(level as usize) {
                self.push(level, digest);
            }
            pages -= 1 << level;
        }
    }

    /// The root, once the pages are a power of two.
    fn root(&self) -> Digest {
        debug_assert_eq!(self.stack.len(), 1);
        self.stack.first().map_or(Digest::of(&[2]), |&(_, digest)| digest)
    }
}

/// The subtree root of the aligned block of `size` bytes at `gpa` (§6.4.1). `pages` are its data
/// pages in ascending order, as many as `data` has bits; all other pages are zero or absent.
#[must_use]
pub fn block_root(map: &MemoryMap, gpa: u64, size: u64, data: &Bitmap, pages: &[u8]) -> Digest {
    let leaves = data.pages().zip(leaves(pages.chunks_exact(limits::PAGE)));
    leaves_root(map, Rest::Zero, gpa, size, leaves)
}

/// The subtree root of the aligned block of `size` bytes at `gpa`, from the leaves of the pages
/// that are named: the number of the page in the block and its leaf, ascending.
#[must_use]
pub fn leaves_root(
    map: &MemoryMap,
    rest: Rest,
    gpa: u64,
    size: u64,
    leaves: impl IntoIterator<Item = (usize, Digest)>,
) -> Digest {
    let mut builder = Builder::new();
    let mut at = gpa;
    for (index, leaf) in leaves {
        let page = gpa.saturating_add(index as u64 * PAGE);
        fill(&mut builder, map, rest, at, page);
        builder.push(0, leaf);
        at = page.saturating_add(PAGE);
    }
    fill(&mut builder, map, rest, at, gpa.saturating_add(size));
    builder.root()
}

/// The subtree root of the aligned block of `size` bytes at `gpa`, from the roots of blocks in it:
/// their address, size and root, ascending. What they do not cover is zero or absent.
#[must_use]
pub fn cover_root(
    map: &MemoryMap,
    gpa: u64,
    size: u64,
    blocks: impl IntoIterator<Item = (u64, u64, Digest)>,
) -> Digest {
    let mut builder = Builder::new();
    let mut at = gpa;
    for (from, size, root) in blocks {
        fill(&mut builder, map, Rest::Zero, at, from);
        builder.push((size / PAGE).ilog2(), root);
        at = from.saturating_add(size);
    }
    fill(&mut builder, map, Rest::Zero, at, gpa.saturating_add(size));
    builder.root()
}

fn fill(builder: &mut Builder, map: &MemoryMap, rest: Rest, from: u64, to: u64) {
    for (start, end, present) in map.runs(from, to) {
        builder.push_run((end - start) / PAGE, present, rest);
    }
}

/// The memory root, from the subtree roots of blocks in ascending order.
pub struct RootBuilder {
    map: MemoryMap,
    rest: Rest,
    builder: Builder,
}

impl RootBuilder {
    /// Starts the tree of a state with no block.
    #[must_use]
    pub fn new(map: MemoryMap) -> Self {
        Self::over(map, Rest::Zero)
    }

    /// Starts a tree in which pages of RAM in no block are `rest`.
    #[must_use]
    pub fn over(map: MemoryMap, rest: Rest) -> Self {
        Self { map, rest, builder: Builder::new() }
    }

    /// The first address that the next block may have.
    #[must_use]
    pub fn next_gpa(&self) -> u64 {
        self.builder.pages * PAGE
    }

    /// Appends a block of `size` bytes at `gpa`; what lies between the blocks is absent, or
    /// RAM that no block names.
    ///
    /// The block has to be an aligned power of two, at or above [`next_gpa`](Self::next_gpa), and
    /// within the address space: extents are checked for that (§6.2).
    pub fn block(&mut self, gpa: u64, size: u64, root: Digest) {
        let at = self.next_gpa();
        fill(&mut self.builder, &self.map, self.rest, at, gpa);
        self.builder.push((size / PAGE).ilog2(), root);
    }

    /// The memory root.
    #[must_use]
    pub fn finish(mut self) -> Digest {
        let at = self.next_gpa();
        fill(&mut self.builder, &self.map, self.rest, at, limits::GPA_SPACE);
        self.builder.root()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::map::Segment;

    fn map(segments: &[(u64, u64)]) -> MemoryMap {
        let segments = segments.iter().map(|&(gpa, len)| Segment { gpa, len }).collect();
        MemoryMap::new(segments).unwrap()
    }

    /// The tree as §6.4 defines it, page by page.
    fn naive(leaves: &[Digest]) -> Digest {
        match leaves {
            [one] => *one,
            many => {
                let (left, right) = many.split_at(many.len() / 2);
                node(&naive(left), &naive(right))
            }
        }
    }

    #[test]
    fn leaves_of_pages_together_are_those_of_each_alone() {
        let pages: Vec<_> = (0..7).map(|byte| vec![byte; limits::PAGE]).collect();
        for count in 0..pages.len() {
            let some = &pages[..count];
            let alone: Vec<_> = some.iter().map(|page| leaf(page)).collect();
            assert_eq!(leaves(some.iter().map(Vec::as_slice)).collect::<Vec<_>>(), alone);
        }
    }

    #[test]
    fn a_block_has_the_root_that_the_definition_gives() {
        let map = map(&[(0, 11 * PAGE)]);
        let mut data = Bitmap::new(16);
        let mut pages = Vec::new();
        let mut leaves = vec![leaf(&[0; limits::PAGE]); 11];
        leaves.resize(16, Digest::of(&[2]));
        for (index, byte) in [(0, 1), (3, 2), (4, 3), (10, 4)] {
            data.set(index);
            let page = [byte; limits::PAGE];
            leaves[index] = leaf(&page);
            pages.extend(page);
        }
        assert_eq!(block_root(&map, 0, 16 * PAGE, &data, &pages), naive(&leaves));
    }

    #[test]
    fn the_memory_root_does_not_depend_on_the_size_of_blocks() {
        let map = map(&[(0, 100 * PAGE), (1 << 32, 64 * PAGE)]);
        let page = [7; limits::PAGE];
        let root = |size: u64| {
            let mut builder = RootBuilder::new(map.clone());
            let mut data = Bitmap::new(usize::try_from(size / PAGE).unwrap());
            data.set(3);
            builder.block(0, size, block_root(&map, 0, size, &data, &page));
            let mut high = RootBuilder { ..builder };
            high.block(1 << 32, size, block_root(&map, 1 << 32, size, &data, &page));
            high.finish()
        };
        assert_eq!(root(16 * PAGE), root(64 * PAGE));
        assert_eq!(root(16 * PAGE), root(1024 * PAGE));
    }

    #[test]
    fn small_blocks_have_the_root_of_the_large_one_that_they_make_up() {
        let map = map(&[(1 << 24, 200 * PAGE)]);
        let page = [7; limits::PAGE];
        for present in [vec![], vec![0], vec![2], vec![0, 1], vec![1, 3], vec![0, 1, 2, 3]] {
            let (mut whole, mut small) = (Bitmap::new(256), Vec::new());
            for &part in &present {
                let (gpa, mut data) = ((1 << 24) + part * 64 * PAGE, Bitmap::new(64));
                data.set(5);
                whole.set(usize::try_from(part).unwrap() * 64 + 5);
                small.push((gpa, 64 * PAGE, block_root(&map, gpa, 64 * PAGE, &data, &page)));
            }
            let pages = page.repeat(present.len());
            let root = block_root(&map, 1 << 24, 256 * PAGE, &whole, &pages);
            assert_eq!(cover_root(&map, 1 << 24, 256 * PAGE, small), root, "{present:?}");
        }
    }

    #[test]
    fn inherited_pages_have_a_leaf_of_their_own_and_uniform_subtrees_follow_from_it() {
        let map = map(&[(0, 11 * PAGE)]);
        let (page, inherited, absent) = (leaf(&[7; 4096]), Digest::of(&[3]), Digest::of(&[2]));
        let mut leaves = vec![inherited; 11];
        leaves.resize(16, absent);
        (leaves[2], leaves[9]) = (page, zero_leaf());
        let named = [(2, page), (9, zero_leaf())];
        let root = leaves_root(&map, Rest::Inherited, 0, 16 * PAGE, named);
        assert_eq!(root, naive(&leaves));
        let mut tree = RootBuilder::over(map.clone(), Rest::Inherited);
        tree.block(0, 16 * PAGE, root);
        let named = leaves_root(&map, Rest::Inherited, 0, limits::GPA_SPACE, named);
        assert_eq!(tree.finish(), named);
        assert_ne!(leaves_root(&map, Rest::Zero, 0, 16 * PAGE, []), root);
    }

    #[test]
    fn the_memory_map_is_part_of_the_root() {
        let short = RootBuilder::new(map(&[(0, 16 * PAGE)])).finish();
        let long = RootBuilder::new(map(&[(0, 17 * PAGE)])).finish();
        assert_ne!(short, long);
    }

    #[test]
    fn a_stored_zero_page_has_the_root_of_one_not_stored() {
        let map = map(&[(0, 16 * PAGE)]);
        let mut data = Bitmap::new(16);
        let without = block_root(&map, 0, 16 * PAGE, &data, &[]);
        data.set(5);
        assert_eq!(block_root(&map, 0, 16 * PAGE, &data, &[0; limits::PAGE]), without);
    }
}
