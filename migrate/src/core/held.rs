//! What a target holds already, and whether a machine may be written over it (§10.2, §10.3).

use snapfmt::part::vm::Vm;

use super::event::Outcome;
use super::trouble::{Code, hinted, trouble};
use crate::handover::{self, Plan, Standing, TargetPhase};
use crate::identity::{Epoch, Identity, Session};
use crate::stream::message::{Needs, Status, Trouble};

/// Of which machine a target holds memory, and for whom (§10.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which hand-over it is for; nothing if it is a copy (§9.3).
    pub session: Option<(Session, Epoch)>,
    /// The machine.
    pub vm: Vm,
}

/// Whether `vm` may be received here, for a hand-over or as a copy.
pub(super) fn check(
    held: Option<&Held>,
    before: Option<&handover::Target>,
    vm: &Vm,
    session: Option<(Session, Epoch)>,
) -> Result<(), Trouble> {
    if let Some(before) = before {
        if matches!(before.phase(), TargetPhase::Kept | TargetPhase::Claimed) {
            let words = "the VM is kept here, and this is its owner's copy";
            return Err(hinted(Code::Session, words, "name another directory"));
        }
        let (session, epoch) = session.unwrap_or((Session::from_bytes([0; 16]), Epoch::MAX));
        let next = Identity { session, epoch, ..before.identity() };
        if handover::Target::begin(next, Plan::Keep, Some(before)).is_err() {
            return refuse("an earlier hand-over has not come to its end here");
        }
    }
    match held {
        Some(held) if held.session.is_none() || held.session == session => {
            // The tree of memory that is held is one over this map.
            if (&held.vm.name, &held.vm.memory) == (&vm.name, &vm.memory) {
                return Ok(());
            }
            refuse("memory of another machine is held here (§10.2)")
        }
        Some(Held { session: Some(noted), .. }) if !is_of(before, *noted) => {
            refuse("memory of another hand-over is held here, unfinished (§10.2)")
        }
        _ => Ok(()),
    }
}

/// Whether the machine is the one that the hosts were compared for; a copy has no such.
pub(super) fn check_needs(needs: Option<&Needs>, vm: &Vm) -> Result<(), Trouble> {
    let said = needs.map(|it| (&it.name, &it.arch, it.ncpus, it.memsize));
    if said.is_none_or(|said| said == (&vm.name, &vm.arch, vm.ncpus, vm.memory.size())) {
        return Ok(());
    }
    Err(trouble(Code::Facts, "the machine is not the one that the facts were about (§5.2)"))
}

fn refuse(words: &str) -> Result<(), Trouble> {
    Err(hinted(Code::Session, words, "discard what is here, or take another directory"))
}

/// Whether the journal knows the hand-over of a note.
fn is_of(handover: Option<&handover::Target>, noted: (Session, Epoch)) -> bool {
    let identity = handover.map(handover::Target::identity);
    identity.is_some_and(|it| (it.session, it.epoch) == noted)
}

/// Where the target stands (§4.6).
pub(super) fn status(held: Option<&Held>, handover: Option<&handover::Target>) -> Status {
    let noted = held.and_then(|held| held.session);
    // A note is younger than the journal where that does not know it.
    let handover = handover.filter(|_| noted.is_none_or(|noted| is_of(handover, noted)));
    let identity = handover.map(handover::Target::identity);
    let (phase, standing) = match handover {
        Some(handover) => (handover.phase().name(), handover.standing()),
        None if noted.is_some() => ("receiving", Standing::No),
        None => ("idle", Standing::No),
    };
    Status {
        phase: phase.to_owned(),
        standing: standing.name().to_owned(),
        vm: held.map(|held| held.vm.name.clone()),
        session: identity.map(|it| it.session).or(noted.map(|(session, _)| session)),
        epoch: identity.map(|it| it.epoch).or(noted.map(|(_, epoch)| epoch)),
        content: identity.map(|it| it.content),
        question: handover.and_then(handover::Target::question).map(|it| it.to_string()),
    }
}

/// What has become of a hand-over, once both sides have said all.
pub(super) fn outcome(handover: Option<&handover::Target>) -> Outcome {
    let Some(handover) = handover else { return Outcome::Back };
    match handover.phase() {
        TargetPhase::Running | TargetPhase::Kept => Outcome::Done,
        TargetPhase::Released => Outcome::Back,
        TargetPhase::Superseded => Outcome::GivenUp,
        _ => handover.question().map_or(Outcome::Cut, Outcome::Ask),
    }
}
