//! The types of parts and what their frames may say (§5, §10).

use std::fmt;

use crate::limits;

/// Set in the type of a part that a reader may carry along without knowing it (§4.12).
pub const OPTIONAL: u32 = 1 << 31;

/// Set in the type of an optional part that speaks of its file's own parts or bytes, and is left
/// out of any other file (§4.12).
pub const BOUND: u32 = 1 << 30;

/// Set in the type of an optional part that some vendor made up (§4.13).
pub const PRIVATE: u32 = 1 << 29;

/// The type of the HOST part: reserved, so this library only carries it (§5).
pub const HOST: u32 = 0x8000_0004;

/// Where parts stand among the others (§2.2).
pub(crate) mod rank {
    /// Optional parts before the device records.
    pub(crate) const OPTIONAL: u8 = 2;
    /// EXTENT and MAP parts.
    pub(crate) const MEMORY: u8 = 4;
    /// Optional parts after memory.
    pub(crate) const LATE: u8 = 5;
    /// INDEX.
    pub(crate) const INDEX: u8 = 6;
}

/// The order of parts, for errors.
pub(crate) const ORDER: &str =
    "the order is VM, META, optional parts, DEVICE, memory, other optional parts, INDEX";

/// The type of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The machine (§5.1).
    Vm,
    /// `.meta`, verbatim (§5.2).
    Meta,
    /// The VM's configuration (§5.3).
    Config,
    /// An optional part that this reader only carries; its type number.
    Other(u32),
    /// One device record (§5.4).
    Device,
    /// One block of memory (§6.2).
    Extent,
    /// A table of extents (§6.5).
    Map,
    /// The top index (§7.1).
    Index,
}

impl Kind {
    /// The kind of a type number, or nothing for an unknown mandatory one (§4.12).
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Vm,
            2 => Self::Meta,
            0x8000_0003 => Self::Config,
            16 => Self::Device,
            32 => Self::Extent,
            33 => Self::Map,
            48 => Self::Index,
            other if other & OPTIONAL != 0 => Self::Other(other),
            _ => return None,
        })
    }

    /// The type number as stored.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Vm => 1,
            Self::Meta => 2,
            Self::Config => 0x8000_0003,
            Self::Other(number) => number,
            Self::Device => 16,
            Self::Extent => 32,
            Self::Map => 33,
            Self::Index => 48,
        }
    }

    /// Whether the part speaks of its file's own parts or bytes (§4.12).
    #[must_use]
    pub fn is_bound(self) -> bool {
        matches!(self, Self::Other(number) if number & BOUND != 0)
    }

    /// Whether the type is private (§4.13).
    #[must_use]
    pub fn is_private(self) -> bool {
        matches!(self, Self::Other(number) if number & PRIVATE != 0)
    }

    /// Where parts of this type stand among the others (§2.2), if the last one stood at `before`;
    /// nothing if they may not come after it.
    #[must_use]
    pub(crate) fn rank_after(self, before: u8) -> Option<u8> {
        let rank = match self {
            Self::Vm => 0,
            Self::Meta => 1,
            // What a writer knows only after RAM; the kinds that are known belong before it.
            Self::Other(number) if number != HOST && before > rank::OPTIONAL => rank::LATE,
            Self::Config | Self::Other(_) => rank::OPTIONAL,
            Self::Device => 3,
            Self::Extent | Self::Map => rank::MEMORY,
            Self::Index => rank::INDEX,
        };
        (rank >= before).then_some(rank)
    }

    /// The most bytes its nvlist may have (§10).
    #[must_use]
    pub(crate) fn nvlist_limit(self) -> u32 {
        match self {
            Self::Vm | Self::Meta | Self::Config | Self::Map => limits::SMALL_NVLIST,
            Self::Device => limits::DEVICE_NVLIST,
            Self::Other(_) => limits::OPTIONAL_NVLIST,
            Self::Extent => limits::EXTENT_NVLIST,
            Self::Index => limits::INDEX_NVLIST,
        }
    }

    /// The most bytes its payload may have (§10).
    #[must_use]
    pub(crate) fn payload_limit(self) -> u64 {
        match self {
            Self::Vm => 0,
            Self::Meta | Self::Config => limits::TEXT_PAYLOAD,
            Self::Device | Self::Other(_) => limits::RECORD,
            Self::Extent => limits::EXTENT_MAX,
            Self::Map => limits::MAP_ENTRIES as u64 * crate::part::map::ENTRY_LEN as u64,
            Self::Index => limits::INDEX_PAYLOAD,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm => f.write_str("VM"),
            Self::Meta => f.write_str("META"),
            Self::Config => f.write_str("CONFIG"),
            Self::Other(number) => write!(f, "optional ({number:#x})"),
            Self::Device => f.write_str("DEVICE"),
            Self::Extent => f.write_str("EXTENT"),
            Self::Map => f.write_str("MAP"),
            Self::Index => f.write_str("INDEX"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_kinds_are_one_to_one() {
        for number in (0..256).chain(OPTIONAL..OPTIONAL + 256) {
            if let Some(kind) = Kind::from_number(number) {
                assert_eq!(kind.number(), number);
            }
        }
    }

    #[test]
    fn an_unknown_mandatory_type_has_no_kind() {
        assert_eq!(Kind::from_number(3), None);
        assert_eq!(Kind::from_number(BOUND | PRIVATE | 77), None);
        assert_eq!(Kind::from_number(OPTIONAL | 77), Some(Kind::Other(OPTIONAL | 77)));
    }
}
