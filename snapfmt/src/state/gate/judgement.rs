//! What the rules say of a machine, and what that means for a restore.

use std::fmt;

use super::Acceptance;
use crate::bhyve::{self, Finding, Section};
use crate::state::Unknown;
use crate::state::rules::{self, GuestRam, HostFacts, Machine, Report, StateFinding, Verdict};

/// What the rules say of a machine: those of the structure of its files, and those of its state.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    /// Structure rules that are broken ([`bhyve::check`]).
    pub structure: Vec<Finding>,
    /// Rules of device state that are broken, and what could not be checked.
    pub state: Report,
    /// Records whose fields are not known: nothing was checked about them.
    pub unknown: Vec<UnknownRecord>,
}

/// A record whose layout is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRecord {
    /// The list of `.meta` in which it stands.
    pub section: Section,
    /// Its name.
    pub record: String,
    /// Where it begins in `.kern`.
    pub kern_offset: u64,
    /// Why its layout is not known.
    pub why: Unknown,
}

impl fmt::Display for UnknownRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, record, kern_offset, why } = self;
        let record = record.escape_debug();
        write!(f, "{section} record {record} at {kern_offset:#x}: not checked: {why}")
    }
}

impl Judgement {
    /// Holds a machine against all rules. `structure` is what the structure rules say.
    #[must_use]
    pub fn of(
        machine: &Machine<'_>,
        structure: Vec<Finding>,
        ram: Option<&dyn GuestRam>,
        host: Option<&HostFacts>,
    ) -> Self {
        let state = rules::check(machine, ram, host);
        let judged = |finding: &StateFinding, section: Section, name: &str| {
            let layout = matches!(finding.rule.judge, rules::Judge::Layout);
            layout && finding.section == section && finding.record == name
        };
        let unknown = machine.unknown().filter_map(|(record, why)| {
            let (section, name) = (record.entry.section, &record.entry.name);
            let said = state.findings.iter().any(|finding| judged(finding, section, name));
            (!said).then(|| UnknownRecord {
                section,
                record: name.clone(),
                kern_offset: record.entry.offset,
                why: why.clone(),
            })
        });
        let unknown = unknown.collect();
        Self { structure, state, unknown }
    }

    /// Whether the state may be restored.
    #[must_use]
    pub fn passes(&self, policy: &Policy) -> bool {
        let structure = |finding: &Finding| match finding.severity() {
            bhyve::Severity::Refuse => false,
            bhyve::Severity::Warn => !policy.strict,
        };
        self.structure.iter().all(structure)
            && self.state.findings.iter().all(|found| policy.standing(found) != Standing::Fails)
            && (self.unknown.is_empty() || !policy.strict)
    }

    /// Findings that a person has accepted.
    pub fn accepted<'a>(&'a self, policy: &'a Policy) -> impl Iterator<Item = &'a StateFinding> {
        let findings = self.state.findings.iter();
        findings.filter(|finding| policy.standing(finding) == Standing::Accepted)
    }
}

/// Who may pass the gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether what warns fails, too, and records whose layout is not known.
    pub strict: bool,
    /// What a person takes responsibility for.
    pub accept: Vec<Acceptance>,
}

/// What a finding means under a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The state must not be restored.
    Fails,
    /// Someone should know.
    Warns,
    /// A person takes responsibility for it.
    Accepted,
}

impl Policy {
    /// What a finding means.
    #[must_use]
    pub fn standing(&self, finding: &StateFinding) -> Standing {
        let mut accepted = self.accept.iter();
        match finding.verdict() {
            _ if accepted.any(|acceptance| acceptance.covers(finding)) => Standing::Accepted,
            Verdict::Warn if !self.strict => Standing::Warns,
            Verdict::Warn | Verdict::Fail => Standing::Fails,
        }
    }
}
