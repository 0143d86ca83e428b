//! What can be asked for.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::CWD;
use snapfmt::nvlist::{Nvlist, OwnedValue};

use super::receive::Message;
use crate::machine::Machine;
use crate::state::{self, StateError};

/// A request.
#[derive(Debug)]
pub enum Command {
    /// bhyve's own: write the state to files, and either end or go on.
    Checkpoint {
        /// The name of the file with memory.
        filename: PathBuf,
        /// The folder that the name is in; without it, that which this process is in.
        folder: Option<OwnedFd>,
        /// Whether the machine ends.
        suspend: bool,
    },
    /// This machine's own: how many bytes a second the guest dirties; nothing for as many as it
    /// can.
    Rate(Option<u64>),
}

impl Command {
    /// Reads a request.
    pub(super) fn read(mut message: Message) -> io::Result<Self> {
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        let list = &message.list;
        match text(list, "cmd").as_deref() {
            Some("checkpoint") => {
                let absent = |name: &str| wrong(format!("checkpoint without {name}"));
                let filename = text(list, "filename").ok_or_else(|| absent("filename"))?;
                let Some(&OwnedValue::Bool(suspend)) = list.get("suspend") else {
                    return Err(absent("suspend"));
                };
                let folder = message.take("fddir");
                Ok(Self::Checkpoint { filename: filename.into(), folder, suspend })
            }
            Some("rate") => match list.get("bytes") {
                Some(&OwnedValue::Number(bytes)) => Ok(Self::Rate(Some(bytes))),
                _ => Ok(Self::Rate(None)),
            },
            Some(other) => Err(wrong(format!("unknown command {}", other.escape_debug()))),
            None => Err(wrong("no command".to_owned())),
        }
    }

    /// Does it, and says whether the machine ended with it.
    pub(super) fn run(self, machine: &Machine, vm: &str) -> Result<bool, StateError> {
        match self {
            Self::Checkpoint { filename, folder, suspend } => {
                machine.pause();
                let folder = folder.as_ref().map_or(CWD, |folder| folder.as_fd());
                let saved = state::save(machine, vm, folder, &filename, true);
                if !suspend || saved.is_err() {
                    machine.resume();
                }
                saved.map(|()| suspend)
            }
            Self::Rate(rate) => {
                machine.set_rate(rate);
                Ok(false)
            }
        }
    }
}

/// A string of a list, if it is text.
fn text(list: &Nvlist, name: &str) -> Option<String> {
    match list.get(name) {
        Some(OwnedValue::String(bytes)) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}
