//! What the nvlist of an EXTENT part says (§6.2, §13.2). Frame and nvlist are enough to know which
//! leaf each stored page must have.

use serde::{Deserialize, Serialize};

use crate::digest::{self, Digest};
use crate::error::{Fault, Section, quoted};
use crate::layout::frame::Frame;
use crate::limits;
use crate::memory::bitmap::Bitmap;
use crate::memory::map::MemoryMap;
use crate::memory::tree::{Rest, leaves_root, zero_leaf};
use crate::part::codec;
use crate::part::map::MapEntry;
use crate::part::pairs;

/// Which pages of its block an extent holds, and what they must hash to: covered by the digest of
/// the part's nvlist, so that it takes no page to know it. That leaves and root belong together was
/// checked; that the pages are like that was not.
///
/// Made only from an nvlist whose digest has matched:
///
/// ```compile_fail,E0624
/// use snapfmt::part::extent::Head;
/// let claim = Head::parse;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub(super) gpa: u64,
    pub(super) size: u64,
    pub(super) data: Bitmap,
    /// Exactly in a delta.
    pub(super) zero: Option<Bitmap>,
    pub(super) xor: Option<Bitmap>,
    pub(super) compressed: bool,
    pub(super) root: Digest,
    pub(super) leaves: Vec<Digest>,
}

/// What an extent says of a page of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// It is stored; its leaf.
    Data(Digest),
    /// It is zero.
    Zero,
    /// In a delta: it is that of the parent, or no RAM.
    Not,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pairs<'a> {
    pub(super) gpa: u64,
    pub(super) size: u64,
    #[serde(borrow)]
    pub(super) data: Bytes<'a>,
    pub(super) encoding: &'a str,
    pub(super) root: Option<Digest>,
    pub(super) leaves: Option<Bytes<'a>>,
    pub(super) zero: Option<Bytes<'a>>,
    pub(super) xor: Option<Bytes<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Bytes<'a>(
    #[serde(with = "crate::nvlist::serde::binary", borrow)] pub(super) &'a [u8],
);

impl Head {
    /// Reads a list whose digest, as its frame has it, has matched, and checks that its leaves make
    /// its root (§6.2.8). `rest` says what kind of file it is in.
    pub(crate) fn parse(
        list: &[u8],
        frame: &Frame,
        map: &MemoryMap,
        rest: Rest,
    ) -> Result<Self, Fault> {
        let head = Self::loose(list, frame, map, rest)?;
        if head.lacks_leaves() {
            return Err(lacking(head.data.count()));
        }
        head.leaves_make_root(map, rest)?;
        Ok(head)
    }

    /// The same of a part out of a stream, which may lack `leaves` where nothing is a difference
    /// (§2.5, §6.2.10): then they are those of its pages, and the root is not checked yet.
    pub(crate) fn parse_streamed(
        list: &[u8],
        frame: &Frame,
        map: &MemoryMap,
        rest: Rest,
    ) -> Result<Self, Fault> {
        let head = Self::loose(list, frame, map, rest)?;
        if !head.lacks_leaves() {
            head.leaves_make_root(map, rest)?;
        } else if head.xor.is_some() {
            return Err(lacking(head.data.count()));
        }
        Ok(head)
    }

    pub(super) fn lacks_leaves(&self) -> bool {
        self.leaves.is_empty() && self.data.count() > 0
    }

    fn loose(list: &[u8], frame: &Frame, map: &MemoryMap, rest: Rest) -> Result<Self, Fault> {
        let Pairs { gpa, size, data, encoding, root, leaves, zero, xor } = pairs::read(list)?;
        check_block(gpa, size)?;
        let bitmap = |bytes: Bytes<'_>| Bitmap::from_bytes(bytes.0);
        let compressed = compressed(encoding)?;
        if root.is_some() != compressed {
            let found = format!("{} with encoding {encoding}", root.map_or("absent", |_| "there"));
            let must = "it is there exactly where the payload is compressed";
            return Err(Fault::Value { what: "`root`", found, must, rule: "§6.2.5" });
        }
        if frame.tree == compressed || compressed && frame.alignment != 1 {
            return Err(Fault::Value {
                what: "the frame's flag or alignment",
                found: format!("{} and {}", u8::from(frame.tree), frame.alignment),
                must: "flag 1 and any alignment if raw, 0 and 1 if compressed",
                rule: "§6.2.6",
            });
        }
        let head = Self {
            gpa,
            size,
            data: bitmap(data),
            zero: zero.map(bitmap),
            xor: xor.map(bitmap),
            compressed,
            root: root.unwrap_or(frame.payload_digest),
            leaves: Vec::new(),
        };
        head.bitmaps(map, rest)?;
        let leaves = leaves.map(|bytes| digests(bytes.0, head.data.count())).transpose()?;
        Ok(Self { leaves: leaves.unwrap_or_default(), ..head })
    }

