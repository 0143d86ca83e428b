//! What changed in one aligned block of guest RAM since the parent's state: a block of a delta on
//! its way into a file (§13.2).

use crate::digest::Digest;
use crate::error::Fault;
use crate::limits;
use crate::memory::bitmap::Bitmap;
use crate::memory::tree::leaf;

/// The pages of a block that are not inherited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub(crate) gpa: u64,
    pub(crate) size: u64,
    pub(crate) data: Bitmap,
    pub(crate) zero: Bitmap,
    /// Data pages that may be stored as differences.
    pub(crate) xor: Option<Bitmap>,
    /// The data pages, ascending.
    pub(crate) pages: Vec<u8>,
    /// The same, some as differences; empty if there are none.
    pub(crate) mixed: Vec<u8>,
    /// Those of the data pages.
    pub(crate) leaves: Vec<Digest>,
    /// The first page that may come next.
    next: usize,
}

impl Change {
    /// Nothing, of the aligned block of `size` bytes at `gpa`.
    #[must_use]
    pub fn new(gpa: u64, size: u64) -> Self {
        // A size above the limit is refused where the block is written.
        let pages = size.min(limits::EXTENT_MAX) / limits::PAGE as u64;
        let bitmap = Bitmap::new(usize::try_from(pages).unwrap_or(0));
        let (data, zero) = (bitmap.clone(), bitmap);
        let (pages, mixed, leaves) = (Vec::new(), Vec::new(), Vec::new());
        Self { gpa, size, data, zero, xor: None, pages, mixed, leaves, next: 0 }
    }

    /// Page number `index` of the block is zero now. Pages ascend.
    ///
    /// # Errors
    /// A page that does not lie above the ones so far.
    pub fn zero(&mut self, index: usize) -> Result<(), Fault> {
        self.ascend(index)?;
        self.put_zero(index);
        Ok(())
    }

    /// Page number `index` of the block is `page` now. If the parent's page is given, the page may
    /// be stored as its difference from that. Pages ascend.
    ///
    /// # Errors
    /// A page that does not lie above the ones so far, or has not 4096 bytes.
    pub fn data(&mut self, index: usize, page: &[u8], parent: Option<&[u8]>) -> Result<(), Fault> {
        let sized = |page: &[u8]| page.len() == limits::PAGE;
        if !sized(page) || !parent.is_none_or(sized) {
            let (what, found) = ("the size of a page", format!("{} bytes", page.len()));
            return Err(Fault::Value { what, found, must: "a page has 4096 bytes", rule: "§1.2" });
        }
        self.ascend(index)?;
        self.put(index, page, leaf(page), parent);
        Ok(())
    }

    /// As [`zero`](Self::zero), of a page that lies above the ones so far.
    pub(crate) fn put_zero(&mut self, index: usize) {
        self.zero.set(index);
        self.next = index + 1;
    }

    /// As [`data`](Self::data), of a page that lies above the ones so far, and whose leaf is known.
    pub(crate) fn put(&mut self, index: usize, page: &[u8], leaf: Digest, parent: Option<&[u8]>) {
        if let Some(parent) = parent {
            if self.xor.is_none() {
                self.mixed.clone_from(&self.pages);
            }
            let pages = self.data.as_bytes().len() * 8;
            self.xor.get_or_insert_with(|| Bitmap::new(pages)).set(index);
            self.mixed.extend(page.iter().zip(parent).map(|(new, old)| new ^ old));
        } else if self.xor.is_some() {
            self.mixed.extend_from_slice(page);
        }
        self.data.set(index);
        self.pages.extend_from_slice(page);
        self.leaves.push(leaf);
        self.next = index + 1;
    }

    /// No page comes any more: pages were put in at once.
    pub(crate) fn end(&mut self) {
        let last = self.data.pages().chain(self.zero.pages()).max();
        self.next = last.map_or(0, |index| index + 1);
    }

    fn ascend(&self, index: usize) -> Result<(), Fault> {
        if !(self.next..self.data.as_bytes().len() * 8).contains(&index) {
            let (what, found) = ("the page", format!("number {index} after {}", self.next));
            let must = "pages of a block ascend and lie in it";
            return Err(Fault::Value { what, found, must, rule: "§13.2" });
        }
        Ok(())
    }

    /// Whether no page changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// The first guest-physical address of the block.
    #[must_use]
    pub fn gpa(&self) -> u64 {
        self.gpa
    }

    /// Bytes of guest-physical space.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many pages are data, zero, and meant to be stored as differences.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let differences = self.xor.as_ref().map_or(0, Bitmap::count);
        (self.data.count(), self.zero.count(), differences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_kept_as_they_are_and_as_differences() {
        let mut change = Change::new(1 << 20, 1 << 16);
        assert!(change.is_empty());
        change.data(1, &[3; 4096], None).unwrap();
        assert_eq!(change.mixed, [0; 0]);
        change.data(2, &[5; 4096], Some(&[1; 4096])).unwrap();
        change.zero(3).unwrap();
        change.data(4, &[6; 4096], None).unwrap();
        let expected = [[3; 4096], [4; 4096], [6; 4096]].concat();
        assert_eq!(change.mixed, expected);
        assert_eq!(change.pages, [[3; 4096], [5; 4096], [6; 4096]].concat());
        assert_eq!(change.leaves, [[3; 4096], [5; 4096], [6; 4096]].map(|page| leaf(&page)));
        assert_eq!(change.counts(), (3, 1, 1));
        assert!(!change.is_empty());
    }

    #[test]
    fn a_change_says_where_it_is_and_has_all_pages_of_its_block() {
        let mut change = Change::new(3 << 20, 1 << 20);
        assert_eq!((change.gpa(), change.size()), (3 << 20, 1 << 20));
        change.data(255, &[5; 4096], Some(&[1; 4096])).unwrap();
        let xor = change.xor.as_ref().unwrap();
        assert_eq!(xor.as_bytes().len(), change.data.as_bytes().len());
        assert_eq!(xor.pages().collect::<Vec<_>>(), [255]);
        assert_eq!(change.counts(), (1, 0, 1));
    }

    #[test]
    fn pages_ascend_and_have_their_size() {
        let mut change = Change::new(0, 1 << 16);
        change.zero(5).unwrap();
        assert!(change.zero(5).is_err());
        assert!(change.data(4, &[1; 4096], None).is_err());
        assert!(change.zero(16).is_err());
        assert!(change.data(6, &[1; 4095], None).is_err());
        assert!(change.data(6, &[1; 4096], Some(&[1; 4095])).is_err());
        change.data(6, &[1; 4096], None).unwrap();
        assert!(change.data(6, &[1; 4096], None).is_err());
        assert!(change.zero(6).is_err());
    }
}
