//! Why a record has not a layout, and why it has none that is known.
//!
//! Data, not sentences: `Display` makes the sentence.

use std::fmt;

use super::schema::Layout;

/// Why a record has not a certain layout, and where that shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit {
    /// What does not fit.
    pub why: Why,
    /// Where in the record.
    pub at: u64,
}

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The size of the record is none that the layout can have.
    Size {
        /// The size of the record.
        found: u64,
        /// What the layout always has.
        fixed: u64,
        /// What it has for each virtual CPU; 0 for a record that is not per virtual CPU.
        slot: u64,
    },
    /// The record ends inside a field.
    Truncated {
        /// The key of the field.
        key: &'static str,
        /// Bytes the field takes.
        wanted: u64,
        /// Bytes left.
        left: u64,
    },
    /// Something follows the last field.
    Left {
        /// Bytes left.
        left: u64,
    },
    /// A field counts more than there can be.
    Count {
        /// The key of the field.
        key: &'static str,
        /// What it counts.
        found: u64,
        /// The most there can be.
        most: u64,
    },
    /// A field that takes the rest of the record would have a size that it cannot have.
    Rest {
        /// The key of the field.
        key: &'static str,
        /// Its size.
        found: u64,
    },
    /// The record has slots for another number of virtual CPUs.
    Slots {
        /// Slots that it has.
        found: u64,
        /// Slots that the other records have, or could have.
        wanted: u32,
    },
    /// A field has not the value that it has in every such record, and the layout was not seen in
    /// the generation.
    Sign {
        /// The key of the field.
        key: &'static str,
    },
    /// More fields than are decoded, or a record above the limit.
    OverLimit {
        /// The limit.
        limit: u64,
    },
}

impl Why {
    pub(super) const fn at(self, at: u64) -> Misfit {
        Misfit { why: self, at }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Why::Size { found, fixed, slot: 0 } => write!(f, "{found} bytes, not {fixed}"),
            Why::Size { found, fixed, slot } => {
                write!(f, "{found} bytes, not {slot} for each virtual CPU")?;
                if fixed > 0 { write!(f, " and {fixed}") } else { Ok(()) }
            }
            Why::Truncated { key, wanted, left } => {
                write!(f, "{key} takes {wanted} bytes, {left} are left")
            }
            Why::Left { left } => write!(f, "{left} bytes follow the last field"),
            Why::Count { key, found, most } => write!(f, "{key} is {found}, {most} is the most"),
            Why::Rest { key, found } => {
                write!(f, "{key} would have {found} bytes, which is no power of two")
            }
            Why::Slots { found, wanted } => {
                write!(f, "slots for {found} virtual CPUs, not {wanted}")
            }
            Why::Sign { key } => write!(f, "{key} is not what it always is"),
            Why::OverLimit { limit } => write!(f, "above the limit of {limit}"),
        }?;
        write!(f, " at {:#x}", self.at)
    }
}

impl std::error::Error for Misfit {}

/// Why the fields of a record are not known. The record itself may be in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// The record has no bytes: the machine has no such device.
    Absent,
    /// No layout is known of records of this name.
    Name,
    /// It has none of the layouts that it could have.
    NoneFits {
        /// They, and why it has not each of them. First those that were seen in snapshots of the
        /// generation, and of these the one that fits furthest into the record.
        tried: Vec<(&'static Layout, Misfit)>,
    },
    /// It could have several layouts.
    Several {
        /// They.
        fit: Vec<&'static Layout>,
    },
}

impl Unknown {
    /// Of the layouts that do not fit, the most likely one.
    #[must_use]
    pub fn nearest(&self) -> Option<(&'static Layout, Misfit)> {
        match self {
            Self::NoneFits { tried } => tried.first().copied(),
            _ => None,
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("the machine has no such device"),
            Self::Name => f.write_str("no layout is known of records of this name"),
            Self::NoneFits { tried } => {
                write!(f, "none of {} known layouts fits", tried.len())?;
                match self.nearest() {
                    Some((layout, misfit)) => write!(f, "; not {}: {misfit}", layout.id),
                    None => Ok(()),
                }
            }
            Self::Several { fit } => {
                f.write_str("several layouts fit:")?;
                fit.iter().try_for_each(|layout| write!(f, " {}", layout.id))
            }
        }
    }
}

impl std::error::Error for Unknown {}
