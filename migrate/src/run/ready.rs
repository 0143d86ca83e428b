//! What shows that a guest runs.

use std::ffi::OsStr;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::script::Script;
use crate::system::process::{Clock, Log, Processes, wait};

/// A readiness command that takes longer has not said yes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What shows that a guest runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// A Unix socket accepts. bhyve's control socket does when all of the state is loaded, just
    /// before the first virtual CPU goes on.
    Socket(PathBuf),
    /// A command ends with 0.
    Command(Script),
    /// The start command has been at work for so long. It shows less than the others: a command
    /// that loads for longer would be taken to run.
    Lives(Duration),
}

impl Ready {
    /// bhyve's control socket for a VM, where a name can be a file's.
    #[must_use]
    pub fn bhyve(name: &str) -> Option<Self> {
        let plain = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
        plain.then(|| Self::Socket(Path::new("/var/run/bhyve").join(name)))
    }

    /// Whether it is so now; `age` is how long the start command has been at work.
    pub(super) fn check(&self, argument: &OsStr, age: Duration, means: &Means<'_>) -> bool {
        match self {
            Self::Socket(path) => (means.accepts)(path),
            Self::Command(script) => command(script, argument, means).unwrap_or(false),
            Self::Lives(long) => age >= *long,
        }
    }
}

/// What is needed to look.
pub(super) struct Means<'a> {
    pub(super) processes: &'a dyn Processes,
    pub(super) clock: &'a dyn Clock,
    pub(super) accepts: &'a dyn Fn(&Path) -> bool,
}

/// Whether a socket accepts.
pub(super) fn accepts(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}

fn command(script: &Script, argument: &OsStr, means: &Means<'_>) -> io::Result<bool> {
    let mut child = means.processes.start(script.command(argument), Log::Nowhere)?;
    match wait(child.as_mut(), means.clock, PATIENCE)? {
        Some(ended) => Ok(ended.code == Some(0)),
        None => {
            child.kill()?;
            Ok(false)
        }
    }
}
