//! What does the machines' actions: as asked, or broken in one way each.
//!
//! The product has no such switches. A broken driver is what a careless change could make of a good
//! one, and shows that the search would find it.

use migrate::handover::{Action, Body, Input, SourcePhase, TargetPhase};
use migrate::journal::Kind;
use tests::machine::Who;

use crate::host::Host;
use crate::world::World;

/// How actions are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Driver {
    /// As asked.
    Faithful,
    /// COMMIT goes out while HANDED-OVER is still being written.
    CommitsBeforeTheJournal,
    /// The target starts the VM while OWNER is still being written.
    StartsBeforeOwnerIsDurable,
    /// A target that has waited long enough forgets that it was READY.
    LetsReadyExpire,
    /// RELEASED goes out while it is still being written.
    ReleasesBeforeTheJournal,
    /// A record counts as durable as soon as it is written.
    NeverSyncs,
    /// A source that has waited long enough after HANDED-OVER resumes.
    ResumesOnTimeout,
    /// What was under way on a connection that ended arrives on the next one.
    KeepsOldMessages,
}

impl Driver {
    /// What it does wrong when a machine gets this input; false if nothing.
    pub(crate) fn before(self, world: &mut World, who: Who, input: Input) -> bool {
        let host = world.host_mut(who);
        let machine = host.machine.as_ref();
        let source = machine.and_then(|it| it.source());
        let target = machine.and_then(|it| it.target());
        match (self, input) {
            (Self::LetsReadyExpire, Input::Timeout) if target == Some(TargetPhase::Ready) => {
                *host = Host { up: true, ..Host::new(false) };
            }
            (Self::ResumesOnTimeout, Input::Timeout) if source == Some(SourcePhase::HandedOver) => {
                host.launching = true;
            }
            _ => return false,
        }
        true
    }

    /// What it does wrong when a machine asks for this.
    pub(crate) fn instead(self, world: &mut World, who: Who, action: Action) -> Option<Input> {
        let Action::Write(entry) = action else { return None };
        match (self, entry.kind) {
            (Self::CommitsBeforeTheJournal, Kind::HandedOver) => world.send(who, Body::Commit),
            (Self::ReleasesBeforeTheJournal, Kind::Released) => world.send(who, Body::Released),
            (Self::StartsBeforeOwnerIsDurable, Kind::Owner) => world.target.launching = true,
            (Self::NeverSyncs, _) => {
                let host = world.host_mut(who);
                host.cached.extend(host.pending.take());
                return Some(Input::Written);
            }
            _ => {}
        }
        None
    }
}
