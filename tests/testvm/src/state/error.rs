//! Why a state cannot be written or read.

use std::io;
use std::path::{Path, PathBuf};

use snapfmt::bhyve::{Finding, MetaError};
use snapfmt::state::Unknown;

/// Why.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateError {
    /// A record that is not there.
    NoRecord(&'static str),
    /// A record that has no field of that key, or one of another size.
    NoField {
        /// The record.
        record: String,
        /// The key.
        key: String,
    },
    /// A record whose layout is not known.
    Unknown {
        /// The record.
        record: String,
        /// Why.
        why: Unknown,
    },
    /// A `.meta` that is none.
    Meta(MetaError),
    /// The three files do not fit each other.
    Structure(Finding),
    /// The files are of another machine.
    Machine(String),
    /// Trouble with a file.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Trouble with the machine.
    Kernel(io::Error),
}

impl StateError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoRecord(name) => write!(f, "there is no record {name}"),
            Self::NoField { record, key } => write!(f, "record {record} has no field {key}"),
            Self::Unknown { record, why } => write!(f, "record {record}: {why}"),
            Self::Meta(error) => write!(f, ".meta: {error}"),
            Self::Structure(finding) => write!(f, "{finding}"),
            Self::Machine(what) => write!(f, "the snapshot has {what}"),
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Kernel(source) => write!(f, "KVM: {source}"),
        }
    }
}

impl std::error::Error for StateError {}
