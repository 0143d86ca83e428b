//! The directory of a target: which names there are, and what each means.
//!
//! ```text
//! journal            who owns the VM (spec/handover.md §5)
//! session            the note of what is being received, or was (§10.2)
//! vm.ckp             guest RAM: grows from all zero to the machine's memory
//! vm.ckp.kern        device state; there once everything has arrived
//! vm.ckp.meta.held   `.meta`, without the name that bhyve looks for
//! vm.ckp.meta        `.meta`: bhyve can start the snapshot, and the VM is this side's
//! vm.ckp.config      the VM's configuration, if the source sent one
//! ```
//! No name comes from a peer. bhyve reads `.meta` first, so a VM that is not this side's cannot be
//! started by mistake.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::core::{Code, hinted, trouble};
use crate::regular;
use crate::stream::message::Trouble;

/// The directory of a target.
#[derive(Clone, Debug)]
pub struct Dir {
    path: PathBuf,
}

impl Dir {
    /// The directory at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, is no directory, or others can look into it.
    pub fn open(path: &Path) -> Result<Self, Trouble> {
        let made = DirBuilder::new().mode(0o700).create(path);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(cannot("make", path, &error));
            }
            _ => {}
        }
        // Whether it was made now, or by a process that did not live to sync it.
        regular::sync_parent(path).map_err(|error| cannot("make durable", path, &error))?;
        let data = fs::symlink_metadata(path).map_err(|error| cannot("look at", path, &error))?;
        if !data.is_dir() {
            return Err(trouble(Code::Room, format!("{} is no directory", path.display())));
        }
        if data.uid() != rustix::process::geteuid().as_raw() {
            let words = format!("{} belongs to another user", path.display());
            let hint = "a directory of one's own is not changed by others";
            return Err(hinted(Code::Room, words, hint));
        }
        if data.mode() & 0o077 != 0 {
            let words = format!("others than its owner can use {}", path.display());
            let hint = format!("a VM's memory holds its secrets: chmod 700 {}", path.display());
            return Err(hinted(Code::Room, words, &hint));
        }
        Ok(Self { path: path.to_owned() })
    }

    fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.join("journal")
    }

    /// The note.
    #[must_use]
    pub fn session(&self) -> PathBuf {
        self.join("session")
    }

    /// Guest RAM, and the name that the others are made from.
    #[must_use]
    pub fn ram(&self) -> PathBuf {
        self.join("vm.ckp")
    }

    /// Device state.
    #[must_use]
    pub fn kern(&self) -> PathBuf {
        self.join("vm.ckp.kern")
    }

    /// `.meta` before the VM is this side's.
    #[must_use]
    pub fn held(&self) -> PathBuf {
        self.join("vm.ckp.meta.held")
    }

    /// `.meta`.
    #[must_use]
    pub fn meta(&self) -> PathBuf {
        self.join("vm.ckp.meta")
    }

    /// The VM's configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.join("vm.ckp.config")
    }

    /// Makes names durable.
    ///
    /// # Errors
    /// If they may not be.
    pub fn sync(&self) -> Result<(), Trouble> {
        let synced = File::open(&self.path).and_then(|dir| dir.sync_all());
        synced.map_err(|error| cannot("make durable", &self.path, &error))
    }

    /// Gives `.meta` the name that bhyve looks for, durable. Does nothing if it has it.
    ///
    /// # Errors
    /// If that is not possible; it then has the one name or the other.
    pub fn publish(&self) -> Result<(), Trouble> {
        if !self.has(&self.held())? && self.has(&self.meta())? {
            return self.sync();
        }
        let renamed = fs::rename(self.held(), self.meta());
        renamed.map_err(|error| cannot("rename", &self.held(), &error))?;
        self.sync()
    }

    /// Removes the snapshot, `.meta` first and the note last, so that what is left at any moment is
    /// none that bhyve starts, and is known for what it is.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn destroy(&self) -> Result<(), Trouble> {
        self.remove(&self.meta())?;
        self.sync()?;
        for path in [self.held(), self.kern(), self.config(), self.ram()] {
            self.remove(&path)?;
        }
        self.sync()?;
        self.remove(&self.session())
    }

    /// Whether anything has this name.
    pub(super) fn has(&self, path: &Path) -> Result<bool, Trouble> {
        let found = regular::look(path).map_err(|error| cannot("look at", path, &error))?;
        Ok(found.is_some())
    }

    pub(super) fn remove(&self, path: &Path) -> Result<(), Trouble> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(cannot("remove", path, &error))
            }
            _ => Ok(()),
        }
    }
}

/// What could not be done with a file, for both sides: `room` where there is none left.
pub(super) fn cannot(what: &str, path: &Path, error: &io::Error) -> Trouble {
    let full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    let code = if full { Code::Room } else { Code::Internal };
    trouble(code, format!("cannot {what} {}: {error}", path.display()))
}
