//! Numbered points at which a process may be killed, for tests that try all of them.
//!
//! The first is 0. Points are counted as they come, and their names appended to a file, so that a
//! run without a kill tells which there are.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use migrate::journal::{self, LEN, Record, Storage};
use rustix::process::{Signal, getpid, kill_process};

/// The points of this process. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Points(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    kill_at: Option<usize>,
    passed: usize,
    list: File,
}

impl Points {
    /// Points whose names go to the file `list`; at the one with the number in the variable
    /// `variable`, if there is one, this process is killed.
    ///
    /// # Errors
    /// If the file cannot be written, or the variable is no number.
    pub fn new(list: &Path, variable: &str) -> io::Result<Self> {
        let kill_at = std::env::var(variable).ok().map(|n| n.parse()).transpose();
        let kill_at = kill_at.map_err(io::Error::other)?;
        let list = OpenOptions::new().create(true).append(true).open(list)?;
        Ok(Self(Arc::new(Mutex::new(State { kill_at, passed: 0, list }))))
    }

    /// Comes past a point.
    ///
    /// # Errors
    /// If its name cannot be written.
    pub fn pass(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(state.list, "{name}")?;
        if state.kill_at == Some(state.passed) {
            kill_process(getpid(), Signal::KILL)?;
        }
        state.passed += 1;
        Ok(())
    }
}

/// The file of a journal, with points between the steps.
#[derive(Debug)]
pub struct Watched {
    file: journal::File,
    points: Points,
    kind: &'static str,
}

impl Watched {
    /// Watches a file.
    #[must_use]
    pub fn new(file: journal::File, points: Points) -> Self {
        Self { file, points, kind: "?" }
    }
}

impl Storage for Watched {
    fn read(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        self.file.read(limit)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let record: Option<&[u8; LEN]> = bytes.try_into().ok();
        let record = record.and_then(|b| Record::decode(b, at / LEN as u64).ok());
        self.kind = record.map_or("?", |record| record.entry.kind.name());
        self.points.pass(&format!("before write {}", self.kind))?;
        self.file.write(at, bytes)?;
        self.points.pass(&format!("before sync {}", self.kind))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.points.pass(&format!("after sync {}", self.kind))
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.file.sync_dir()
    }
}
