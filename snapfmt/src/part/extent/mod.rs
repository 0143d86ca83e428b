//! EXTENT parts: one aligned block of memory each (§6.2).
//!
//! [`Head`] is what the nvlist says, [`Extent`] a block of a full file, [`DeltaExtent`] one of a
//! delta, which is pages of a state only once the parent's are at hand.

mod delta;
mod head;

pub use delta::{DeltaExtent, SettleError, Settled};
pub use head::{Head, Named};
pub(crate) use head::{check_block, label, looks_like_a_delta};

use std::borrow::Cow;

use head::{Bytes, Pairs};

use crate::digest::{self, Digest};
use crate::error::{Error, Fault};
use crate::layout::kind::Kind;
use crate::limits;
use crate::memory::bitmap::Bitmap;
use crate::memory::block::Block;
use crate::memory::change::Change;
use crate::memory::map::MemoryMap;
use crate::memory::tree::{Rest, leaves};
use crate::part::codec::{self, Compression};
use crate::part::map::MapEntry;
use crate::part::{Encoded, Intact};

/// How the writer of a file stores blocks. None of it changes an identity of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// How payloads are stored.
    pub compression: Compression,
    /// Whether raw pages are aligned, so that the file can be mapped (§6.2.6).
    pub aligned: bool,
}

impl From<Compression> for Form {
    fn from(compression: Compression) -> Self {
        Self { compression, aligned: true }
    }
}

/// How the sender of a stream stores blocks (§2.5): nothing is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamForm {
    /// How payloads are stored.
    pub compression: Compression,
    /// Whether extents without differences say the leaf of each page, too (§6.2.10).
    pub leaves: bool,
}

/// What an extent is in: a file ([`Form`]) or a stream ([`StreamForm`]).
#[derive(Debug, Clone, Copy)]
pub struct Container {
    compression: Compression,
    aligned: bool,
    leaves: bool,
}

impl From<Form> for Container {
    fn from(Form { compression, aligned }: Form) -> Self {
        Self { compression, aligned, leaves: true }
    }
}

impl From<Compression> for Container {
    fn from(compression: Compression) -> Self {
        Form::from(compression).into()
    }
}

impl From<StreamForm> for Container {
    fn from(StreamForm { compression, leaves }: StreamForm) -> Self {
        Self { compression, aligned: false, leaves }
    }
}

/// A block of memory of a full file, whose pages were checked against its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// The pages.
    pub block: Block,
    /// Their subtree root (§6.4.1).
    pub root: Digest,
    /// Their leaves, ascending.
    pub leaves: Vec<Digest>,
    /// Bytes that the pages take in the file.
    pub stored: u64,
}

