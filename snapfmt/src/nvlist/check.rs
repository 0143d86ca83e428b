//! The whole check of a packed list, once, before anything is read from it.
//!
//! Iterative, so that nesting costs a stack entry on the heap and not a call; linear, because names
//! are compared through a hash set for each open list. The order of the checks is libnv's, so that
//! of two faults both report the same.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use super::error::{Error, ErrorKind};
use super::wire::{self, ListHeader, RawPair};
use super::{ByteOrder, Flags, Options, Type};
use crate::limits;

/// Checks the whole of `message`, and tells its byte order.
pub(super) fn check(message: &[u8], options: &Options) -> Result<ByteOrder, Error> {
    over("list size", message.len(), limits::NVLIST_SIZE, 0)?;
    let header = wire::list_header(message, 0)?;
    let mut checker = Checker {
        message,
        options,
        order: header.order,
        open: Vec::new(),
        taken: HashSet::new(),
        counted: 0,
    };
    let flags = checker.header(&header, 0)?;
    asked(options.flags, flags, 0)?;
    checker.push(Kind::Outermost, flags, 0)?;

    let mut at = wire::LIST_HEADER;
    while at < message.len() {
        at = checker.pair(at)?;
    }
    match checker.open.len() {
        1 => Ok(checker.order),
        open => Err(ErrorKind::Unclosed { open: open.saturating_sub(1) as u64 }.at(at)),
    }
}

/// Whether a list whose header is at `at` has the flags that the caller asks for, if it does.
fn asked(wanted: Option<Flags>, found: Flags, at: usize) -> Result<(), Error> {
    match wanted {
        Some(wanted) if wanted != found => {
            Err(ErrorKind::CallerFlags { wanted, found }.at(at + wire::AT_FLAGS))
        }
        _ => Ok(()),
    }
}

/// What a header says of itself: that it is one, of which version, with which flags.
pub(super) fn recognised(header: &ListHeader, at: usize) -> Result<Flags, Error> {
    let fault = |kind: ErrorKind, offset| Err(kind.at(at + offset));
    if header.magic != wire::MAGIC {
        return fault(ErrorKind::Magic { found: header.magic }, 0);
    }
    if header.version != wire::VERSION {
        return fault(ErrorKind::Version { found: header.version }, wire::AT_VERSION);
    }
    Flags::from_bits(header.flags)
        .ok_or_else(|| ErrorKind::Flags { found: header.flags }.at(at + wire::AT_FLAGS))
}

fn over(what: &'static str, found: usize, limit: usize, at: usize) -> Result<(), Error> {
    if found <= limit {
        return Ok(());
    }
    Err(ErrorKind::OverLimit { what, found: found as u64, limit: limit as u64 }.at(at))
}

/// A name as its list compares it.
struct Name<'a> {
    bytes: &'a [u8],
    flags: Flags,
}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.flags.ignore_case {
            for byte in self.bytes {
                state.write_u8(byte.to_ascii_lowercase());
            }
        } else {
            state.write(self.bytes);
        }
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.flags.same(self.bytes, other.bytes)
    }
}

impl Eq for Name<'_> {}

/// What ends a list.
enum Kind {
    /// The end of the message.
    Outermost,
    /// A list marker.
    Nested,
    /// An element marker; then this many elements follow.
    Element { after: u64 },
}

struct Open<'a> {
    kind: Kind,
    flags: Flags,
    names: HashSet<Name<'a>>,
}

struct Checker<'a, 'o> {
    message: &'a [u8],
    options: &'o Options,
    order: ByteOrder,
    /// The lists open, the outermost first; never empty once the outermost is pushed.
    open: Vec<Open<'a>>,
    /// Descriptors used.
    taken: HashSet<u64>,
    /// What counts against [`Options::pairs`].
    counted: usize,
}

