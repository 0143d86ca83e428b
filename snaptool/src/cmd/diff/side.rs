//! Guest RAM of one input as pieces in ascending order of address, read only as far as is asked.

use snapfmt::bhyve::set::{RamLayout, Segment};
use snapfmt::delta::Side as _;
use snapfmt::limits::{EXTENT_MIN, PAGE};
use snapfmt::memory::area::{Area, Areas};
use snapfmt::memory::bitmap::Bitmap;
use snapfmt::memory::block::Block;
use snapfmt::memory::map::MemoryMap;
use snapfmt::memory::tree::{Rest, cover_root, leaves_root};
use snapfmt::part::map::MapEntry;
use snapfmt::read::chain::Entries;
use snapfmt::read::{Chain, ChainError, ReadAt, ReadError};
use snapfmt::{Digest, Fault};

use crate::exit::Trouble;
use crate::input::FileInput;
use crate::ram::BLOCK;
use crate::sparse::{DataRanges, data_ranges};
use crate::three::ThreeFiles;

/// An extent of a full file, or all that the files of a chain have at the same addresses.
#[derive(Debug)]
pub struct Listed {
    area: Area<MapEntry>,
    root: Digest,
}

/// An aligned block that may hold something other than zeros.
#[derive(Debug)]
pub enum Piece {
    /// What MAP parts list.
    Listed(Listed),
    /// What was read from a RAM file.
    Read(Block),
}

impl Piece {
    /// Its first address.
    #[must_use]
    pub fn gpa(&self) -> u64 {
        match self {
            Self::Listed(listed) => listed.area.gpa,
            Self::Read(block) => block.gpa,
        }
    }

    /// The first address after it.
    #[must_use]
    pub fn end(&self) -> u64 {
        match self {
            Self::Listed(listed) => listed.area.gpa.saturating_add(listed.area.size),
            Self::Read(block) => block.gpa.saturating_add(block.size),
        }
    }

    fn root(&self, map: &MemoryMap) -> Digest {
        match self {
            Self::Listed(listed) => listed.root,
            Self::Read(block) => block.root(map),
        }
    }
}

/// The RAM of one input. What no piece covers is zero, or no RAM.
pub trait Side {
    /// Where there is RAM.
    fn map(&self) -> &MemoryMap;

    /// The next piece; pieces ascend and do not overlap.
    ///
    /// # Errors
    /// Damage, and trouble with reading.
    fn next(&mut self) -> anyhow::Result<Option<Piece>>;

    /// The pages of a piece.
    ///
    /// # Errors
    /// Damage, and trouble with reading.
    fn open(&mut self, piece: Piece) -> anyhow::Result<Block>;
}

/// The subtree root of the aligned block of `size` bytes at `gpa`, made up of these pieces.
pub(super) fn root(map: &MemoryMap, gpa: u64, size: u64, pieces: &[Piece]) -> Digest {
    let blocks =
        pieces.iter().map(|piece| (piece.gpa(), piece.end() - piece.gpa(), piece.root(map)));
    cover_root(map, gpa, size, blocks)
}

/// RAM in a snapshot file, or in a chain: pieces come from the maps, and extents are read only to
/// be opened. Where a delta changed something, leaves are read, too.
pub struct Stored<'a, S: ReadAt> {
    chain: &'a Chain<S>,
    wrong: &'a Wrong<'a>,
    areas: Areas<Entries<'a, S>>,
}

/// What makes an error of something wrong with a chain.
pub type Wrong<'a> = dyn Fn(ChainError) -> anyhow::Error + 'a;

impl<'a, S: ReadAt> Stored<'a, S> {
    /// The RAM of the newest state of the chain.
    pub fn new(chain: &'a Chain<S>, wrong: &'a Wrong<'a>) -> Self {
        let areas = Areas::new((0..chain.count()).map(|link| chain.entries(link)), EXTENT_MIN);
        Self { chain, wrong, areas }
    }

    /// The root of an area, and nothing of it is read if a full file alone has it.
    fn root(&self, area: &Area<MapEntry>) -> anyhow::Result<Digest> {
        let mut stored = self.chain.area(area.gpa, area.size, area.pieces.clone());
        if let Some(root) = stored.root().map_err(self.wrong)? {
            return Ok(root);
        }
        let leaves = stored.leaves().map_err(self.wrong)?;
        let named = leaves.iter().enumerate();
        let named = named.filter_map(|(index, leaf)| Some((index, (*leaf)?)));
        let map = &self.chain.vm().memory;
        Ok(leaves_root(map, Rest::Zero, area.gpa, area.size, named))
    }

