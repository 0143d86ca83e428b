//! Why a value and a list do not correspond, and at which pair.

use std::borrow::Cow;
use std::fmt;

use ::serde::{de, ser};

use crate::nvlist::{self, Flags, Type};

/// What is wrong, and at which pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The pair.
    pub path: Path,
    /// What is wrong with it.
    pub kind: ErrorKind,
}

/// The way from the outermost list to a pair or an element. Shown as in `parts[3].offset`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path {
    /// The innermost first: it is found on the way out.
    steps: Vec<Step>,
}

/// A step into a list or an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The pair of that name.
    Name(Vec<u8>),
    /// The element of that index.
    Index(usize),
}

/// What is wrong with a pair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such pair.
    #[error("absent")]
    Absent,
    /// The pair is of another type.
    #[error("{wanted} wanted, {found} found")]
    Type {
        /// The type wanted; `array` where any of them would do.
        wanted: &'static str,
        /// Its type.
        found: Type,
    },
    /// A string or a name that is not UTF-8.
    #[error("string wanted, not UTF-8")]
    NotUtf8,
    /// The type that reads the list knows no such pair.
    #[error("not known")]
    Unknown {
        /// The type of the pair and where it begins in the packed list, where that is known.
        pair: Option<(Type, usize)>,
    },
    /// Two pairs for one field.
    #[error("there twice")]
    Duplicate,
    /// A value that the field cannot hold, such as a number out of its range.
    #[error("{wanted} wanted, {found} found")]
    Value {
        /// What the field holds.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// Too many or too few elements, bytes or pairs.
    #[error("{wanted} wanted, length {found} found")]
    Length {
        /// What the field holds.
        wanted: Cow<'static, str>,
        /// How many there are.
        found: usize,
    },
    /// A variant that the enum does not have.
    #[error("one of {} wanted, {} found", known.join(", "), found.escape_default())]
    Variant {
        /// The name found.
        found: String,
        /// The variants of the enum.
        known: &'static [&'static str],
    },
    /// A list with flags: its names are not those of a struct.
    #[error("a list with flags {:#x}", .0.bits())]
    Flags(Flags),
    /// A negative number.
    #[error("{0} is negative, a number is not")]
    Negative(i64),
    /// A type that has no counterpart.
    #[error("a list cannot hold a {0}")]
    Unsupported(&'static str),
    /// A map key that is no name.
    #[error("a name is a string, not a {0}")]
    Key(&'static str),
    /// A value that cannot be in an array.
    #[error("an array cannot hold a {0}")]
    Element(Type),
    /// An array of elements that differ in type.
    #[error("a {found} in a {array}")]
    Mixed {
        /// The array so far.
        array: Type,
        /// The type of the next element.
        found: Type,
    },
    /// `None` or an empty sequence where something has to be.
    #[error("there is nothing to write here")]
    Nothing,
    /// The list cannot be built or read.
    #[error(transparent)]
    Nvlist(nvlist::Error),
    /// What a type says of itself.
    #[error("{0}")]
    Custom(String),
}

impl Path {
    /// The steps, from the outermost list inwards.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().rev()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps().enumerate() {
            match step {
                Step::Name(name) if i == 0 => write!(f, "{}", name.escape_ascii())?,
                Step::Name(name) => write!(f, ".{}", name.escape_ascii())?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Error {
    fn named(name: &str, kind: ErrorKind) -> Self {
        Self::from(kind).within(name.as_bytes())
    }

    fn step(mut self, step: Step) -> Self {
        self.path.steps.push(step);
        self
    }

    /// The same error, found in the pair of that name.
    pub(super) fn within(self, name: &[u8]) -> Self {
        self.step(Step::Name(name.to_vec()))
    }

    /// The same error, found in the element of that index.
    pub(super) fn element(self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// The same error, found when the name of `pair` was read.
    pub(super) fn at_name(self, pair: &nvlist::Pair<'_>) -> Self {
        match self.kind {
            ErrorKind::Unknown { .. } => {
                let pair_found = Some((pair.value.kind(), pair.at));
                Self::from(ErrorKind::Unknown { pair: pair_found }).within(pair.name)
            }
            _ => self.within(pair.name),
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { path: Path::default(), kind }
    }
}

impl From<nvlist::Error> for Error {
    fn from(error: nvlist::Error) -> Self {
        ErrorKind::Nvlist(error).into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kind } = self;
        match kind {
            ErrorKind::Unknown { pair: Some((found, at)) } => {
                write!(f, "unknown pair \"{path}\" of type {found} at {at:#x} of the list")
            }
            _ if path.steps.is_empty() => kind.fmt(f),
            _ => write!(f, "pair \"{path}\": {kind}"),
        }
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ErrorKind::Custom(message.to_string()).into()
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ErrorKind::Custom(message.to_string()).into()
    }

    fn invalid_type(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::invalid_value(found, wanted)
    }

    fn invalid_value(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        ErrorKind::Value { wanted: wanted.to_string(), found: found.to_string() }.into()
    }

    fn invalid_length(found: usize, wanted: &dyn de::Expected) -> Self {
        ErrorKind::Length { wanted: wanted.to_string().into(), found }.into()
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        ErrorKind::Variant { found: found.to_owned(), known }.into()
    }

    fn unknown_field(name: &str, _: &'static [&'static str]) -> Self {
        Self::named(name, ErrorKind::Unknown { pair: None })
    }

    fn missing_field(name: &'static str) -> Self {
        Self::named(name, ErrorKind::Absent)
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::named(name, ErrorKind::Duplicate)
    }
}
