//! `RULE@RECORD`: what a person takes responsibility for.

use std::fmt;
use std::str::FromStr;

use crate::bhyve;
use crate::state::rules::{self, Rule, StateFinding};

/// A rule that one record may break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    rule: &'static Rule,
    record: String,
}

impl Acceptance {
    /// The rule `rule`, broken by records of that name.
    ///
    /// # Errors
    /// A rule that is not [acceptable](Rule::acceptable).
    pub fn new(rule: &'static Rule, record: &str) -> Result<Self, AcceptanceError> {
        if !rule.acceptable() {
            return Err(AcceptanceError::Never(rule));
        }
        Ok(Self { rule, record: record.to_owned() })
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> &'static Rule {
        self.rule
    }

    /// Whether it is about this finding.
    #[must_use]
    pub fn covers(&self, finding: &StateFinding) -> bool {
        self.rule == finding.rule && self.record == finding.record
    }
}

impl FromStr for Acceptance {
    type Err = AcceptanceError;

    /// Names of records may hold `@`, those of rules do not.
    fn from_str(text: &str) -> Result<Self, AcceptanceError> {
        let (id, record) = text.split_once('@').unwrap_or((text, ""));
        let Some(rule) = rules::by_id(id) else {
            let structure = bhyve::rules::all().find(|rule| rule.id == id);
            return Err(match structure {
                Some(rule) => AcceptanceError::Structure(rule.id),
                None => AcceptanceError::NoRule(id.to_owned()),
            });
        };
        if record.is_empty() {
            return Err(AcceptanceError::NoRecord(rule.id));
        }
        Self::new(rule, record)
    }
}

impl fmt::Display for Acceptance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.rule.id, self.record.escape_debug())
    }
}

/// Why something cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptanceError {
    /// There is no such rule.
    NoRule(String),
    /// It is about the structure of the files: those are as bhyve writes them, or not to be read.
    Structure(&'static str),
    /// The record is missing: nobody takes responsibility for records that nobody has looked at.
    NoRecord(&'static str),
    /// What it leads to is known, and concerns more than the guest and its own process.
    Never(&'static Rule),
}

impl fmt::Display for AcceptanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule(id) => write!(f, "there is no rule {}", id.escape_debug()),
            Self::Structure(id) => {
                write!(f, "{id} is about the structure of the files, and nobody can accept that")
            }
            Self::NoRecord(id) => write!(f, "say for which record, as in {id}@RECORD"),
            Self::Never(rule) => write!(
                f,
                "nobody can accept {}: where it is broken, {}, and that was verified",
                rule.id,
                rule.severity.means()
            ),
        }
    }
}

impl std::error::Error for AcceptanceError {}
