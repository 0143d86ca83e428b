//! Blocks of memory as parts, ready before their place in the file is known. Hashing and
//! compressing them is nearly all the work of a writer, and needs nothing of it: callers that have
//! threads spread it over them.

use crate::digest::Digest;
use crate::error::{Error, Fault, Section};
use crate::layout::frame::Frame;
use crate::memory::block::Block;
use crate::memory::change::Change;
use crate::memory::map::MemoryMap;
use crate::part::Encoded;
use crate::part::extent::{Extent, Form};
use crate::part::map::MapEntry;

/// Makes parts for one writer, which gives it: see
/// [`MemoryWriter::encoder`](super::MemoryWriter::encoder).
#[derive(Debug, Clone)]
pub struct Encoder {
    memory: MemoryMap,
    form: Form,
}

/// A block of a full file, to be appended by the writer whose encoder made it.
#[derive(Debug)]
pub struct BlockPart(pub(super) Ready<'static>);

/// What changed in a block, to be appended by the writer whose encoder made it.
#[derive(Debug)]
pub struct ChangePart(pub(super) Ready<'static>);

/// An EXTENT part without a place.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    pub(super) part: Encoded<'a>,
    pub(super) frame: Frame,
    gpa: u64,
    size: u64,
    pages: (usize, usize),
    root: Digest,
}

impl Encoder {
    pub(super) fn new(memory: MemoryMap, form: Form) -> Self {
        Self { memory, form }
    }

    /// The part of a block that has data.
    ///
    /// # Errors
    /// Values that break the spec, and trouble with zstd; at offset 0, for the place is not known.
    pub fn block(&self, block: &Block) -> Result<BlockPart, Error> {
        let ready = Ready::block(block, &self.memory, self.form);
        ready.map(|ready| BlockPart(ready.into_owned())).map_err(|fault| wrong(fault, block.gpa))
    }

    /// As [`block`](Self::block), of a block that is not needed any more: its pages are not copied.
    ///
    /// # Errors
    /// As [`block`](Self::block).
    pub fn owned(&self, block: Block) -> Result<BlockPart, Error> {
        let (gpa, size, pages) = (block.gpa, block.size, (block.data.count(), 0));
        let encoded = Extent::encode_owned(block, &self.memory, self.form);
        let (part, root) = encoded.map_err(|fault| wrong(fault, gpa))?;
        Ok(BlockPart(Ready::new(part, (gpa, size), pages, root)))
    }

    /// The part of a block in which something changed.
    ///
    /// # Errors
    /// As [`block`](Self::block).
    pub fn change(&self, change: &Change) -> Result<ChangePart, Error> {
        let ready = Ready::change(change, &self.memory, self.form);
        ready.map(|ready| ChangePart(ready.into_owned())).map_err(|fault| wrong(fault, change.gpa))
    }
}

fn wrong(fault: Fault, gpa: u64) -> Error {
    fault.at(0).within(Section::Extent { gpa })
}

impl<'a> Ready<'a> {
    pub(super) fn block(block: &'a Block, memory: &MemoryMap, form: Form) -> Result<Self, Fault> {
        let (part, root) = Extent::encode(block, memory, form)?;
        Ok(Self::new(part, (block.gpa, block.size), (block.data.count(), 0), root))
    }

    pub(super) fn change(
        change: &'a Change,
        memory: &MemoryMap,
        form: Form,
    ) -> Result<Self, Fault> {
        let (part, root) = Extent::encode_change(change, memory, form)?;
        let (data, zero, _) = change.counts();
        Ok(Self::new(part, (change.gpa, change.size), (data, zero), root))
    }

    fn new(
        part: Encoded<'a>,
        (gpa, size): (u64, u64),
        pages: (usize, usize),
        root: Digest,
    ) -> Self {
        let frame = part.frame();
        Self { part, frame, gpa, size, pages, root }
    }

    fn into_owned(self) -> Ready<'static> {
        let Self { part, frame, gpa, size, pages, root } = self;
        Ready { part: part.into_owned(), frame, gpa, size, pages, root }
    }

    pub(super) fn section(&self) -> Section {
        Section::Extent { gpa: self.gpa }
    }

    /// Its entry in a MAP part, once it has its place.
    pub(super) fn entry(&self, placed: (u64, u64, Digest)) -> MapEntry {
        MapEntry::of((self.gpa, self.size), self.pages, self.root, placed)
    }
}
