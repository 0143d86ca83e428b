//! One host: a process with a state machine, its journal, its copy of the VM.

use std::fmt;
use std::hash::Hash;

use migrate::handover::{
    Action, Input, Plan, Question, Refused, Source, SourcePhase, Standing, Target, TargetPhase,
};
use migrate::identity::SESSION_LEN;
use migrate::journal::{Entry, Record};
use migrate::{Identity, Session};
use snapfmt::Digest;

/// What every hand-over of the explored world is about.
#[must_use]
pub(crate) fn identity() -> Identity {
    let session = Session::from_bytes([1; SESSION_LEN]);
    Identity { session, epoch: 1, content: Digest::from_bytes([2; 32]) }
}

/// Which host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    Source,
    Target,
}

pub(crate) const BOTH: [Who; 2] = [Who::Source, Who::Target];

impl Who {
    #[must_use]
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Source => Self::Target,
            Self::Target => Self::Source,
        }
    }
}

/// Either of the product's machines.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Machine {
    Source(Source),
    Target(Target),
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(it) => write!(f, "source {:?} {:?}", it.phase(), it.standing()),
            Self::Target(it) => write!(f, "target {:?} {:?}", it.phase(), it.standing()),
        }
    }
}

impl Machine {
    #[must_use]
    pub(crate) fn begin(who: Who, plan: Plan) -> (Self, Vec<Action>) {
        match who {
            Who::Source => {
                let (machine, actions) = Source::begin(identity(), None).unwrap();
                (Self::Source(machine), actions)
            }
            Who::Target => {
                let (machine, actions) = Target::begin(identity(), plan, None).unwrap();
                (Self::Target(machine), actions)
            }
        }
    }

    /// What the product makes of a journal; no journal it wrote may be implausible.
    #[must_use]
    pub(crate) fn replay(who: Who, plan: Plan, entries: &[Entry]) -> Option<(Self, Vec<Action>)> {
        let records: Vec<Record> =
            (0..).zip(entries).map(|(sequence, &entry)| Record { sequence, entry }).collect();
        match who {
            Who::Source => {
                Source::replay(&records).unwrap().map(|(it, todo)| (Self::Source(it), todo))
            }
            Who::Target => {
                Target::replay(&records, plan).unwrap().map(|(it, todo)| (Self::Target(it), todo))
            }
        }
    }

    /// # Errors
    /// As the machine says.
    pub(crate) fn handle(&mut self, input: Input) -> Result<Vec<Action>, Refused> {
        match self {
            Self::Source(it) => it.handle(input),
            Self::Target(it) => it.handle(input),
        }
    }

    #[must_use]
    pub(crate) fn standing(&self) -> Standing {
        match self {
            Self::Source(it) => it.standing(),
            Self::Target(it) => it.standing(),
        }
    }

    #[must_use]
    pub(crate) fn question(&self) -> Option<Question> {
        match self {
            Self::Source(it) => it.question(),
            Self::Target(it) => it.question(),
        }
    }

    #[must_use]
    pub(crate) fn source(&self) -> Option<SourcePhase> {
        match self {
            Self::Source(it) => Some(it.phase()),
            Self::Target(_) => None,
        }
    }

    #[must_use]
    pub(crate) fn target(&self) -> Option<TargetPhase> {
        match self {
            Self::Target(it) => Some(it.phase()),
            Self::Source(_) => None,
        }
    }

    /// The VM is this side's and belongs to no start command: a person may boot it.
    #[must_use]
    pub(crate) fn is_bootable(&self) -> bool {
        let end = match self {
            Self::Source(it) => matches!(it.phase(), SourcePhase::Claimed | SourcePhase::Resumed),
            Self::Target(it) => matches!(
                it.phase(),
                TargetPhase::Claimed | TargetPhase::Running | TargetPhase::Kept
            ),
        };
        end && self.standing() == Standing::Owner
    }
}

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
