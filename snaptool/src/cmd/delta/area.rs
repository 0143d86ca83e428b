//! One area of both states: read, hashed and compared by whichever thread is free.

use snapfmt::delta::{self, Leaves, Outcome, Read, Side};
use snapfmt::digest::Digest;
use snapfmt::limits::PAGE;
use snapfmt::memory::area::{Area, Placed};
use snapfmt::memory::bitmap::Bitmap;
use snapfmt::memory::block::Block;
use snapfmt::memory::tree::leaf;
use snapfmt::part::map::MapEntry;
use snapfmt::read::StoredArea;
use snapfmt::write::{ChangePart, Encoder};

use super::end::{End, Ram};
use crate::links::Links;
use crate::ram::Place;
use crate::signal::Stop;
use crate::watch::Watched;

const ZERO: [u8; PAGE] = [0; PAGE];

/// A block of one of the states.
pub(super) enum Piece {
    /// Of which file of the chain, and what its MAP part says.
    Listed(usize, MapEntry),
    /// Where it is in a RAM file.
    Raw(Place),
}

impl Placed for Piece {
    fn gpa(&self) -> u64 {
        match self {
            Self::Listed(_, entry) => entry.gpa,
            Self::Raw(place) => place.gpa(),
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Listed(_, entry) => entry.size.into(),
            Self::Raw(place) => place.size(),
        }
    }
}

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
    (parent, new): (&End<'_>, &End<'_>),
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

/// The area in one state.
enum Seen<'a, 'b> {
    Stored(&'a Links, StoredArea<'a, Watched<'a>>),
    Scanned(Scanned<'b>),
}

fn seen<'a, 'b>(
    ram: &'a Ram<'_>,
    (gpa, size): (u64, u64),
    pieces: Vec<(usize, Piece)>,
    bytes: &'b mut Vec<u8>,
    beside: Option<&Scanned<'_>>,
) -> anyhow::Result<Seen<'a, 'b>> {
    match ram {
        Ram::Stored { links, chain } => {
            let listed = pieces.into_iter().filter_map(|(_, piece)| match piece {
                Piece::Listed(link, entry) => Some((link, entry)),
                Piece::Raw(_) => None,
            });
            Ok(Seen::Stored(links, chain.area(gpa, size, listed.collect())))
        }
        Ram::File { set, .. } => {
            let count = usize::try_from(size)?;
            // Where nothing is read, what is left there of another area is never looked at.
            bytes.resize(count.max(bytes.len()), 0);
            let mut leaves = vec![None; count / PAGE];
            let raw = pieces.iter().filter_map(|(_, piece)| match piece {
                Piece::Raw(place) => Some(place),
                Piece::Listed(..) => None,
            });
            for step in raw.flat_map(|place| place.steps(STEP)) {
                let from = usize::try_from(step.gpa - gpa)?;
                let to = from.saturating_add(usize::try_from(step.size)?);
                let out = || anyhow::anyhow!("a block is not in its area");
                let read = bytes.get_mut(from..to).ok_or_else(out)?;
                step.read(&set.ram, read)?;
                let leaves = leaves.get_mut(from / PAGE..to / PAGE).ok_or_else(out)?;
                hash(read, leaves, beside.map(|beside| beside.after(from)));
            }
            Ok(Seen::Scanned(Scanned { gpa, size, bytes, leaves }))
        }
    }
}

/// Bytes that are read and hashed at once: they stay in the cache of a processor.
const STEP: u64 = 128 << 10;

/// Bytes out of a RAM file, hashed.
struct Scanned<'b> {
    gpa: u64,
    size: u64,
    /// Of pages that have a leaf.
    bytes: &'b [u8],
    leaves: Leaves,
}

/// Sets the leaves of all pages that are not zero. What is the same beside has the same leaf.
fn hash(bytes: &[u8], leaves: &mut [Option<Digest>], beside: Option<(&[u8], &[Option<Digest>])>) {
    let (others, known) = beside.unwrap_or_default();
    let mut beside = others.chunks_exact(PAGE).zip(known);
    for (page, place) in bytes.chunks_exact(PAGE).zip(leaves) {
        *place = match beside.next() {
            Some((other, Some(leaf))) if other == page => Some(*leaf),
            _ => (page != ZERO).then(|| leaf(page)),
        };
    }
}

impl Scanned<'_> {
    /// The bytes from there on, and their leaves.
    fn after(&self, from: usize) -> (&[u8], &[Option<Digest>]) {
        let bytes = self.bytes.get(from..).unwrap_or_default();
        (bytes, self.leaves.get(from / PAGE..).unwrap_or_default())
    }

    fn block(&self, wanted: &[usize]) -> Block {
        let mut data = Bitmap::new(self.leaves.len());
        let mut pages = Vec::with_capacity(wanted.len() * PAGE);
        for &index in wanted {
            let at = index * PAGE;
            if let Some(page) = self.bytes.get(at..at.saturating_add(PAGE)) {
                data.set(index);
                pages.extend_from_slice(page);
            }
        }
        Block { gpa: self.gpa, size: self.size, data, pages }
    }
}

impl Side for Seen<'_, '_> {
    type Error = anyhow::Error;

    fn root(&mut self) -> anyhow::Result<Option<Digest>> {
        match self {
            Self::Stored(links, area) => area.root().map_err(|error| links.wrong(error)),
            Self::Scanned(_) => Ok(None),
        }
    }

    fn leaves(&mut self) -> anyhow::Result<Leaves> {
        match self {
            Self::Stored(links, area) => area.leaves().map_err(|error| links.wrong(error)),
            Self::Scanned(scanned) => Ok(scanned.leaves.clone()),
        }
    }

    fn pages(&mut self, wanted: &[usize]) -> anyhow::Result<Read> {
        match self {
            Self::Stored(links, area) => area.pages(wanted).map_err(|error| links.wrong(error)),
            Self::Scanned(scanned) => Ok(Read::new(scanned.block(wanted))),
        }
    }
}
