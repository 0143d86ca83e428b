//! What is known of the memory that a target holds: the leaf of each page.
//!
//! Knows no files: it is told what was written. 33 bytes for a page that is not zero, next to
//! nothing for one that is.

use snapfmt::Digest;
use snapfmt::limits::PAGE;
use snapfmt::memory::map::MemoryMap;
use snapfmt::memory::tree::{Rest, RootBuilder, cover_root, leaves_root};
use snapfmt::part::extent::{Head, Named};

use crate::core::Blocks;
use crate::grid::Grid;

/// Bytes of a cell, the smallest block.
const CELL: u64 = (PAGES * PAGE) as u64;
const PAGES: usize = 16;

/// The leaves of a cell; nothing for a page that is zero or no RAM.
#[derive(Clone, Debug)]
struct Cell {
    leaves: [Option<Digest>; PAGES],
    /// Its subtree root, if it was computed since a leaf changed.
    root: Option<Digest>,
}

/// The leaves of a machine's memory, which is all zero at first.
#[derive(Debug)]
pub(super) struct Table {
    map: MemoryMap,
    grid: Grid,
    /// Nothing where a cell was never anything but zero.
    cells: Vec<Option<Box<Cell>>>,
}

impl Table {
    /// Of memory that is all zero; nothing if the machine has more than can be counted here.
    pub(super) fn new(map: MemoryMap) -> Option<Self> {
        let grid = Grid::new(&map, CELL)?;
        let count = usize::try_from(grid.count()).ok()?;
        let mut cells = Vec::new();
        cells.try_reserve_exact(count).ok()?;
        cells.resize_with(count, || None);
        Some(Self { map, grid, cells })
    }

    /// Sets the leaf of the page at `gpa`; gives the one that it had.
    pub(super) fn set(&mut self, gpa: u64, leaf: Option<Digest>) -> Option<Digest> {
        let cell = self.cells.get_mut(self.grid.number(gpa)?)?;
        if cell.is_none() && leaf.is_none() {
            return None;
        }
        let cell = cell.get_or_insert_with(|| Box::new(Cell { leaves: [None; PAGES], root: None }));
        let index = usize::try_from(gpa % CELL).unwrap_or(0) / PAGE;
        let place = cell.leaves.get_mut(index)?;
        let before = std::mem::replace(place, leaf);
        if before != leaf {
            cell.root = None;
        }
        before
    }

    /// Takes in what an extent says of its pages. Gives the addresses of those that are zero now
    /// and were not.
    pub(super) fn take(&mut self, head: &Head) -> Vec<u64> {
        let mut cleared = Vec::new();
        for (index, named) in head.named().enumerate() {
            let gpa = head.gpa().saturating_add((index * PAGE) as u64);
            match named {
                Named::Data(leaf) => {
                    self.set(gpa, Some(leaf));
                }
                Named::Zero => cleared.extend(self.set(gpa, None).map(|_| gpa)),
                Named::Not => {}
            }
        }
        cleared
    }

    /// The subtree roots of all cells that are not known to be zero: address and root.
    fn roots(&mut self) -> Vec<(u64, u64, Digest)> {
        let Self { map, grid, cells } = self;
        let cells = grid.within(0, u64::MAX).zip(cells);
        let root = |(gpa, cell): (u64, &mut Option<Box<Cell>>)| {
            let cell = cell.as_mut()?;
            let root = cell.root.unwrap_or_else(|| {
                let named = cell.leaves.iter().enumerate();
                let named = named.filter_map(|(index, leaf)| Some((index, (*leaf)?)));
                leaves_root(map, Rest::Zero, gpa, CELL, named)
            });
            cell.root = Some(root);
            Some((gpa, CELL, root))
        };
        cells.filter_map(root).collect()
    }

    /// The memory root.
    pub(super) fn root(&mut self) -> Digest {
        let mut tree = RootBuilder::new(self.map.clone());
        for (gpa, size, root) in self.roots() {
            tree.block(gpa, size, root);
        }
        tree.finish()
    }

    /// The subtree roots of all blocks of this size; nothing if all memory is zero.
    pub(super) fn blocks(&mut self, size: u64) -> Option<Blocks> {
        let roots = self.roots();
        let grid = Grid::new(&self.map, size)?;
        let is_zero =
            self.cells.iter().flatten().all(|cell| cell.leaves.iter().all(Option::is_none));
        if is_zero {
            return None;
        }
        let mut roots = roots.into_iter().peekable();
        let block = |gpa: u64| {
            let end = gpa.saturating_add(size);
            let mut own = Vec::new();
            while let Some(root) = roots.next_if(|(gpa, ..)| *gpa < end) {
                own.push(root);
            }
            cover_root(&self.map, gpa, size, own)
        };
        let roots = grid.within(0, u64::MAX).map(block).collect();
        Some(Blocks { size, roots })
    }
}

#[cfg(test)]
mod tests {
    use snapfmt::memory::block::Block;
    use snapfmt::memory::map::Segment;
    use snapfmt::memory::tree::leaf;

    use super::*;

    fn map() -> MemoryMap {
        let segments = vec![Segment { gpa: 0, len: 3 << 20 }, Segment { gpa: 1 << 32, len: 8192 }];
        MemoryMap::new(segments).unwrap()
    }

    #[test]
    fn the_root_is_that_of_the_pages_and_of_nothing_else() {
        let mut table = Table::new(map()).unwrap();
        let zero = RootBuilder::new(map()).finish();
        assert_eq!(table.root(), zero);
        assert_eq!(table.blocks(1 << 20), None);

        let page = [7; PAGE];
        assert_eq!(table.set(0x1_1000, Some(leaf(&page))), None);
        assert_eq!(table.set(1 << 32, Some(leaf(&page))), None);
        let mut tree = RootBuilder::new(map());
        let mut ram = vec![0; 1 << 20];
        ram[0x1_1000..0x1_2000].copy_from_slice(&page);
        let first = Block::scan(0, &ram).unwrap().root(&map());
        tree.block(0, 1 << 20, first);
        let mut ram = vec![0; 1 << 20];
        ram[..PAGE].copy_from_slice(&page);
        let last = Block::scan(1 << 32, &ram).unwrap().root(&map());
        tree.block(1 << 32, 1 << 20, last);
        assert_eq!(table.root(), tree.finish());
        let blocks = table.blocks(1 << 20).unwrap();
        let none = leaves_root(&map(), Rest::Zero, 1 << 20, 1 << 20, []);
        assert_eq!(blocks.roots, [first, none, none, last]);

        assert_eq!(table.set(0x1_1000, None), Some(leaf(&page)));
        table.set(1 << 32, None);
        assert_eq!(table.root(), zero);
        assert_eq!(table.blocks(1 << 20), None);
    }
}
