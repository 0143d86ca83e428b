//! The one command of bhyve as it is.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};

use migrate::bhyve::Protocol;
use snapfmt::nvlist::{Nvlist, OwnedValue};

use super::create;
use super::machine::{Machine, meta, text};

/// How a bhyve does what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// It does.
    Obeys,
    /// It has a device that cannot be saved; this much of its `.meta` gets written.
    BreaksOff(usize),
    /// It cannot create a file, and says that all is well, if it says anything.
    Forgets,
    /// It dies when this much of `.meta` is written.
    Dies(usize),
}

/// `struct checkpoint_op` as the list of the next version.
pub(super) fn from_struct(op: &[u8; 104]) -> Option<Nvlist> {
    let (op, name) = op.split_first_chunk::<4>()?;
    let cmd = match u32::from_le_bytes(*op) {
        0 => "START_CHECKPOINT",
        1 => "START_SUSPEND",
        _ => return None,
    };
    let name = name.split(|byte| *byte == 0).next()?;
    Nvlist::builder().string("cmd", cmd).string("filename", name).build().ok()
}

pub(super) fn checkpoint(
    protocol: Protocol,
    conduct: &Conduct,
    list: &Nvlist,
    directory: Option<BorrowedFd<'_>>,
    machine: &Arc<Mutex<Machine>>,
) -> Result<(), String> {
    let filename = text(list, "filename").ok_or("Invalid argument")?;
    let suspend = match (list.get("suspend"), list.get("cmd")) {
        (Some(OwnedValue::Bool(suspend)), _) => *suspend,
        (None, Some(OwnedValue::String(cmd))) => cmd == b"START_SUSPEND",
        _ => return Err("Invalid argument".to_owned()),
    };
    let wanted = protocol == Protocol::StreamDirectory;
    if wanted != directory.is_some() {
        return Err("Invalid argument".to_owned());
    }
    let mut machine = machine.lock().map_err(|_| "a thread that died")?;
    let io = |error: std::io::Error| error.to_string();
    if *conduct == Conduct::Forgets {
        return Err("No such file or directory".to_owned());
    }
    let meta = meta();
    let (written, end) = match conduct {
        Conduct::BreaksOff(length) => (*length, Err("Operation not supported".to_owned())),
        Conduct::Dies(length) => {
            machine.alive = false;
            (*length, Ok(()))
        }
        Conduct::Obeys | Conduct::Forgets => (meta.len(), Ok(())),
    };
    create(directory, &format!("{filename}.kern"), &machine.kern()).map_err(io)?;
    create(directory, &filename, &machine.memory()).map_err(io)?;
    create(directory, &format!("{filename}.meta"), meta.get(..written).unwrap_or(&meta))
        .map_err(io)?;
    if end.is_ok() && suspend {
        machine.alive = false;
    }
    end
}
