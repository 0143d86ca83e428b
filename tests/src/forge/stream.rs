//! Items of a migration stream, from `spec/stream.md` and never by the library under test.

use super::tree::{Sum, sum};
use super::{List, Piece, Plan, Value};

/// Messages that announce the end of parts: STATE-END and ROUND-END.
const ENDS: [u32; 2] = [7, 10];

/// The digest over parts that is filled in when they are laid out.
pub const OPEN: Sum = [7; 32];

/// A message, before its digests.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its type.
    pub kind: u32,
    /// Its pairs.
    pub list: List,
    /// What is packed in place of `list`.
    pub packed: Option<Vec<u8>>,
    /// The number that it states in place of the real one.
    pub number: Option<u64>,
    /// The digest that it states in place of that of the list.
    pub nvlist_digest: Option<Sum>,
    /// Bytes written over the frame before its digest, by offset.
    pub over: Vec<(usize, Vec<u8>)>,
}

impl Message {
    /// Puts `value` in the place of what was left open.
    fn fill(&mut self, name: &str, open: &Value, value: Value) {
        if self.list.get(name) == Some(open) {
            self.list.set(name, value);
        }
    }

    fn bytes(&self, items: u64) -> Vec<u8> {
        let list = self.packed.clone().unwrap_or_else(|| self.list.pack());
        let mut out = b"BHYVMESG".to_vec();
        out.extend(self.kind.to_le_bytes());
        out.extend((list.len() as u32).to_le_bytes());
        out.extend(self.number.unwrap_or(items).to_le_bytes());
        out.extend([0; 40]);
        out.extend(self.nvlist_digest.unwrap_or_else(|| sum(&[&list])));
        for (offset, bytes) in &self.over {
            out[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        out.extend(sum(&[&out]));
        out.extend(list);
        out
    }
}

/// What an item is.
#[derive(Debug, Clone)]
pub enum What {
    /// A message.
    Message(Message),
    /// A part.
    Part(Piece),
    /// Anything.
    Bytes(Vec<u8>),
}

/// An item, and what happens to it on the way.
#[derive(Debug, Clone)]
pub struct Item {
    /// What was sent.
    pub what: What,
    /// Bytes that change on the way, by offset: what they are XORed with.
    pub flips: Vec<(usize, u8)>,
}

impl From<What> for Item {
    fn from(what: What) -> Self {
        Self { what, flips: Vec::new() }
    }
}

impl Item {
    /// A message of this type.
    #[must_use]
    pub fn message(kind: u32, list: List) -> Self {
        let (packed, number, nvlist_digest, over) = (None, None, None, Vec::new());
        What::Message(Message { kind, list, packed, number, nvlist_digest, over }).into()
    }

    /// The message that it is.
    ///
    /// # Panics
    /// If it is none.
    pub fn as_message(&mut self) -> &mut Message {
        match &mut self.what {
            What::Message(message) => message,
            other => panic!("no message: {other:?}"),
        }
    }

    /// The part that it is.
    ///
    /// # Panics
    /// If it is none.
    pub fn as_part(&mut self) -> &mut Piece {
        match &mut self.what {
            What::Part(piece) => piece,
            other => panic!("no part: {other:?}"),
        }
    }
}

/// The stream of these items, and where each begins. Numbers are counted, and the digests of parts
/// taken, as the sender of just these items would.
#[must_use]
pub fn lay(items: &[Item]) -> (Vec<u8>, Vec<usize>) {
    let (mut out, mut starts) = (Vec::new(), Vec::new());
    let (mut parts, mut stored, mut digests) = (0, 0, Vec::new());
    for (item, number) in items.iter().zip(0..) {
        starts.push(out.len());
        let mut bytes = match &item.what {
            What::Message(message) => {
                let mut message = message.clone();
                if ENDS.contains(&message.kind) {
                    let digest = sum(&[&digests]).to_vec();
                    message.fill("parts", &Value::Number(0), Value::Number(parts));
                    message.fill("stored", &Value::Number(0), Value::Number(stored));
                    message.fill("digest", &Value::Bytes(OPEN.to_vec()), Value::Bytes(digest));
                }
                (parts, stored, digests) = (0, 0, Vec::new());
                message.bytes(number)
            }
            What::Part(piece) => {
                let (bytes, digest) = piece.frame(0);
                (parts, stored) = (parts + 1, stored + piece.payload.len() as u64);
                digests.extend(digest);
                bytes
            }
            What::Bytes(bytes) => bytes.clone(),
        };
        for (offset, flip) in &item.flips {
            bytes[*offset] ^= flip;
        }
        out.extend(bytes);
    }
    (out, starts)
}

impl Plan {
    /// The parts of these types as they travel.
    #[must_use]
    pub fn travelling(&self, kinds: &[u32]) -> Vec<Item> {
        let pieces = Self { align: 1, ..self.clone() }.pieces().into_iter();
        let wanted = pieces.filter(|piece| kinds.contains(&piece.kind));
        wanted.map(|piece| What::Part(piece).into()).collect()
    }
}
