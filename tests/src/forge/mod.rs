//! Builds snapshot files by hand, from `spec/snapshot.md`; never calls the library under test.
//!
//! A [`Plan`] says what the file holds. [`forge_with`] shows every piece to a hook before anything
//! is digested, so that a test can break exactly one rule while all digests match.

pub mod list;
pub mod plan;
pub mod table;
pub mod tree;

pub use list::{List, Value};
pub use plan::{Extent, Plan, Record};
pub use table::{Place, places, reseal};

use tree::{Sum, sum};

/// The header block, before its digest.
#[derive(Debug, Clone)]
pub struct Head {
    /// The first 64 bytes: magic, version, reserved.
    pub ident: [u8; 64],
    /// The pairs.
    pub list: List,
    /// What is packed in place of `list`.
    pub packed: Option<Vec<u8>>,
    /// The size that is stated in place of the real one.
    pub size: Option<u32>,
    /// Bytes written over the finished block, by offset.
    pub over: Vec<(usize, Vec<u8>)>,
}

/// What later pieces need to know of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Nothing: INDEX lists type, offset, length and digest.
    Plain,
    /// A record: section, name, size and digest.
    Record(String, String, u64, Sum),
    /// An extent: address, size, number of data pages, subtree root.
    Extent(u64, u64, u64, Sum),
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

/// The trailer, before its digest.
#[derive(Debug, Clone)]
pub struct Tail {
    /// The first 16 bytes.
    pub magic: [u8; 16],
    /// Offset of INDEX.
    pub index_at: u64,
    /// Length of INDEX.
    pub index_len: u64,
    /// Size of the file.
    pub size: u64,
    /// Reserved bytes.
    pub reserved: [u8; 24],
    /// Frame digest of INDEX.
    pub root: Sum,
}

