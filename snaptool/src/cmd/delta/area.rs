//! One area of both states: read, hashed and compared by whichever thread is free.

use snapfmt::delta::{self, Outcome};
use snapfmt::digest::Digest;
use snapfmt::memory::area::Area;
use snapfmt::write::{ChangePart, Encoder};

use crate::area::{Piece, Seen, seen};
use crate::opened::Opened;
use crate::signal::Stop;

/// What was found out about an area.
pub(super) struct Compared {
    pub(super) gpa: u64,
    pub(super) size: u64,
    pub(super) parent: Digest,
    pub(super) root: Digest,
    pub(super) change: Option<ChangePart>,
}

/// The bytes of an area in either state, kept by a thread from area to area.
#[derive(Default)]
pub(super) struct Scratch {
    parent: Vec<u8>,
    new: Vec<u8>,
}

/// Compares the two states in one area. The first `count` lists of it are the parent's.
///
/// # Errors
/// Damage, trouble with reading, and a signal.
pub(super) fn compare(
    (parent, new): (&Opened<'_>, &Opened<'_>),
    (area, count): (Area<Piece>, usize),
    encoder: &Encoder,
    scratch: &mut Scratch,
    stop: &Stop,
) -> anyhow::Result<Compared> {
    stop.check()?;
    let Area { gpa, size, pieces } = area;
    let (old, now) = pieces.into_iter().partition(|(list, _)| *list < count);
    let at = (gpa, size);
    let mut old = seen(&parent.ram, at, old, &mut scratch.parent, None)?;
    let beside = if let Seen::Scanned(scanned) = &old { Some(scanned) } else { None };
    let mut now = seen(&new.ram, at, now, &mut scratch.new, beside)?;
    let Outcome { parent, root, change } = delta::compare(&new.vm.memory, at, &mut old, &mut now)?;
    let change = change.map(|change| encoder.change(&change)).transpose()?;
    Ok(Compared { gpa, size, parent, root, change })
}
