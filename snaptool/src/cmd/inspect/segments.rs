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
            zero_pages: None,
            extents: Some(0),
            part_bytes: Some(0),
        };
        let segments = memory.segments().iter().map(|s| segment(s.gpa, s.len)).collect();
        Self { segments }
    }

    /// Takes note of an extent. The counts of segments that share one are not known.
    pub(super) fn extent(&mut self, gpa: u64, size: u64, data_pages: u64, part_bytes: u64) {
        let end = gpa.saturating_add(size);
        let over = |s: &Segment| s.gpa < end && gpa < s.gpa.saturating_add(s.len);
        let alone = self.segments.iter().filter(|segment| over(segment)).count() == 1;
        for segment in self.segments.iter_mut().filter(|segment| over(segment)) {
            let counts = [&mut segment.data_pages, &mut segment.extents, &mut segment.part_bytes];
            for (count, more) in counts.into_iter().zip([data_pages, 1, part_bytes]) {
                *count = count.filter(|_| alone).map(|count| count.saturating_add(more));
            }
        }
    }

    /// The segments. Unless all extents were seen, nothing can be said about their pages.
    pub(super) fn finish(mut self, complete: bool) -> Vec<Segment> {
        for segment in &mut self.segments {
            let pages = segment.len / PAGE as u64;
            if complete {
                segment.zero_pages = segment.data_pages.map(|data| pages.saturating_sub(data));
            } else {
                (segment.data_pages, segment.extents, segment.part_bytes) = (None, None, None);
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
        counter.extent(0, 0x1_0000, 3, 100);
        counter.extent(0x10_0000, 0x1_0000, 1, 70);
        let segments = counter.finish(true);
        assert_eq!(segments[0].data_pages, None);
        assert_eq!(segments[1].zero_pages, None);
        assert_eq!((segments[2].data_pages, segments[2].zero_pages), (Some(1), Some(0)));
        assert_eq!(segments[2].part_bytes, Some(70));
    }
}
