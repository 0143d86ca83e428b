//! What is wrong with a `.meta` that cannot be read.

use std::fmt;

use super::finding::{Finding, Place, Rule};
use super::{limits, rules};

/// An entry of `.meta`, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The outermost object.
    Root,
    /// `basic metadata`.
    Machine,
    /// What stands under a key that no known release writes.
    Under {
        /// The object that has the key.
        entry: Box<Entry>,
        /// The key.
        key: String,
    },
    /// An entry of a list.
    Listed {
        /// The key of the list.
        list: &'static str,
        /// The place in the list, from 0.
        index: usize,
        /// The name of the record, where it could be read.
        name: Option<String>,
    },
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the outermost object"),
            Self::Machine => f.write_str("basic metadata"),
            Self::Under { entry, key } => write!(f, "{} of {entry}", key.escape_debug()),
            Self::Listed { list, index, name: None } => write!(f, "{list}[{index}]"),
            Self::Listed { list, index, name: Some(name) } => {
                write!(f, "{list}[{index}] {}", name.escape_debug())
            }
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetaFault {
    /// The text is longer than [`limits::TEXT`].
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The text is not UTF-8.
    NotUtf8,
    /// Something else stands where this should.
    Expected(&'static str),
    /// There is no text.
    Empty,
    /// The text ends before its last brace.
    Unfinished,
    /// Something follows the last brace.
    Trailing,
    /// Nested deeper than [`limits::DEPTH`].
    TooDeep,
    /// More values than [`limits::VALUES`].
    TooManyValues,
    /// More records than [`limits::ENTRIES`].
    TooManyRecords {
        /// How many.
        found: usize,
    },
    /// A key stands twice.
    DuplicateKey {
        /// Where.
        entry: Entry,
        /// The key.
        key: String,
    },
    /// A key that must be there is not.
    MissingKey {
        /// Where.
        entry: Entry,
        /// The key.
        key: &'static str,
    },
    /// Neither `structs` nor `kern_structs` is there.
    NoKernelRecords,
    /// Both `structs` and `kern_structs` are there.
    TwoLayouts,
    /// A value is of another type than it should be.
    WrongType {
        /// Where.
        entry: Entry,
        /// The key.
        key: &'static str,
        /// The type it should have.
        expected: &'static str,
        /// The type it has.
        found: &'static str,
    },
    /// A number is not whole.
    NotWhole {
        /// Where.
        entry: Entry,
        /// The key.
        key: &'static str,
        /// The number.
        number: String,
    },
    /// A number is negative.
    Negative {
        /// Where.
        entry: Entry,
        /// The key.
        key: &'static str,
        /// The number.
        number: String,
    },
    /// A number is larger than its type can hold.
    TooLarge {
        /// Where.
        entry: Entry,
        /// The key.
        key: &'static str,
        /// The number.
        number: String,
        /// The largest there can be.
        limit: u64,
    },
    /// A name is longer than [`limits::NAME`].
    NameTooLong {
        /// Where.
        entry: Entry,
        /// The key.
        key: &'static str,
        /// The length of the name.
        length: usize,
    },
}

impl fmt::Display for MetaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => {
                write!(f, "{length} bytes of text, where {} is the limit", limits::TEXT)
            }
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::Expected(expected) => write!(f, "expected {expected}"),
            Self::Empty => f.write_str("there is no text"),
            Self::Unfinished => f.write_str("a value is not finished"),
            Self::Trailing => f.write_str("something follows the last brace"),
            Self::TooDeep => write!(f, "nested deeper than {}", limits::DEPTH),
            Self::TooManyValues => write!(f, "more than {} values", limits::VALUES),
            Self::TooManyRecords { found } => {
                write!(f, "{found} records, where {} is the limit", limits::ENTRIES)
            }
            Self::DuplicateKey { entry, key } => {
                write!(f, "{} stands twice in {entry}", key.escape_debug())
            }
            Self::MissingKey { entry, key } => write!(f, "{key} is missing in {entry}"),
            Self::NoKernelRecords => f.write_str("neither structs nor kern_structs is there"),
            Self::TwoLayouts => f.write_str("both structs and kern_structs are there"),
            Self::WrongType { entry, key, expected, found } => {
                write!(f, "{key} of {entry} is {found}, not {expected}")
            }
            Self::NotWhole { entry, key, number } => {
                write!(f, "{key} of {entry} is {number}, not a whole number")
            }
            Self::Negative { entry, key, number } => {
                write!(f, "{key} of {entry} is {number}, a negative number")
            }
            Self::TooLarge { entry, key, number, limit } => {
                write!(f, "{key} of {entry} is {number}, where {limit} is the limit")
            }
            Self::NameTooLong { entry, key, length } => {
                write!(
                    f,
                    "{key} of {entry} has {length} bytes, where {} is the limit",
                    limits::NAME
                )
            }
        }
    }
}

/// A `.meta` that cannot be read: what is wrong, and where in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at line {line} column {column}")]
pub struct MetaError {
    /// What is wrong. Boxed, since it is several names long.
    pub fault: Box<MetaFault>,
    /// The offset in the text.
    pub offset: u64,
    /// The line, from 1.
    pub line: u64,
    /// The column in bytes, from 1.
    pub column: u64,
}

impl MetaError {
    /// A fault at a byte of `text`.
    pub(super) fn new(fault: MetaFault, text: &[u8], at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.iter().filter(|&&byte| byte == b'\n').count();
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Self {
            fault: Box::new(fault),
            offset: count(at),
            line: count(line + 1),
            column: count(before.len() - start + 1),
        }
    }

    /// The rule that the text breaks.
    #[must_use]
    pub fn rule(&self) -> &'static Rule {
        match *self.fault {
            MetaFault::TooLong { .. } => &rules::META_TOO_LONG,
            MetaFault::NotUtf8
            | MetaFault::Expected(_)
            | MetaFault::Trailing
            | MetaFault::TooDeep
            | MetaFault::TooManyValues => &rules::META_NOT_JSON,
            MetaFault::Empty | MetaFault::Unfinished => &rules::META_UNFINISHED,
            MetaFault::TooManyRecords { .. } => &rules::META_TOO_MANY_RECORDS,
            MetaFault::DuplicateKey { .. } => &rules::META_KEY_DUPLICATE,
            MetaFault::MissingKey { .. } => &rules::META_KEY_MISSING,
            MetaFault::NoKernelRecords | MetaFault::TwoLayouts => &rules::META_LAYOUT_UNCLEAR,
            MetaFault::WrongType { .. } | MetaFault::NotWhole { .. } => &rules::META_TYPE_WRONG,
            MetaFault::Negative { .. } => &rules::META_NUMBER_NEGATIVE,
            MetaFault::TooLarge { .. } => &rules::META_NUMBER_TOO_LARGE,
            MetaFault::NameTooLong { .. } => &rules::META_NAME_TOO_LONG,
        }
    }

    /// The same as a finding, to be listed with those of [`check`](super::check).
    #[must_use]
    pub fn finding(&self) -> Finding {
        let at = Place::Meta { offset: self.offset, line: self.line, column: self.column };
        Finding::new(self.rule(), at).with("because", self.fault.to_string())
    }
}
