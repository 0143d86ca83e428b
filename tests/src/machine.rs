//! Either side of a hand-over, so that tests can treat both alike.

use std::fmt;

use migrate::handover::{
    Action, Implausible, Input, Plan, Question, Refused, Source, SourcePhase, Standing, Target,
    TargetPhase,
};
use migrate::identity::SESSION_LEN;
use migrate::journal::Record;
use migrate::{Identity, Session};
use snapfmt::Digest;

/// What every hand-over of the tests is about.
#[must_use]
pub fn identity() -> Identity {
    let session = Session::from_bytes([1; SESSION_LEN]);
    Identity { session, epoch: 1, content: Digest::from_bytes([2; 32]) }
}

/// Which host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// The one that has the VM at first.
    Source,
    /// The one that is to have it.
    Target,
}

/// Both of them.
pub const BOTH: [Who; 2] = [Who::Source, Who::Target];

impl Who {
    /// The peer.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Source => Self::Target,
            Self::Target => Self::Source,
        }
    }
}

/// Either of the product's machines.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Machine {
    /// The source's.
    Source(Source),
    /// The target's.
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
    /// Begins the hand-over.
    ///
    /// # Panics
    /// Never: nothing came before.
    #[must_use]
    pub fn begin(who: Who, plan: Plan) -> (Self, Vec<Action>) {
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

    /// What the product makes of a journal.
    ///
    /// # Errors
    /// If it finds the journal implausible.
    pub fn replay(
        who: Who,
        plan: Plan,
        records: &[Record],
    ) -> Result<Option<(Self, Vec<Action>)>, Implausible> {
        Ok(match who {
            Who::Source => Source::replay(records)?.map(|(it, todo)| (Self::Source(it), todo)),
            Who::Target => {
                Target::replay(records, plan)?.map(|(it, todo)| (Self::Target(it), todo))
            }
        })
    }

    /// Gives it an input.
    ///
    /// # Errors
    /// As the machine says.
    pub fn handle(&mut self, input: Input) -> Result<Vec<Action>, Refused> {
        match self {
            Self::Source(it) => it.handle(input),
            Self::Target(it) => it.handle(input),
        }
    }

    /// Whether this side may run the VM.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self {
            Self::Source(it) => it.standing(),
            Self::Target(it) => it.standing(),
        }
    }

    /// Whether the VM is this side's for good.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Source(it) => it.is_settled(),
            Self::Target(it) => it.is_settled(),
        }
    }

    /// What a person has to be asked.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        match self {
            Self::Source(it) => it.question(),
            Self::Target(it) => it.question(),
        }
    }

    /// The phase, if it is a source.
    #[must_use]
    pub fn source(&self) -> Option<SourcePhase> {
        match self {
            Self::Source(it) => Some(it.phase()),
            Self::Target(_) => None,
        }
    }

    /// The phase, if it is a target.
    #[must_use]
    pub fn target(&self) -> Option<TargetPhase> {
        match self {
            Self::Target(it) => Some(it.phase()),
            Self::Source(_) => None,
        }
    }

    /// The VM is this side's and belongs to no start command: a person may boot it.
    #[must_use]
    pub fn is_bootable(&self) -> bool {
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
