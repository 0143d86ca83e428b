//! A VM of bhyve as it is, as a migration's source.
//!
//! Its memory can be had in two ways. Out of checkpoints: each round stops the guest for as long as
//! all of its memory takes to write. Or, where its device can be mapped, from the running guest.
//! Either way nobody knows what has changed, so that everything is read and compared, and the last
//! of it comes out of the file that a suspend writes while the guest stands still. That is the
//! pause, and a rehearsal has measured it.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snapfmt::bhyve::{Files as Names, Meta, RamLayout, limits};
use snapfmt::memory::map::{MemoryMap, Segment};

use super::ask::{Failed, Listener, ask};
use super::protocol::Command;
use super::watch::{Clock, Patience, Process, Report, Verdict};
use crate::handover::Guest;
use crate::vm::{Changed, Cost, DeviceState, Mark, Pause, Running, Source};

/// What a pause takes besides memory: an exit, and a start at the other end. An estimate.
const FIXED: Duration = Duration::from_millis(50);

/// What a VM of stock bhyve needs from its surroundings.
pub trait World: Process + Clock {
    /// Copies memory of the running guest. Whether it can be had, and all of the range is memory;
    /// if not once, then never.
    fn read(&mut self, gpa: u64, into: &mut [u8]) -> bool;

    /// Starts the VM again from the files that a suspend has written: the way back.
    fn restart(&mut self, files: &Names) -> Guest;
}

/// Why something failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StockError {
    /// The command was not given, or nobody knows what became of it.
    #[error(transparent)]
    Ask(#[from] Failed),
    /// The command did not succeed; the report says what the guest does.
    #[error("{:?} failed: {}", .0.command, .0.verdict.advice())]
    Command(Box<Report>),
    /// The range is not all memory of the guest.
    #[error("{len} bytes at {gpa:#x} are not all memory of the guest")]
    Range {
        /// Where it begins.
        gpa: u64,
        /// Bytes.
        len: usize,
    },
    /// The files cannot be read or removed.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The memory that `.meta` names is such as no guest can have.
    #[error("the guest's memory: {0}")]
    Memory(String),
    /// The VM has not been suspended.
    #[error("the VM has not been suspended")]
    Runs,
    /// Whether the VM runs again is not known, or it does not.
    #[error("the VM was to be started again, and this is known of it: {0:?}")]
    NotRestarted(Guest),
}

/// A VM of stock bhyve.
pub struct Stock<W> {
    listener: Listener,
    directory: PathBuf,
    patience: Patience,
    world: W,
    /// Whether memory is read from the running guest.
    live: bool,
    layout: RamLayout,
    map: MemoryMap,
    written: Duration,
    /// The newest files; those of a suspend, if it is suspended.
    files: Names,
    /// The one with memory, once it has been read from.
    ram: Option<File>,
    suspended: bool,
    /// Commands so far; each has files of its own.
    count: u64,
    /// Names that could not be removed when they had served.
    left: Vec<Names>,
}

impl<W: World> Stock<W> {
    /// Rehearses: takes a checkpoint into a directory of the caller's, which tells how much memory
    /// the VM has, how long it takes to write, and, with its device state, whether the target will
    /// take it. `live` says that memory is to be read from the running guest from now on.
    ///
    /// # Errors
    ///
    /// See [`StockError`]. The guest goes on, unless the report in it says otherwise.
    pub fn rehearse(
        listener: Listener,
        directory: &Path,
        patience: Patience,
        world: W,
        live: bool,
    ) -> Result<(Self, DeviceState), StockError> {
        let (files, meta, took) =
            command(&listener, Command::Checkpoint, directory, 0, patience, &world)?;
        let layout = RamLayout::new(meta.vm.memsize);
        let segments = layout.segments().map(|s| Segment { gpa: s.gpa, len: s.len }).collect();
        let map = MemoryMap::new(segments);
        let map = map.map_err(|fault| StockError::Memory(fault.to_string()))?;
        let state = state(&files)?;
        let vm = Self {
            listener,
            directory: directory.to_owned(),
            patience,
            world,
            live,
            layout,
            map,
            written: took,
            files,
            ram: None,
            suspended: false,
            count: 1,
            left: Vec::new(),
        };
        Ok((vm, state))
    }

    /// How long the last checkpoint or suspend took, and so the guest stood still at most.
    #[must_use]
    pub const fn written(&self) -> Duration {
        self.written
    }

    /// The files that the VM can be started from, if it is suspended.
    #[must_use]
    pub fn files(&self) -> Option<&Names> {
        self.suspended.then_some(&self.files)
    }

