//! Waiting for a socket, with an end.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Error;

/// When to stop waiting.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Never.
    pub const NEVER: Self = Self(None);

    /// So much later than now. A time that cannot be counted never comes.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }

    fn left(self) -> Option<Timespec> {
        let left = self.0?.saturating_duration_since(Instant::now());
        Timespec::try_from(left).ok()
    }
}

/// Calls until it neither would block nor was interrupted, and waits before each time.
pub(super) fn until<T>(
    socket: BorrowedFd<'_>,
    ready: PollFlags,
    deadline: Deadline,
    what: &'static str,
    mut call: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Error> {
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(socket, ready)], deadline.left().as_ref()) {
            Ok(0) => return Err(Error::TimedOut),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(Error::io(what)(errno)),
        }
        match call() {
            Err(Errno::INTR | Errno::AGAIN) => {}
            done => return done.map_err(Error::io(what)),
        }
    }
}
