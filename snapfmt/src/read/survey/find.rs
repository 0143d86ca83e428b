//! Finds the next part behind one that is damaged: where the index says, where a frame claims, or
//! by searching.

use super::{Bad, Surveyor};
use crate::error::Section;
use crate::layout::{PART_ALIGN, frame, trailer};
use crate::read::listed::Part;
use crate::read::seek::{ReadAt, ReadError};

/// The first and the longest step of a search, in bytes.
const SEARCH: (usize, usize) = (512, 1 << 20);

impl<S: ReadAt, F: FnMut(u64, u64, Part)> Surveyor<S, F> {
    /// Where to go on after a part that could not be taken, and whether that had to be searched
    /// for.
    pub(super) fn after(&self, at: u64, bad: &Bad) -> Result<(u64, bool), ReadError> {
        let place = self.plan.at(at);
        if let Some(place) = place.filter(|place| place.end > at && place.end <= self.size) {
            return Ok((place.end, false));
        }
        let bound = self.plan.next(at).unwrap_or(self.size).min(self.size);
        let claimed = bad.claim.as_ref().map(|claim| at.saturating_add(claim.show().length));
        for (end, scanned) in [(bad.end, self.scanned), (claimed, true)] {
            if let Some(end) = end.filter(|&end| end > at && end <= bound)
                && (end == bound || self.begins_at(end)?)
            {
                return Ok((end, scanned && end != bound));
            }
        }
        Ok(match self.search(at.saturating_add(PART_ALIGN), bound)? {
            Some(found) => (found, true),
            None => (bound, false),
        })
    }

    /// The first intact frame or trailer from `from` on, below `bound`.
    fn search(&self, from: u64, bound: u64) -> Result<Option<u64>, ReadError> {
        let (mut at, mut step) = (from, SEARCH.0);
        while at < bound {
            let left = usize::try_from(bound - at).unwrap_or(usize::MAX);
            let Ok(bytes) = self.read(at, step.min(left), Section::Frame)? else { break };
            let mut place = at;
            for piece in bytes.chunks(usize::try_from(PART_ALIGN).unwrap_or(64)) {
                let likely = piece.starts_with(&frame::MAGIC) || piece.starts_with(&trailer::MAGIC);
                if likely && self.begins_at(place)? {
                    return Ok(Some(place));
                }
                place = place.saturating_add(PART_ALIGN);
            }
            at = place;
            step = step.saturating_mul(2).min(SEARCH.1);
        }
        Ok(None)
    }
}
