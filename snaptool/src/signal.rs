//! Being told to stop: Ctrl-C, SIGTERM and SIGHUP.
//!
//! The first signal sets a flag that long loops ask for with [`Stop::check`]; their error unwinds
//! the program, destructors remove what is half done, and then the process dies by that same
//! signal. A second signal kills at once. A signal that was ignored when we were started (`nohup`,
//! or a job in the background of a script) stays ignored.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGXFSZ};
use signal_hook::low_level;

/// The flag that a signal sets. Cheap to clone and to ask; threads share one.
#[derive(Clone, Debug)]
pub struct Stop {
    signal: Arc<AtomicUsize>,
    /// Becomes readable with the first signal and stays so, for those who wait in `poll`.
    wake: Option<Arc<UnixStream>>,
    /// Whether the next signal kills.
    kills: Arc<AtomicBool>,
}

impl Stop {
    /// Takes over the signals. Once per process, from `main`.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn install() -> io::Result<Self> {
        let (wake, tell) = UnixStream::pair()?;
        tell.set_nonblocking(true)?;
        let second = Arc::new(AtomicBool::new(false));
        let wake = Some(Arc::new(wake));
        let stop = Self { signal: Arc::default(), wake, kills: Arc::clone(&second) };
        let ignored = ignored_signals();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if ignored & (1 << (signal - 1)) != 0 {
                continue;
            }
            // In this order: what looks at `second` runs before what sets it.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&second))?;
            signal_hook::flag::register(signal, Arc::clone(&second))?;
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_usize(signal, Arc::clone(&stop.signal), number)?;
            low_level::pipe::register(signal, tell.try_clone()?)?;
        }
        // Caught only so that `ulimit -f` fails a write, as a full disk does, and does not kill.
        signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        Ok(stop)
    }

    /// A flag that no signal sets, for tests and for callers that have none.
    #[must_use]
    pub fn never() -> Self {
        Self { signal: Arc::default(), wake: None, kills: Arc::default() }
    }

    /// Has the first signal kill, from now on. For work that leaves nothing to tidy up and may wait
    /// where no flag is asked for: for the reader of a pipe.
    ///
    /// # Errors
    /// [`Stopped`] if there was a signal already.
    pub fn at_once(&self) -> Result<(), Stopped> {
        self.kills.store(true, Ordering::Relaxed);
        self.check()
    }

    /// Asks whether to go on. Loops over pages or extents ask once a round.
    ///
    /// # Errors
    /// [`Stopped`] after the first signal.
    pub fn check(&self) -> Result<(), Stopped> {
        match self.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Stopped { signal: i32::try_from(signal).unwrap_or(SIGTERM) }),
        }
    }

    /// Waits for the first signal, for ever if none is caught. For a thread that tells others.
    ///
    /// # Errors
    /// What `poll` says, or that no signal is caught.
    pub fn wait(&self) -> io::Result<Stopped> {
        let wake = self.wake.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        loop {
            match self.wait_readable(wake.as_fd()) {
                Err(error) if self.check().is_ok() => return Err(error),
                _ => {}
            }
            if let Err(stopped) = self.check() {
                return Ok(stopped);
            }
        }
    }

    /// Waits until `fd` can be read without blocking (or is at its end), or until a signal comes.
    ///
    /// # Errors
    /// [`Stopped`] inside an `io::Error`, or what `poll` says.
    pub fn wait_readable(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        loop {
            self.check().map_err(io::Error::other)?;
            let mut fds = vec![PollFd::from_borrowed_fd(fd, PollFlags::IN)];
            if let Some(wake) = &self.wake {
                fds.push(PollFd::from_borrowed_fd(wake.as_fd(), PollFlags::IN));
            }
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            // Also on an error or hang-up: the read itself then tells what it is.
            if fds.first().is_some_and(|data| !data.revents().is_empty()) {
                return self.check().map_err(io::Error::other);
            }
        }
    }
}

/// The error of a program that was told to stop; never shown, see [`crate::exit::run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    signal: i32,
}

impl Stopped {
    /// For a program whose stdout nobody reads any more: it ends as by SIGPIPE, like any filter.
    ///
    /// Rust programs ignore SIGPIPE, so the write fails first and destructors can run.
    #[must_use]
    pub fn by_closed_pipe() -> Self {
        Self { signal: SIGPIPE }
    }

    /// Dies by the signal's default action. Returns only if the system does not let it.
    pub fn die(self) {
        let _ = low_level::emulate_default_handler(self.signal);
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match low_level::signal_name(self.signal) {
            Some(name) => write!(f, "stopped by {name}"),
            None => write!(f, "stopped by signal {}", self.signal),
        }
    }
}

impl std::error::Error for Stopped {}

/// The signals that whoever started us had ignored, as a mask with bit 0 for signal 1.
///
/// Asking the kernel directly takes `unsafe`; Linux says it in a file, FreeBSD through `ps`.
/// Unknown counts as none.
#[must_use]
pub fn ignored_signals() -> u64 {
    let hex = if cfg!(target_os = "linux") {
        std::fs::read_to_string("/proc/self/status").ok().and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
            line.map(|mask| mask.trim().to_owned())
        })
    } else {
        let mut ps = std::process::Command::new("/bin/ps");
        let ps = ps.args(["-o", "sigignore=", "-p", &std::process::id().to_string()]).output();
        ps.ok().and_then(|out| String::from_utf8(out.stdout).ok()).map(|s| s.trim().to_owned())
    };
    hex.and_then(|hex| u64::from_str_radix(&hex, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stops_what_no_signal_reaches() {
        let stop = Stop::never();
        assert_eq!(stop.check(), Ok(()));
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(writer);
        stop.wait_readable(reader.as_fd()).unwrap();
    }

    #[test]
    fn the_flag_carries_the_signal() {
        let stop = Stop::never();
        let twin = stop.clone();
        stop.signal.store(2, Ordering::Relaxed);
        let stopped = twin.check().unwrap_err();
        assert_eq!(stopped.to_string(), "stopped by SIGINT");
    }

    #[test]
    fn a_waiting_reader_is_woken_by_the_signal_alone() {
        let (wake, tell) = UnixStream::pair().unwrap();
        let stop = Stop { wake: Some(Arc::new(wake)), ..Stop::never() };
        let (reader, _writer) = UnixStream::pair().unwrap();
        stop.signal.store(15, Ordering::Relaxed);
        io::Write::write_all(&mut &tell, b"x").unwrap();
        let error = stop.wait_readable(reader.as_fd()).unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Stopped>()));
    }
}
