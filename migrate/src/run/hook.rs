//! A command that a person gave for a moment of a migration: it has done its work if it ends with 0
//! in time, and not otherwise.

use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use super::script::Script;
use crate::system::process::{Clock, Ended, Log, Processes, wait};

/// Why a hook has not done its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// It could not be executed.
    #[error("/bin/sh could not be executed")]
    NoShell(#[source] io::Error),
    /// It ended otherwise than with 0.
    #[error("the command failed: {0}")]
    Failed(Ended),
    /// It did not end.
    #[error("the command did not end within {} s, and was killed", .0.as_secs())]
    Late(Duration),
    /// How it goes could not be found out.
    #[error("the command cannot be watched")]
    Lost(#[source] io::Error),
}

/// Runs a hook; `{}` in it stands for `argument`, such as the VM's name. One that does not end is
/// killed with all that it started.
///
/// # Errors
/// If it cannot be said to have done its work. For fencing that means: the peer may be on.
pub fn hook(
    script: &Script,
    argument: &OsStr,
    patience: Duration,
    processes: &dyn Processes,
    clock: &dyn Clock,
) -> Result<(), HookError> {
    let started = processes.start(script.command(argument), Log::Inherited);
    let mut child = started.map_err(HookError::NoShell)?;
    match wait(child.as_mut(), clock, patience).map_err(HookError::Lost)? {
        Some(ended) if ended.code == Some(0) => Ok(()),
        Some(ended) => Err(HookError::Failed(ended)),
        None => {
            child.kill().map_err(HookError::Lost)?;
            Err(HookError::Late(patience))
        }
    }
}
