//! A start command, from nothing to a guest of which something is known.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::ready::{Means, Ready, accepts};
use super::script::{Script, shell};
use crate::handover::Guest;
use crate::system::process::{Child, Clock, Ended, Log, Processes, wait};

/// How long is slept between two looks.
const STEP: Duration = Duration::from_millis(50);

/// The shell looks for a program's name no longer than this.
const LOOKUP: Duration = Duration::from_secs(10);

/// What a person declares of a command's exit codes.
///
/// bhyve's do not serve by themselves: 1 is a guest that powered off as well as a snapshot that
/// could not be loaded. 65 is only the latter, in FreeBSD 14 and later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// With these, no virtual CPU ever ran.
    pub never_ran: Vec<i32>,
}

/// How a VM is started.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The command.
    pub script: &'a Script,
    /// What `{}` stands for.
    pub snapshot: &'a Path,
    /// What shows that the guest runs.
    pub ready: &'a Ready,
    /// What exit codes mean.
    pub contract: &'a Contract,
    /// How long that may take.
    pub patience: Duration,
}

/// What became of it.
#[derive(Debug)]
pub struct Started {
    /// What is known of the guest.
    pub guest: Guest,
    /// Why.
    pub why: Why,
    /// The number of the process, if there was one.
    pub pid: Option<u32>,
}

/// Why a guest is taken to have run, or not, or neither.
#[derive(Debug)]
#[non_exhaustive]
pub enum Why {
    /// It is ready, and the command is at work or left it to itself.
    Ready,
    /// What shows that a guest runs showed it before: the start command was not executed, and the
    /// guest may be one that was started from these files.
    AlreadyThere,
    /// The shell could not be executed.
    NoShell(io::Error),
    /// There is no such program: nothing was executed.
    NoProgram(String),
    /// It ended with an exit code that means that nothing ran, and left nothing behind.
    Declared(Ended),
    /// It ended before it was ready.
    Ended(Ended),
    /// It ended with an exit code that means that nothing ran, and left a process behind.
    LeftBehind(Ended),
    /// It was not ready in time, and is still at work.
    NotReady(Duration),
    /// How it goes could not be found out.
    Lost(io::Error),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("the guest runs"),
            Self::AlreadyThere => {
                f.write_str("a VM of this name seems to run already, and nothing was started")
            }
            Self::NoShell(error) => write!(f, "/bin/sh could not be executed: {error}"),
            Self::NoProgram(name) => write!(f, "there is no program {name:?}"),
            Self::Declared(ended) => write!(f, "{ended}, which means that the guest never ran"),
            Self::Ended(ended) => write!(f, "the start command ended too early: {ended}"),
            Self::LeftBehind(ended) => {
                write!(f, "{ended} should mean that the guest never ran, and left processes")
            }
            Self::NotReady(time) => {
                write!(f, "the guest was not ready within {} s", time.as_secs())
            }
            Self::Lost(error) => write!(f, "the start command cannot be watched: {error}"),
        }
    }
}

/// Starts a VM and waits until something is known of it. The command outlives this process.
pub fn start(plan: &Plan<'_>, processes: &dyn Processes, clock: &dyn Clock, log: Log) -> Started {
    run(plan, &Means { processes, clock, accepts: &accepts }, log)
}

/// As [`start`], with other means.
pub(super) fn run(plan: &Plan<'_>, means: &Means<'_>, log: Log) -> Started {
    let never = |why| Started { guest: Guest::NeverRan, why, pid: None };
    // What shows readiness now would show nothing later.
    let now = !matches!(plan.ready, Ready::Lives(_));
    if now && plan.ready.check(plan.snapshot.as_os_str(), Duration::ZERO, means) {
        return Started { guest: Guest::Unknown, why: Why::AlreadyThere, pid: None };
    }
    if let Some(program) = plan.script.program()
        && missing(program, means)
    {
        return never(Why::NoProgram(program.to_owned()));
    }
    let command = plan.script.command(plan.snapshot.as_os_str());
    match means.processes.start(command, log) {
        Err(error) => never(Why::NoShell(error)),
        Ok(mut child) => {
            let pid = Some(child.id());
            let (guest, why) = watch(plan, child.as_mut(), means);
            Started { guest, why, pid }
        }
    }
}

/// Whether the shell finds no such program. In doubt it is not missing.
fn missing(program: &str, means: &Means<'_>) -> bool {
    let command = shell("command -v \"$1\"", program.as_ref());
    let Ok(mut child) = means.processes.start(command, Log::Nowhere) else { return false };
    match wait(child.as_mut(), means.clock, LOOKUP) {
        Ok(Some(ended)) => matches!(ended.code, Some(code) if code != 0),
        Ok(None) => {
            // It asked a file system that does not answer; the start command will, too.
            let _ = child.kill();
            false
        }
        Err(_) => false,
    }
}

fn watch(plan: &Plan<'_>, child: &mut dyn Child, means: &Means<'_>) -> (Guest, Why) {
    let begin = means.clock.now();
    let mut left_it = false;
    loop {
        let age = means.clock.now().saturating_sub(begin);
        match child.ended() {
            Err(error) => return (Guest::Unknown, Why::Lost(error)),
            Ok(None) => {}
            // It may have put the VM into the background: what shows readiness can tell.
            Ok(Some(ended)) if ended.code == Some(0) && !plan.contract.never_ran.contains(&0) => {
                if matches!(plan.ready, Ready::Lives(_)) {
                    return (Guest::Unknown, Why::Ended(ended));
                }
                left_it = true;
            }
            Ok(Some(ended)) => return judge(plan.contract, ended, child),
        }
        let argument = plan.snapshot.as_os_str();
        if plan.ready.check(argument, age, means) {
            // What accepted may be all that is left of it.
            match child.ended() {
                Ok(None) => return (Guest::Ran, Why::Ready),
                Ok(Some(ended)) if left_it || ended.code == Some(0) => {
                    return (Guest::Ran, Why::Ready);
                }
                Ok(Some(ended)) => return judge(&Contract::default(), ended, child),
                Err(error) => return (Guest::Unknown, Why::Lost(error)),
            }
        }
        if age >= plan.patience {
            return (Guest::Unknown, Why::NotReady(plan.patience));
        }
        means.clock.sleep(STEP);
    }
}

fn judge(contract: &Contract, ended: Ended, child: &dyn Child) -> (Guest, Why) {
    let declared = ended.code.is_some_and(|code| contract.never_ran.contains(&code));
    match (declared, child.leaves_others()) {
        (true, false) => (Guest::NeverRan, Why::Declared(ended)),
        (true, true) => (Guest::Unknown, Why::LeftBehind(ended)),
        (false, _) => (Guest::Unknown, Why::Ended(ended)),
    }
}
