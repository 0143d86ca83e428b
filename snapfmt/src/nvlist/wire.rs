//! The two headers of the packed format, as bytes.
//!
//! Knows where fields are and that names and values lie inside the message; not what values mean.
//!
//! ```text
//! list header   magic 1 · version 1 · flags 1 · descriptors 8 · size 8
//! pair header   type 1 · name size 2 · data size 8 · items 8, then name with NUL, then data
//! ```

use super::error::{Error, ErrorKind};
use super::{ByteOrder, Type};
use crate::limits;

pub(super) const MAGIC: u8 = b'l';
pub(super) const VERSION: u8 = 0;
/// The flag of a list header that says its message is big-endian.
pub(super) const BIG_ENDIAN: u8 = 0x80;
/// The marker that ends an element of a list array.
pub(super) const NEXT: u8 = 254;
/// The marker that ends a nested list.
pub(super) const UP: u8 = 255;

/// Bytes of a list header.
pub(super) const LIST_HEADER: usize = 19;
/// Bytes of a pair header.
pub(super) const PAIR_HEADER: usize = 19;
/// Bytes of an end marker: a pair header and an empty name.
pub(super) const MARKER: usize = 20;

// Offsets of fields in a list header.
pub(super) const AT_VERSION: usize = 1;
pub(super) const AT_FLAGS: usize = 2;
pub(super) const AT_DESCRIPTORS: usize = 3;
pub(super) const AT_SIZE: usize = 11;
const _: () = assert!(AT_DESCRIPTORS + 8 == AT_SIZE && AT_SIZE + 8 == LIST_HEADER);

// Offsets of fields in a pair header.
pub(super) const AT_NAME_SIZE: usize = 1;
pub(super) const AT_DATA_SIZE: usize = 3;
pub(super) const AT_ITEMS: usize = 11;
const _: () = assert!(AT_NAME_SIZE + 2 == AT_DATA_SIZE && AT_DATA_SIZE + 8 == AT_ITEMS);
const _: () = assert!(AT_ITEMS + 8 == PAIR_HEADER && PAIR_HEADER + 1 == MARKER);

// Markers are no types, and the magic byte is neither: after an element's end it tells whether
// another element follows.
const _: () = assert!(Type::DescriptorArray.code() < MAGIC && MAGIC < NEXT);

impl ByteOrder {
    const fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) const fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// The fields of a list header, unchecked.
pub(super) struct ListHeader {
    pub(super) magic: u8,
    pub(super) version: u8,
    /// Without the byte order.
    pub(super) flags: u8,
    pub(super) order: ByteOrder,
    pub(super) descriptors: u64,
    pub(super) size: u64,
}

/// A pair header with its name and data, which lie inside the message.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawPair<'a> {
    pub(super) at: usize,
    pub(super) code: u8,
    /// Without its NUL.
    pub(super) name: &'a [u8],
    pub(super) items: u64,
    /// Where the data begins; nested lists begin there whatever the data size is.
    pub(super) data_at: usize,
    /// As many bytes as the data size says.
    pub(super) data: &'a [u8],
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }
}

fn truncated(wanted: u64, left: usize, at: usize) -> Error {
    ErrorKind::Truncated { wanted, left: left as u64 }.at(at)
}

/// The bytes of the message from `at` on.
pub(super) fn rest(message: &[u8], at: usize) -> &[u8] {
    message.get(at..).unwrap_or_default()
}

/// Reads the list header at `at`. It says its byte order itself.
pub(super) fn list_header(message: &[u8], at: usize) -> Result<ListHeader, Error> {
    let left = rest(message, at);
    let mut fields = Fields(left);
    let mut read = || {
        let (magic, version, flags) = (fields.byte()?, fields.byte()?, fields.byte()?);
        let order = if flags & BIG_ENDIAN == 0 { ByteOrder::Little } else { ByteOrder::Big };
        let (descriptors, size) = (order.u64(fields.take()?), order.u64(fields.take()?));
        Some(ListHeader { magic, version, flags: flags & !BIG_ENDIAN, order, descriptors, size })
    };
    read().ok_or_else(|| truncated(LIST_HEADER as u64, left.len(), at))
}

/// Reads the pair at `at`: its header, its name and where its data lies.
pub(super) fn pair(message: &[u8], at: usize, order: ByteOrder) -> Result<RawPair<'_>, Error> {
    let left = rest(message, at);
    let mut fields = Fields(left);
    let mut read = || {
        let (code, name_size) = (fields.byte()?, order.u16(fields.take()?));
        Some((code, name_size, order.u64(fields.take()?), order.u64(fields.take()?)))
    };
    let (code, name_size, data_size, items) =
        read().ok_or_else(|| truncated(PAIR_HEADER as u64, left.len(), at))?;

    if Type::from_code(code).is_none() && code != NEXT && code != UP {
        return Err(ErrorKind::Type { found: code }.at(at));
    }
    let name_size = usize::from(name_size);
    if name_size == 0 || name_size > limits::NVLIST_NAME + 1 {
        return Err(ErrorKind::NameSize { found: name_size as u64 }.at(at + AT_NAME_SIZE));
    }
    let name_at = at + PAIR_HEADER;
    let Some((name, after_name)) = fields.0.split_at_checked(name_size) else {
        return Err(truncated(name_size as u64, fields.0.len(), name_at));
    };
    let Some((0, name)) = name.split_last() else {
        return Err(ErrorKind::NameNul.at(name_at));
    };
    if name.contains(&0) {
        return Err(ErrorKind::NameNul.at(name_at));
    }
    let data_at = name_at + name_size;
    let data = usize::try_from(data_size).ok().and_then(|size| after_name.get(..size));
    let data = data.ok_or_else(|| truncated(data_size, after_name.len(), data_at))?;
    Ok(RawPair { at, code, name, items, data_at, data })
}
