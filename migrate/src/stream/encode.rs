//! Messages as bytes, and the count of items that both ends keep (§2.4, §3.3).

use snapfmt::Digest;
use snapfmt::digest::Hasher;

use super::error::Fault;
use super::frame::{Frame, LEN};
use super::kind::Kind;
use super::message::{Message, PartsEnd};
use super::wire;

/// Numbers the items of one direction of one connection.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    items: u64,
}

impl Encoder {
    /// Nothing was sent yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a message to `out`. Every message must be sent, and in this order.
    ///
    /// # Errors
    /// A message that no peer would take: a value that its rule forbids, text with a NUL, or more
    /// than its limit. Then nothing was appended. ERROR and STATE-DONE never have too much in them
    /// if they went through [`Trouble::fitting`](super::message::Trouble::fitting) and
    /// [`fitting`](super::message::fitting).
    pub fn message(&mut self, message: &Message, out: &mut Vec<u8>) -> Result<(), Fault> {
        out.extend(self.number(&Encoded::new(message)?));
        Ok(())
    }

    /// The bytes of a message that is sent now.
    #[must_use]
    pub fn number(&mut self, encoded: &Encoded) -> Vec<u8> {
        let frame = Frame {
            kind: encoded.kind,
            nvlist_size: u32::try_from(encoded.nvlist.len()).unwrap_or(u32::MAX),
            number: self.items,
            nvlist_digest: Digest::of(&encoded.nvlist),
        };
        self.items += 1;
        let mut bytes = frame.encode().to_vec();
        bytes.extend_from_slice(&encoded.nvlist);
        bytes
    }

    /// A part is sent now: parts are items, too.
    pub fn count_part(&mut self) {
        self.items += 1;
    }
}

/// A message that can be sent, without its place among the items.
#[derive(Clone, Debug)]
pub struct Encoded {
    kind: Kind,
    nvlist: Vec<u8>,
}

impl Encoded {
    /// Encodes a message.
    ///
    /// # Errors
    /// As [`Encoder::message`].
    pub fn new(message: &Message) -> Result<Self, Fault> {
        let (kind, nvlist) = wire::encode(message)?;
        Ok(Self { kind, nvlist })
    }

    /// Which message it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many bytes it will be.
    #[must_use]
    pub fn length(&self) -> usize {
        LEN + self.nvlist.len()
    }
}

/// What both ends know of the parts since they were announced (§3.3).
#[derive(Clone, Default)]
pub struct PartsDigest {
    parts: u64,
    hasher: Hasher,
}

impl PartsDigest {
    /// No part yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the frame digest of the next part.
    pub fn add(&mut self, frame_digest: Digest) {
        self.parts += 1;
        self.hasher.update(frame_digest.as_bytes());
    }

    /// How many there were, and the digest over them.
    #[must_use]
    pub fn end(&self) -> PartsEnd {
        PartsEnd { parts: self.parts, digest: self.hasher.clone().finish() }
    }
}