impl Extent {
    /// The part for `block`, and its subtree root.
    ///
    /// # Errors
    /// A breach of §6.2.
    pub fn encode<'a>(
        block: &'a Block,
        map: &MemoryMap,
        container: impl Into<Container>,
    ) -> Result<(Encoded<'a>, Digest), Fault> {
        let pages = Cow::Borrowed(block.pages.as_slice());
        Self::part((block.gpa, block.size, block.data.clone()), pages, map, container.into())
    }

    /// The same of a block that is not needed any more: its pages are not copied.
    ///
    /// # Errors
    /// A breach of §6.2.
    pub fn encode_owned(
        block: Block,
        map: &MemoryMap,
        container: impl Into<Container>,
    ) -> Result<(Encoded<'static>, Digest), Fault> {
        let Block { gpa, size, data, pages } = block;
        Self::part((gpa, size, data), Cow::Owned(pages), map, container.into())
    }

    fn part<'a>(
        (gpa, size, data): (u64, u64, Bitmap),
        pages: Cow<'a, [u8]>,
        map: &MemoryMap,
        form: Container,
    ) -> Result<(Encoded<'a>, Digest), Fault> {
        let head = unsealed(gpa, size, data, None, map)?;
        let head = Head { leaves: leaves_of(&pages), ..head };
        if pages.len() != head.data.count() * limits::PAGE {
            return Err(payload_size(pages.len(), head.data.count(), codec::RAW));
        }
        let root = head.made_root(map, Rest::Zero);
        let stored = codec::compress(&pages, form.compression)?;
        let head = Head { compressed: stored.is_some(), root, ..head };
        Ok((seal(&head, stored, pages, form)?, root))
    }

    /// The part for `change`, in a delta, and its subtree root in the tree of the delta alone.
    ///
    /// # Errors
    /// A breach of §6.2 or §13.2.
    pub fn encode_change<'a>(
        change: &'a Change,
        map: &MemoryMap,
        container: impl Into<Container>,
    ) -> Result<(Encoded<'a>, Digest), Fault> {
        let form = container.into();
        let (head, stored) = changed(change, map, form)?;
        Ok((seal(&head, stored, change.pages.as_slice().into(), form)?, head.root))
    }

    /// The same of a change that is needed no more: raw pages are not copied.
    ///
    /// # Errors
    /// A breach of §6.2 or §13.2.
    pub fn encode_change_owned(
        change: Change,
        map: &MemoryMap,
        container: impl Into<Container>,
    ) -> Result<(Encoded<'static>, Digest), Fault> {
        let form = container.into();
        let (head, stored) = changed(&change, map, form)?;
        Ok((seal(&head, stored, change.pages.into(), form)?, head.root))
    }

    /// Reads the part of a full file, decodes its pages and checks each against its leaf.
    ///
    /// # Errors
    /// A breach of §6.2.
    pub fn open(part: &Intact, map: &MemoryMap) -> Result<Self, Error> {
        Self::of(part.extent_head(map, Rest::Zero)?, part, map)
    }

    /// The same of a part out of a stream of a full state, which may lack `leaves` (§2.5).
    ///
    /// # Errors
    /// A breach of §6.2.
    pub fn open_streamed(part: &Intact, map: &MemoryMap) -> Result<Self, Error> {
        Self::of(part.streamed_head(map, Rest::Zero)?, part, map)
    }

    /// Some pages of the part of a full file, by their numbers in the block, ascending. Those are
    /// checked against their leaves; no other page leaves here.
    pub(crate) fn some(
        part: &Intact,
        map: &MemoryMap,
        wanted: &[usize],
    ) -> Result<Vec<(usize, Vec<u8>)>, Error> {
        let head = part.extent_head(map, Rest::Zero)?;
        let wrong = |fault: Fault| part.wrong_payload(fault);
        let pages = decode(&head, Cow::Borrowed(part.payload())).map_err(wrong)?;
        let is_wanted = |index: usize| wanted.binary_search(&index).is_ok();
        check_pages(&head, &pages, is_wanted).map_err(wrong)?;
        let numbered = head.data.pages().zip(pages.chunks_exact(limits::PAGE));
        let numbered = numbered.filter(|(index, _)| is_wanted(*index));
        Ok(numbered.map(|(index, page)| (index, page.to_vec())).collect())
    }

    /// As [`open`](Self::open), with how a MAP part lists it. Pages that are stored as they are are
    /// not copied.
    pub(crate) fn open_owned(mut part: Intact, map: &MemoryMap) -> Result<(Self, MapEntry), Error> {
        let (head, payload) = (part.extent_head(map, Rest::Zero)?, part.take_payload());
        let extent = Self::with(head, &part, Cow::Owned(payload), map)?;
        let entry = extent.entry(&part);
        Ok((extent, entry))
    }

    fn of(head: Head, part: &Intact, map: &MemoryMap) -> Result<Self, Error> {
        Self::with(head, part, Cow::Borrowed(part.payload()), map)
    }

    fn with(
        mut head: Head,
        part: &Intact,
        payload: Cow<'_, [u8]>,
        map: &MemoryMap,
    ) -> Result<Self, Error> {
        let stored = payload.len() as u64;
        let pages = pages(&mut head, part, payload, (map, Rest::Zero))?;
        let Head { gpa, size, data, root, leaves, .. } = head;
        let block = Block { gpa, size, data, pages };
        Ok(Self { block, root, leaves, stored })
    }
}

impl Extent {
    /// How the MAP part lists the part that this is.
    pub(crate) fn entry(&self, part: &Intact) -> MapEntry {
        let (block, place) = (&self.block, (part.offset(), part.length(), part.digest()));
        MapEntry::of((block.gpa, block.size), (block.data.count(), 0), self.root, place)
    }
}

/// What is said of a change, and its payload if that is not its pages as they are.
fn changed(
    change: &Change,
    map: &MemoryMap,
    form: Container,
) -> Result<(Head, Option<Vec<u8>>), Fault> {
    let Change { gpa, size, data, zero, leaves, .. } = change;
    let head = unsealed(*gpa, *size, data.clone(), Some(zero.clone()), map)?;
    let head = Head { leaves: leaves.clone(), ..head };
    let root = head.made_root(map, Rest::Inherited);
    let mixed = match &change.xor {
        Some(xor) => codec::compress(&change.mixed, form.compression)?.map(|s| (s, xor)),
        None => None,
    };
    // Differences are only worth it compressed; what does not shrink with them may without.
    let (stored, xor) = match mixed {
        Some((stored, xor)) => (Some(stored), Some(xor.clone())),
        None if data.count() == 0 => (None, None),
        None => (codec::compress(&change.pages, form.compression)?, None),
    };
    let head = Head { compressed: stored.is_some(), root, xor, ..head };
    head.bitmaps(map, Rest::Inherited)?;
    Ok((head, stored))
}

