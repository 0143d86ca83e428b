//! The part frame: 128 bytes that say, under their own digest, how long a part is and what its
//! bytes must hash to (§4).

use crate::cursor::Cursor;
use crate::digest::{self, Digest};
use crate::error::{Error, Fault, Located, Section};
use crate::layout::kind::Kind;
use crate::layout::{PART_ALIGN, padding};
use crate::limits;

/// The length of a frame in bytes.
pub const LEN: usize = 128;
/// The first bytes of a frame (§4.1).
pub const MAGIC: [u8; 8] = *b"BHYVPART";
/// Flag bit 0: the payload digest is a memory subtree root (§4.3).
const TREE: u32 = 1;
/// The shortest nvlist: a list header without pairs.
const NVLIST_MIN: u32 = 19;
const COVERED: usize = LEN - digest::LEN;
const _: () = assert!(8 + 4 + 4 + 4 + 4 + 8 + 32 + 32 == COVERED);

/// What a frame says about its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The type of the part.
    pub kind: Kind,
    /// Whether `payload_digest` is a memory subtree root instead of a digest of the stored bytes.
    pub tree: bool,
    /// Bytes of the nvlist.
    pub nvlist_size: u32,
    /// The payload starts at a multiple of this.
    pub alignment: u32,
    /// Bytes of the payload.
    pub payload_size: u64,
    /// Digest of the nvlist.
    pub nvlist_digest: Digest,
    /// Digest of the payload.
    pub payload_digest: Digest,
}

impl Frame {
    /// The frame as stored, and its digest (§4.9).
    #[must_use]
    pub fn encode(&self) -> ([u8; LEN], Digest) {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend(MAGIC);
        bytes.extend(self.kind.number().to_le_bytes());
        bytes.extend((if self.tree { TREE } else { 0 }).to_le_bytes());
        bytes.extend(self.nvlist_size.to_le_bytes());
        bytes.extend(self.alignment.to_le_bytes());
        bytes.extend(self.payload_size.to_le_bytes());
        bytes.extend(self.nvlist_digest.as_bytes());
        bytes.extend(self.payload_digest.as_bytes());
        let digest = Digest::of(&bytes);
        bytes.extend(digest.as_bytes());
        let mut frame = [0; LEN];
        frame.copy_from_slice(&bytes);
        (frame, digest)
    }

    /// Reads the frame at offset `at`: digest first, then every bound (§4.10). And its digest.
    ///
    /// # Errors
    /// Any breach of 4.1 to 4.6 and 4.9, and an unknown mandatory type (§4.12).
    pub fn check(bytes: &[u8], at: u64) -> Result<(Self, Digest), Error> {
        let digest = intact(bytes, at).map_err(|error| error.within(Section::Frame))?;
        let frame = Self::fields(bytes, at).map_err(|error| error.within(Section::Frame))?;
        frame.bounds().map_err(|fault| fault.at(at).within(Section::Part(frame.kind)))?;
        Ok((frame, digest))
    }

    /// The fields of a frame whose digest was not checked, within all limits; for display only.
    pub(crate) fn claim(bytes: &[u8]) -> Option<Self> {
        let frame = Self::fields(bytes, 0).ok()?;
        frame.bounds().ok()?;
        Some(frame)
    }

    fn fields(bytes: &[u8], at: u64) -> Result<Self, Located> {
        let mut cursor = Cursor::new(bytes, at);
        cursor.take(MAGIC.len())?;
        let number_at = cursor.offset();
        let number = cursor.u32()?;
        let kind =
            Kind::from_number(number).ok_or_else(|| Fault::UnknownPart(number).at(number_at))?;
        let flags_at = cursor.offset();
        let flags = cursor.u32()?;
        let tree = flags & TREE != 0;
        if flags & !TREE != 0 || tree && kind != Kind::Extent {
            return Err(Fault::Value {
                what: "the frame's flags",
                found: format!("{flags:#x}"),
                must: "only bit 0 may be set, and only in an EXTENT",
                rule: "§4.3",
            }
            .at(flags_at));
        }
        Ok(Self {
            kind,
            tree,
            nvlist_size: cursor.u32()?,
            alignment: cursor.u32()?,
            payload_size: cursor.u64()?,
            nvlist_digest: cursor.digest()?,
            payload_digest: cursor.digest()?,
        })
    }

    fn bounds(&self) -> Result<(), Fault> {
        let limit = self.kind.nvlist_limit();
        if self.nvlist_size > limit {
            return Err(Fault::OverLimit {
                what: "the size of the nvlist",
                found: self.nvlist_size.into(),
                limit: limit.into(),
            });
        }
        if self.nvlist_size < NVLIST_MIN {
            return Err(Fault::Value {
                what: "the size of the nvlist",
                found: self.nvlist_size.to_string(),
                must: "an nvlist has at least 19 bytes",
                rule: "§4.4",
            });
        }
        let limit = self.kind.payload_limit();
        if self.payload_size > limit {
            return Err(Fault::OverLimit {
                what: "the size of the payload",
                found: self.payload_size,
                limit,
            });
        }
        let page_aligned = self.alignment as usize == limits::PAGE && self.payload_size > 0;
        if self.alignment != 1 && !page_aligned {
            return Err(Fault::Value {
                what: "the payload's alignment",
                found: self.alignment.to_string(),
                must: "it is 1, or 4096 where there is a payload",
                rule: "§4.5",
            });
        }
        Ok(())
    }

    /// How the part's body divides, for a frame at offset `at`.
    #[must_use]
    pub fn spans(&self, at: u64) -> Spans {
        let nvlist_at = at.saturating_add(LEN as u64);
        let nvlist_end = nvlist_at.saturating_add(self.nvlist_size.into());
        let before = padding(nvlist_end, self.alignment.into());
        let payload_at = nvlist_end.saturating_add(before);
        let payload_end = payload_at.saturating_add(self.payload_size);
        let after = padding(payload_end, PART_ALIGN);
        Spans { nvlist_at, payload_at, payload_end, end: payload_end.saturating_add(after) }
    }
}

/// The offsets in the file at which the pieces of a part's body begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spans {
    /// The first byte of the nvlist; the body begins here.
    pub nvlist_at: u64,
    /// The first byte of the payload.
    pub payload_at: u64,
    /// The first byte after the payload.
    pub payload_end: u64,
    /// The first byte after the part.
    pub end: u64,
}

impl Spans {
    /// How many bytes of the body come before the payload, and how many from there on.
    #[must_use]
    pub fn lens(&self) -> (usize, usize) {
        let len =
            |from: u64, to: u64| usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        (len(self.nvlist_at, self.payload_at), len(self.payload_at, self.end))
    }
}

fn intact(bytes: &[u8], at: u64) -> Result<Digest, Located> {
    let mut cursor = Cursor::new(bytes, at);
    let covered = cursor.take(COVERED)?;
    let stored = cursor.digest()?;
    if !covered.starts_with(&MAGIC) {
        return Err(Fault::Magic { what: "part", rule: "§4.1" }.at(at));
    }
    if Digest::of(covered) != stored {
        return Err(Fault::Digest { what: "part frame", rule: "§4.9" }.at(at));
    }
    Ok(stored)
}
