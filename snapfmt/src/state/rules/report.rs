//! What a check has found, and what it could not look at.

use std::fmt;

use super::finding::StateFinding;
use super::rule::{Rule, Verdict};
use crate::bhyve::Section;

/// The outcome of a check.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What fails, then what warns; of each the worst first, of that what happens first, then by
    /// record and place.
    pub findings: Vec<StateFinding>,
    /// Rules that are broken in more places than are listed, and in how many more. Of each record
    /// some are listed.
    pub more: Vec<(&'static Rule, u64)>,
    /// Rules that could not be checked, or not everywhere.
    pub not_checked: Vec<NotChecked>,
}

impl Report {
    /// What must not be restored.
    pub fn failing(&self) -> impl Iterator<Item = &StateFinding> {
        self.findings.iter().filter(|finding| finding.verdict() == Verdict::Fail)
    }

    /// What someone should know.
    pub fn warnings(&self) -> impl Iterator<Item = &StateFinding> {
        self.findings.iter().filter(|finding| finding.verdict() == Verdict::Warn)
    }
}

/// A rule that could not be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotChecked {
    /// The rule.
    pub rule: &'static Rule,
    /// What it lacks.
    pub why: Missing,
}

impl fmt::Display for NotChecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule.id, self.why)
    }
}

/// What a rule lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Guest memory.
    Ram,
    /// Guest memory at an address, which cannot be read.
    RamAt(u64),
    /// Facts of the host that is to restore it.
    Host,
    /// One of these facts.
    Fact {
        /// Its name in a file of facts.
        name: &'static str,
        /// Why it is not known.
        why: String,
    },
    /// The maker of the CPU: the sizes of records do not tell.
    Vendor,
    /// The fields of a record.
    Fields {
        /// The list of `.meta` in which it stands.
        section: Section,
        /// Its name.
        record: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ram => f.write_str("guest memory was not read"),
            Self::RamAt(gpa) => write!(f, "guest memory at {gpa:#x} cannot be read"),
            Self::Host => f.write_str("facts of the host are not known"),
            Self::Fact { name, why } => {
                write!(f, "{name} of the host is not known: {}", why.escape_debug())
            }
            Self::Vendor => f.write_str("the maker of the CPU is not known"),
            Self::Fields { section, record } => {
                write!(f, "the fields of {section} record {} are not known", record.escape_debug())
            }
        }
    }
}
