//! Bounded reading of little-endian fields from bytes whose place in the file is known.
//!
//! It knows offsets and nothing of what the fields mean. Running out of bytes is an error with the
//! offset at which it happened, never a panic.

use crate::digest::{self, Digest};
use crate::error::{Fault, Located};

/// A position in `bytes`, which begin at `base` in the file.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    base: u64,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first of `bytes`, found at offset `base` of the file.
    pub(crate) fn new(bytes: &'a [u8], base: u64) -> Self {
        Self { bytes, base, at: 0 }
    }

    /// The file offset of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.base.saturating_add(self.at as u64)
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Located> {
        let left = self.bytes.len().saturating_sub(self.at);
        let end = self.at.saturating_add(len);
        let taken = self.bytes.get(self.at..end).ok_or_else(|| {
            Fault::Truncated { wanted: len as u64, left: left as u64 }.at(self.offset())
        })?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Located> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Located> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Located> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Located> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, Located> {
        self.array::<{ digest::LEN }>().map(Digest::from_bytes)
    }

    /// Skips `len` bytes, all of which have to be zero (§1.6).
    pub(crate) fn zeros(&mut self, len: usize) -> Result<(), Located> {
        let start = self.offset();
        match self.take(len)?.iter().position(|&byte| byte != 0) {
            None => Ok(()),
            Some(at) => Err(Fault::Padding.at(start.saturating_add(at as u64))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_names_the_offset_in_the_file() {
        let mut cursor = Cursor::new(&[1, 0, 0, 0, 9], 100);
        assert_eq!(cursor.u32().unwrap(), 1);
        let error = cursor.u32().unwrap_err();
        assert_eq!(error, Fault::Truncated { wanted: 4, left: 1 }.at(104));
    }

    #[test]
    fn a_set_bit_in_padding_is_found_where_it_is() {
        let error = Cursor::new(&[0, 0, 4], 10).zeros(3).unwrap_err();
        assert_eq!(error, Fault::Padding.at(12));
    }
}
