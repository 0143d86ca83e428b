//! The parts of a plan, before they are laid out.

use std::collections::BTreeMap;

use super::plan::Optional;
use super::tree::{Sum, leaf, sum};
use super::{Extent, Fields, List, Plan, Record, Value};

/// What later pieces need to know of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Nothing: INDEX lists type, offset, length and digest.
    Plain,
    /// A record: section, name, size and digest.
    Record(String, String, u64, Sum),
    /// An extent.
    Extent {
        /// Its address.
        gpa: u64,
        /// The size of its block.
        size: u64,
        /// The number of data pages.
        data: u64,
        /// The number of pages that became zero.
        zero: u64,
        /// The subtree root.
        root: Sum,
    },
    /// To be filled with the table of the extents before.
    Map,
    /// To be filled with the index.
    Index,
}

/// A part, before its digests.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The type.
    pub kind: u32,
    /// The frame's flags.
    pub flags: u32,
    /// The alignment of the payload.
    pub align: u32,
    /// The pairs.
    pub list: List,
    /// What is packed in place of `list`.
    pub packed: Option<Vec<u8>>,
    /// The payload as stored.
    pub payload: Vec<u8>,
    /// The digest that the frame states in place of that of the nvlist.
    pub nvlist_digest: Option<Sum>,
    /// The digest that the frame states in place of that of the payload.
    pub payload_digest: Option<Sum>,
    /// Bytes written over the frame before its digest, by offset.
    pub over: Vec<(usize, Vec<u8>)>,
    /// For MAP and INDEX.
    pub fact: Fact,
}

/// The magic of a zstd frame and the like aside, all payloads go through here.
fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let stored = zstd::bulk::compress(bytes, 3).unwrap();
    (stored.len() < bytes.len()).then_some(stored)
}

impl Piece {
    /// A part of this type, as plain as it can be.
    #[must_use]
    pub fn new(kind: u32, list: List, payload: Vec<u8>) -> Self {
        Self {
            kind,
            flags: 0,
            align: 1,
            list,
            packed: None,
            payload,
            nvlist_digest: None,
            payload_digest: None,
            over: Vec::new(),
            fact: Fact::Plain,
        }
    }

    fn optional((kind, list, payload, align): &Optional) -> Self {
        Self { align: *align, ..Self::new(*kind, list.clone(), payload.clone()) }
    }

    fn record(record: &Record, zstd: bool) -> Self {
        let Record { section, name, bytes, fields } = record;
        let digest = sum(&[bytes]);
        let bulk = fields.as_ref().map_or_else(|| bytes.clone(), Fields::bulk);
        let stored = if zstd { compressed(&bulk) } else { None };
        let list = List::new()
            .text("section", section)
            .text("name", name)
            .number("size", bytes.len() as u64)
            .bytes("sha256", &digest)
            .text("encoding", if stored.is_some() { "zstd" } else { "raw" });
        let list = match fields {
            Some(fields) => fields.pairs(list),
            None => list,
        };
        let fact = Fact::Record(section.clone(), name.clone(), bytes.len() as u64, digest);
        Self { fact, ..Self::new(16, list, stored.unwrap_or(bulk)) }
    }

