//! What a command costs: time, time of processors, memory.

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// The first word of the command line that measures the rest of it.
pub const WRAPPER: &str = "@cost";

/// The first word of the command line of `snaptool`.
pub const SNAPTOOL: &str = "@snaptool";

/// The first word of the command line of `migrate`.
pub const MIGRATE: &str = "@migrate";

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From its start to its end.
    pub time: Duration,
    /// Of all processors, for it and the system.
    pub processors: Duration,
    /// At its peak, resident, in bytes, where that is only its own.
    pub memory: Option<u64>,
}

/// Runs a command in a process of its own that looks what it took: the peak that the system tells
/// of is that of all children so far.
///
/// # Errors
/// A command that cannot be run, or says no.
pub fn of(command: &[OsString]) -> anyhow::Result<Cost> {
    let output = Command::new(std::env::current_exe()?)
        .arg(WRAPPER)
        .args(command)
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let words: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let &[time, processors, memory] = words.as_slice() else {
        anyhow::bail!("{command:?} failed");
    };
    let time = Duration::from_nanos(time);
    let processors = Duration::from_micros(processors);
    Ok(Cost { time, processors, memory: Some(memory) })
}

/// The process in between: runs the command and prints nanoseconds, microseconds and bytes.
#[must_use]
pub fn wrapped(mut command: Vec<OsString>) -> ExitCode {
    if command.first().is_some_and(|word| word == SNAPTOOL) {
        command.insert(0, std::env::current_exe().unwrap_or_default().into_os_string());
    }
    let Some((program, args)) = command.split_first() else { return ExitCode::FAILURE };
    let begin = Instant::now();
    let status = Command::new(program).args(args).stdout(Stdio::null()).status();
    let time = begin.elapsed().as_nanos();
    if !status.is_ok_and(|status| status.success()) {
        return ExitCode::FAILURE;
    }
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return ExitCode::FAILURE };
    let processors = [usage.user_time(), usage.system_time()].map(|time| time.num_microseconds());
    let processors: i64 = processors.iter().sum();
    println!("{time} {processors} {}", usage.max_rss() * 1024);
    ExitCode::SUCCESS
}
