//! Builds snapshot files by hand, from `spec/snapshot.md`; never calls the library under test.
//!
//! A [`Plan`] says what the file holds. [`forge_with`] shows every piece to a hook before anything
//! is digested, so that a test can break exactly one rule while all digests match.

pub mod fields;
mod index;
pub mod list;
mod piece;
pub mod plan;
pub mod stream;
pub mod table;
pub mod tree;

pub use fields::Fields;
pub use list::{List, Value};
pub use piece::{Fact, Piece};
pub use plan::{Extent, Plan, Record};
pub use table::{Place, places, reseal};

use index::{Laid, index, map};
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

impl Plan {
    fn head(&self) -> Head {
        let mut ident = [0; 64];
        ident[..22].copy_from_slice(b"BHYVE CHECKPOINT IMAGE");
        ident[56] = 1;
        let mut list = List::new()
            .text("producer", &self.producer)
            .text("uuid", &self.uuid)
            .text("vm_name", &self.name);
        if let Some(uuid) = &self.vm_uuid {
            list = list.text("vm_uuid", uuid);
        }
        let mut list = list.number("created", self.created);
        if let Some(parent) = &self.parent {
            let pairs = List::new().bytes("content", &parent.content()).text("uuid", &parent.uuid);
            list = list
                .with("parent", Value::List(pairs))
                .with("incompatible", Value::Texts(vec!["delta".to_owned()]));
        }
        Head { ident, list, packed: None, size: None, over: Vec::new() }
    }

    /// The file that the plan gives.
    #[must_use]
    pub fn forge(&self) -> Vec<u8> {
        forge_with(self, &mut |_| {})
    }
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
                let all = laid.iter().filter(|laid| matches!(laid.fact, Fact::Extent { .. }));
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