    /// The pages of an area that is not a single extent.
    fn block(&self, area: Area<MapEntry>) -> anyhow::Result<Block> {
        let Area { gpa, size, pieces } = area;
        let mut stored = self.chain.area(gpa, size, pieces);
        let leaves = stored.leaves().map_err(self.wrong)?;
        let wanted = leaves.iter().enumerate().filter_map(|(index, leaf)| leaf.map(|_| index));
        let wanted: Vec<_> = wanted.collect();
        let read = stored.pages(&wanted).map_err(self.wrong)?;
        let (mut data, mut pages) = (Bitmap::new(leaves.len()), Vec::new());
        for (at, page) in read.iter() {
            data.set(usize::try_from((at - gpa) / PAGE as u64)?);
            pages.extend_from_slice(page);
        }
        Ok(Block { gpa, size, data, pages })
    }
}

impl<S: ReadAt> Side for Stored<'_, S> {
    fn map(&self) -> &MemoryMap {
        &self.chain.vm().memory
    }

    fn next(&mut self) -> anyhow::Result<Option<Piece>> {
        let Some(area) = self.areas.next() else { return Ok(None) };
        let area = area.map_err(self.wrong)?;
        let root = self.root(&area)?;
        Ok(Some(Piece::Listed(Listed { area, root })))
    }

    fn open(&mut self, piece: Piece) -> anyhow::Result<Block> {
        let area = match piece {
            Piece::Listed(listed) => listed.area,
            Piece::Read(block) => return Ok(block),
        };
        match (area.pieces.as_slice(), self.chain.link(0)) {
            ([(0, entry)], Some(full)) => {
                let extent = full.seeker().extent(full.quick(), entry);
                let wrong = |error| (self.wrong)(ChainError { link: 0, error });
                Ok(extent.map_err(wrong)?.block)
            }
            _ => self.block(area),
        }
    }
}

/// RAM in a file of its own. Holes are not read; one block is held.
pub struct Ram<'a> {
    ram: &'a FileInput,
    map: MemoryMap,
    segments: Vec<Segment>,
    ranges: std::iter::Peekable<DataRanges<'a, FileInput>>,
    at: u64,
}

impl<'a> Ram<'a> {
    /// The RAM of a set, which lies as `map` and `layout` say.
    ///
    /// # Errors
    /// A file that cannot be synced: its holes are not to be trusted then.
    pub fn new(set: &'a ThreeFiles, layout: RamLayout, map: MemoryMap) -> anyhow::Result<Self> {
        // As in `ram`: fresh data may be called a hole until it is on disk.
        set.ram.sync()?;
        let ranges = data_ranges(&set.ram, set.ram.len()).peekable();
        // The last comes first to be taken.
        let mut segments: Vec<_> = layout.segments().collect();
        segments.reverse();
        Ok(Self { ram: &set.ram, map, segments, ranges, at: 0 })
    }

    fn read(&self, segment: &Segment, at: u64, len: u64) -> anyhow::Result<Option<Block>> {
        let mut bytes = vec![0; usize::try_from(len)?];
        self.ram.read_exact_at(&mut bytes, at)?;
        bytes.resize(usize::try_from(BLOCK)?, 0);
        Ok(Block::scan(segment.gpa + (at - segment.offset), &bytes))
    }
}

impl Side for Ram<'_> {
    fn map(&self) -> &MemoryMap {
        &self.map
    }

    fn next(&mut self) -> anyhow::Result<Option<Piece>> {
        while let Some(segment) = self.segments.last().copied() {
            let end = segment.offset.saturating_add(segment.len);
            self.at = self.at.max(segment.offset);
            while self.ranges.next_if(|range| range.end <= self.at).is_some() {}
            let range = self.ranges.peek().filter(|range| self.at < end && range.start < end);
            let Some(range) = range else {
                self.segments.pop();
                self.at = end;
                continue;
            };
            // Blocks are aligned in the guest's space, and segments begin at multiples of 1 GiB.
            let data = range.start.max(self.at) - segment.offset;
            let at = segment.offset.saturating_add(data - data % BLOCK);
            let len = BLOCK.min(end - at);
            self.at = at.saturating_add(len);
            if let Some(block) = self.read(&segment, at, len)? {
                return Ok(Some(Piece::Read(block)));
            }
        }
        Ok(None)
    }

    fn open(&mut self, piece: Piece) -> anyhow::Result<Block> {
        match piece {
            Piece::Read(block) => Ok(block),
            Piece::Listed(listed) => {
                anyhow::bail!("a RAM file has no extent at {:#x}", listed.area.gpa)
            }
        }
    }
}

/// Why an input cannot be compared. A damaged one has no answer: neither the same nor different.
pub(super) fn damaged(name: &str, error: ReadError) -> anyhow::Error {
    let error = match error {
        ReadError::Format(error) => error,
        ReadError::Io { source, .. } => return source.into(),
    };
    let trouble = Trouble::new(format!("{name} cannot be compared: {error}"));
    let hint = match error.fault() {
        Fault::NotASnapshot => "name a snapshot file, or the RAM file of bhyve's three files",
        fault @ (Fault::Version { .. } | Fault::MissingFeatures { .. } | Fault::UnknownPart(_)) => {
            fault.hint().unwrap_or_default()
        }
        _ => "`snaptool verify` says what is damaged, `snaptool inspect` what is not",
    };
    trouble.hint(hint).into()
}
