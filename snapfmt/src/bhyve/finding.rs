//! What a check has to say: which rule, where, with which values.
//!
//! A finding is data. The sentences live in the table of [`rules`](super::rules).

use std::fmt;

use super::{Entry, Section};

/// Whether a snapshot that breaks a rule may be taken at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Unusual or unknown, but no proof of damage.
    Warn,
    /// Proof of damage.
    Refuse,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        })
    }
}

/// How it is known what stock bhyve does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// bhyve's own restore code was given such a snapshot.
    Tried,
    /// Its source says so.
    Read,
    /// It follows from what is known, but nobody has looked.
    Supposed,
}

/// One rule about snapshots, with all that is to be said about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name of the rule, stable for scripts.
    pub id: &'static str,
    /// What breaking it means.
    pub severity: Severity,
    /// What was found, in a few words.
    pub says: &'static str,
    /// Why the rule exists.
    pub reason: &'static str,
    /// What stock bhyve does with a snapshot that breaks the rule.
    pub bhyve: &'static str,
    /// How that is known.
    pub basis: Basis,
    /// What the owner of the snapshot can do.
    pub advice: &'static str,
}

/// Where in the three files, or beside them, something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A byte of `.meta`.
    Meta {
        /// The offset of the byte.
        offset: u64,
        /// Its line, from 1.
        line: u64,
        /// Its column in bytes, from 1.
        column: u64,
    },
    /// A key of `basic metadata`.
    Machine(&'static str),
    /// An object of `.meta`.
    Index(Entry),
    /// A whole list of `.meta`.
    Section(Section),
    /// A record of `.kern`, as `.meta` has it.
    Record {
        /// The section of its entry.
        section: Section,
        /// Its name.
        name: String,
        /// Its offset in `.kern`.
        offset: u64,
    },
    /// A byte of `.kern`.
    Kern {
        /// The offset of the byte.
        offset: u64,
    },
    /// The file with guest memory.
    Ram,
    /// The configuration that came with the snapshot.
    Config,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta { line, column, .. } => write!(f, ".meta line {line} column {column}"),
            Self::Machine(key) => write!(f, ".meta basic metadata {key}"),
            Self::Index(entry) => write!(f, ".meta {entry}"),
            Self::Section(section) => write!(f, ".meta {section} records"),
            Self::Record { section, name, offset } => {
                write!(f, "{section} record {} at {offset:#x}", name.escape_debug())
            }
            Self::Kern { offset } => write!(f, ".kern at {offset:#x}"),
            Self::Ram => f.write_str("guest memory"),
            Self::Config => f.write_str("configuration"),
        }
    }
}

/// A value that a finding cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A size, an offset, a count.
    Number(u64),
    /// A name or a list. It may come from a hostile file: shown escaped.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{}", text.escape_debug()),
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A rule, broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// Where it is broken.
    pub at: Place,
    /// The values that break it, each with what it is.
    pub values: Vec<(&'static str, Value)>,
}

impl Finding {
    /// A rule, broken somewhere.
    pub(super) const fn new(rule: &'static Rule, at: Place) -> Self {
        Self { rule, at, values: Vec::new() }
    }

    /// The same finding with one value more.
    pub(super) fn with(mut self, what: &'static str, value: impl Into<Value>) -> Self {
        self.values.push((what, value.into()));
        self
    }

    /// What the finding means for the snapshot.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.rule.severity
    }

    /// What the owner of the snapshot can do.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        self.rule.advice
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.rule.says)?;
        let mut before = " (";
        for (what, value) in &self.values {
            write!(f, "{before}{what} {value}")?;
            before = ", ";
        }
        f.write_str(if self.values.is_empty() { "" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bhyve::rules;

    #[test]
    fn a_finding_is_one_line_whatever_the_file_holds() {
        let at = Place::Record { section: Section::Device, name: "a\n\u{1b}[m".into(), offset: 16 };
        let finding = Finding::new(&rules::KERN_OVERLAP, at).with("with", "b\n").with("by", 3_u64);
        assert_eq!(
            finding.to_string(),
            "device record a\\n\\u{1b}[m at 0x10: two records share bytes (with b\\n, by 3)"
        );
    }
}
