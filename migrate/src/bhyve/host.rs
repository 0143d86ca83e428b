//! Time and processes as the host has them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::watch::{Clock, Presence, Process};

/// The host's monotonic clock.
#[derive(Debug)]
pub struct Monotonic(Instant);

impl Monotonic {
    /// A clock that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for Monotonic {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The bhyve of a VM, as far as a person has said which it is.
#[derive(Debug, Default)]
pub struct Bhyve {
    /// The number of its process. Once it is gone, another process may get it.
    pub pid: Option<Pid>,
    /// The VM's node in `/dev/vmm`, where there is such a thing. `--destroy` and a suspend take it
    /// away.
    pub node: Option<PathBuf>,
}

impl Process for Bhyve {
    /// A process that cannot be signalled lives. A VM whose node is gone has no vCPU left to run,
    /// but its process may still be writing the last of the files: only its number tells.
    fn presence(&self) -> Presence {
        match self.pid.map(test_kill_process) {
            Some(Err(Errno::SRCH)) => Presence::Gone,
            Some(_) => Presence::Lives,
            None => match self.node.as_ref().map(|node| node.try_exists()) {
                Some(Ok(true)) => Presence::Lives,
                _ => Presence::Unknown,
            },
        }
    }
}