impl<'a> Checker<'a, '_> {
    fn count(&mut self, more: usize, at: usize) -> Result<(), Error> {
        self.counted = self.counted.saturating_add(more);
        over("pairs and elements", self.counted, self.options.pairs, at)
    }

    fn header(&self, header: &ListHeader, at: usize) -> Result<Flags, Error> {
        let flags = recognised(header, at)?;
        let fault = |kind: ErrorKind, offset| Err(kind.at(at + offset));
        if header.order != self.order {
            return fault(ErrorKind::MixedOrder, wire::AT_FLAGS);
        }
        let left = wire::rest(self.message, at + wire::LIST_HEADER).len() as u64;
        if header.size != left {
            return fault(ErrorKind::Size { claimed: header.size, left }, wire::AT_SIZE);
        }
        let (claimed, received) = (header.descriptors, self.options.descriptors);
        if claimed > received {
            return fault(ErrorKind::Descriptors { claimed, received }, wire::AT_DESCRIPTORS);
        }
        Ok(flags)
    }

    fn push(&mut self, kind: Kind, flags: Flags, at: usize) -> Result<(), Error> {
        if !self.open.is_empty() {
            asked(self.options.inside, flags, at)?;
        }
        over("lists inside each other", self.open.len() + 1, limits::NVLIST_DEPTH, at)?;
        self.open.push(Open { kind, flags, names: HashSet::new() });
        Ok(())
    }

    /// Checks the pair at `at`, and tells where the next one begins.
    fn pair(&mut self, at: usize) -> Result<usize, Error> {
        let pair = wire::pair(self.message, at, self.order)?;
        let Some(kind) = Type::from_code(pair.code) else {
            return self.marker(&pair);
        };
        self.count(1, at)?;
        self.value(&pair, kind)?;
        let opens = match kind {
            Type::Nvlist => Kind::Nested,
            Type::NvlistArray => Kind::Element { after: pair.items.saturating_sub(1) },
            _ => {
                self.name(&pair)?;
                return Ok(pair.data_at + pair.data.len());
            }
        };
        // libnv reads the header of a nested list before it looks for duplicates.
        let flags = self.header(&wire::list_header(self.message, pair.data_at)?, pair.data_at)?;
        self.name(&pair)?;
        if let Kind::Element { .. } = opens {
            self.count(1, pair.data_at)?;
        }
        self.push(opens, flags, pair.data_at)?;
        Ok(pair.data_at + wire::LIST_HEADER)
    }

    fn name(&mut self, pair: &RawPair<'a>) -> Result<(), Error> {
        let Some(Open { flags, names, .. }) = self.open.last_mut() else {
            return Err(ErrorKind::StrayMarker.at(pair.at));
        };
        let name = Name { bytes: pair.name, flags: *flags };
        if !flags.no_unique && !names.insert(name) {
            return Err(ErrorKind::Duplicate.at(pair.at));
        }
        Ok(())
    }

    fn marker(&mut self, pair: &RawPair<'a>) -> Result<usize, Error> {
        let at = pair.data_at;
        if !pair.name.is_empty() || !pair.data.is_empty() || pair.items != 0 {
            return Err(ErrorKind::MarkerContents.at(pair.at));
        }
        match (pair.code, self.open.pop().map(|open| open.kind)) {
            (wire::UP, Some(Kind::Nested)) | (wire::NEXT, Some(Kind::Element { after: 0 })) => {
                Ok(at)
            }
            (wire::NEXT, Some(Kind::Element { after })) => {
                let flags = self.header(&wire::list_header(self.message, at)?, at)?;
                self.count(1, at)?;
                self.push(Kind::Element { after: after.saturating_sub(1) }, flags, at)?;
                Ok(at + wire::LIST_HEADER)
            }
            _ => Err(ErrorKind::StrayMarker.at(pair.at)),
        }
    }

    fn value(&mut self, pair: &RawPair<'a>, kind: Type) -> Result<(), Error> {
        let (size, items) = (pair.data.len() as u64, pair.items);
        let sized = |wanted: bool| {
            let fault = ErrorKind::DataSize { kind, found: size };
            if wanted { Ok(()) } else { Err(fault.at(pair.at + wire::AT_DATA_SIZE)) }
        };
        let counted = |wanted: bool| {
            let fault = ErrorKind::Items { kind, found: items };
            if wanted { Ok(()) } else { Err(fault.at(pair.at + wire::AT_ITEMS)) }
        };
        match kind {
            Type::Null => sized(size == 0),
            Type::Bool => sized(size == 1).and_then(|()| bools(pair)),
            Type::Number => sized(size == 8),
            Type::String => sized(size >= 1).and_then(|()| strings(pair, 1)),
            Type::Nvlist | Type::Binary => sized(size >= 1),
            Type::Descriptor => sized(size == 8).and_then(|()| self.descriptors(pair)),
            Type::BoolArray => {
                counted(items >= 1)?;
                sized(size == items)?;
                bools(pair)
            }
            Type::NumberArray | Type::DescriptorArray => {
                counted(items >= 1)?;
                sized(items.checked_mul(8) == Some(size))?;
                if kind == Type::DescriptorArray { self.descriptors(pair) } else { Ok(()) }
            }
            Type::StringArray => {
                counted(items >= 1)?;
                sized(size >= items)?;
                strings(pair, items)?;
                self.count(usize::try_from(items).unwrap_or(usize::MAX), pair.at)
            }
            Type::NvlistArray => {
                let left = wire::rest(self.message, pair.data_at).len() as u64;
                let needed = items.checked_mul(wire::LIST_HEADER as u64);
                counted(items >= 1 && needed.is_some_and(|needed| needed <= left))
            }
        }
    }

    fn descriptors(&mut self, pair: &RawPair<'a>) -> Result<(), Error> {
        let received = self.options.descriptors;
        let (chunks, _) = pair.data.as_chunks::<8>();
        for (i, bytes) in chunks.iter().enumerate() {
            let (index, at) = (self.order.u64(*bytes), pair.data_at + 8 * i);
            if index >= received || i64::try_from(index).is_err() {
                return Err(ErrorKind::DescriptorIndex { found: index, received }.at(at));
            }
            if !self.taken.insert(index) {
                return Err(ErrorKind::DescriptorTwice { index }.at(at));
            }
        }
        Ok(())
    }
}

fn bools(pair: &RawPair<'_>) -> Result<(), Error> {
    match pair.data.iter().enumerate().find(|(_, byte)| **byte > 1) {
        Some((i, found)) => Err(ErrorKind::Bool { found: *found }.at(pair.data_at + i)),
        None => Ok(()),
    }
}

/// The data is exactly `count` strings, each with its NUL.
fn strings(pair: &RawPair<'_>, count: u64) -> Result<(), Error> {
    let terminated = pair.data.last() == Some(&0);
    let found = pair.data.iter().filter(|byte| **byte == 0).count() as u64;
    if terminated && found == count { Ok(()) } else { Err(ErrorKind::StringNul.at(pair.data_at)) }
}
