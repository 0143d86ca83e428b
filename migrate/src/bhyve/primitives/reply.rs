//! Replies, taken apart. Whatever is missing or cannot be is an error with a name.

use std::os::fd::OwnedFd;

use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::nvlist::{Nvlist, OwnedValue};

use super::error::{Doing, Failed, Refusal};
use crate::msgio::Message;
use crate::vm::{Mark, Written};

/// A reply to a command that was done.
#[derive(Debug)]
pub(super) struct Reply {
    message: Message,
    pub(super) guest: Doing,
}

/// What a reply is before it is known to be one of a server with primitives.
pub(super) enum Answer {
    Reply(Reply),
    /// The server does not speak of the guest: it has no primitives (§2.2).
    Foreign,
}

fn text<'l>(list: &'l Nvlist, name: &str) -> Option<&'l [u8]> {
    match list.get(name) {
        Some(OwnedValue::String(text)) => Some(text),
        _ => None,
    }
}

fn number(list: &Nvlist, name: &'static str) -> Result<u64, Failed> {
    match list.get(name) {
        Some(OwnedValue::Number(number)) => Ok(*number),
        _ => Err(Failed::Garbled(name)),
    }
}

fn lists<'l>(list: &'l Nvlist, name: &'static str) -> Result<&'l [Nvlist], Failed> {
    match list.get(name) {
        Some(OwnedValue::NvlistArray(lists)) => Ok(lists),
        _ => Err(Failed::Garbled(name)),
    }
}

impl Answer {
    pub(super) fn of(message: Message) -> Result<Self, Failed> {
        let list = message.list();
        let guest = match list.get("guest") {
            Some(OwnedValue::String(word)) => {
                Doing::from_name(word).ok_or(Failed::Garbled("guest"))?
            }
            None if list.get("error").is_some() => return Ok(Self::Foreign),
            _ => return Err(Failed::Garbled("guest")),
        };
        if list.get("error").is_none() {
            return Ok(Self::Reply(Reply { message, guest }));
        }
        let shown = |name| text(list, name).map(|text| text.escape_ascii().to_string());
        Err(Failed::Refused(Refusal {
            error: shown("error").ok_or(Failed::Garbled("error"))?,
            code: shown("code").ok_or(Failed::Garbled("code"))?,
            what: shown("what"),
            guest,
        }))
    }
}

/// Where the pages of a guest lie in its `memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) segment: Segment,
    pub(super) offset: u64,
}

impl Reply {
    pub(super) fn version(&self) -> Result<u64, Failed> {
        number(self.message.list(), "primitives")
    }

    pub(super) fn segments(&self) -> Result<(MemoryMap, Vec<Placed>), Failed> {
        const NAME: &str = "segments";
        let placed = |list: &Nvlist| {
            let segment = Segment { gpa: number(list, "gpa")?, len: number(list, "len")? };
            let offset = number(list, "offset")?;
            let fits =
                offset.checked_add(segment.len).is_some_and(|end| i64::try_from(end).is_ok());
            let aligned = offset.is_multiple_of(snapfmt::limits::PAGE as u64);
            (fits && aligned).then_some(Placed { segment, offset }).ok_or(Failed::Garbled(NAME))
        };
        let placed: Vec<Placed> =
            lists(self.message.list(), NAME)?.iter().map(placed).collect::<Result<_, _>>()?;
        let map = MemoryMap::new(placed.iter().map(|placed| placed.segment).collect());
        Ok((map.map_err(|_| Failed::Garbled(NAME))?, placed))
    }

    pub(super) fn memory(&mut self) -> Option<OwnedFd> {
        self.message.take("memory")
    }

    pub(super) fn mark(&self) -> Result<Mark, Failed> {
        number(self.message.list(), "mark").map(Mark)
    }

    pub(super) fn dirty(&self, memory: &MemoryMap) -> Result<Written, Failed> {
        const NAME: &str = "dirty";
        let lists = lists(self.message.list(), NAME)?;
        let mut bitmaps = Vec::new();
        for (list, segment) in lists.iter().zip(memory.segments()) {
            let Some(OwnedValue::Binary(bitmap)) = list.get("bitmap") else {
                return Err(Failed::Garbled("bitmap"));
            };
            if number(list, "gpa")? != segment.gpa {
                return Err(Failed::Garbled("gpa"));
            }
            bitmaps.push(bitmap.as_slice());
        }
        if lists.len() != bitmaps.len() {
            return Err(Failed::Garbled(NAME));
        }
        Written::from_bitmaps(memory, bitmaps).ok_or(Failed::Garbled("bitmap"))
    }
}
