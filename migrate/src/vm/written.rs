//! Pages that were written to, a bit for each page that a VM has.

use snapfmt::limits;
use snapfmt::memory::bitmap::Bitmap;
use snapfmt::memory::map::{MemoryMap, Segment};

const PAGE: u64 = limits::PAGE as u64;

/// A set of pages of a VM's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    parts: Vec<(Segment, Bitmap)>,
}

/// Bytes of the bitmap of a segment.
fn bytes(segment: &Segment) -> u64 {
    (segment.len / PAGE).div_ceil(8)
}

impl Written {
    /// No page of this memory.
    #[must_use]
    pub fn none(memory: &MemoryMap) -> Self {
        let none = |segment: &Segment| {
            let pages = usize::try_from(segment.len / PAGE).unwrap_or(usize::MAX);
            (*segment, Bitmap::new(pages))
        };
        Self { parts: memory.segments().iter().map(none).collect() }
    }

    /// The pages whose bits are set in bitmaps of the segments, in their order. None if a bitmap is
    /// longer or shorter than its segment, or has a bit after the last page.
    pub fn from_bitmaps<'b>(
        memory: &MemoryMap,
        bitmaps: impl IntoIterator<Item = &'b [u8]>,
    ) -> Option<Self> {
        let mut bitmaps = bitmaps.into_iter();
        let mut parts = Vec::new();
        for segment in memory.segments() {
            let bitmap = bitmaps.next()?;
            let spare = u32::try_from(bytes(segment) * 8 - segment.len / PAGE).ok()?;
            let fits = u64::try_from(bitmap.len()) == Ok(bytes(segment))
                && bitmap.last().is_some_and(|last| last.leading_zeros() >= spare);
            parts.push(fits.then(|| (*segment, Bitmap::from_bytes(bitmap)))?);
        }
        bitmaps.next().is_none().then_some(Self { parts })
    }

    /// Bytes of the bitmaps of this memory.
    #[must_use]
    pub fn size(memory: &MemoryMap) -> u64 {
        memory.segments().iter().map(bytes).sum()
    }

    /// The segments with their bitmaps.
    pub fn bitmaps(&self) -> impl Iterator<Item = (Segment, &[u8])> {
        self.parts.iter().map(|(segment, bitmap)| (*segment, bitmap.as_bytes()))
    }

    /// Adds the page at an address; whether there is such a page.
    pub fn insert(&mut self, gpa: u64) -> bool {
        let holds =
            |(segment, _): &&mut (Segment, Bitmap)| gpa >= segment.gpa && gpa < segment.end();
        let Some((segment, bitmap)) = self.parts.iter_mut().find(holds) else { return false };
        bitmap.set(usize::try_from((gpa - segment.gpa) / PAGE).unwrap_or(usize::MAX));
        true
    }

    /// How many pages there are in the set.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.parts.iter().map(|(_, bitmap)| bitmap.count() as u64).sum()
    }

    /// The pages as runs, ascending. Runs of two segments are two, even if the segments touch.
    pub fn runs(&self) -> impl Iterator<Item = Segment> + '_ {
        self.parts.iter().flat_map(|(segment, bitmap)| {
            let mut pages = bitmap.pages().peekable();
            std::iter::from_fn(move || {
                let first = pages.next()?;
                let mut last = first;
                while let Some(next) = pages.next_if_eq(&(last + 1)) {
                    last = next;
                }
                let gpa = segment.gpa + first as u64 * PAGE;
                Some(Segment { gpa, len: (last - first + 1) as u64 * PAGE })
            })
        })
    }

    /// Adds the pages of another set of the same memory.
    pub fn merge(&mut self, other: &Self) {
        for ((_, here), (_, there)) in self.parts.iter_mut().zip(&other.parts) {
            there.pages().for_each(|page| here.set(page));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> MemoryMap {
        let segments = [(0, 11 * PAGE), (1 << 32, 8 * PAGE)];
        MemoryMap::new(segments.map(|(gpa, len)| Segment { gpa, len }).to_vec()).unwrap()
    }

    fn runs(set: &Written) -> Vec<(u64, u64)> {
        set.runs().map(|run| (run.gpa, run.len / PAGE)).collect()
    }

    #[test]
    fn pages_that_follow_each_other_are_one_run() {
        let mut set = Written::none(&memory());
        for gpa in [PAGE, 2 * PAGE + 17, 10 * PAGE, 1 << 32, (1 << 32) + PAGE] {
            assert!(set.insert(gpa));
        }
        assert_eq!(runs(&set), [(PAGE, 2), (10 * PAGE, 1), (1 << 32, 2)]);
        assert_eq!(set.pages(), 5);
        assert!(!set.insert(11 * PAGE) && !set.insert((1 << 32) + 8 * PAGE));
    }

    #[test]
    fn bitmaps_are_taken_only_if_each_fits_its_segment() {
        let memory = memory();
        let from = |bitmaps: &[&[u8]]| Written::from_bitmaps(&memory, bitmaps.iter().copied());
        let set = from(&[&[1, 4], &[0x80]]).unwrap();
        assert_eq!(runs(&set), [(0, 1), (10 * PAGE, 1), ((1 << 32) + 7 * PAGE, 1)]);
        let bad: [&[&[u8]]; 6] = [
            &[&[1, 8], &[0]],
            &[&[1], &[0]],
            &[&[1, 0, 0], &[0]],
            &[&[1, 0]],
            &[&[1, 0], &[0], &[0]],
            &[&[1, 0], &[]],
        ];
        assert!(bad.iter().all(|bitmaps| from(bitmaps).is_none()));
        assert_eq!(Written::size(&memory), 3);
    }

    #[test]
    fn sets_are_merged_and_come_back_from_their_bitmaps() {
        let memory = memory();
        let (mut a, mut b) = (Written::none(&memory), Written::none(&memory));
        assert!(a.insert(0) && b.insert(0) && b.insert(1 << 32));
        a.merge(&b);
        assert_eq!(a, b);
        let again = Written::from_bitmaps(&memory, a.bitmaps().map(|(_, bytes)| bytes));
        assert_eq!(again, Some(a));
    }
}
