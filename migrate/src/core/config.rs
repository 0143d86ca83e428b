//! What each side is told when its process begins.

use std::time::Duration;

use snapfmt::Digest;
use snapfmt::part::vm::Vm;

use super::held::Held;
use crate::handover::{self, Plan};
use crate::identity::{Epoch, Session};
use crate::stream::message::{Facts, Finding, Grade, Host, Needs};

/// Compares the source's host, and what the VM needs, with the target's host (§5.3).
pub type Judge = fn(&Host, &Needs, &Host) -> Vec<Finding>;

/// What a source is told.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// What is wanted.
    pub task: Task,
    /// Program and version, for people.
    pub producer: String,
    /// After so long without a byte the connection is gone (§11.4).
    pub timeout: Duration,
    /// Who compares hosts.
    pub judge: Judge,
}

/// What is wanted of a target (§4.1.3).
#[derive(Clone, Debug)]
pub enum Task {
    /// To know where it stands.
    Status,
    /// To know whether a VM could be handed over.
    Plan(Box<Facts>),
    /// To give a copy, without an answer.
    Copy(Vm),
    /// To hand a VM over.
    Migrate(Box<Migration>),
}

/// A VM that is to be handed over.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Which hand-over: of the journal or the note (§10.2), or a new one.
    pub session: Session,
    /// Its epoch, above every one in the journal where the session is new.
    pub epoch: Epoch,
    /// Where its memory and state come from.
    pub origin: Origin,
    /// The machine.
    pub vm: Vm,
    /// Its host, and what it needs.
    pub facts: Facts,
    /// Findings that a person accepts, by their options.
    pub overrides: Vec<String>,
    /// What the journal says, if it has records. What `replay` asked for is the driver's.
    pub handover: Option<handover::Source>,
    /// A person takes the VM back: nothing of it is sent any more.
    pub back: bool,
    /// States that went to a target before: what lies here of them is stale, and not offered.
    pub gone: Vec<Digest>,
}

/// Where memory and state of a VM come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A snapshot: nothing runs, and no time is lost by waiting. The state goes first, then one
    /// round. Before HANDED-OVER the VM is taken back by a person only, never by a timeout: what
    /// would be taken back lies still.
    Still,
}

/// What a target is told.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// Program and version, for people.
    pub producer: String,
    /// Its own host.
    pub host: Host,
    /// What it does with a VM that has become its own.
    pub plan: Plan,
    /// What the journal says, if it has records. What `replay` asked for is the driver's.
    pub handover: Option<handover::Target>,
    /// What its directory holds, if anything.
    pub held: Option<Held>,
    /// After so long without a byte the connection is gone (§11.4).
    pub timeout: Duration,
    /// Who compares hosts.
    pub judge: Judge,
}

/// The findings that nobody has accepted and without which there is no way on (§5.4).
pub(super) fn refused<'a>(findings: &'a [Finding], overrides: &[String]) -> Vec<&'a Finding> {
    let accepted = |option: &String| overrides.contains(option);
    let open = |finding: &&Finding| {
        finding.grade == Grade::Refused && !finding.option.as_ref().is_some_and(accepted)
    };
    findings.iter().filter(open).collect()
}
