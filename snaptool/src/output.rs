//! Publishing output files: whole, or not at all.
//!
//! A file is written under a temporary name in the directory where it will live, made durable, and
//! only then gets its name; whatever happens before, the name does not exist or still means the old
//! file. What is no file (a pipe, a device, `-`) is written straight, since nothing else is
//! possible.
//!
//! Files are created with mode 0600: a snapshot holds all secrets of its guest.

mod direct;
mod place;
mod set;
mod staged;
mod stale;

use std::io::{self, Write};
use std::path::Path;

pub use self::direct::Direct;
use self::place::Found;
pub use self::set::publish_set;
pub use self::staged::Staged;
use crate::exit::Trouble;
use crate::node::Identity;

/// What to do if the name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and say so: early, and again when the new file would take its name.
    Refuse,
    /// Put the new file in its place, atomically, if the same file as now stands there then. A
    /// symbolic link stays; what it names is replaced.
    Replace,
    /// The same, and write on disks and other devices that keep what they are given.
    Force,
}

/// Whether people can read what is written; only then a terminal may get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes that would upset a terminal.
    Binary,
    /// Words.
    Text,
}

/// Where one result goes.
#[derive(Debug)]
pub enum Output {
    /// A file that does not have its name yet.
    Staged(Staged),
    /// A pipe, a device or stdout.
    Direct(Direct),
}

impl Output {
    /// Opens what the user named: `-` is stdout, a FIFO or device is written straight, anything
    /// else becomes a new file.
    ///
    /// # Errors
    /// In words, before any work is done: the name is taken, is a directory, cannot be created.
    pub fn open(path: &Path, content: Content, existing: Existing) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Direct(Direct::stdout(content)?));
        }
        Ok(match place::find(path, existing)? {
            Found::Place(place) => Self::Staged(Staged::at(place, existing)?),
            Found::Special { shown, block } => {
                Self::Direct(Direct::open(path, shown, block, content, existing)?)
            }
        })
    }

    /// What to call it in a message, safe for a terminal.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Staged(staged) => staged.name(),
            Self::Direct(direct) => direct.name(),
        }
    }

    /// Which file is written or replaced; none if a new one appears.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match self {
            Self::Staged(staged) => staged.place.stood,
            Self::Direct(direct) => direct.identity(),
        }
    }

    /// Whether this is our stdout, under whatever name.
    #[must_use]
    pub fn is_stdout(&self) -> bool {
        matches!(self, Self::Direct(direct) if direct.is_stdout())
    }

    /// The staged file, if positions can be written; a pipe has none.
    #[must_use]
    pub fn as_staged(&self) -> Option<&Staged> {
        match self {
            Self::Staged(staged) => Some(staged),
            Self::Direct(_) => None,
        }
    }

    /// Ends the output: a file gets its name, anything else is flushed.
    ///
    /// # Errors
    /// If it cannot be made durable or cannot get its name; then there is no new file.
    pub fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Staged(staged) => staged.publish(),
            Self::Direct(direct) => direct.finish(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Staged(staged) => staged.write(buf),
            Self::Direct(direct) => direct.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Staged(staged) => staged.flush(),
            Self::Direct(direct) => direct.flush(),
        }
    }
}

/// The error of a write, a sync or a creation, with what can be done about it.
///
/// It keeps its kind, except that only stdout may say `BrokenPipe`: see `exit`.
fn cannot(doing: &str, shown: &str, error: io::Error) -> io::Error {
    use io::ErrorKind as Kind;
    let hint = match error.kind() {
        Kind::StorageFull => Some("its file system is full: free some space, or write elsewhere"),
        Kind::QuotaExceeded => Some("a quota is used up: free some space, or write elsewhere"),
        Kind::FileTooLarge => {
            Some("the file system or `ulimit -f` does not allow files that large: write elsewhere")
        }
        Kind::ReadOnlyFilesystem => Some("its file system is read-only: write elsewhere"),
        Kind::PermissionDenied => Some("you may not write there: write elsewhere, or be root"),
        Kind::BrokenPipe => Some("whoever read it has gone: the copy it got is not complete"),
        _ => None,
    };
    let trouble = Trouble::new(format!("cannot {doing} {shown}"));
    let (kind, trouble) = match error.kind() {
        Kind::BrokenPipe => (Kind::Other, trouble.because(anyhow::anyhow!("broken pipe"))),
        kind => (kind, trouble.because(error)),
    };
    io::Error::new(kind, hint.into_iter().fold(trouble, Trouble::hint))
}

fn exchanged(shown: &str) -> anyhow::Error {
    Trouble::new(format!("{shown} was replaced by someone else meanwhile"))
        .hint("look what it is now, and name another file or try again")
        .into()
}

fn taken(shown: &str) -> anyhow::Error {
    Trouble::new(format!("{shown} exists already"))
        .hint("name another file, or remove that one first")
        .into()
}