    fn command(&mut self, what: Command) -> Result<DeviceState, StockError> {
        let number = self.count;
        self.count += 1;
        let (listener, directory) = (&self.listener, &self.directory);
        let (files, meta, took) =
            command(listener, what, directory, number, self.patience, &self.world)?;
        // Whatever is wrong from here on, this is so.
        self.suspended = what == Command::Suspend;
        (self.ram, self.written) = (None, took);
        let old = std::mem::replace(&mut self.files, files);
        if remove(&old).is_err() {
            self.left.push(old);
        }
        if meta.vm.memsize != self.map.size() {
            return Err(StockError::Memory(format!(
                "{:#x} bytes, and {:#x} before",
                meta.vm.memsize,
                self.map.size()
            )));
        }
        state(&self.files)
    }
}

/// Gives a command and takes nothing but success for it.
fn command(
    listener: &Listener,
    command: Command,
    directory: &Path,
    number: u64,
    patience: Patience,
    world: &impl World,
) -> Result<(Names, Meta, Duration), StockError> {
    let name = format!("migrate.{}.{number}", std::process::id());
    let place = (directory, name.as_str());
    let report = ask(listener, command, place, world, world, patience)?;
    let Verdict::Complete(meta) = &report.verdict else {
        return Err(StockError::Command(Box::new(report)));
    };
    let names = Names::of(&directory.join(&name));
    Ok((names, meta.as_ref().clone(), report.took))
}

fn at(path: &Path) -> impl Fn(io::Error) -> StockError {
    let path = path.to_owned();
    move |source| StockError::File { path: path.clone(), source }
}

fn state(names: &Names) -> Result<DeviceState, StockError> {
    let read = |path: &Path, limit: u64| {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(at(path))?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(at(path))?;
        if bytes.len() as u64 > limit {
            return Err(at(path)(io::ErrorKind::FileTooLarge.into()));
        }
        Ok(bytes)
    };
    let meta = read(&names.meta, limits::TEXT as u64)?;
    Ok(DeviceState { meta, kern: read(&names.kern, limits::RECORDS_TOTAL)? })
}

/// Removes three files, `.meta` first: without it the rest is no snapshot.
fn remove(names: &Names) -> Result<(), StockError> {
    for path in [&names.meta, &names.kern, &names.ram] {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(path)(error)),
            _ => {}
        }
    }
    Ok(())
}

impl<W: World> Source for Stock<W> {
    type Error = StockError;

    /// The floor is what the last checkpoint took: a suspend writes as much, and then all of it is
    /// read again.
    fn cost(&self) -> Cost {
        let nanoseconds = self.written.as_nanos().max(1);
        let rate = u128::from(self.map.size()) * 1_000_000_000 / nanoseconds;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX).max(1);
        let running = if self.live { Running::Scanned } else { Running::Stopped };
        Cost { running, pause: Pause { fixed: FIXED, whole: NonZeroU64::new(rate) } }
    }

    fn memory(&self) -> &MemoryMap {
        &self.map
    }

    fn read(&mut self, gpa: u64, into: &mut [u8]) -> Result<(), StockError> {
        let range = StockError::Range { gpa, len: into.len() };
        let holds = |segment: &Segment| {
            let end = gpa.checked_add(into.len() as u64);
            gpa >= segment.gpa && end.is_some_and(|end| end <= segment.end())
        };
        if !self.map.segments().iter().any(holds) {
            return Err(range);
        }
        if self.live && !self.suspended {
            return if self.world.read(gpa, into) { Ok(()) } else { Err(range) };
        }
        let Some(offset) = self.layout.offset(gpa) else { return Err(range) };
        let path = &self.files.ram;
        let ram = match self.ram.take() {
            Some(ram) => ram,
            None => File::open(path).map_err(at(path))?,
        };
        ram.read_exact_at(into, offset).map_err(at(path))?;
        self.ram = Some(ram);
        Ok(())
    }

    /// Where memory comes out of files, a round is a checkpoint.
    fn mark(&mut self) -> Result<Mark, StockError> {
        if !self.live && !self.suspended {
            self.command(Command::Checkpoint)?;
        }
        Ok(Mark(self.count))
    }

    fn changed(&mut self, _: Mark) -> Result<(Mark, Changed), StockError> {
        Ok((self.mark()?, Changed::Scan))
    }

    fn checkpoint(&mut self) -> Result<DeviceState, StockError> {
        self.command(Command::Checkpoint)
    }

    fn suspend(&mut self) -> Result<DeviceState, StockError> {
        self.command(Command::Suspend)
    }

    /// Starts the VM from the files of the suspend, which stay.
    fn resume(&mut self) -> Result<(), StockError> {
        if !self.suspended {
            return Err(StockError::Runs);
        }
        match self.world.restart(&self.files) {
            Guest::Ran => {
                self.suspended = false;
                Ok(())
            }
            guest => Err(StockError::NotRestarted(guest)),
        }
    }

    /// Removes the files. bhyve has destroyed the VM itself.
    fn destroy(&mut self) -> Result<(), StockError> {
        if !self.suspended {
            return Err(StockError::Runs);
        }
        remove(&self.files)?;
        self.left.iter().try_for_each(remove)
    }
}
