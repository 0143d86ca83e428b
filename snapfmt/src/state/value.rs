//! The value of a field where it lies.

use std::fmt;

use super::fields::{Entry, NO_VCPU};
use super::schema::{Field, Part, Shape};

/// A field of a record: what it is, where it is, and its value.
#[derive(Clone, Copy)]
pub struct FieldRef<'f, 'a> {
    pub(super) bytes: &'a [u8],
    pub(super) entry: &'f Entry,
}

impl<'a> FieldRef<'_, 'a> {
    /// Its description.
    #[must_use]
    pub const fn definition(&self) -> &'static Field {
        self.entry.field
    }

    /// Its label, or its name; see [`Field::key`].
    #[must_use]
    pub const fn key(&self) -> &'static str {
        self.entry.field.key()
    }

    /// The virtual CPU that it belongs to.
    #[must_use]
    pub fn vcpu(&self) -> Option<u32> {
        Some(self.entry.vcpu).filter(|vcpu| *vcpu != NO_VCPU)
    }

    /// How many fields of its key come before it, of the same virtual CPU.
    #[must_use]
    pub const fn occurrence(&self) -> u32 {
        self.entry.occurrence
    }

    /// Where it is in the record.
    #[must_use]
    pub fn offset(&self) -> u64 {
        u64::from(self.entry.offset)
    }

    /// How many bytes it has.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        u64::from(self.entry.len)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes.get(self.entry.range()).unwrap_or_default()
    }

    /// Its bytes as a little-endian number, if they are 1, 2, 4 or 8.
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        little_endian(self.bytes())
    }

    /// As [`u64`](Self::u64), with the highest bit of the bytes as sign.
    #[must_use]
    pub fn i64(&self) -> Option<i64> {
        signed(self.bytes())
    }

    /// The elements of an array of integers.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + use<'a> {
        let width = match self.entry.field.shape {
            Shape::Ints(width, _) | Shape::Int(width) => width.bytes() as usize,
            Shape::Bytes(_) | Shape::Rings(_) | Shape::Rest => 1,
        };
        self.bytes().chunks_exact(width).filter_map(little_endian)
    }

    /// What can be told apart in it, by name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<PartRef<'a>> {
        self.parts().find(|part| part.part.name == name)
    }

    /// All that can be told apart in it. What is in no part has no name.
    pub fn parts(&self) -> impl Iterator<Item = PartRef<'a>> + use<'a> {
        let bytes = self.bytes();
        let within = move |part: &'static Part| {
            let at = part.at as usize;
            let bytes = bytes.get(at..at + part.len as usize)?;
            Some(PartRef { part, bytes })
        };
        self.entry.field.inside.iter().filter_map(within)
    }
}

impl fmt::Debug for FieldRef<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key())?;
        if let Some(vcpu) = self.vcpu() {
            write!(f, " of vcpu {vcpu}")?;
        }
        write!(f, " ({}) at {:#x}", self.occurrence(), self.offset())?;
        match self.u64() {
            Some(value) => write!(f, " = {value:#x}"),
            None => write!(f, ", {} bytes", self.len()),
        }
    }
}

/// Something inside a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRef<'a> {
    /// Its description.
    pub part: &'static Part,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl PartRef<'_> {
    /// Its bytes as a little-endian number, if they are 1, 2, 4 or 8.
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        little_endian(self.bytes)
    }

    /// As [`u64`](Self::u64), with the highest bit of the bytes as sign.
    #[must_use]
    pub fn i64(&self) -> Option<i64> {
        signed(self.bytes)
    }
}

/// 1, 2, 4 or 8 bytes as a number.
pub(super) fn little_endian(bytes: &[u8]) -> Option<u64> {
    if !matches!(bytes.len(), 1 | 2 | 4 | 8) {
        return None;
    }
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// 1, 2, 4 or 8 bytes as a number with a sign.
pub(super) fn signed(bytes: &[u8]) -> Option<i64> {
    let unused = 64 - 8 * u32::try_from(bytes.len()).ok()?;
    let value = little_endian(bytes)?;
    Some((value << unused).cast_signed() >> unused)
}