/// A checked head that lacks root and encoding.
fn unsealed(
    gpa: u64,
    size: u64,
    data: Bitmap,
    zero: Option<Bitmap>,
    map: &MemoryMap,
) -> Result<Head, Fault> {
    check_block(gpa, size)?;
    let rest = if zero.is_some() { Rest::Inherited } else { Rest::Zero };
    let (xor, leaves, compressed, root) = (None, Vec::new(), false, Digest::of(&[]));
    let head = Head { gpa, size, data, zero, xor, compressed, root, leaves };
    head.bitmaps(map, rest)?;
    Ok(head)
}

fn seal<'a>(
    head: &Head,
    stored: Option<Vec<u8>>,
    pages: Cow<'a, [u8]>,
    form: Container,
) -> Result<Encoded<'a>, Fault> {
    let mut leaves = Vec::with_capacity(head.leaves.len().saturating_mul(digest::LEN));
    head.leaves.iter().for_each(|leaf| leaves.extend_from_slice(leaf.as_bytes()));
    let pairs = Pairs {
        gpa: head.gpa,
        size: head.size,
        data: Bytes(head.data.as_bytes()),
        encoding: if stored.is_some() { codec::ZSTD } else { codec::RAW },
        root: stored.is_some().then_some(head.root),
        leaves: (!leaves.is_empty() && (form.leaves || head.xor.is_some()))
            .then_some(Bytes(&leaves)),
        zero: head.zero.as_ref().map(|zero| Bytes(zero.as_bytes())),
        xor: head.xor.as_ref().map(|xor| Bytes(xor.as_bytes())),
    };
    match stored {
        Some(stored) => Encoded::new(Kind::Extent, &pairs, stored),
        None => {
            let part = Encoded::new(Kind::Extent, &pairs, pages)?;
            Ok(Encoded { aligned: form.aligned, tree: Some(head.root), ..part })
        }
    }
}

/// The payload as pages, which still may be differences.
fn decode(head: &Head, stored: Cow<'_, [u8]>) -> Result<Vec<u8>, Fault> {
    let count = head.data.count();
    let size = count * limits::PAGE;
    if head.compressed {
        if stored.len() >= size {
            return Err(payload_size(stored.len(), count, codec::ZSTD));
        }
        return codec::decompress(&stored, size);
    }
    if stored.len() != size {
        return Err(payload_size(stored.len(), count, codec::RAW));
    }
    Ok(stored.into_owned())
}

/// Decodes the payload, and compares each page that is no difference with its leaf (§6.2.8). A head
/// out of a stream that lacks leaves gets them, and its root is checked.
fn pages(
    head: &mut Head,
    part: &Intact,
    payload: Cow<'_, [u8]>,
    (map, rest): (&MemoryMap, Rest),
) -> Result<Vec<u8>, Error> {
    let wrong = |fault: Fault| part.wrong_payload(fault);
    let pages = decode(head, payload).map_err(wrong)?;
    if head.lacks_leaves() {
        head.leaves = leaves_of(&pages);
        head.leaves_make_root(map, rest).map_err(wrong)?;
        return Ok(pages);
    }
    let is_whole = |index: usize| head.xor.as_ref().is_none_or(|xor| !xor.get(index));
    check_pages(head, &pages, is_whole).map_err(wrong)?;
    Ok(pages)
}

fn leaves_of(pages: &[u8]) -> Vec<Digest> {
    leaves(pages.chunks_exact(limits::PAGE)).collect()
}

/// Compares the data pages with these numbers with their leaves (§6.2.8).
fn check_pages(head: &Head, pages: &[u8], wanted: impl Fn(usize) -> bool) -> Result<(), Fault> {
    let listed = head.data.pages().zip(&head.leaves);
    let listed = listed.filter(|(index, _)| wanted(*index)).map(|(_, leaf)| *leaf);
    let pages = head.data.pages().zip(pages.chunks_exact(limits::PAGE));
    let pages = pages.filter(|(index, _)| wanted(*index)).map(|(_, page)| page);
    if leaves(pages).eq(listed) {
        return Ok(());
    }
    Err(Fault::Digest { what: "memory block", rule: "§6.2.8" })
}

fn payload_size(found: usize, pages: usize, encoding: &str) -> Fault {
    Fault::Value {
        what: "the size of the payload",
        found: format!("{found} bytes for {pages} pages, {encoding}"),
        must: "it is that of the pages if raw, and less if compressed",
        rule: "§6.2.6",
    }
}

#[cfg(test)]
mod tests;
