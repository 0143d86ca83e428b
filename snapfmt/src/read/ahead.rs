//! Reading from front to back with extents opened elsewhere: on other threads, where the caller has
//! some. Checking, decoding and hashing them is nearly all the work of a reader.
//!
//! Nothing else changes. Extents come back in their order and are taken into the account of the
//! [`Walk`] then; what comes after them waits. So parts, result, and of an error kind, section and
//! offset are those of the walk: it is the first one in the order of the file, wherever it was
//! found.

use std::sync::Arc;

use crate::digest::Digest;
use crate::error::{Error, Fault, Section};
use crate::layout::frame::{self, Frame};
use crate::layout::kind::Kind;
use crate::memory::map::MemoryMap;
use crate::memory::tree::Rest;
use crate::part::Intact;
use crate::part::extent::{DeltaExtent, Extent};
use crate::part::map::MapEntry;
use crate::read::listed::Part;
use crate::read::verified::Verified;
use crate::read::walk::{State, Walk, Want};

/// What a [`WalkAhead`] needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Exactly so many bytes, in two pieces, of which the second may be empty. Bounded as those of
    /// [`Want::Bytes`]; those of an extent by the largest extent.
    Bytes {
        /// The first piece.
        lead: usize,
        /// The second one: from the payload of an extent on.
        rest: usize,
    },
    /// An extent that was given out, opened: the first of those that are not back.
    Opened,
    /// The end of the input: call [`WalkAhead::end`] when nothing follows, [`WalkAhead::excess`]
    /// otherwise.
    End,
}

/// What came of bytes.
#[derive(Debug)]
pub enum Fed {
    /// Nothing yet.
    Nothing,
    /// A part that is no extent.
    Part(Part),
    /// An extent that is to be opened, and to come back.
    Extent(Unopened),
}

/// A [`Walk`] that gives extents out unopened.
#[derive(Default)]
pub struct WalkAhead {
    walk: Walk,
    map: Option<Arc<MemoryMap>>,
    /// Extents that are not back, and where the first of them is.
    away: usize,
    first: u64,
    /// What comes behind them, and was not looked at further.
    held: Option<Held>,
}

enum Held {
    Frame(Frame, Digest),
    Failed(Error),
}

/// An EXTENT part of which only the frame was checked. It can be opened on any thread, and gives
/// nothing before.
#[derive(Debug)]
pub struct Unopened {
    frame: Frame,
    digest: Digest,
    at: u64,
    lead: Vec<u8>,
    payload: Vec<u8>,
    map: Arc<MemoryMap>,
    rest: Rest,
}

/// An extent that was opened, or what is wrong with it.
#[derive(Debug)]
pub struct Opened {
    at: u64,
    end: u64,
    result: Result<OpenedExtent, Error>,
}

/// An extent whose digests have matched, with all that is needed to take it into the account.
#[derive(Debug)]
pub(super) struct OpenedExtent {
    pub(super) part: Part,
    pub(super) entry: MapEntry,
    pub(super) stored: u64,
    pub(super) nvlist_at: u64,
}

impl OpenedExtent {
    pub(super) fn of(part: Intact, map: &MemoryMap, rest: Rest) -> Result<Self, Error> {
        let (stored, nvlist_at) = (part.payload().len() as u64, part.spans().nvlist_at);
        let (part, entry) = match rest {
            Rest::Zero => {
                let (extent, entry) = Extent::open_owned(part, map)?;
                (Part::Extent(extent), entry)
            }
            Rest::Inherited => {
                let (extent, entry) = DeltaExtent::open_owned(part, map)?;
                (Part::Delta(extent), entry)
            }
        };
        Ok(Self { part, entry, stored, nvlist_at })
    }
}

impl Unopened {
    /// Checks all digests and decodes the pages.
    #[must_use]
    pub fn open(self) -> Opened {
        let Self { frame, digest, at, lead, payload, map, rest } = self;
        let end = frame.spans(at).end;
        let part = Intact::check_apart(frame, digest, at, lead, payload);
        let result = part.and_then(|part| OpenedExtent::of(part, &map, rest));
        Opened { at, end, result }
    }
}

impl Opened {
    /// The extent, whose own digests have matched; nothing if they have not. What comes before it
    /// in the file may still turn out to be wrong.
    #[must_use]
    pub fn part(&self) -> Option<&Part> {
        self.result.as_ref().ok().map(|opened| &opened.part)
    }
}

