//! Aligned blocks of guest-physical memory that have RAM, by number (§6.3).
//!
//! Knows addresses alone. Both sides count blocks in the same way, so that a list of roots needs no
//! addresses.

use std::ops::Range;

use snapfmt::memory::map::MemoryMap;

/// The numbers of the blocks of `size` bytes that have RAM, segment by segment, some perhaps with
/// none of their own: segments that are close to each other share a block.
pub(crate) fn runs(map: &MemoryMap, size: u64) -> impl Iterator<Item = Range<u64>> {
    let size = size.max(1);
    let mut free = 0;
    map.segments().iter().map(move |segment| {
        let begin = (segment.gpa / size).max(free);
        free = segment.end().div_ceil(size).max(begin);
        begin..free
    })
}

/// The blocks of one size, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    size: u64,
    /// Rows of blocks without a gap: the first one's number in the address space, how many there
    /// are, and how many come before.
    rows: Vec<(u64, u64, u64)>,
}

impl Grid {
    /// The smallest and the largest size of a block.
    pub const SIZES: (u64, u64) = (64 << 10, 4 << 20);

    /// Blocks of `size` bytes, or nothing if that is no size of a block: a power of two within
    /// [`SIZES`](Self::SIZES).
    #[must_use]
    pub fn new(map: &MemoryMap, size: u64) -> Option<Self> {
        if !size.is_power_of_two() || !(Self::SIZES.0..=Self::SIZES.1).contains(&size) {
            return None;
        }
        let (mut rows, mut before) = (Vec::new(), 0);
        for run in runs(map, size).filter(|run| !run.is_empty()) {
            let count = run.end - run.start;
            rows.push((run.start, count, before));
            before += count;
        }
        Some(Self { size, rows })
    }

    /// Bytes of a block.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many blocks there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rows.last().map_or(0, |(_, count, before)| before + count)
    }

    /// The number of the block that `gpa` lies in, if it has RAM.
    #[must_use]
    pub fn number(&self, gpa: u64) -> Option<usize> {
        let block = gpa / self.size;
        let row =
            self.rows.iter().find(|(first, count, _)| (*first..first + count).contains(&block));
        let (first, _, before) = row?;
        usize::try_from(before + (block - first)).ok()
    }

    /// The addresses of the blocks that begin in `[from, to)`, ascending.
    pub fn within(&self, from: u64, to: u64) -> impl Iterator<Item = u64> + '_ {
        let (from, to) = (from.div_ceil(self.size), to.div_ceil(self.size));
        let row = move |&(first, count, _): &(u64, u64, u64)| {
            first.max(from)..first.saturating_add(count).min(to)
        };
        self.rows.iter().flat_map(row).map(|block| block * self.size)
    }
}

#[cfg(test)]
mod tests {
    use snapfmt::memory::map::Segment;

    use super::*;

    #[test]
    fn blocks_are_counted_once_and_found_again() {
        let k = 1 << 10;
        let segments = [(0, 640 * k), (1 << 20, 3 << 20), (1 << 32, 100 * k)];
        let segments = segments.map(|(gpa, len)| Segment { gpa, len }).to_vec();
        let map = MemoryMap::new(segments).unwrap();
        let grid = Grid::new(&map, 1 << 20).unwrap();
        let all: Vec<_> = grid.within(0, u64::MAX).collect();
        assert_eq!(all, [0, 1 << 20, 2 << 20, 3 << 20, 1 << 32]);
        assert_eq!(grid.count(), 5);
        // At 4 MiB the first two segments are in one block.
        assert_eq!(Grid::new(&map, 4 << 20).unwrap().count(), 2);
        for (number, gpa) in all.iter().enumerate() {
            assert_eq!(grid.number(*gpa), Some(number));
            assert_eq!(grid.number(gpa + (1 << 20) - 1), Some(number));
        }
        assert_eq!(grid.number(4 << 20), None);
        assert_eq!(grid.within(1 << 20, 3 << 20).collect::<Vec<_>>(), [1 << 20, 2 << 20]);
        for size in [0, 4096, 96 << 10, 8 << 20] {
            assert_eq!(Grid::new(&map, size), None);
        }
    }
}