    fn extent(extent: &Extent, plan: &Plan, root: Sum, below: &BTreeMap<u64, Vec<u8>>) -> Self {
        let Extent { gpa, size, pages, zero, xor } = extent;
        let bitmap = |pages: &mut dyn Iterator<Item = &u64>| {
            let mut bitmap = vec![0; (size / 4096 / 8) as usize];
            for number in pages.filter(|&&number| number < size / 4096) {
                bitmap[(number / 8) as usize] |= 1 << (number % 8);
            }
            Value::Bytes(bitmap)
        };
        let mut bytes = Vec::new();
        for (number, page) in pages {
            let parent = below.get(&(gpa + number * 4096)).filter(|_| xor.contains(number));
            match parent {
                Some(parent) => bytes.extend(page.iter().zip(parent).map(|(now, was)| now ^ was)),
                None => bytes.extend(page),
            }
        }
        let stored = if plan.zstd { compressed(&bytes) } else { None };
        let mut list = List::new().number("gpa", *gpa).number("size", *size);
        list = list.with("data", bitmap(&mut pages.keys()));
        list = list.text("encoding", if stored.is_some() { "zstd" } else { "raw" });
        if stored.is_some() {
            list = list.bytes("root", &root);
        }
        if !pages.is_empty() {
            let leaves: Vec<u8> = pages.values().flat_map(|page| leaf(page)).collect();
            list = list.bytes("leaves", &leaves);
        }
        if plan.parent.is_some() {
            list = list.with("zero", bitmap(&mut zero.iter()));
        }
        if !xor.is_empty() {
            list = list.with("xor", bitmap(&mut xor.iter()));
        }
        let (data, gone) = (pages.len() as u64, zero.len() as u64);
        let fact = Fact::Extent { gpa: *gpa, size: *size, data, zero: gone, root };
        match stored {
            Some(stored) => Self { fact, ..Self::new(32, list, stored) },
            None => Self {
                flags: 1,
                align: if bytes.is_empty() { 1 } else { plan.align },
                payload_digest: Some(root),
                fact,
                ..Self::new(32, list, bytes)
            },
        }
    }

    /// The part as stored at `at`, and its frame digest.
    pub(super) fn frame(&self, at: u64) -> (Vec<u8>, Sum) {
        let list = self.packed.clone().unwrap_or_else(|| self.list.pack());
        let mut out = b"BHYVPART".to_vec();
        out.extend(self.kind.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        out.extend((list.len() as u32).to_le_bytes());
        out.extend(self.align.to_le_bytes());
        out.extend((self.payload.len() as u64).to_le_bytes());
        out.extend(self.nvlist_digest.unwrap_or_else(|| sum(&[&list])));
        out.extend(self.payload_digest.unwrap_or_else(|| sum(&[&self.payload])));
        for (offset, bytes) in &self.over {
            out[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        let digest = sum(&[&out]);
        out.extend(digest);
        out.extend(list);
        let align = if self.payload.is_empty() { 1 } else { u64::from(self.align.max(1)) };
        while !(at + out.len() as u64).is_multiple_of(align) {
            out.push(0);
        }
        out.extend(&self.payload);
        while !(at + out.len() as u64).is_multiple_of(64) {
            out.push(0);
        }
        (out, digest)
    }
}

impl Plan {
    /// All parts, MAP and INDEX still empty.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let (gpa, len) = self.segments.iter().copied().unzip();
        let vm = List::new()
            .text("arch", &self.arch)
            .text("name", &self.name)
            .number("ncpus", self.ncpus)
            .number("memsize", self.memsize())
            .number("memflags", self.memflags)
            .with("gpa", Value::Numbers(gpa))
            .with("len", Value::Numbers(len));
        let meta = List::new().text("generation", &self.generation.to_string());
        let mut pieces = vec![Piece::new(1, vm, Vec::new())];
        if self.described {
            pieces.push(Piece::new(2, meta, self.meta_text()));
        }
        if let Some((kind, text)) = &self.config {
            pieces.push(Piece::new(0x8000_0003, List::new().text("kind", kind), text.clone()));
        }
        pieces.extend(self.optional.iter().map(Piece::optional));
        pieces.extend(self.records.iter().map(|record| Piece::record(record, self.zstd)));
        let (tree, below) = (self.tree(), self.parent.as_ref().map(|parent| parent.pages()));
        let below = below.unwrap_or_default();
        for extents in self.extents.chunks(self.per_map) {
            for extent in extents {
                let size = extent.size.max(4096).next_power_of_two();
                let root = tree.block(extent.gpa, size);
                pieces.push(Piece::extent(extent, self, root, &below));
            }
            pieces.push(Piece { fact: Fact::Map, ..Piece::new(33, List::new(), Vec::new()) });
        }
        pieces.extend(self.late.iter().map(Piece::optional));
        pieces.push(Piece { fact: Fact::Index, ..Piece::new(48, List::new(), Vec::new()) });
        pieces
    }
}
