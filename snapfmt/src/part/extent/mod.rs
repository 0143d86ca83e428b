//! EXTENT parts: one aligned block of memory each (§6.2).
//!
//! [`Head`] is what the nvlist says, [`Extent`] a block of a full file, [`DeltaExtent`] one of a
//! delta, which is pages of a state only once the parent's are at hand.

mod delta;
mod head;

pub use delta::{DeltaExtent, SettleError, Settled};
pub use head::{Head, Named};
pub(crate) use head::{check_block, label, looks_like_a_delta};

use head::{Bytes, Pairs};

use crate::digest::Digest;
use crate::error::{Error, Fault};
use crate::layout::kind::Kind;
use crate::limits;
use crate::memory::bitmap::Bitmap;
use crate::memory::block::Block;
use crate::memory::change::Change;
use crate::memory::map::MemoryMap;
use crate::memory::tree::{Rest, leaf};
use crate::part::codec::{self, Compression};
use crate::part::map::MapEntry;
use crate::part::{Encoded, Intact};

/// How a writer stores blocks. None of it changes an identity of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// How payloads are stored.
    pub compression: Compression,
    /// Whether extents say the leaf of each page (§6.2.10).
    pub leaves: bool,
    /// Whether raw pages are aligned, so that a file can be mapped (§6.2.6).
    pub aligned: bool,
}

impl From<Compression> for Form {
    /// That of a file, without leaves.
    fn from(compression: Compression) -> Self {
        Self { compression, leaves: false, aligned: true }
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
    /// Whether the part says the leaves, too.
    pub has_leaves: bool,
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
        form: impl Into<Form>,
    ) -> Result<(Encoded<'a>, Digest), Fault> {
        let form = form.into();
        let (gpa, size, data) = (block.gpa, block.size, block.data.clone());
        let leaves: Vec<_> = block.pages.chunks_exact(limits::PAGE).map(leaf).collect();
        let head = unsealed(gpa, size, data, None, map)?;
        if block.pages.len() != head.data.count() * limits::PAGE {
            return Err(payload_size(block.pages.len(), head.data.count(), codec::RAW));
        }
        let root = head.root_of(map, Rest::Zero, &leaves);
        let stored = codec::compress(&block.pages, form.compression)?;
        let head = Head { compressed: stored.is_some(), root, ..head };
        Ok((seal(&head, &leaves, stored, &block.pages, form)?, root))
    }

    /// The part for `change`, in a delta, and its subtree root in the tree of the delta alone.
    ///
    /// # Errors
    /// A breach of §6.2 or §13.2.
    pub fn encode_change<'a>(
        change: &'a Change,
        map: &MemoryMap,
        form: impl Into<Form>,
    ) -> Result<(Encoded<'a>, Digest), Fault> {
        let form = form.into();
        let Change { gpa, size, data, zero, leaves, .. } = change;
        let head = unsealed(*gpa, *size, data.clone(), Some(zero.clone()), map)?;
        let root = head.root_of(map, Rest::Inherited, leaves);
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
        Ok((seal(&head, leaves, stored, &change.pages, form)?, root))
    }

    /// Reads the part of a full file, decodes its pages and checks their subtree root.
    ///
    /// # Errors
    /// A breach of §6.2.
    pub fn open(part: &Intact, map: &MemoryMap) -> Result<Self, Error> {
        let head = part.extent_head(map, Rest::Zero)?;
        let pages = decode(&head, part).map_err(|fault| part.wrong_payload(fault))?;
        let leaves: Vec<_> = pages.chunks_exact(limits::PAGE).map(leaf).collect();
        check_leaves(&head, map, Rest::Zero, &leaves).map_err(|fault| part.wrong_payload(fault))?;
        let has_leaves = head.leaves.is_some();
        let block = Block { gpa: head.gpa, size: head.size, data: head.data, pages };
        Ok(Self { block, root: head.root, leaves, has_leaves, stored: part.payload().len() as u64 })
    }
}

impl Extent {
    /// How the MAP part lists the part that this is.
    pub(crate) fn entry(&self, part: &Intact) -> MapEntry {
        let (block, place) = (&self.block, (part.offset(), part.length(), part.digest()));
        MapEntry::of((block.gpa, block.size), (block.data.count(), 0), self.root, place)
    }
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
    let (xor, leaves, compressed, root) = (None, None, false, Digest::of(&[]));
    let head = Head { gpa, size, data, zero, xor, compressed, root, leaves };
    head.bitmaps(map, rest)?;
    Ok(head)
}

fn seal<'a>(
    head: &Head,
    leaves: &[Digest],
    stored: Option<Vec<u8>>,
    pages: &'a [u8],
    form: Form,
) -> Result<Encoded<'a>, Fault> {
    let leaves: Vec<u8> = leaves.iter().flat_map(Digest::as_bytes).copied().collect();
    let pairs = Pairs {
        gpa: head.gpa,
        size: head.size,
        data: Bytes(head.data.as_bytes()),
        encoding: if stored.is_some() { codec::ZSTD } else { codec::RAW },
        root: stored.is_some().then_some(head.root),
        leaves: (form.leaves && !leaves.is_empty()).then_some(Bytes(&leaves)),
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
fn decode(head: &Head, part: &Intact) -> Result<Vec<u8>, Fault> {
    let (stored, count) = (part.payload(), head.data.count());
    let size = count * limits::PAGE;
    if head.compressed {
        if stored.len() >= size {
            return Err(payload_size(stored.len(), count, codec::ZSTD));
        }
        return codec::decompress(stored, size);
    }
    if stored.len() != size {
        return Err(payload_size(stored.len(), count, codec::RAW));
    }
    Ok(stored.to_vec())
}

/// Compares the leaves of all data pages with what the head says of them (§6.2.8).
fn check_leaves(head: &Head, map: &MemoryMap, rest: Rest, leaves: &[Digest]) -> Result<(), Fault> {
    let listed = head.leaves.as_ref().is_none_or(|listed| listed == leaves);
    if listed && head.root_of(map, rest, leaves) == head.root {
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