/// What the hook of [`forge_with`] is shown, in this order.
#[derive(Debug)]
pub enum Step<'a> {
    /// The header block.
    Head(&'a mut Head),
    /// All pieces, MAP and INDEX still empty, before they are laid out.
    Pieces(&'a mut Vec<Piece>),
    /// One piece, filled, before it is framed.
    Piece(&'a mut Piece),
    /// The trailer.
    Tail(&'a mut Tail),
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

    fn record(record: &Record, zstd: bool) -> Self {
        let Record { section, name, bytes } = record;
        let digest = sum(&[bytes]);
        let stored = if zstd { compressed(bytes) } else { None };
        let list = List::new()
            .text("section", section)
            .text("name", name)
            .number("size", bytes.len() as u64)
            .bytes("sha256", &digest)
            .text("encoding", if stored.is_some() { "zstd" } else { "raw" });
        let fact = Fact::Record(section.clone(), name.clone(), bytes.len() as u64, digest);
        Self { fact, ..Self::new(16, list, stored.unwrap_or_else(|| bytes.clone())) }
    }

    fn extent(extent: &Extent, root: Sum, zstd: bool) -> Self {
        let Extent { gpa, size, pages } = extent;
        let mut bitmap = vec![0; (size / 4096 / 8) as usize];
        for number in pages.keys().filter(|&&number| number < size / 4096) {
            bitmap[(number / 8) as usize] |= 1 << (number % 8);
        }
        let bytes: Vec<u8> = pages.values().flatten().copied().collect();
        let list = List::new().number("gpa", *gpa).number("size", *size).bytes("data", &bitmap);
        let fact = Fact::Extent(*gpa, *size, pages.len() as u64, root);
        match if zstd { compressed(&bytes) } else { None } {
            Some(stored) => {
                let list = list.text("encoding", "zstd").bytes("root", &root);
                Self { fact, ..Self::new(32, list, stored) }
            }
            None => Self {
                flags: 1,
                align: 4096,
                payload_digest: Some(root),
                fact,
                ..Self::new(32, list.text("encoding", "raw"), bytes)
            },
        }
    }

    /// The part as stored at `at`, and its frame digest.
    fn frame(&self, at: u64) -> (Vec<u8>, Sum) {
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
    fn head(&self) -> Head {
        let mut ident = [0; 64];
        ident[..22].copy_from_slice(b"BHYVE CHECKPOINT IMAGE");
        let mut list = List::new()
            .text("producer", &self.producer)
            .text("uuid", &self.uuid)
            .text("vm_name", &self.name);
        if let Some(uuid) = &self.vm_uuid {
            list = list.text("vm_uuid", uuid);
        }
        let list = list.number("created", self.created);
        Head { ident, list, packed: None, size: None, over: Vec::new() }
    }

    fn pieces(&self) -> Vec<Piece> {
        let (gpa, len) = self.segments.iter().copied().unzip();
        let vm = List::new()
            .text("name", &self.name)
            .number("ncpus", self.ncpus)
            .number("memsize", self.memsize())
            .number("memflags", self.memflags)
            .with("gpa", Value::Numbers(gpa))
            .with("len", Value::Numbers(len));
        let meta = List::new().text("generation", &self.generation.to_string());
        let mut pieces = vec![Piece::new(1, vm, Vec::new()), Piece::new(2, meta, self.meta_text())];
        if let Some((kind, text)) = &self.config {
            pieces.push(Piece::new(0x8000_0003, List::new().text("kind", kind), text.clone()));
        }
        for (kind, list, payload, align) in &self.optional {
            let piece = Piece::new(*kind, list.clone(), payload.clone());
            pieces.push(Piece { align: *align, ..piece });
        }
        pieces.extend(self.records.iter().map(|record| Piece::record(record, self.zstd)));
        let memory = self.memory();
        for extents in self.extents.chunks(self.per_map) {
            for extent in extents {
                let size = extent.size.max(4096).next_power_of_two();
                let root = memory.block(extent.gpa, size);
                pieces.push(Piece::extent(extent, root, self.zstd));
            }
            pieces.push(Piece { fact: Fact::Map, ..Piece::new(33, List::new(), Vec::new()) });
        }
        pieces.push(Piece { fact: Fact::Index, ..Piece::new(48, List::new(), Vec::new()) });
        pieces
    }

    /// The file that the plan gives.
    #[must_use]
    pub fn forge(&self) -> Vec<u8> {
        forge_with(self, &mut |_| {})
    }
}

/// A piece that was laid out.
struct Laid {
    kind: u32,
    at: u64,
    len: u64,
    digest: Sum,
    stored: u64,
    fact: Fact,
}

/// The file that the plan gives, after `hook` has changed its pieces.
pub fn forge_with(plan: &Plan, hook: &mut dyn FnMut(Step<'_>)) -> Vec<u8> {
    let mut head = plan.head();
    hook(Step::Head(&mut head));
    let mut out = head.block();
    let header: Sum = out[4064..4096].try_into().unwrap();
    let mut pieces = plan.pieces();
    hook(Step::Pieces(&mut pieces));
    let (mut laid, mut listed, mut index_at) = (Vec::<Laid>::new(), 0, 0);
    for mut piece in pieces {
        match piece.fact {
            Fact::Map => {
                let all = laid.iter().filter(|laid| matches!(laid.fact, Fact::Extent(..)));
                let table: Vec<_> = all.skip(listed).collect();
                (piece.list, piece.payload) = map(listed as u64, &table);
                listed += table.len();
            }
            Fact::Index => (piece.list, piece.payload) = index(plan, header, &laid),
            _ => {}
        }
        hook(Step::Piece(&mut piece));
        let at = out.len() as u64;
        let (bytes, digest) = piece.frame(at);
        if piece.fact == Fact::Index {
            index_at = at;
        }
        let (kind, stored) = (piece.kind, piece.payload.len() as u64);
        laid.push(Laid { kind, at, len: bytes.len() as u64, digest, stored, fact: piece.fact });
        out.extend(bytes);
    }
    let last = laid.iter().find(|laid| laid.fact == Fact::Index);
    let mut tail = Tail {
        magic: *b"BHYVE CKPT END\0\0",
        index_at,
        index_len: last.map_or(0, |last| last.len),
        size: out.len() as u64 + 128,
        reserved: [0; 24],
        root: last.map_or([0; 32], |last| last.digest),
    };
    hook(Step::Tail(&mut tail));
    out.extend(tail.bytes());
    out
}

impl Head {
    fn block(&self) -> Vec<u8> {
        let list = self.packed.clone().unwrap_or_else(|| self.list.pack());
        let mut block = self.ident.to_vec();
        block.extend(self.size.unwrap_or(list.len() as u32).to_le_bytes());
        block.extend(list);
        block.resize(4064, 0);
        for (offset, bytes) in &self.over {
            block[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        block.extend(sum(&[&block]));
        block
    }
}

impl Tail {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.magic.to_vec();
        bytes.extend(self.index_at.to_le_bytes());
        bytes.extend(self.index_len.to_le_bytes());
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.reserved);
        bytes.extend(self.root);
        bytes.extend(sum(&[&bytes]));
        bytes
    }
}

fn map(first: u64, extents: &[&Laid]) -> (List, Vec<u8>) {
    let list = List::new().number("first", first).number("count", extents.len() as u64);
    let mut table = Vec::new();
    for laid in extents {
        let Fact::Extent(gpa, size, pages, root) = &laid.fact else { continue };
        table.extend(gpa.to_le_bytes());
        table.extend(laid.at.to_le_bytes());
        table.extend(laid.len.to_le_bytes());
        table.extend((*size as u32).to_le_bytes());
        table.extend((*pages as u32).to_le_bytes());
        table.extend(laid.digest);
        table.extend(root);
    }
    (list, table)
}

fn index(plan: &Plan, header: Sum, laid: &[Laid]) -> (List, Vec<u8>) {
    let (mut data, mut extents, mut stored) = (0, 0, 0);
    let (mut parts, mut table) = (Vec::new(), Vec::new());
    let mut pending: Vec<u64> = Vec::new();
    for part in laid {
        let mut list = List::new()
            .number("type", part.kind.into())
            .number("offset", part.at)
            .number("length", part.len)
            .bytes("digest", &part.digest);
        match &part.fact {
            Fact::Extent(gpa, _, pages, _) => {
                data += pages;
                extents += 1;
                stored += part.stored;
                pending.push(*gpa);
                continue;
            }
            Fact::Map => {
                table.extend(part.at.to_le_bytes());
                table.extend(part.len.to_le_bytes());
                table.extend(pending.first().copied().unwrap_or(0).to_le_bytes());
                table.extend((pending.len() as u64).to_le_bytes());
                table.extend(part.digest);
                pending.clear();
                continue;
            }
            Fact::Record(section, name, size, digest) => {
                list = list.text("section", section).text("name", name);
                list = list.number("size", *size).bytes("sha256", digest);
            }
            Fact::Plain | Fact::Index => {}
        }
        parts.push(list);
    }
    let list = List::new()
        .bytes("header", &header)
        .bytes("content", &plan.content())
        .bytes("memory_root", &plan.memory().root())
        .number("pages_data", data)
        .number("pages_zero", (plan.memsize() / 4096).saturating_sub(data))
        .number("extents", extents)
        .number("stored", stored)
        .with("parts", Value::Lists(parts));
    (list, table)
}
