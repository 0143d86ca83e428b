//! Reading from front to back, once (§2.4): a state machine that asks for bytes and is fed them.
//!
//! It does no I/O and holds one part at a time. What it gives out before the end has matched its
//! own digests; only [`Walk::end`] says that the whole file did.

use crate::bhyve::Finding;
use crate::digest::Digest;
use crate::error::{Error, Fault, Section};
use crate::layout::frame::{self, Frame};
use crate::layout::header::{self, Header};
use crate::layout::kind::Kind;
use crate::layout::trailer::{self, Trailer};
use crate::ledger::Ledger;
use crate::memory::tree::Rest;
use crate::part::Intact;
use crate::part::index::Index;
use crate::part::map::MapTable;
use crate::part::vm::Vm;
use crate::read::ahead::OpenedExtent;
use crate::read::index::compare;
use crate::read::listed::{Part, open_listed};
use crate::read::verified::{Unsettled, Verified};

/// What a [`Walk`] needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Exactly this many bytes; bounded by the limits, but read them piece by piece into a buffer
    /// that grows, so that a short input never costs a long allocation.
    Bytes(usize),
    /// The end of the input: call [`Walk::end`] when nothing follows, [`Walk::excess`] otherwise.
    End,
}

pub(super) enum State {
    Header,
    Frame,
    Body(Frame, Digest),
    Trailer(Index, PlacedIndex),
    End(Box<Verified>),
    Failed(Error),
}

pub(super) struct PlacedIndex {
    at: u64,
    length: u64,
    root: Digest,
    /// The text of `.meta`, and what the structure rules say.
    meta: (Vec<u8>, Vec<Finding>),
}

/// Checks a file from front to back. A walk that has failed stays failed.
pub struct Walk {
    pub(super) state: State,
    pub(super) offset: u64,
    header: Option<Header>,
    pub(super) ledger: Ledger,
    pub(super) vm: Option<Vm>,
    unsettled: Unsettled,
}

impl Default for Walk {
    fn default() -> Self {
        Self::new()
    }
}

impl Walk {
    /// Starts before the header block.
    #[must_use]
    pub fn new() -> Self {
        let ledger = Ledger::new(Digest::of(&[]), Rest::Zero);
        Self {
            state: State::Header,
            offset: 0,
            header: None,
            ledger,
            vm: None,
            unsettled: Unsettled::default(),
        }
    }

    /// The offset in the file of the next byte.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What is needed next. After a failure, nothing is.
    #[must_use]
    pub fn want(&self) -> Want {
        match &self.state {
            State::Header => Want::Bytes(header::LEN),
            State::Frame => Want::Bytes(frame::LEN),
            State::Body(frame, _) => {
                let spans = frame.spans(self.offset - frame::LEN as u64);
                Want::Bytes(usize::try_from(spans.end - self.offset).unwrap_or(usize::MAX))
            }
            State::Trailer(..) => Want::Bytes(trailer::LEN),
            State::End(_) | State::Failed(_) => Want::End,
        }
    }

    /// Takes the bytes that [`want`](Self::want) asked for. Fewer bytes mean that the input ended.
    /// The trailer gives no part, and neither does a frame.
    ///
    /// # Errors
    /// What is wrong, for good.
    pub fn feed(&mut self, bytes: Vec<u8>) -> Result<Option<Part>, Error> {
        let result = self.step(bytes);
        result.inspect_err(|error| self.state = State::Failed(error.clone()))
    }

    /// The input ended where the file ends.
    ///
    /// # Errors
    /// An end before the trailer, and the error that the walk failed with.
    pub fn end(self) -> Result<Verified, Error> {
        match self.state {
            State::End(verified) => Ok(*verified),
            State::Failed(error) => Err(error),
            _ => {
                let Want::Bytes(wanted) = self.want() else { return Err(self.excess()) };
                Err(self.truncated(wanted, 0))
            }
        }
    }

    /// The error of an input that goes on after the end of the file (§2.1).
    #[must_use]
    pub fn excess(&self) -> Error {
        Fault::Trailing.at(self.offset).within(Section::End)
    }

    fn section(&self) -> Section {
        match &self.state {
            State::Header => Section::Header,
            State::Frame => Section::Frame,
            State::Body(frame, _) => Section::Part(frame.kind),
            State::Trailer(..) => Section::Trailer,
            State::End(_) | State::Failed(_) => Section::End,
        }
    }

    pub(super) fn truncated(&self, wanted: usize, left: usize) -> Error {
        let fault = Fault::Truncated { wanted: wanted as u64, left: left as u64 };
        fault.at(self.offset.saturating_add(left as u64)).within(self.section())
    }

    fn step(&mut self, bytes: Vec<u8>) -> Result<Option<Part>, Error> {
        match (&self.state, self.want()) {
            (State::Failed(error), _) => return Err(error.clone()),
            (_, Want::End) => return Err(self.excess()),
            (_, Want::Bytes(wanted)) if bytes.len() < wanted => {
                return Err(self.short(wanted, &bytes));
            }
            (_, Want::Bytes(wanted)) if bytes.len() > wanted => return Err(self.excess()),
            _ => {}
        }
        let (at, len) = (self.offset, bytes.len() as u64);
        let next = self.offset.saturating_add(len);
        let part = match std::mem::replace(&mut self.state, State::Header) {
            State::Header => Some(self.header(&bytes)?),
            State::Frame => {
                let (frame, digest) = Frame::check(&bytes, at)?;
                self.admit(frame, digest, at)?;
                None
            }
            State::Body(frame, digest) => {
                let at = at - frame::LEN as u64;
                let part = Intact::check(frame, digest, at, bytes)?;
                self.state = State::Frame;
                Some(self.body(part)?)
            }
            State::Trailer(index, placed) => {
                self.trailer(index, &placed, &bytes)?;
                None
            }
            // Both were answered above.
            State::End(_) | State::Failed(_) => return Err(self.excess()),
        };
        self.offset = next;
        Ok(part)
    }

