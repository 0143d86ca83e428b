//! One file that does not have its name yet.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::place::{self, Found, Place};
use super::{Existing, cannot, exchanged, stale, taken};
use crate::exit::Trouble;
use crate::node::Identity;

/// How often to try another random name.
const ATTEMPTS: u32 = 32;

/// Longest part of the final name that a temporary name repeats; names may have 255 bytes.
const NAME_PART: usize = 180;

/// A file being written under a temporary name. Dropping it removes it.
///
/// The temporary is locked (`flock`) as long as this lives, so that a later run can tell what a
/// killed one left behind from what a living one still writes.
#[derive(Debug)]
pub struct Staged {
    pub(super) place: Place,
    pub(super) existing: Existing,
    file: File,
    /// `None` once it has its final name.
    temp: Option<OsString>,
}

impl Staged {
    /// Creates the temporary for `path`, and removes those that killed runs left for the same name.
    ///
    /// # Errors
    /// In words, if the name is taken (and may not be replaced), or no file can be made there.
    pub fn create(path: &Path, existing: Existing) -> anyhow::Result<Self> {
        match place::find(path, existing)? {
            Found::Place(place) => Self::at(place, existing),
            Found::Special { shown, .. } => {
                Err(Trouble::new(format!("{shown} is not a regular file"))
                    .hint("this output needs a file: name one")
                    .into())
            }
        }
    }

    pub(super) fn at(place: Place, existing: Existing) -> anyhow::Result<Self> {
        stale::remove(&place);
        let (temp, file) =
            make_temporary(&place).map_err(|error| cannot("create", &place.shown, error))?;
        Ok(Self { place, existing, file, temp: Some(temp) })
    }

    /// What to call it in a message, safe for a terminal: the final name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.place.shown
    }

    /// Writes all of `buf` at a position. Threads may do so at the same time.
    ///
    /// # Errors
    /// With the name and what can be done.
    pub fn write_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(buf, at).map_err(|error| self.cannot("write", error))
    }

    /// Sets the length; what was never written is a hole and reads as zeros.
    ///
    /// # Errors
    /// With the name and what can be done.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len).map_err(|error| self.cannot("set the length of", error))
    }

    /// Makes durable what was written so far.
    ///
    /// # Errors
    /// If the system cannot promise it: then the file must not be used.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all().map_err(|error| self.cannot("make durable", error))
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// If the name was taken in the meantime, or means another file than at first, or anything
    /// cannot be made durable. Then there is no new file, except that one which replaced another
    /// stays.
    pub fn publish(mut self) -> anyhow::Result<()> {
        self.sync()?;
        let named = self.take_name()?;
        self.place.sync().inspect_err(|_| {
            if self.existing == Existing::Refuse {
                let _ = named.retract(&self.place);
            }
        })?;
        Ok(())
    }

    /// Moves the temporary to the final name by policy; nothing is durable yet.
    pub(super) fn take_name(&mut self) -> anyhow::Result<Named> {
        let stat =
            rustix::fs::fstat(&self.file).map_err(|error| self.cannot("look at", error.into()))?;
        let named = Named(place::identity(&stat));
        let Some(temp) = self.temp.as_deref() else { return Ok(named) };
        let result = match self.existing {
            Existing::Refuse => self.place.name_new(temp),
            Existing::Replace | Existing::Force => self.place.name_over(temp),
        };
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let replaced = self.place.stood.is_some();
                let say = if replaced { exchanged } else { taken };
                return Err(say(&self.place.shown));
            }
            Err(error) => return Err(self.cannot("give its name to", error).into()),
        }
        // Not to be removed any more, unless the hard link could not be taken back.
        if !matches!(self.place.identify(temp), Ok(Some(left)) if left == named.0) {
            self.temp = None;
        }
        Ok(named)
    }

    fn cannot(&self, doing: &str, error: io::Error) -> io::Error {
        cannot(doing, &self.place.shown, error)
    }
}

impl Write for Staged {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self.file.write(buf) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(self.cannot("write", error))
            }
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(temp) = &self.temp {
            let _ = self.place.remove(temp);
        }
    }
}

/// A file that has got its final name in this run.
#[derive(Debug)]
pub(super) struct Named(Identity);

impl Named {
    /// Takes the name away again, unless it means another file by now.
    pub(super) fn retract(&self, place: &Place) -> io::Result<()> {
        match place.identify(&place.name)? {
            Some(now) if now == self.0 => place.remove(&place.name),
            _ => Ok(()),
        }
    }
}

fn make_temporary(place: &Place) -> io::Result<(OsString, File)> {
    for _ in 0..ATTEMPTS {
        let temp = hidden_name(&place.name, TEMPORARY);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let file = match place.open(&temp, flags) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        };
        // Someone tidying up may hold the lock for a moment, and may have removed the file just
        // before we had it. A file system without locks also has nobody who tidies up.
        let _ = file.lock();
        if file.metadata()?.nlink() > 0 {
            return Ok((temp, file));
        }
    }
    Err(io::Error::other("no temporary name is free"))
}

/// How the name of a temporary ends.
pub(super) const TEMPORARY: &str = "tmp";

/// `.NAME.snaptool-PID-RANDOM.tmp`, and the same with another ending.
pub(super) fn hidden_name(name: &OsStr, ending: &str) -> OsString {
    let mut hidden = hidden_prefix(name);
    let random = uuid::Uuid::new_v4().as_fields().0;
    let rest = format!("{}-{random:08x}.{ending}", std::process::id());
    hidden.extend_from_slice(rest.as_bytes());
    OsString::from_vec(hidden)
}

/// What all hidden names for the same target begin with.
pub(super) fn hidden_prefix(name: &OsStr) -> Vec<u8> {
    let name = name.as_bytes();
    [b".", name.get(..NAME_PART).unwrap_or(name), b".snaptool-"].concat()
}
