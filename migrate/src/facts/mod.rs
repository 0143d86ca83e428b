//! Two hosts compared for one VM, before anything is sent (`spec/stream.md` §5).
//!
//! ```text
//!   source: Host ──┐
//!   needs: Needs ──┼──▶ compare ──▶ a Finding per rule and disk ──▶ refusals, for the machines
//!   target: Host ──┘      ▲
//!                     rules::RULES, one table
//! ```
//!
//! What is not known of a host may fail, and says so: it is never taken to be fine. Knows no device
//! state: the rules of state hold the very values that a guest has against the target, later. Does
//! no I/O: `probe` finds out what a host has.

mod disks;
mod features;
mod judge;
mod rules;

pub use disks::{DISK_RULE, SUBJECT as DISK, UNSEEN};
pub use features::{FEATURES, Feature};
pub use judge::Judged;
pub use rules::{RULES, Rule};

use crate::stream::message::{Finding, Grade, Host, Needs};

/// Everything that is to be said about moving a VM from one host to another, in the order of the
/// rules, then disk by disk.
#[must_use]
pub fn compare(source: &Host, needs: &Needs, target: &Host) -> Vec<Finding> {
    let pair = Pair { source, needs, target };
    let rules = RULES.iter().filter(|rule| rule.applies(&pair));
    let rules = rules.map(|rule| rule.finding(rule.subject.to_owned(), (rule.judge)(&pair)));
    rules.chain(disks::findings(&pair)).collect()
}

/// Those that forbid to go on, given what a person accepts.
pub fn refusals<'a>(
    findings: &'a [Finding],
    accepted: &'a [String],
) -> impl Iterator<Item = &'a Finding> {
    let overridden = |option: &Option<String>| {
        option.as_ref().is_some_and(|option| accepted.iter().any(|given| given == option))
    };
    findings
        .iter()
        .filter(move |finding| finding.grade == Grade::Refused && !overridden(&finding.option))
}

/// What is compared.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    /// The host that has the VM.
    pub source: &'a Host,
    /// What the VM wants.
    pub needs: &'a Needs,
    /// The host that is to have it.
    pub target: &'a Host,
}
