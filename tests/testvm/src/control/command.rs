//! What can be asked for: bhyve's own command, the primitives, and how fast the guest works.

use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use snapfmt::nvlist::{Nvlist, OwnedValue};

use super::marks::Marks;
use super::reply::{Refused, Reply};
use super::wire::Message;
use crate::guest::layout::PAGE;
use crate::machine::Machine;
use crate::state;

/// The version of `spec/bhyve-primitives.md`.
const VERSION: u64 = 1;
/// The longest name of a file of a suspend.
const NAME: usize = 250;

/// The pairs that a command may have.
const PAIRS: [(&str, &[&str]); 6] = [
    ("primitives", &[]),
    ("dirty", &["since", "stop"]),
    ("suspend", &["filename", "fddir"]),
    ("resume", &[]),
    ("destroy", &[]),
    ("rate", &["bytes"]),
];

/// A machine as its clients see it.
#[derive(Debug)]
pub(super) struct Server<'a> {
    machine: &'a Machine,
    vm: &'a str,
    marks: Marks,
    suspended: bool,
}

impl<'a> Server<'a> {
    pub(super) fn new(machine: &'a Machine, vm: &'a str) -> Self {
        Self { machine, vm, marks: Marks::new(), suspended: false }
    }

    /// What the guest is doing.
    pub(super) const fn guest(&self) -> &'static str {
        if self.suspended { "suspended" } else { "running" }
    }

    /// bhyve's own command: writes the state to files, and ends or goes on as it was. Says whether
    /// it ended.
    pub(super) fn checkpoint(&mut self, message: &mut Message) -> Result<bool, Refused> {
        let filename = text(&message.list, "filename")?;
        let Some(&OwnedValue::Bool(suspend)) = message.list.get("suspend") else {
            return Err(Refused::pair("suspend", "no bool of that name"));
        };
        let folder = message.take("fddir");
        // Without it, the name is one of this process, as it was with FreeBSD 13.
        let folder = folder.as_ref().map_or(CWD, |folder| folder.as_fd());
        self.machine.pause();
        let saved = state::save(self.machine, self.vm, folder, Path::new(&filename));
        if !self.suspended && (!suspend || saved.is_err()) {
            self.machine.resume();
        }
        saved?;
        Ok(suspend)
    }

    /// Any other command.
    pub(super) fn other(&mut self, cmd: &str, message: &mut Message) -> Result<Reply, Refused> {
        let Some((_, allowed)) = PAIRS.iter().find(|(name, _)| *name == cmd) else {
            return Err(Refused::new("EOPNOTSUPP", cmd, "the command is not known"));
        };
        for pair in message.list.pairs() {
            let name = String::from_utf8_lossy(&pair.name);
            if name != "cmd" && !allowed.contains(&name.as_ref()) {
                return Err(Refused::pair(&name, "the pair is not known"));
            }
        }
        match cmd {
            "primitives" => self.offer(),
            "dirty" => self.dirty(&message.list),
            "suspend" => self.suspend(message),
            "resume" => self.resume(),
            "destroy" => self.destroy(),
            _ => self.rate(&message.list),
        }
    }

    /// What there is, and the memory. The descriptor cannot be written through.
    fn offer(&self) -> Result<Reply, Refused> {
        let ram = self.machine.ram();
        let path = format!("/proc/self/fd/{}", ram.file().as_raw_fd());
        let memory = File::open(path).map_err(|error| Refused::io("memory", &error))?;
        let segment = Nvlist::builder().number("gpa", 0).number("len", ram.len());
        let list = Nvlist::builder()
            .number("primitives", VERSION)
            .nvlist_array("segments", [segment.number("offset", 0)])
            .descriptor("memory", 0);
        Ok(Reply { list, descriptor: Some(OwnedFd::from(memory)), last: false })
    }

    /// A mark, and what was written since another. No device writes to memory, so the log has all.
    fn dirty(&mut self, list: &Nvlist) -> Result<Reply, Refused> {
        let stop = match list.get("stop") {
            None => false,
            Some(&OwnedValue::Bool(stop)) => stop,
            Some(_) => return Err(Refused::pair("stop", "not a bool")),
        };
        let since = match list.get("since") {
            None => None,
            Some(&OwnedValue::Number(since)) if !stop => Some(since),
            Some(_) => return Err(Refused::pair("since", "not a number, or with stop")),
        };
        if stop {
            self.marks.stop();
            return Ok(Reply::done());
        }
        let marked = self.marks.mark(since, || self.machine.vm().take_dirty());
        let marked = marked.map_err(|error| Refused::io("log", &error))?;
        let Ok((mark, told)) = marked else {
            return Err(Refused::new("ESTALE", "since", "the mark is not known"));
        };
        let mut list = Nvlist::builder().number("mark", mark);
        if let Some(told) = told {
            let bytes = self.machine.ram().len().div_ceil(8 * PAGE) as usize;
            let bitmap: Vec<u8> = told.iter().flat_map(|w| w.to_le_bytes()).take(bytes).collect();
            let segment = Nvlist::builder().number("gpa", 0).binary("bitmap", bitmap);
            list = list.nvlist_array("dirty", [segment]);
        }
        Ok(Reply::new(list))
    }

    /// Stops the guest and writes all but its memory.
    fn suspend(&mut self, message: &mut Message) -> Result<Reply, Refused> {
        let name = text(&message.list, "filename")?;
        if name.is_empty() || name.contains('/') || name.len() > NAME {
            return Err(Refused::pair("filename", "not the name of a file"));
        }
        let Some(folder) = message.take("fddir") else {
            return Err(Refused::pair("fddir", "no descriptor of that name"));
        };
        self.machine.pause();
        let saved = state::save_devices(self.machine, self.vm, &folder, Path::new(&name));
        if saved.is_err() && !self.suspended {
            self.machine.resume();
        }
        saved?;
        self.suspended = true;
        Ok(Reply::done())
    }

    /// Lets a suspended guest go on.
    fn resume(&mut self) -> Result<Reply, Refused> {
        if !self.suspended {
            return Err(Refused::new("EALREADY", "guest", "the guest runs"));
        }
        self.machine.resume();
        self.suspended = false;
        Ok(Reply::done())
    }

    /// Gives up a suspended guest.
    fn destroy(&self) -> Result<Reply, Refused> {
        if !self.suspended {
            return Err(Refused::new("EBUSY", "guest", "the guest runs"));
        }
        Ok(Reply { last: true, ..Reply::done() })
    }

    /// Of this machine alone: how many bytes a second the guest dirties, or as many as it can.
    fn rate(&self, list: &Nvlist) -> Result<Reply, Refused> {
        let rate = match list.get("bytes") {
            None => None,
            Some(&OwnedValue::Number(bytes)) => Some(bytes),
            Some(_) => return Err(Refused::pair("bytes", "not a number")),
        };
        self.machine.set_rate(rate);
        Ok(Reply::done())
    }
}

/// A string of a list.
pub(super) fn text(list: &Nvlist, name: &str) -> Result<String, Refused> {
    let text = match list.get(name) {
        Some(OwnedValue::String(bytes)) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    };
    text.ok_or_else(|| Refused::pair(name, "no text of that name"))
}
