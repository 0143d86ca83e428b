//! EXTENT parts: one aligned block of memory each (§6.2).

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Fault, Section, quoted};
use crate::layout::kind::Kind;
use crate::limits;
use crate::memory::bitmap::Bitmap;
use crate::memory::block::Block;
use crate::memory::map::MemoryMap;
use crate::part::codec::{self, Compression};
use crate::part::pairs;
use crate::part::{Encoded, Intact};

/// A block of memory whose pages were checked against its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// The pages.
    pub block: Block,
    /// Their subtree root (§6.4.1).
    pub root: Digest,
    /// Bytes that they take in the file.
    pub stored: u64,
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

impl Extent {
    /// The part for `block`, and its subtree root.
    ///
    /// # Errors
    /// A breach of §6.2.
    pub fn encode<'a>(
        block: &'a Block,
        map: &MemoryMap,
        compression: Compression,
    ) -> Result<(Encoded<'a>, Digest), Fault> {
        check_block(block.gpa, block.size)?;
        check_bitmap(map, block.gpa, block.size, &block.data)?;
        if block.pages.len() != block.data.count() * limits::PAGE {
            return Err(payload_size(block.pages.len(), block.data.count(), codec::RAW));
        }
        let root = block.root(map);
        let stored = codec::compress(&block.pages, compression)?;
        let encoding = if stored.is_some() { codec::ZSTD } else { codec::RAW };
        let pairs = Pairs {
            gpa: block.gpa,
            size: block.size,
            data: block.data.as_bytes(),
            encoding,
            root: stored.is_some().then_some(root),
        };
        let part = match stored {
            Some(stored) => Encoded::new(Kind::Extent, &pairs, stored)?,
            None => {
                let part = Encoded::new(Kind::Extent, &pairs, block.pages.as_slice())?;
                Encoded { aligned: true, tree: Some(root), ..part }
            }
        };
        Ok((part, root))
    }

    /// Reads the part, decodes its pages and checks their subtree root.
    ///
    /// # Errors
    /// A breach of §6.2.
    pub fn open(part: &Intact, map: &MemoryMap) -> Result<Self, Error> {
        let head = Head::parse(part.nvlist(), map).map_err(|fault| part.wrong(fault))?;
        let pages = head.decode(part).map_err(|fault| part.wrong_payload(fault))?;
        let block = Block { gpa: head.gpa, size: head.size, data: head.data, pages };
        let root = head.root.unwrap_or(part.frame().payload_digest);
        if block.root(map) != root {
            let fault = Fault::Digest { what: "memory block", rule: "§6.2.8" };
            return Err(part.wrong_payload(fault));
        }
        Ok(Self { block, root, stored: part.payload().len() as u64 })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairs<'a> {
    gpa: u64,
    size: u64,
    #[serde(with = "crate::nvlist::serde::binary", borrow)]
    data: &'a [u8],
    encoding: &'a str,
    root: Option<Digest>,
}

struct Head {
    gpa: u64,
    size: u64,
    data: Bitmap,
    /// Where the payload is compressed.
    root: Option<Digest>,
}

impl Head {
    fn parse(list: &[u8], map: &MemoryMap) -> Result<Self, Fault> {
        let Pairs { gpa, size, data, encoding, root } = pairs::read(list)?;
        check_block(gpa, size)?;
        let data = Bitmap::from_bytes(data);
        check_bitmap(map, gpa, size, &data)?;
        if ![codec::RAW, codec::ZSTD].contains(&encoding) {
            let found = quoted(encoding);
            let must = "it is raw or zstd";
            return Err(Fault::Value {
                what: "the extent's encoding",
                found,
                must,
                rule: "§6.2.4",
            });
        }
        if root.is_some() != (encoding == codec::ZSTD) {
            let found = format!("{} with encoding {encoding}", root.map_or("absent", |_| "there"));
            let must = "it is there exactly where the payload is compressed";
            return Err(Fault::Value { what: "`root`", found, must, rule: "§6.2.5" });
        }
        Ok(Self { gpa, size, data, root })
    }

    fn decode(&self, part: &Intact) -> Result<Vec<u8>, Fault> {
        let (stored, count) = (part.payload(), self.data.count());
        let (size, compressed) = (count * limits::PAGE, self.root.is_some());
        let frame = part.frame();
        if frame.tree == compressed || (frame.alignment == 1) != compressed {
            return Err(Fault::Value {
                what: "the frame's flag or alignment",
                found: format!("{} and {}", u8::from(frame.tree), frame.alignment),
                must: "flag 1 and alignment 4096 if raw, 0 and 1 if compressed",
                rule: "§6.2.6",
            });
        }
        if compressed {
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
}

fn payload_size(found: usize, pages: usize, encoding: &str) -> Fault {
    Fault::Value {
        what: "the size of the payload",
        found: format!("{found} bytes for {pages} pages, {encoding}"),
        must: "it is that of the pages if raw, and less if compressed",
        rule: "§6.2.6",
    }
}

fn check_bitmap(map: &MemoryMap, gpa: u64, size: u64, data: &Bitmap) -> Result<(), Fault> {
    let bits = data.as_bytes().len() as u64 * 8;
    let value = |found: String, must| {
        Err(Fault::Value { what: "the bitmap of data pages", found, must, rule: "§6.2.3" })
    };
    if bits != size / limits::PAGE as u64 {
        return value(format!("{bits} bits"), "it has one bit per page of the block");
    }
    if data.count() == 0 {
        return value("empty".to_owned(), "an extent has at least one data page");
    }
    for page in data.pages() {
        let gpa = gpa.saturating_add((page * limits::PAGE) as u64);
        if !map.contains(gpa) {
            return value(format!("set for GPA {gpa:#x}"), "data pages lie in a segment");
        }
    }
    Ok(())
}

/// The section that an intact nvlist names, for errors; whatever is wrong with its other pairs.
pub(crate) fn label(list: &[u8]) -> Option<Section> {
    #[derive(Deserialize)]
    struct Label {
        gpa: u64,
    }
    pairs::read(list).ok().map(|Label { gpa }| Section::Extent { gpa })
}
