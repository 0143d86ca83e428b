//! Counts of pages per segment of the memory map.

use snapfmt::limits::PAGE;
use snapfmt::memory::map::MemoryMap;

use super::facts::Segment;

/// Segments whose extents are being counted.
#[derive(Debug)]
pub(super) struct Counter {
    segments: Vec<Segment>,
}

impl Counter {
    pub(super) fn new(memory: &MemoryMap) -> Self {
        let segment = |gpa, len| Segment {
            gpa,
            len,
            data_pages: Some(0),
            zero_pages: Some(0),
            inherited_pages: None,
            extents: Some(0),
            part_bytes: Some(0),
        };
        let segments = memory.segments().iter().map(|s| segment(s.gpa, s.len)).collect();
        Self { segments }
    }

    /// Takes note of an extent. The counts of segments that share one are not known.
    /// `pages` are those that are data, and that are zero where a delta says so.
    pub(super) fn extent(
        &mut self,
        (gpa, size): (u64, u64),
        (data, zero): (u64, u64),
        part_bytes: u64,
    ) {
        let end = gpa.saturating_add(size);
        let over = |s: &Segment| s.gpa < end && gpa < s.gpa.saturating_add(s.len);
        let alone = self.segments.iter().filter(|segment| over(segment)).count() == 1;
        for segment in self.segments.iter_mut().filter(|segment| over(segment)) {
            let Segment { data_pages, zero_pages, extents, part_bytes: bytes, .. } = segment;
            let counts = [data_pages, zero_pages, extents, bytes];
            for (count, more) in counts.into_iter().zip([data, zero, 1, part_bytes]) {
                *count = count.filter(|_| alone).map(|count| count.saturating_add(more));
            }
        }
    }

    /// The segments. Unless all extents were seen, nothing can be said about their pages. What no
    /// extent names is zero, or in a delta inherited.
    pub(super) fn finish(mut self, complete: bool, delta: bool) -> Vec<Segment> {
        for segment in &mut self.segments {
            let pages = segment.len / PAGE as u64;
            let named = segment.data_pages.zip(segment.zero_pages);
            let rest = named.map(|(data, zero)| pages.saturating_sub(data.saturating_add(zero)));
            if !complete {
                *segment = Segment { gpa: segment.gpa, len: segment.len, ..Segment::default() };
            } else if delta {
                segment.inherited_pages = rest;
            } else {
                segment.zero_pages = rest;
            }
        }
        self.segments
    }
}

#[cfg(test)]
mod tests {
    use snapfmt::memory::map::Segment as Run;

    use super::*;

    #[test]
    fn an_extent_over_two_segments_is_not_guessed_at() {
        let run = |gpa, len| Run { gpa, len };
        let map = [run(0, 0x8000), run(0x9000, 0x7000), run(0x10_0000, 0x1000)];
        let map = MemoryMap::new(map.to_vec()).unwrap();
        let mut counter = Counter::new(&map);
        counter.extent((0, 0x1_0000), (3, 0), 100);
        counter.extent((0x10_0000, 0x1_0000), (1, 0), 70);
        let segments = counter.finish(true, false);
        assert_eq!(segments[0].data_pages, None);
        assert_eq!(segments[1].zero_pages, None);
        assert_eq!((segments[2].data_pages, segments[2].zero_pages), (Some(1), Some(0)));
        assert_eq!(segments[2].part_bytes, Some(70));
    }

    #[test]
    fn what_a_delta_does_not_name_is_inherited() {
        let map = MemoryMap::new(vec![Run { gpa: 0, len: 0x2_0000 }]).unwrap();
        for (complete, expected) in
            [(true, (Some(3), Some(2), Some(27))), (false, (None, None, None))]
        {
            let mut counter = Counter::new(&map);
            counter.extent((0, 0x1_0000), (3, 2), 100);
            let segment = counter.finish(complete, true).remove(0);
            let counts = (segment.data_pages, segment.zero_pages, segment.inherited_pages);
            assert_eq!(counts, expected);
        }
    }
}
