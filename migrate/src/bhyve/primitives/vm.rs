//! A VM whose server has primitives, as a migration's source.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags};
use snapfmt::bhyve::limits;
use snapfmt::memory::map::MemoryMap;

use super::client::{Client, Offer};
use super::error::{Doing, Failed};
use crate::vm::{Changed, Cost, DeviceState, Mark, Pause, Running, Source};

/// What a pause takes besides pages: the device state of a large VM written and synced, and a start
/// at the other end. An estimate; a rehearsal measures the first part.
const FIXED: Duration = Duration::from_millis(50);

/// Why something failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VmError {
    /// The server does not give its memory, and so it has to be read in another way.
    #[error("the server does not offer the guest's memory")]
    NoMemory,
    /// A command failed.
    #[error(transparent)]
    Command(#[from] Failed),
    /// The range is not all memory of the guest.
    #[error("{len} bytes at {gpa:#x} are not all memory of the guest")]
    Range {
        /// Where it begins.
        gpa: u64,
        /// Bytes.
        len: usize,
    },
    /// Memory or the files of the device state cannot be read.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// A VM whose server has primitives.
#[derive(Debug)]
pub struct Vm {
    client: Client,
    offer: Offer,
    memory: OwnedFd,
    /// Where the device state is written, and under which name next.
    directory: OwnedFd,
    path: PathBuf,
    states: u32,
}

impl Vm {
    /// A VM whose device state is written into a directory of the caller's, and read from there.
    ///
    /// # Errors
    ///
    /// The server does not offer memory, or there is no such directory.
    pub fn new(client: Client, mut offer: Offer, directory: &Path) -> Result<Self, VmError> {
        let memory = offer.memory.take().ok_or(VmError::NoMemory)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::open(directory, flags, Mode::empty());
        let directory_fd = open.map_err(failed("opening the directory"))?;
        let path = directory.to_owned();
        Ok(Self { client, offer, memory, directory: directory_fd, path, states: 0 })
    }

    /// What the server said the guest was doing when it was asked.
    #[must_use]
    pub fn was(&self) -> Doing {
        self.offer.guest
    }

    /// Where the device state is written.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.path
    }

    /// Reads a file of the device state, and removes its name: it was read into memory whole.
    fn take(&self, name: &str, limit: u64) -> Result<Vec<u8>, VmError> {
        let what = "reading the device state";
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, name, flags, Mode::empty());
        let mut bytes = Vec::new();
        let file = std::fs::File::from(file.map_err(failed(what))?);
        io::Read::read_to_end(&mut io::Read::take(file, limit.saturating_add(1)), &mut bytes)
            .map_err(|source| VmError::Io { what, source })?;
        if bytes.len() as u64 > limit {
            return Err(VmError::Io { what, source: io::ErrorKind::FileTooLarge.into() });
        }
        rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()).map_err(failed(what))?;
        Ok(bytes)
    }
}

fn failed(what: &'static str) -> impl Fn(rustix::io::Errno) -> VmError {
    move |errno| VmError::Io { what, source: errno.into() }
}

impl Source for Vm {
    type Error = VmError;

    fn cost(&self) -> Cost {
        Cost { running: Running::Logged, pause: Pause { fixed: FIXED, whole: None } }
    }

    fn memory(&self) -> &MemoryMap {
        &self.offer.map
    }

    fn read(&mut self, gpa: u64, into: &mut [u8]) -> Result<(), VmError> {
        let range = VmError::Range { gpa, len: into.len() };
        let Some((mut offset, left)) = self.offer.offset(gpa) else { return Err(range) };
        if into.len() as u64 > left {
            return Err(range);
        }
        let mut rest = into;
        while !rest.is_empty() {
            let got = match rustix::io::pread(&self.memory, &mut *rest, offset) {
                Err(rustix::io::Errno::INTR) => continue,
                got => got.map_err(failed("reading memory"))?,
            };
            if got == 0 {
                let source = io::ErrorKind::UnexpectedEof.into();
                return Err(VmError::Io { what: "reading memory", source });
            }
            offset = offset.saturating_add(got as u64);
            rest = rest.get_mut(got..).unwrap_or_default();
        }
        Ok(())
    }

    fn mark(&mut self) -> Result<Mark, VmError> {
        Ok(self.client.mark()?)
    }

    fn changed(&mut self, since: Mark) -> Result<(Mark, Changed), VmError> {
        match self.client.dirty(since, &self.offer.map) {
            Ok(dirty) => Ok((dirty.mark, Changed::Exact(dirty.written))),
            Err(Failed::Refused(refusal)) if refusal.code == "ESTALE" => {
                Ok((self.client.mark()?, Changed::Scan))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Suspends the guest, takes its state and lets it go on: the rehearsal is the thing itself,
    /// and costs the guest as long.
    fn checkpoint(&mut self) -> Result<DeviceState, VmError> {
        let state = self.suspend();
        // Also if no reply came: it may stand still.
        let resumed = self.resume();
        let state = state?;
        resumed.map(|()| state)
    }

    fn suspend(&mut self) -> Result<DeviceState, VmError> {
        self.states = self.states.wrapping_add(1);
        let name = format!("state.{}.{}", std::process::id(), self.states);
        self.client.suspend(self.directory.as_fd(), &name)?;
        Ok(DeviceState {
            meta: self.take(&format!("{name}.meta"), limits::TEXT as u64)?,
            kern: self.take(&format!("{name}.kern"), limits::RECORDS_TOTAL)?,
        })
    }

    fn resume(&mut self) -> Result<(), VmError> {
        match self.client.resume() {
            Err(Failed::Refused(refusal)) if refusal.code == "EALREADY" => Ok(()),
            done => Ok(done?),
        }
    }

    fn destroy(&mut self) -> Result<(), VmError> {
        Ok(self.client.destroy()?)
    }
}
