//! The 128 bytes before the nvlist of a message (§2).

use snapfmt::Digest;

use super::error::Fault;
use super::kind::Kind;

/// The length of a frame in bytes: that of the frame of a part, too.
pub(super) const LEN: usize = 128;
const _: () = assert!(LEN == snapfmt::layout::frame::LEN);
/// The first bytes of a message.
pub(super) const MAGIC: [u8; 8] = *b"BHYVMESG";
/// The shortest nvlist: a list header without pairs.
const NVLIST_MIN: u32 = 19;
const RESERVED: usize = 40;
const COVERED: usize = LEN - snapfmt::digest::LEN;
const _: () = assert!(8 + 4 + 4 + 8 + RESERVED + 32 == COVERED);

/// What a frame says of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) nvlist_size: u32,
    /// How many items came before.
    pub(super) number: u64,
    pub(super) nvlist_digest: Digest,
}

impl Frame {
    /// The frame as sent.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend(MAGIC);
        bytes.extend(self.kind.number().to_le_bytes());
        bytes.extend(self.nvlist_size.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend([0; RESERVED]);
        bytes.extend(self.nvlist_digest.as_bytes());
        bytes.extend(Digest::of(&bytes).as_bytes());
        bytes
    }

    /// Reads a frame that begins with [`MAGIC`]: its digest first, then every bound (§2.8). An
    /// error has its offset in the frame.
    pub(super) fn check(bytes: &[u8; LEN], expected: u64) -> Result<Self, (usize, Fault)> {
        let mut fields = Fields { rest: bytes, at: 0 };
        let covered = Digest::of(fields.ahead(COVERED));
        fields.skip(MAGIC.len());
        let number_at = fields.at;
        let number = u32::from_le_bytes(fields.array());
        let size_at = fields.at;
        let nvlist_size = u32::from_le_bytes(fields.array());
        let items_at = fields.at;
        let items = u64::from_le_bytes(fields.array());
        let reserved_at = fields.at;
        let reserved: [u8; RESERVED] = fields.array();
        let nvlist_digest = Digest::from_bytes(fields.array());
        if covered != Digest::from_bytes(fields.array()) {
            return Err((0, Fault::Digest { what: "frame of the message", rule: "§2.7" }));
        }
        let kind = Kind::from_number(number).ok_or((number_at, Fault::Type(number)))?;
        let limit = kind.limit();
        if !(NVLIST_MIN..=limit).contains(&nvlist_size) {
            return Err((size_at, Fault::Size { found: nvlist_size.into(), limit }));
        }
        if items != expected {
            return Err((items_at, Fault::Number { found: items, expected }));
        }
        if reserved != [0; RESERVED] {
            return Err((reserved_at, Fault::Reserved));
        }
        Ok(Self { kind, nvlist_size, number: items, nvlist_digest })
    }
}

/// The fields of a frame, one after another. Beyond its end there are zeros.
struct Fields<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn ahead(&self, len: usize) -> &'a [u8] {
        self.rest.get(..len).unwrap_or(self.rest)
    }

    fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
        self.at += len;
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let array = self.rest.first_chunk().copied().unwrap_or([0; N]);
        self.skip(N);
        array
    }
}
