//! Processes that are started and watched, and the time that passes meanwhile.
//!
//! A process that is started gets a process group of its own and an empty stdin: Ctrl-C at a
//! terminal does not end it, and it can be ended with all that it started.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child as StdChild, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// How long is slept between two looks at a process.
const STEP: Duration = Duration::from_millis(20);

/// Time.
pub trait Clock {
    /// Time since some moment; it never goes back.
    fn now(&self) -> Duration;
    /// Lets time pass.
    fn sleep(&self, time: Duration);
}

/// Where the output of a process goes.
#[derive(Debug)]
pub enum Log {
    /// As the command says.
    Given,
    /// To a file, stdout and stderr alike.
    File(File),
    /// Where that of this process goes.
    Inherited,
    /// Nowhere.
    Nowhere,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal.
    pub signal: Option<i32>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "ended by signal {signal}"),
            (None, None) => f.write_str("ended"),
        }
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        Self { code: status.code(), signal: status.signal() }
    }
}

/// A process that was started here.
pub trait Child {
    /// Its number, which is that of its group.
    fn id(&self) -> u32;
    /// How it ended, if it did.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn ended(&mut self) -> io::Result<Option<Ended>>;
    /// Whether a process of its group is still there.
    fn leaves_others(&self) -> bool;
    /// Ends it and its group by force.
    ///
    /// # Errors
    /// If that cannot be done.
    fn kill(&mut self) -> io::Result<()>;
}

/// What starts processes.
pub trait Processes {
    /// Starts one. An error means that nothing was executed.
    ///
    /// # Errors
    /// If the program cannot be executed.
    fn start(&self, command: Command, log: Log) -> io::Result<Box<dyn Child>>;
}

/// The real ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real;

impl Clock for Real {
    fn now(&self) -> Duration {
        // Instants differ; only differences count, and the first one may be any.
        static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        BEGIN.get_or_init(Instant::now).elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

struct RealChild(StdChild);

impl Processes for Real {
    fn start(&self, mut command: Command, log: Log) -> io::Result<Box<dyn Child>> {
        match log {
            Log::Given => {}
            Log::Inherited => {
                command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
            }
            Log::Nowhere => {
                command.stdout(Stdio::null()).stderr(Stdio::null());
            }
            Log::File(file) => {
                command.stdout(file.try_clone()?).stderr(file);
            }
        }
        // std tells the failure of exec apart from all that the program does.
        let child = command.stdin(Stdio::null()).process_group(0).spawn()?;
        Ok(Box::new(RealChild(child)))
    }
}

impl RealChild {
    fn group(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.0.id()).ok()?)
    }
}

impl Child for RealChild {
    fn id(&self) -> u32 {
        self.0.id()
    }

    fn ended(&mut self) -> io::Result<Option<Ended>> {
        Ok(self.0.try_wait()?.map(Ended::from))
    }

    fn leaves_others(&self) -> bool {
        let found = self.group().map(test_kill_process_group);
        // One that may not be sent a signal is there as well.
        found != Some(Err(rustix::io::Errno::SRCH))
    }

    fn kill(&mut self) -> io::Result<()> {
        if let Some(group) = self.group() {
            kill_process_group(group, Signal::KILL)?;
        }
        self.0.wait()?;
        Ok(())
    }
}

/// Waits for the end of a process, but no longer than `patience`.
///
/// # Errors
/// If how it goes cannot be found out.
pub fn wait(
    child: &mut dyn Child,
    clock: &dyn Clock,
    patience: Duration,
) -> io::Result<Option<Ended>> {
    let end = clock.now() + patience;
    loop {
        if let Some(ended) = child.ended()? {
            return Ok(Some(ended));
        }
        if clock.now() >= end {
            return Ok(None);
        }
        clock.sleep(STEP);
    }
}
