//! One host: a process with a state machine, its journal, its copy of the VM.

use migrate::handover::{Question, Standing};
use migrate::journal::Entry;
use tests::machine::Machine;

/// One host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Host {
    /// Whether the process runs.
    pub(crate) up: bool,
    /// None before the process knows of a hand-over.
    pub(crate) machine: Option<Machine>,
    /// Records that no crash can lose.
    pub(crate) durable: Vec<Entry>,
    /// Records that a process sees, and a crash of the host may lose.
    pub(crate) cached: Vec<Entry>,
    /// A record that the machine has asked for, and that may be anywhere by now.
    pub(crate) pending: Option<Entry>,
    /// A start command was given the files and may still start the guest.
    pub(crate) launching: bool,
    /// The guest runs here.
    pub(crate) running: bool,
    /// It has run here since the VM was suspended.
    pub(crate) has_run: bool,
    /// The files are here, verified and synced.
    pub(crate) files: bool,
}

impl Host {
    #[must_use]
    pub(crate) fn new(files: bool) -> Self {
        Self {
            up: false,
            machine: None,
            durable: Vec::new(),
            cached: Vec::new(),
            pending: None,
            launching: false,
            running: false,
            has_run: false,
            files,
        }
    }

    #[must_use]
    pub(crate) fn standing(&self) -> Standing {
        self.machine.as_ref().map_or(Standing::No, Machine::standing)
    }

    #[must_use]
    pub(crate) fn question(&self) -> Option<Question> {
        self.machine.as_ref().and_then(Machine::question)
    }

    /// Nothing of the VM runs here, nor can any more.
    #[must_use]
    pub(crate) fn is_quiet(&self) -> bool {
        !self.running && !self.launching
    }

    /// The process is gone. What it asked to be written may have reached the system's cache.
    pub(crate) fn crash(&mut self, written: bool) {
        self.up = false;
        self.machine = None;
        if let Some(entry) = self.pending.take()
            && written
        {
            self.cached.push(entry);
        }
    }

    /// The host is gone, and the guest with it. What was not synced may be lost.
    pub(crate) fn power_off(&mut self, lose: bool) {
        self.crash(!lose);
        self.running = false;
        self.launching = false;
        if lose {
            self.cached.clear();
        } else {
            self.durable.append(&mut self.cached);
        }
    }
}
