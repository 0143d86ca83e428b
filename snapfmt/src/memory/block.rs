//! One aligned block of guest RAM on its way into a file: which of its pages are data, and those.

use crate::digest::Digest;
use crate::limits;
use crate::memory::bitmap::Bitmap;
use crate::memory::map::MemoryMap;
use crate::memory::tree;

const ZERO: [u8; limits::PAGE] = [0; limits::PAGE];

/// The data pages of an aligned block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The first guest-physical address, a multiple of `size`.
    pub gpa: u64,
    /// Bytes of guest-physical space, a power of two (§6.2.2).
    pub size: u64,
    /// Which pages are data.
    pub data: Bitmap,
    /// The data pages, ascending.
    pub pages: Vec<u8>,
}

impl Block {
    /// Sorts out the zero pages of a block of RAM. `ram` is the whole block; pages outside of all
    /// segments are given as zeros. Nothing is left if all pages are zero.
    #[must_use]
    pub fn scan(gpa: u64, ram: &[u8]) -> Option<Self> {
        let mut data = Bitmap::new(ram.len() / limits::PAGE);
        let stored = |(index, page): &(usize, &[u8])| {
            let stored = **page != ZERO;
            if stored {
                data.set(*index);
            }
            stored
        };
        let count = ram.chunks_exact(limits::PAGE).enumerate().filter(stored).count();
        if count == 0 {
            return None;
        }
        let mut pages = Vec::with_capacity(count.saturating_mul(limits::PAGE));
        for index in data.pages() {
            let from = index.saturating_mul(limits::PAGE);
            let page = ram.get(from..from.saturating_add(limits::PAGE));
            pages.extend_from_slice(page.unwrap_or_default());
        }
        Some(Self { gpa, size: ram.len() as u64, data, pages })
    }

    /// The data pages with their guest-physical addresses, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let base = self.gpa;
        let address = move |index: usize| base.saturating_add((index * limits::PAGE) as u64);
        self.data.pages().map(address).zip(self.pages.chunks_exact(limits::PAGE))
    }

    /// The subtree root of the block (§6.4.1).
    #[must_use]
    pub fn root(&self, map: &MemoryMap) -> Digest {
        tree::block_root(map, self.gpa, self.size, &self.data, &self.pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_pages_are_not_kept() {
        let mut ram = vec![0; 16 * limits::PAGE];
        assert_eq!(Block::scan(0, &ram), None);
        ram[3 * limits::PAGE + 17] = 1;
        let block = Block::scan(1 << 20, &ram).unwrap();
        assert_eq!(block.data.pages().collect::<Vec<_>>(), [3]);
        assert_eq!(block.iter().map(|(gpa, _)| gpa).collect::<Vec<_>>(), [(1 << 20) + 0x3000]);
        assert_eq!(block.pages.len(), limits::PAGE);
    }
}
