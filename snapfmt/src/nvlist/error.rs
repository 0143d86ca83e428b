//! What can be wrong with a packed list, with a list being built, and with a lookup.
//!
//! Data, not sentences: `Display` makes the sentence.

use std::fmt;

use super::{Flags, Type};

/// Why a list was refused, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at {at:#x} of the list")]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where in the packed list; for a pair that could not be added, where it would have begun.
    pub at: usize,
}

/// What is wrong with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The list ends inside a header, a name or a value.
    #[error("{wanted} bytes wanted, {left} left")]
    Truncated {
        /// Bytes the structure takes.
        wanted: u64,
        /// Bytes left in the message.
        left: u64,
    },
    /// A list header does not begin with the magic byte.
    #[error("no list header (its first byte is {found:#04x})")]
    Magic {
        /// The byte in its place.
        found: u8,
    },
    /// A list header has an unknown version.
    #[error("list version {found}, only 0 is known")]
    Version {
        /// The version found.
        found: u8,
    },
    /// A list header has unknown flags.
    #[error("unknown list flags {found:#04x}")]
    Flags {
        /// The flags found.
        found: u8,
    },
    /// A list header is of another byte order than the outermost one.
    #[error("byte order changes inside the message")]
    MixedOrder,
    /// The size in a list header is not that of the rest of the message.
    #[error("list header claims {claimed} more bytes, there are {left}")]
    Size {
        /// Bytes the header claims to follow.
        claimed: u64,
        /// Bytes that follow.
        left: u64,
    },
    /// A list header claims more descriptors than were received.
    #[error("list header claims {claimed} descriptors, {received} received")]
    Descriptors {
        /// Descriptors the header claims.
        claimed: u64,
        /// Descriptors received with the message.
        received: u64,
    },
    /// The outermost list does not have the flags its reader expects.
    #[error("list flags are {:#x}, {:#x} expected", found.bits(), wanted.bits())]
    CallerFlags {
        /// Flags the reader expects.
        wanted: Flags,
        /// Flags of the list.
        found: Flags,
    },
    /// A pair of unknown type.
    #[error("unknown pair type {found}")]
    Type {
        /// The code found.
        found: u8,
    },
    /// The size of a pair's name is 0 or above the limit.
    #[error("name size {found}")]
    NameSize {
        /// The size found, NUL included.
        found: u64,
    },
    /// The name of a pair to be added is above the limit.
    #[error("name of {found} bytes")]
    NameTooLong {
        /// Its length without NUL.
        found: u64,
    },
    /// A name has a NUL inside, or none at its end.
    #[error("name not terminated by its only NUL")]
    NameNul,
    /// The size of a value does not fit its type or item count.
    #[error("data size {found} of a {kind}")]
    DataSize {
        /// The type of the pair.
        kind: Type,
        /// The size found.
        found: u64,
    },
    /// An array has no items, or more than can follow.
    #[error("{found} items in a {kind}")]
    Items {
        /// The type of the pair.
        kind: Type,
        /// The count found.
        found: u64,
    },
    /// A bool is neither 0 nor 1.
    #[error("bool value {found}")]
    Bool {
        /// The byte found.
        found: u8,
    },
    /// A string has a NUL inside or none at its end; or the strings of an array are not as many as
    /// its item count.
    #[error("strings not terminated as counted")]
    StringNul,
    /// A descriptor index that is none of those received, or cannot be one.
    #[error("descriptor index {found} of {received}")]
    DescriptorIndex {
        /// The index found.
        found: u64,
        /// Descriptors received with the message.
        received: u64,
    },
    /// A descriptor used by two pairs.
    #[error("descriptor {index} used twice")]
    DescriptorTwice {
        /// The index.
        index: u64,
    },
    /// The end of a list where none of that kind is open.
    #[error("end marker that closes nothing")]
    StrayMarker,
    /// An end marker with a name, data or items.
    #[error("end marker with contents")]
    MarkerContents,
    /// The message ends inside a list.
    #[error("{open} lists still open at the end")]
    Unclosed {
        /// Nested lists without end.
        open: u64,
    },
    /// The list has a pair of that name already.
    #[error("name used twice")]
    Duplicate,
    /// The packed form cannot carry descriptors on its own.
    #[error("a list with descriptors can only be sent, not packed")]
    HasDescriptors,
    /// Above one of the bounds in [`crate::limits`].
    #[error("{what}: {found}, the limit is {limit}")]
    OverLimit {
        /// What is bounded.
        what: &'static str,
        /// How much there is, or the first count above the limit.
        found: u64,
        /// The bound.
        limit: u64,
    },
}

impl ErrorKind {
    pub(super) const fn at(self, at: usize) -> Error {
        Error { kind: self, at }
    }
}

/// The error number libnv would give. Symbolic, because the numbers differ between systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errno {
    /// Malformed.
    Einval,
    /// A name used twice.
    Eexist,
    /// Other flags than the caller's.
    Eilseq,
    /// A name too long.
    Enametoolong,
    /// Packing a list that holds descriptors.
    Eopnotsupp,
}

impl Errno {
    /// The symbol, as in `EINVAL`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Einval => "EINVAL",
            Self::Eexist => "EEXIST",
            Self::Eilseq => "EILSEQ",
            Self::Enametoolong => "ENAMETOOLONG",
            Self::Eopnotsupp => "EOPNOTSUPP",
        }
    }
}

impl Error {
    /// The error number libnv gives for this fault, `EINVAL` where it sets none or is more lenient;
    /// `None` for the bounds of this crate, which libnv does not have.
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match self.kind {
            ErrorKind::OverLimit { .. } => None,
            ErrorKind::CallerFlags { .. } => Some(Errno::Eilseq),
            ErrorKind::Duplicate => Some(Errno::Eexist),
            ErrorKind::NameTooLong { .. } => Some(Errno::Enametoolong),
            ErrorKind::HasDescriptors => Some(Errno::Eopnotsupp),
            _ => Some(Errno::Einval),
        }
    }
}

/// A pair that a lookup wanted and did not get.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pair \"{}\": {wanted} wanted, {found}", name.escape_ascii())]
pub struct Missing {
    /// The name looked up.
    pub name: Vec<u8>,
    /// The type wanted.
    pub wanted: Type,
    /// What there is instead.
    pub found: Found,
}

/// What a lookup found in place of what it wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No pair of that name.
    Absent,
    /// A pair of another type.
    Other(Type),
    /// A string that is not UTF-8.
    NotUtf8,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Other(kind) => write!(f, "{kind} found"),
            Self::NotUtf8 => f.write_str("not UTF-8"),
        }
    }
}

/// A pair that is none of those its reader knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown pair \"{}\" of type {kind} at {at:#x} of the list", name.escape_ascii())]
pub struct UnknownPair {
    /// Its name.
    pub name: Vec<u8>,
    /// Its type.
    pub kind: Type,
    /// Where it begins in the packed list.
    pub at: usize,
}