impl WalkAhead {
    /// Starts before the header block.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The offset in the file of the next byte.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.walk.offset
    }

    /// What is needed next.
    ///
    /// # Errors
    /// What was found wrong behind extents that are all back now.
    pub fn need(&mut self) -> Result<Need, Error> {
        match self.held.take() {
            Some(held) if self.away > 0 => {
                self.held = Some(held);
                return Ok(Need::Opened);
            }
            Some(Held::Failed(error)) => return Err(self.failed(error)),
            Some(Held::Frame(frame, digest)) => {
                let at = self.walk.offset.saturating_sub(frame::LEN as u64);
                self.walk.admit(frame, digest, at).map_err(|error| self.failed(error))?;
            }
            None => {}
        }
        Ok(match (&self.walk.state, self.walk.want()) {
            (_, Want::End) => Need::End,
            (State::Body(frame, _), _) if frame.kind == Kind::Extent => {
                let (lead, rest) = frame.spans(self.walk.offset - frame::LEN as u64).lens();
                Need::Bytes { lead, rest }
            }
            (_, Want::Bytes(lead)) => Need::Bytes { lead, rest: 0 },
        })
    }

    /// Takes the bytes that [`need`](Self::need) asked for. Fewer bytes mean that the input ended.
    ///
    /// # Errors
    /// What is wrong, for good.
    pub fn feed(&mut self, lead: Vec<u8>, rest: Vec<u8>) -> Result<Fed, Error> {
        match self.step(lead, rest) {
            // What is away comes before it.
            Err(error) if self.away > 0 => {
                self.held = Some(Held::Failed(error));
                Ok(Fed::Nothing)
            }
            result => result.map_err(|error| self.failed(error)),
        }
    }

    fn step(&mut self, mut lead: Vec<u8>, payload: Vec<u8>) -> Result<Fed, Error> {
        let (wanted, len) = (self.walk.want(), lead.len().saturating_add(payload.len()));
        let (at, next) = (self.walk.offset, self.walk.offset.saturating_add(len as u64));
        let ahead = match &self.walk.state {
            State::Frame => self.away > 0,
            State::Body(frame, _) => frame.kind == Kind::Extent,
            _ => false,
        };
        if !ahead {
            lead.extend_from_slice(&payload);
            let part = self.walk.feed(lead)?;
            return Ok(part.map_or(Fed::Nothing, Fed::Part));
        }
        match wanted {
            Want::Bytes(wanted) if len < wanted => return Err(self.walk.truncated(wanted, len)),
            Want::Bytes(wanted) if len == wanted => {}
            _ => return Err(self.walk.excess()),
        }
        if let State::Body(frame, digest) = self.walk.state {
            (self.walk.state, self.walk.offset) = (State::Frame, next);
            let at = at.saturating_sub(frame::LEN as u64);
            let (map, rest) = (self.map(at)?, self.walk.rest());
            if self.away == 0 {
                self.first = at;
            }
            self.away += 1;
            return Ok(Fed::Extent(Unopened { frame, digest, at, lead, payload, map, rest }));
        }
        let (frame, digest) = Frame::check(&lead, at)?;
        self.walk.offset = next;
        if frame.kind == Kind::Extent && self.walk.ledger.has_room_behind(self.away) {
            // What admits the one before admits this one.
            self.walk.state = State::Body(frame, digest);
        } else {
            self.held = Some(Held::Frame(frame, digest));
        }
        Ok(Fed::Nothing)
    }

    /// Takes the first extent that is not back.
    ///
    /// # Errors
    /// What is wrong with it, for good.
    pub fn opened(&mut self, opened: Opened) -> Result<Part, Error> {
        let Opened { at, end, result } = opened;
        if self.away == 0 || at != self.first {
            let why = "extents come back in the order in which they were given out";
            let fault = Fault::Order { found: Kind::Extent, why };
            let error = fault.at(at).within(Section::Part(Kind::Extent));
            return Err(self.failed(error));
        }
        (self.away, self.first) = (self.away - 1, end);
        result.and_then(|opened| self.walk.note(opened)).map_err(|error| self.failed(error))
    }

    /// The input ended where the file ends.
    ///
    /// # Errors
    /// As [`Walk::end`].
    pub fn end(self) -> Result<Verified, Error> {
        self.walk.end()
    }

    /// As [`Walk::excess`].
    #[must_use]
    pub fn excess(&self) -> Error {
        self.walk.excess()
    }

    fn failed(&mut self, error: Error) -> Error {
        (self.away, self.held) = (0, None);
        self.walk.state = State::Failed(error.clone());
        error
    }

    fn map(&mut self, at: u64) -> Result<Arc<MemoryMap>, Error> {
        if let Some(map) = &self.map {
            return Ok(Arc::clone(map));
        }
        let missing = || {
            let fault = Fault::Order { found: Kind::Extent, why: "the first part is VM" };
            fault.at(at).within(Section::Part(Kind::Extent))
        };
        let vm = self.walk.vm.as_ref().ok_or_else(missing)?;
        let map = Arc::new(vm.memory.clone());
        self.map = Some(Arc::clone(&map));
        Ok(map)
    }
}
