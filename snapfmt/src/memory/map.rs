//! The memory map: the segments of guest-physical space that hold RAM (§5.1.5).

use crate::error::Fault;
use crate::limits;

const PAGE: u64 = limits::PAGE as u64;

/// A run of guest RAM. Both fields are multiples of the page size; `len` is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The first guest-physical address.
    pub gpa: u64,
    /// Bytes.
    pub len: u64,
}

impl Segment {
    /// The first address after the segment.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.gpa.saturating_add(self.len)
    }
}

/// Segments in ascending order, apart from each other, within the address space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryMap {
    segments: Vec<Segment>,
}

impl MemoryMap {
    /// A map of these segments.
    ///
    /// # Errors
    /// A breach of §5.1.5.
    pub fn new(segments: Vec<Segment>) -> Result<Self, Fault> {
        let count = segments.len();
        if !(1..=limits::SEGMENTS).contains(&count) {
            return Err(value(format!("{count} segments"), "a VM has 1 to 64 segments of memory"));
        }
        let mut free = 0;
        for segment in &segments {
            let aligned = segment.gpa.is_multiple_of(PAGE) && segment.len.is_multiple_of(PAGE);
            let end = segment.gpa.checked_add(segment.len).filter(|&e| e <= limits::GPA_SPACE);
            let (Some(end), true, true) = (end, aligned, segment.len > 0) else {
                let must = "a segment is whole pages, not empty, and ends at or below 2^52";
                return Err(value(format!("{:#x} + {:#x}", segment.gpa, segment.len), must));
            };
            // Segments that touch would be one segment: one memory has one map.
            if segment.gpa < free || free > 0 && segment.gpa == free {
                let must = "segments ascend and do not touch";
                return Err(value(format!("{:#x} after {free:#x}", segment.gpa), must));
            }
            free = end;
        }
        Ok(Self { segments })
    }

    /// The segments, ascending.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Bytes of RAM in all segments.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// Whether the page at `gpa` is RAM.
    #[must_use]
    pub fn contains(&self, gpa: u64) -> bool {
        self.segments.iter().any(|s| (s.gpa..s.end()).contains(&gpa))
    }

    /// How many pages of `[from, to)` are RAM.
    #[must_use]
    pub fn pages(&self, from: u64, to: u64) -> u64 {
        self.runs(from, to).filter(|run| run.2).map(|(start, end, _)| (end - start) / PAGE).sum()
    }

    /// Divides `[from, to)` into runs that are RAM (`true`) or absent (`false`), ascending.
    pub fn runs(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64, bool)> {
        let mut at = from;
        std::iter::from_fn(move || {
            if at >= to {
                return None;
            }
            let next = self.segments.iter().find(|s| s.end() > at);
            let (end, present) = match next {
                None => (to, false),
                Some(s) if s.gpa > at => (s.gpa.min(to), false),
                Some(s) => (s.end().min(to), true),
            };
            let run = (at, end, present);
            at = end;
            Some(run)
        })
    }
}

fn value(found: String, must: &'static str) -> Fault {
    Fault::Value { what: "the memory map", found, must, rule: "§5.1.5" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(segments: &[(u64, u64)]) -> Result<MemoryMap, Fault> {
        MemoryMap::new(segments.iter().map(|&(gpa, len)| Segment { gpa, len }).collect())
    }

    #[test]
    fn runs_cover_a_range_without_gaps() {
        let map = map(&[(0, 0x2000), (0x4000, 0x1000)]).unwrap();
        let runs: Vec<_> = map.runs(0x1000, 0x8000).collect();
        assert_eq!(
            runs,
            [
                (0x1000, 0x2000, true),
                (0x2000, 0x4000, false),
                (0x4000, 0x5000, true),
                (0x5000, 0x8000, false)
            ]
        );
        assert_eq!(map.size(), 0x3000);
        assert!(map.contains(0x1fff) && !map.contains(0x2000));
    }

    #[test]
    fn a_map_that_breaks_a_rule_is_refused() {
        assert!(map(&[]).is_err());
        assert!(map(&[(0, 0)]).is_err());
        assert!(map(&[(0, 0x800)]).is_err());
        assert!(map(&[(0x1000, 0x1000), (0, 0x1000)]).is_err());
        assert!(map(&[(0, 0x1000), (0x1000, 0x1000)]).is_err());
        assert!(map(&[(0, !0xfff_u64)]).is_err());
        assert!(map(&[(limits::GPA_SPACE - 0x1000, 0x1000)]).is_ok());
        assert!(map(&[(limits::GPA_SPACE - 0x1000, 0x2000)]).is_err());
    }
}
