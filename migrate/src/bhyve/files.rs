//! What the three files show of a command whose end bhyve does not report.
//!
//! bhyve writes memory, then records, and finishes `.meta` last; before, `.meta` has no last brace,
//! since it is written through a buffer. So a `.meta` that can be read and agrees with the lengths
//! of the other two was written after all of them. Whether the state is any good is another
//! question, which verification answers.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use snapfmt::bhyve::{Meta, limits};

/// The endings of the three names.
const ENDINGS: [&str; 3] = ["", ".kern", ".meta"];

/// What there is of the three files at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// The length of the file with guest memory.
    pub ram: Option<u64>,
    /// The length of `.kern`.
    pub kern: Option<u64>,
    /// The text of `.meta`, as far as it is there.
    pub meta: Option<Vec<u8>>,
}

/// Why the files are not a whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incomplete {
    /// bhyve never began to write.
    #[error("none of the files is there")]
    Nothing,
    /// One is missing.
    #[error("the file {0:?} is missing")]
    Missing(&'static str),
    /// `.meta` is not finished, or damaged.
    #[error("`.meta` is not finished: {0}")]
    Meta(String),
    /// A file does not have the length that `.meta` says.
    #[error("the file {ending:?} has {found} bytes, `.meta` says {wanted}")]
    Length {
        /// The ending of its name.
        ending: &'static str,
        /// Bytes it has.
        found: u64,
        /// Bytes it should have.
        wanted: u64,
    },
}

impl Sighting {
    /// Whether that is a whole snapshot.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn complete(&self) -> Result<Meta, Incomplete> {
        let (ram, kern, text) = match (self.ram, self.kern, &self.meta) {
            (Some(ram), Some(kern), Some(text)) => (ram, kern, text),
            (None, None, None) => return Err(Incomplete::Nothing),
            (None, ..) => return Err(Incomplete::Missing("")),
            (_, None, _) => return Err(Incomplete::Missing(".kern")),
            (.., None) => return Err(Incomplete::Missing(".meta")),
        };
        let meta = Meta::parse(text).map_err(|error| Incomplete::Meta(error.to_string()))?;
        let ends = meta.records.iter().map(|record| record.offset.saturating_add(record.size));
        let wanted = ends.max().unwrap_or(0);
        if kern != wanted {
            return Err(Incomplete::Length { ending: ".kern", found: kern, wanted });
        }
        if ram != meta.vm.memsize {
            return Err(Incomplete::Length { ending: "", found: ram, wanted: meta.vm.memsize });
        }
        Ok(meta)
    }
}

/// Where bhyve writes; a directory, or what a test puts in its place.
pub trait Files {
    /// What is there now.
    ///
    /// # Errors
    ///
    /// It cannot be looked at. That a file is missing is no error.
    fn look(&self) -> io::Result<Sighting>;

    /// Makes all that is there durable, names too. bhyve syncs nothing.
    ///
    /// # Errors
    ///
    /// A sync failed; what is on the disk is then not known.
    fn sync(&self) -> io::Result<()>;
}

/// The three files of one name in a directory.
#[derive(Debug)]
pub struct Directory {
    directory: OwnedFd,
    name: OsString,
}

impl Directory {
    /// The files `name`, `name.kern` and `name.meta` in a directory.
    ///
    /// # Errors
    ///
    /// There is no such directory.
    pub fn open(directory: &Path, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory, flags, Mode::empty())?;
        Ok(Self { directory, name: name.into() })
    }

    /// The directory, as bhyve is handed it.
    #[must_use]
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    fn name(&self, ending: &str) -> OsString {
        let mut name = self.name.clone().into_vec();
        name.extend_from_slice(ending.as_bytes());
        OsString::from_vec(name)
    }

    fn file(&self, ending: &str) -> Result<Option<OwnedFd>, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        absent(rustix::fs::openat(&self.directory, self.name(ending), flags, Mode::empty()))
    }

    fn length(&self, ending: &str) -> Result<Option<u64>, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let stat = absent(rustix::fs::statat(&self.directory, self.name(ending), flags))?;
        Ok(stat.map(|stat| u64::try_from(stat.st_size).unwrap_or(0)))
    }
}

fn absent<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

impl Files for Directory {
    fn look(&self) -> io::Result<Sighting> {
        // `.meta` first: what it says was done before, so the lengths are at least as new.
        let mut meta = None;
        if let Some(file) = self.file(".meta")? {
            let mut text = Vec::new();
            // One byte more than is allowed tells that there is more.
            let limit = limits::TEXT as u64 + 1;
            std::fs::File::from(file).take(limit).read_to_end(&mut text)?;
            meta = Some(text);
        }
        Ok(Sighting { ram: self.length("")?, kern: self.length(".kern")?, meta })
    }

    fn sync(&self) -> io::Result<()> {
        for ending in ENDINGS {
            let file = self.file(ending)?.ok_or(io::ErrorKind::NotFound)?;
            rustix::fs::fsync(file)?;
        }
        Ok(rustix::fs::fsync(&self.directory)?)
    }
}
