//! One area of a state's RAM: what is stored or lies in a file there, read and hashed when it is
//! asked for, by whichever thread is free.

use snapfmt::delta::{Leaves, Read, Side};
use snapfmt::digest::Digest;
use snapfmt::limits::PAGE;
use snapfmt::memory::area::Placed;
use snapfmt::memory::bitmap::Bitmap;
use snapfmt::memory::block::Block;
use snapfmt::memory::tree::leaves;
use snapfmt::part::map::MapEntry;
use snapfmt::read::{ChainError, StoredArea};

use crate::links::Links;
use crate::opened::{Opened, Ram};
use crate::ram::{Place, places};
use crate::watch::Watched;

const ZERO: [u8; PAGE] = [0; PAGE];

/// A block of a state, on its way to be read.
pub enum Piece {
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

/// The area in one state.
pub enum Seen<'a, 'b> {
    /// Of snapshot files.
    Stored(&'a Links, StoredArea<'a, Watched<'a>>),
    /// Of a RAM file.
    Scanned(Scanned<'b>),
}

/// Takes an area in hand. What is `beside` it is another state's; pages that are the same there are
/// not hashed again. `bytes` is kept by a thread from area to area.
///
/// # Errors
/// Trouble with reading.
pub fn seen<'a, 'b>(
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
pub struct Scanned<'b> {
    gpa: u64,
    size: u64,
    /// Of pages that have a leaf.
    bytes: &'b [u8],
    leaves: Leaves,
}

/// Sets the leaves of all pages that are not zero. What is the same beside has the same leaf.
fn hash(bytes: &[u8], places: &mut [Option<Digest>], beside: Option<(&[u8], &[Option<Digest>])>) {
    let (others, known) = beside.unwrap_or_default();
    let mut beside = others.chunks_exact(PAGE).zip(known);
    let (mut pages, mut unknown) = (Vec::new(), Vec::new());
    for (page, place) in bytes.chunks_exact(PAGE).zip(places) {
        *place = match beside.next() {
            Some((other, Some(leaf))) if other == page => Some(*leaf),
            _ if page == ZERO => None,
            _ => {
                pages.push(page);
                unknown.push(place);
                continue;
            }
        };
    }
    let leaves = leaves(pages.into_iter());
    unknown.into_iter().zip(leaves).for_each(|(place, leaf)| *place = Some(leaf));
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

/// Blocks in ascending order.
pub type List<'a> = Box<dyn Iterator<Item = anyhow::Result<Piece>> + 'a>;

/// The blocks of a state: a list for each of its files.
///
/// # Errors
/// A RAM file that cannot be synced.
pub fn lists<'a>(end: &'a Opened<'_>, size: u64) -> anyhow::Result<Vec<List<'a>>> {
    match &end.ram {
        Ram::File { set, layout, holes, .. } => {
            let places = places(&set.ram, *layout, size, *holes)?;
            Ok(vec![Box::new(places.map(|place| Ok(Piece::Raw(place))))])
        }
        Ram::Stored { links, chain } => {
            let list = |link: usize| -> List<'a> {
                let wrong = |error: ChainError| links.wrong(error);
                let entries = chain
                    .entries(link)
                    .map(move |entry| entry.map(|entry| Piece::Listed(link, entry)).map_err(wrong));
                Box::new(entries)
            };
            Ok((0..chain.count()).map(list).collect())
        }
    }
}