    pub(super) fn bitmaps(&self, map: &MemoryMap, rest: Rest) -> Result<(), Fault> {
        let data = self.bitmap("the bitmap of data pages", "§6.2.3", &self.data, map)?;
        let only = |what, found: &str, must| {
            Err(Fault::Value { what, found: found.to_owned(), must, rule: "§13.2" })
        };
        match (&self.zero, &self.xor, rest) {
            (None, None, Rest::Zero) if data == 0 => Err(Fault::Value {
                what: "the bitmap of data pages",
                found: "empty".to_owned(),
                must: "an extent has at least one data page",
                rule: "§6.2.3",
            }),
            (None, None, Rest::Zero) => Ok(()),
            (Some(_), _, Rest::Zero) => only("`zero`", "there", "it is there in a delta only"),
            (None, Some(_), Rest::Zero) => only("`xor`", "there", "it is there in a delta only"),
            (None, _, Rest::Inherited) => {
                only("`zero`", "absent", "every extent of a delta has it")
            }
            (Some(zero), xor, Rest::Inherited) => self.delta(zero, xor.as_ref(), map),
        }
    }

    /// Checks what the bitmaps of a delta say together (§13.2).
    fn delta(&self, zero: &Bitmap, xor: Option<&Bitmap>, map: &MemoryMap) -> Result<(), Fault> {
        let count = self.bitmap("the bitmap of zero pages", "§13.2.1", zero, map)?;
        let value = |what, found: String, must, rule| Err(Fault::Value { what, found, must, rule });
        if let Some(page) = zero.pages().find(|&page| self.data.get(page)) {
            let (what, found) = ("the bitmap of zero pages", format!("set for data page {page}"));
            return value(what, found, "no page is both data and zero", "§13.2.1");
        }
        let data = self.data.count();
        if data + count == 0 {
            let (what, must) = ("the bitmap of data pages", "at least one page is data or zero");
            return value(what, "empty, as that of zero pages".to_owned(), must, "§13.2.1");
        }
        if data == 0 && self.compressed {
            let (what, must) = ("the extent's encoding", "without data pages it is raw");
            return value(what, codec::ZSTD.to_owned(), must, "§13.2.1");
        }
        let Some(xor) = xor else { return Ok(()) };
        let what = "the bitmap of differences";
        let count = self.bitmap(what, "§13.2.2", xor, map)?;
        if xor.pages().any(|page| !self.data.get(page)) || count == 0 {
            let found = if count == 0 { "empty" } else { "set for a page that is no data" };
            let must = "it is a subset of the data pages, of at least one";
            return value(what, found.to_owned(), must, "§13.2.2");
        }
        if !self.compressed {
            let (found, must) = (codec::RAW.to_owned(), "with differences it is zstd");
            return value("the extent's encoding", found, must, "§13.2.2");
        }
        Ok(())
    }

    /// Checks one bitmap for itself, and counts its bits.
    fn bitmap(
        &self,
        what: &'static str,
        rule: &'static str,
        bits: &Bitmap,
        map: &MemoryMap,
    ) -> Result<usize, Fault> {
        let value = |found: String, must| Err(Fault::Value { what, found, must, rule });
        let count = bits.as_bytes().len() as u64 * 8;
        if count != self.size / limits::PAGE as u64 {
            return value(format!("{count} bits"), "it has one bit per page of the block");
        }
        for page in bits.pages() {
            let gpa = self.address(page);
            if !map.contains(gpa) {
                return value(format!("set for GPA {gpa:#x}"), "its pages lie in a segment");
            }
        }
        Ok(bits.count())
    }

    /// Leaves and root are said twice, so they must agree; no page is needed for that (§6.2.8).
    pub(super) fn leaves_make_root(&self, map: &MemoryMap, rest: Rest) -> Result<(), Fault> {
        if self.made_root(map, rest) != self.root {
            return Err(Fault::Digest { what: "memory block", rule: "§6.2.8" });
        }
        Ok(())
    }

    /// The subtree root that the leaves make, in the tree of the file alone.
    pub(super) fn made_root(&self, map: &MemoryMap, rest: Rest) -> Digest {
        let named = self.named().enumerate().filter_map(|(page, named)| match named {
            Named::Data(leaf) => Some((page, leaf)),
            Named::Zero if rest == Rest::Inherited => Some((page, zero_leaf())),
            Named::Zero | Named::Not => None,
        });
        leaves_root(map, rest, self.gpa, self.size, named)
    }

