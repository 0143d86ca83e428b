//! One command from its preconditions to its report.

use std::io;
use std::path::{Path, PathBuf};

use super::control::{Connection, Unsent};
use super::files::{Directory, Files};
use super::protocol::{Command, Protocol, Unsuitable};
use super::watch::{Clock, Patience, Process, Report, watch};

/// Which bhyve to ask, and how it listens.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The directory of bhyve's sockets.
    pub run_dir: PathBuf,
    /// The name of the VM.
    pub vm: String,
    /// What its version wants to be told.
    pub protocol: Protocol,
}

/// Why a command was not given, or its end could not be seen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// There are files of that name. bhyve would truncate them before it knows that it can write
    /// better ones, and nobody could tell its files from those.
    #[error("there are files of that name already")]
    Exists,
    /// The name or directory is not one for this bhyve.
    #[error(transparent)]
    Unsuitable(#[from] Unsuitable),
    /// The command did not get to bhyve.
    #[error(transparent)]
    Unsent(#[from] Unsent),
    /// The files cannot be looked at. If it was after the command, what became of it is not known.
    #[error("looking at the files: {0}")]
    Files(#[from] io::Error),
}

impl Failed {
    /// Whether bhyve may be doing what it was asked all the same.
    #[must_use]
    pub const fn may_be_done(&self) -> bool {
        match self {
            Self::Exists | Self::Unsuitable(_) => false,
            Self::Unsent(Unsent::Message(_)) | Self::Files(_) => true,
            Self::Unsent(_) => false,
        }
    }
}

/// Tells bhyve to checkpoint or suspend its VM into `files`, which lie in `directory`, and waits
/// for what comes of it.
///
/// # Errors
///
/// See [`Failed`].
pub fn ask(
    listener: &Listener,
    command: Command,
    (directory, name): (&Path, &str),
    process: &impl Process,
    clock: &impl Clock,
    patience: Patience,
) -> Result<Report, Failed> {
    let files = Directory::open(directory, name)?;
    if files.look()? != super::Sighting::default() {
        return Err(Failed::Exists);
    }
    let protocol = listener.protocol;
    let request = protocol.request(command, directory, files.directory(), name)?;
    let mut connection = Connection::open(&listener.run_dir, &listener.vm, protocol)?;
    connection.send(&request)?;
    Ok(watch(command, &mut connection, &files, process, clock, patience)?)
}
