//! Guest RAM as blocks of guest-physical memory, read from a RAM file without its holes.

use snapfmt::bhyve::set::{RamLayout, Segment};
use snapfmt::memory::block::Block;

use crate::input::FileInput;
use crate::progress::Progress;
use crate::signal::Stop;
use crate::sparse::data_ranges;

/// Bytes of a block: large enough that frames and compression windows cost little, small enough to
/// hold many. Measured choices come with the benchmarks.
pub const BLOCK: u64 = 1 << 20;

/// Whether the file system is asked where the RAM file has holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holes {
    /// Holes are not read: they are zeros.
    Skip,
    /// All is read, as if there were no holes.
    Read,
}

/// Gives every block that has data to `take`, in ascending order of address. Holds one block.
///
/// A file system that calls fresh data a hole would lose guest RAM here without a trace, and
/// OpenZFS has done so while data was not on disk yet. So the file is synced before it is asked.
///
/// # Errors
/// Trouble with reading, a signal, and what `take` says.
pub fn for_each_block(
    ram: &FileInput,
    layout: RamLayout,
    holes: Holes,
    progress: &Progress,
    stop: &Stop,
    take: impl FnMut(Block) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut gather = Gather { current: None, take };
    let mut done = 0;
    let whole = (holes == Holes::Read).then(|| 0..ram.len());
    let sparse = (holes == Holes::Skip).then(|| data_ranges(ram, ram.len()));
    if holes == Holes::Skip {
        ram.sync()?;
    }
    for range in whole.into_iter().chain(sparse.into_iter().flatten()) {
        progress.add(range.start.saturating_sub(done));
        for segment in layout.segments() {
            let mut at = range.start.max(segment.offset);
            let end = range.end.min(segment.offset.saturating_add(segment.len));
            while at < end {
                stop.check()?;
                let len = (end - at).min(BLOCK - gpa(&segment, at) % BLOCK);
                ram.read_exact_at(gather.room(gpa(&segment, at), len)?, at)?;
                at += len;
                progress.add(len);
            }
        }
        done = range.end;
    }
    progress.add(ram.len().saturating_sub(done));
    gather.flush()
}

fn gpa(segment: &Segment, offset: u64) -> u64 {
    segment.gpa + (offset - segment.offset)
}

/// Collects what is read into the block that it belongs to.
struct Gather<F> {
    current: Option<(u64, Vec<u8>)>,
    take: F,
}

impl<F: FnMut(Block) -> anyhow::Result<()>> Gather<F> {
    /// The place for `len` bytes at `gpa`, which all lie in one block; what was never given a
    /// place is zero.
    fn room(&mut self, gpa: u64, len: u64) -> anyhow::Result<&mut [u8]> {
        let base = gpa - gpa % BLOCK;
        if self.current.as_ref().is_none_or(|(current, _)| *current != base) {
            self.flush()?;
        }
        let size = usize::try_from(BLOCK)?;
        let (_, ram) = self.current.get_or_insert_with(|| (base, vec![0; size]));
        let from = usize::try_from(gpa - base)?;
        let to = from.saturating_add(usize::try_from(len)?);
        ram.get_mut(from..to).ok_or_else(|| anyhow::anyhow!("a read crosses a block"))
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        match self.current.take().and_then(|(base, ram)| Block::scan(base, &ram)) {
            Some(block) => (self.take)(block),
            None => Ok(()),
        }
    }
}