    pub(super) fn address(&self, page: usize) -> u64 {
        self.gpa.saturating_add((page * limits::PAGE) as u64)
    }

    /// How a MAP part lists the extent, whose part has this offset, length and frame digest.
    pub(crate) fn entry(&self, place: (u64, u64, Digest)) -> MapEntry {
        let pages = (self.data.count(), self.zero.as_ref().map_or(0, Bitmap::count));
        MapEntry::of((self.gpa, self.size), pages, self.root, place)
    }

    /// Pages of the block.
    pub(super) fn pages(&self) -> usize {
        self.data.as_bytes().len() * 8
    }

    /// The first guest-physical address of the block.
    #[must_use]
    pub fn gpa(&self) -> u64 {
        self.gpa
    }

    /// Bytes of guest-physical space.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Which pages are data.
    #[must_use]
    pub fn data(&self) -> &Bitmap {
        &self.data
    }

    /// In a delta: which pages are zero.
    #[must_use]
    pub fn zero(&self) -> Option<&Bitmap> {
        self.zero.as_ref()
    }

    /// Which data pages are stored as their difference from the parent's, if any are.
    #[must_use]
    pub fn xor(&self) -> Option<&Bitmap> {
        self.xor.as_ref()
    }

    /// The subtree root that the block must have, in the tree of the file alone (§13.3).
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }

    /// The leaf that each data page must have, ascending (§6.2.10).
    #[must_use]
    pub fn leaves(&self) -> &[Digest] {
        &self.leaves
    }

    /// Whether its pages are compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// What each page of the block is, ascending.
    pub fn named(&self) -> impl Iterator<Item = Named> + '_ {
        let mut leaves = self.leaves.iter();
        (0..self.pages()).map(move |page| {
            let leaf = if self.data.get(page) { leaves.next() } else { None };
            match leaf {
                Some(leaf) => Named::Data(*leaf),
                None if self.zero.as_ref().is_none_or(|zero| zero.get(page)) => Named::Zero,
                None => Named::Not,
            }
        })
    }
}

/// Checks the address and the size of a block (§6.2.1, §6.2.2).
pub(crate) fn check_block(gpa: u64, size: u64) -> Result<(), Fault> {
    if !size.is_power_of_two() || !(limits::EXTENT_MIN..=limits::EXTENT_MAX).contains(&size) {
        let found = size.to_string();
        let must = "it is a power of two from 64 KiB to 4 MiB";
        return Err(Fault::Value { what: "the size of the block", found, must, rule: "§6.2.2" });
    }
    if !gpa.is_multiple_of(size) || gpa >= limits::GPA_SPACE {
        let found = format!("{gpa:#x}");
        let must = "it is a multiple of the block's size, below 2^52";
        return Err(Fault::Value { what: "the block's address", found, must, rule: "§6.2.1" });
    }
    Ok(())
}

fn compressed(encoding: &str) -> Result<bool, Fault> {
    match encoding {
        codec::RAW => Ok(false),
        codec::ZSTD => Ok(true),
        other => Err(Fault::Value {
            what: "the extent's encoding",
            found: quoted(other),
            must: "it is raw or zstd",
            rule: "§6.2.4",
        }),
    }
}

fn digests(bytes: &[u8], pages: usize) -> Result<Vec<Digest>, Fault> {
    let (whole, rest) = bytes.as_chunks::<{ digest::LEN }>();
    if whole.len() != pages || !rest.is_empty() || pages == 0 {
        return Err(Fault::Value {
            what: "`leaves`",
            found: format!("{} bytes for {pages} data pages", bytes.len()),
            must: "it has 32 bytes for each data page, and is absent where there is none",
            rule: "§6.2.10",
        });
    }
    Ok(whole.iter().copied().map(Digest::from_bytes).collect())
}

fn lacking(pages: usize) -> Fault {
    Fault::Value {
        what: "`leaves`",
        found: format!("absent with {pages} data pages"),
        must: "a file has the leaf of each data page, and a stream where there are differences",
        rule: "§6.2.10",
    }
}

/// The section that an intact nvlist names, for errors; whatever is wrong with its other pairs.
pub(crate) fn label(list: &[u8]) -> Option<Section> {
    #[derive(Deserialize)]
    struct Label {
        gpa: u64,
    }
    pairs::read(list).ok().map(|Label { gpa }| Section::Extent { gpa })
}

/// Whether the list has the pair that every extent of a delta has, and no other extent: for
/// surveys of files whose header block is lost.
pub(crate) fn looks_like_a_delta(list: &[u8]) -> bool {
    pairs::view(list).is_ok_and(|view| view.has("zero"))
}
