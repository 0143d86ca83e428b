//! The pages of one aligned area of a state, laid out so that deltas can be put over them.

use std::convert::Infallible;

use crate::digest::Digest;
use crate::limits;
use crate::memory::bitmap::Bitmap;
use crate::memory::block::Block;
use crate::memory::map::MemoryMap;
use crate::memory::pages::Pages;
use crate::memory::tree::{Rest, leaves_root, zero_leaf};

/// An area of no more than one largest block, used again for area after area.
pub(crate) struct Canvas {
    gpa: u64,
    size: u64,
    /// What there is at a page without a leaf means nothing.
    pages: Vec<u8>,
    /// Of data pages; all others are zero, or no RAM.
    leaves: Vec<Option<Digest>>,
}

impl Canvas {
    pub(crate) fn new() -> Self {
        Self { gpa: 0, size: 0, pages: Vec::new(), leaves: Vec::new() }
    }

    /// Starts an area in which all is zero.
    pub(crate) fn clear(&mut self, gpa: u64, size: u64) {
        (self.gpa, self.size) = (gpa, size);
        let len = usize::try_from(size.min(limits::EXTENT_MAX)).unwrap_or(0);
        if self.pages.len() < len {
            self.pages.resize(len, 0);
        }
        self.leaves.clear();
        self.leaves.resize(len / limits::PAGE, None);
    }

    /// The page at `gpa` is zero.
    pub(crate) fn zero(&mut self, gpa: u64) {
        if let Some(leaf) = self.index(gpa).and_then(|index| self.leaves.get_mut(index)) {
            *leaf = None;
        }
    }

    /// The page at `gpa` is `page`, and has this leaf.
    pub(crate) fn data(&mut self, gpa: u64, page: &[u8], leaf: Digest) {
        let Some(index) = self.index(gpa) else { return };
        // A stored page of zeros is one of the zero pages (§6.3).
        let leaf = Some(leaf).filter(|leaf| *leaf != zero_leaf());
        if let (Some(place), Some(known)) =
            (slot(&mut self.pages, index), self.leaves.get_mut(index))
        {
            place.copy_from_slice(page);
            *known = leaf;
        }
    }

    fn index(&self, gpa: u64) -> Option<usize> {
        usize::try_from(gpa.checked_sub(self.gpa)? / limits::PAGE as u64).ok()
    }

    /// The subtree root of the area.
    pub(crate) fn root(&self, map: &MemoryMap) -> Digest {
        let named = self.leaves.iter().enumerate();
        let named = named.filter_map(|(index, leaf)| Some((index, (*leaf)?)));
        leaves_root(map, Rest::Zero, self.gpa, self.size, named)
    }

    /// The area as a block; without data if all of it is zero.
    pub(crate) fn block(&self) -> Block {
        let mut data = Bitmap::new(self.leaves.len());
        let mut pages = Vec::with_capacity(self.leaves.iter().flatten().count() * limits::PAGE);
        let all = self.leaves.iter().zip(self.pages.chunks_exact(limits::PAGE));
        for (index, (leaf, page)) in all.enumerate() {
            if leaf.is_some() {
                data.set(index);
                pages.extend_from_slice(page);
            }
        }
        Block { gpa: self.gpa, size: self.size, data, pages }
    }
}

fn slot(pages: &mut [u8], index: usize) -> Option<&mut [u8]> {
    let at = index.checked_mul(limits::PAGE)?;
    pages.get_mut(at..at.checked_add(limits::PAGE)?)
}

impl Pages for &Canvas {
    type Error = Infallible;

    fn page(&mut self, gpa: u64, into: &mut [u8]) -> Result<(), Infallible> {
        into.fill(0);
        let known =
            self.index(gpa).filter(|&index| matches!(self.leaves.get(index), Some(Some(_))));
        let page = known.and_then(|index| self.pages.chunks_exact(limits::PAGE).nth(index));
        if let Some(page) = page.filter(|page| page.len() == into.len()) {
            into.copy_from_slice(page);
        }
        Ok(())
    }
}
