//! Guest RAM in a RAM file as blocks of guest-physical memory, read without its holes.

use std::iter::Peekable;
use std::ops::Range;

use snapfmt::bhyve::set::{RamLayout, Segment};
use snapfmt::memory::area::Placed;

use crate::input::FileInput;
use crate::sparse::data_ranges;

/// Bytes of a block, if not told otherwise: smaller ones cost space, and larger ones save little
/// and take memory (§6.2.9 has figures).
pub const BLOCK: u64 = 1 << 20;

/// Whether the file system is asked where the RAM file has holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holes {
    /// Holes are not read: they are zeros.
    Skip,
    /// All is read, as if there were no holes.
    Read,
}

impl Holes {
    /// Whether to read them, as a command was told.
    #[must_use]
    pub fn read_if(read: bool) -> Self {
        if read { Self::Read } else { Self::Skip }
    }
}

/// An aligned block of guest-physical memory that may hold something other than zeros: where in the
/// RAM file that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its first guest-physical address.
    pub gpa: u64,
    /// Bytes of guest-physical space, a power of two.
    pub size: u64,
    /// What is to be read of the file, ascending, and where it comes in the block.
    runs: Vec<(Range<u64>, u64)>,
}

impl Place {
    /// Where in the file it ends, as far as it is data.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.runs.last().map_or(0, |(run, _)| run.end)
    }

    /// The block in pieces of `step` bytes, a power of two, or itself if it is smaller. Those that
    /// hold nothing are left out.
    pub fn steps(&self, step: u64) -> impl Iterator<Item = Self> + '_ {
        let step = step.min(self.size);
        let starts = (0..self.size / step.max(1)).map(move |number| number * step);
        starts.filter_map(move |start| {
            let clip = |(run, at): &(Range<u64>, u64)| {
                let from = start.max(*at);
                let to = (start + step).min(at + (run.end - run.start));
                let begin = run.start + from.checked_sub(*at)?;
                (from < to).then(|| (begin..begin + (to - from), from - start))
            };
            let runs: Vec<_> = self.runs.iter().filter_map(clip).collect();
            (!runs.is_empty()).then(|| Self { gpa: self.gpa + start, size: step, runs })
        })
    }

    /// Reads the block into as many bytes; what is no data in the file, or no RAM, is zero.
    ///
    /// # Errors
    /// Trouble with reading.
    pub fn read(&self, ram: &FileInput, into: &mut [u8]) -> anyhow::Result<()> {
        let whole = matches!(self.runs.as_slice(), [(run, _)] if run.end - run.start == self.size);
        if !whole {
            into.fill(0);
        }
        for (run, at) in &self.runs {
            let (from, len) = (usize::try_from(*at)?, usize::try_from(run.end - run.start)?);
            let place = into.get_mut(from..from.saturating_add(len));
            let place = place.ok_or_else(|| anyhow::anyhow!("a read crosses a block"))?;
            ram.read_exact_at(place, run.start)?;
        }
        Ok(())
    }
}

impl Placed for Place {
    fn gpa(&self) -> u64 {
        self.gpa
    }

    fn size(&self) -> u64 {
        self.size
    }
}

/// The aligned blocks of `size` bytes, a power of two, that may hold something, ascending.
///
/// A file system that calls fresh data a hole would lose guest RAM here without a trace, and
/// OpenZFS has done so while data was not on disk yet. So the file is synced before it is asked.
///
/// # Errors
/// A file that cannot be synced.
pub fn places(
    ram: &FileInput,
    layout: RamLayout,
    size: u64,
    holes: Holes,
) -> anyhow::Result<Places<'_>> {
    let whole = (holes == Holes::Read).then(|| 0..ram.len());
    let sparse = (holes == Holes::Skip).then(|| data_ranges(ram, ram.len()));
    if holes == Holes::Skip {
        ram.sync()?;
    }
    let ranges = whole.into_iter().chain(sparse.into_iter().flatten());
    let segments = layout.segments().collect();
    let runs = Runs { ranges: Box::new(ranges), segments, size, rest: 0..0 };
    Ok(Places(runs.peekable()))
}

/// Made by [`places`].
pub struct Places<'a>(Peekable<Runs<'a>>);

impl Iterator for Places<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        let size = self.0.peek()?.size;
        let Run { gpa, range, at, .. } = self.0.next()?;
        let mut runs = vec![(range, at)];
        while let Some(next) = self.0.next_if(|run| run.gpa == gpa) {
            runs.push((next.range, next.at));
        }
        Some(Place { gpa, size, runs })
    }
}

/// A run of the file that lies in one block.
struct Run {
    /// The address of the block.
    gpa: u64,
    size: u64,
    range: Range<u64>,
    /// Where it comes in the block.
    at: u64,
}

/// Ranges of the file, cut where blocks and segments end.
struct Runs<'a> {
    ranges: Box<dyn Iterator<Item = Range<u64>> + 'a>,
    segments: Vec<Segment>,
    size: u64,
    /// What is left of the range that was come to.
    rest: Range<u64>,
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        while self.rest.is_empty() {
            self.rest = self.ranges.next()?;
        }
        let from = self.rest.start;
        let end = |segment: &Segment| segment.offset.saturating_add(segment.len);
        // What lies behind the machine's memory is none of it; the structure rules say so.
        let segment = *self.segments.iter().find(|s| (s.offset..end(s)).contains(&from))?;
        let gpa = segment.gpa + (from - segment.offset);
        let at = gpa % self.size;
        let to = end(&segment).min(self.rest.end).min(from.saturating_add(self.size - at));
        self.rest.start = to;
        Some(Run { gpa: gpa - at, size: self.size, range: from..to, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_a_block_are_what_it_holds() {
        let runs = vec![(100..0x1_8100, 0x1_0000), (0x2_0000..0x2_1000, 0x3_f000)];
        let place = Place { gpa: 0x40_0000, size: 0x4_0000, runs };
        let steps: Vec<_> = place.steps(0x1_0000).collect();
        let step = |gpa, run| Place { gpa, size: 0x1_0000, runs: vec![run] };
        let expected = [
            step(0x41_0000, (100..0x1_0064, 0)),
            step(0x42_0000, (0x1_0064..0x1_8100, 0)),
            step(0x43_0000, (0x2_0000..0x2_1000, 0xf000)),
        ];
        assert_eq!(steps, expected);
        assert_eq!(place.steps(1 << 20).collect::<Vec<_>>(), [place]);
    }
}
