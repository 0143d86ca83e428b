//! A journal in a file, held by one process at a time (§5.1).

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::storage::Storage;
use crate::regular;

/// A journal's file. The lock on it goes with the process.
#[derive(Debug)]
pub struct File {
    file: fs::File,
    directory: PathBuf,
}

impl File {
    /// Opens the journal at `path`, or makes an empty one that only its owner can read.
    ///
    /// # Errors
    /// If that is not possible; [`io::ErrorKind::WouldBlock`] if another process holds it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = regular::open(&mut options, path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new(".")).to_owned();
        Ok(Self { file, directory })
    }
}

impl Storage for File {
    fn read(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let wanted = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        (&self.file).take(wanted).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        fs::File::open(&self.directory)?.sync_all()
    }
}