    /// The part with this frame, at `at`, comes next.
    pub(super) fn admit(&mut self, frame: Frame, digest: Digest, at: u64) -> Result<(), Error> {
        let admitted = self.ledger.admit(frame.kind);
        admitted.map_err(|fault| fault.at(at).within(Section::Part(frame.kind)))?;
        self.state = State::Body(frame, digest);
        Ok(())
    }

    /// The error of an input that ended; of one that is not a snapshot, that comes first.
    fn short(&self, wanted: usize, bytes: &[u8]) -> Error {
        let magic = bytes.get(..header::MAGIC.len()).unwrap_or(bytes);
        if matches!(self.state, State::Header) && !header::MAGIC.starts_with(magic) {
            return Fault::NotASnapshot.at(0).within(Section::Header);
        }
        self.truncated(wanted, bytes.len())
    }

    fn header(&mut self, bytes: &[u8]) -> Result<Part, Error> {
        let (header, digest) = Header::check(bytes)?;
        self.ledger = Ledger::new(digest, header.rest());
        self.header = Some(header.clone());
        self.state = State::Frame;
        Ok(Part::Header(header))
    }

    fn body(&mut self, part: Intact) -> Result<Part, Error> {
        Ok(match part.kind() {
            Kind::Extent => self.extent(part)?,
            Kind::Map => Part::Map(self.map(&part)?),
            Kind::Index => {
                let index = Index::open(&part)?;
                let meta = (self.ledger.meta_text().to_owned(), self.ledger.findings());
                let seen = self
                    .ledger
                    .index(Some(index.memory_root))
                    .map_err(|fault| part.wrong(fault))?;
                compare(&index, &seen).map_err(|fault| part.wrong(fault))?;
                let (at, length, root) = (part.offset(), part.length(), part.digest());
                let placed = PlacedIndex { at, length, root, meta };
                self.state = State::Trailer(index.clone(), placed);
                Part::Index(index)
            }
            _ => {
                let named = self.header.as_ref().map_or("", |header| &header.vm_name);
                let part = open_listed(&mut self.ledger, named, part)?;
                if let Part::Vm(vm) = &part {
                    self.vm = Some(vm.clone());
                }
                part
            }
        })
    }

    fn extent(&mut self, part: Intact) -> Result<Part, Error> {
        let Some(vm) = &self.vm else {
            let why = "the first part is VM";
            return Err(part.wrong(Fault::Order { found: Kind::Extent, why }));
        };
        let opened = OpenedExtent::of(part, &vm.memory, self.rest())?;
        self.note(opened)
    }

    /// Whether this is a full file or a delta, as the header block says.
    pub(super) fn rest(&self) -> Rest {
        self.header.as_ref().map_or(Rest::Zero, Header::rest)
    }

    /// Takes an extent into the account.
    pub(super) fn note(&mut self, opened: OpenedExtent) -> Result<Part, Error> {
        let OpenedExtent { part, entry, stored, nvlist_at } = opened;
        if let Part::Delta(extent) = &part {
            self.unsettled.note(extent);
        }
        let noted = self.ledger.extent(entry, stored);
        noted.map_err(|fault| fault.at(nvlist_at).within(Section::Extent { gpa: entry.gpa }))?;
        Ok(part)
    }

    fn map(&mut self, part: &Intact) -> Result<MapTable, Error> {
        let table = MapTable::open(part)?;
        if self.ledger.map_table().as_ref() != Some(&table) {
            return Err(part.wrong_payload(Fault::Disagree {
                what: "the table of extents",
                here: format!("of {} from number {}", table.entries.len(), table.first),
                there: "another".to_owned(),
                place: "in the extents before it",
                rule: "§6.5.1",
            }));
        }
        self.ledger.map(part.offset(), part.length(), part.digest());
        Ok(table)
    }

    fn trailer(&mut self, index: Index, placed: &PlacedIndex, bytes: &[u8]) -> Result<(), Error> {
        let at = self.offset;
        let trailer = Trailer::check(bytes, at)?;
        let root = placed.root;
        let expected = Trailer { index_at: placed.at, index_len: placed.length, root, ..trailer };
        if trailer != expected {
            let fault = Fault::Disagree {
                what: "the place or the root of INDEX",
                here: format!("{:#x}, {}", trailer.index_at, trailer.root),
                there: format!("{:#x}, {root}", placed.at),
                place: "in fact",
                rule: "§7.3",
            };
            return Err(fault.at(at).within(Section::Trailer));
        }
        let (Some(header), Some(vm)) = (self.header.take(), self.vm.take()) else {
            return Err(self.excess());
        };
        let unsettled = header.parent.is_some().then_some(self.unsettled);
        let meta = placed.meta.clone();
        let verified = Verified::new(header, vm, index, meta, &trailer, unsettled);
        self.state = State::End(Box::new(verified));
        Ok(())
    }
}
