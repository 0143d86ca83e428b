//! The trailer: locates the index, repeats the root, ends the file (§7.3).

use crate::cursor::Cursor;
use crate::digest::{self, Digest};
use crate::error::{Error, Fault, Located, Section};
use crate::layout::{PART_ALIGN, frame};
use crate::limits;

/// The length of the trailer in bytes.
pub const LEN: usize = 128;
/// Its first bytes (§7.3.1).
pub const MAGIC: [u8; 16] = *b"BHYVE CKPT END\0\0";
const RESERVED: usize = 24;
const COVERED: usize = LEN - digest::LEN;
const _: () = assert!(16 + 8 + 8 + 8 + RESERVED + 32 == COVERED);

/// What the trailer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Offset of the INDEX part.
    pub index_at: u64,
    /// Its length.
    pub index_len: u64,
    /// The size of the whole file.
    pub size: u64,
    /// The frame digest of INDEX (§8.1).
    pub root: Digest,
}

impl Trailer {
    /// The trailer as stored.
    #[must_use]
    pub fn encode(&self) -> [u8; LEN] {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend(MAGIC);
        bytes.extend(self.index_at.to_le_bytes());
        bytes.extend(self.index_len.to_le_bytes());
        bytes.extend(self.size.to_le_bytes());
        bytes.extend([0; RESERVED]);
        bytes.extend(self.root.as_bytes());
        bytes.extend(Digest::of(&bytes).as_bytes());
        let mut trailer = [0; LEN];
        trailer.copy_from_slice(&bytes);
        trailer
    }

    /// Reads the trailer at offset `at`, which is where the file's last 128 bytes begin.
    ///
    /// # Errors
    /// Any breach of 7.3.1 to 7.3.6.
    pub fn check(bytes: &[u8], at: u64) -> Result<Self, Error> {
        Self::fields(bytes, at).map_err(|error| error.within(Section::Trailer))
    }

    fn fields(bytes: &[u8], at: u64) -> Result<Self, Located> {
        let mut cursor = Cursor::new(bytes, at);
        let covered = cursor.take(COVERED)?;
        let stored = cursor.digest()?;
        if !covered.starts_with(&MAGIC) {
            return Err(Fault::Magic { what: "trailer", rule: "§7.3.1" }.at(at));
        }
        if Digest::of(covered) != stored {
            return Err(Fault::Digest { what: "trailer", rule: "§7.3.6" }.at(at));
        }
        let mut cursor = Cursor::new(covered, at);
        cursor.take(MAGIC.len())?;
        let index_at = cursor.u64()?;
        let index_len = cursor.u64()?;
        let size = cursor.u64()?;
        cursor.zeros(RESERVED)?;
        let trailer = Self { index_at, index_len, size, root: cursor.digest()? };
        trailer.bounds(at)?;
        Ok(trailer)
    }

    fn bounds(&self, at: u64) -> Result<(), Located> {
        let found = self.size;
        if found > limits::FILE {
            let limit = limits::FILE;
            return Err(Fault::OverLimit { what: "the size of the file", found, limit }.at(at));
        }
        if found != at.saturating_add(LEN as u64) {
            return Err(Fault::Disagree {
                what: "the size of the file",
                here: found.to_string(),
                there: at.saturating_add(LEN as u64).to_string(),
                place: "in fact",
                rule: "§7.3.3",
            }
            .at(at));
        }
        let aligned = self.index_at.is_multiple_of(PART_ALIGN);
        let long = self.index_len >= frame::LEN as u64;
        if !aligned || !long || self.index_at.checked_add(self.index_len) != Some(at) {
            return Err(Fault::Value {
                what: "the place of INDEX",
                found: format!("{:#x} and {} bytes", self.index_at, self.index_len),
                must: "it begins at a multiple of 64 and ends where the trailer begins",
                rule: "§7.3.2",
            }
            .at(at));
        }
        Ok(())
    }
}
