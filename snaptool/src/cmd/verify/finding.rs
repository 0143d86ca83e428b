//! One thing that is wrong with a snapshot, for people and for programs.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use snapfmt::bhyve::{Finding, Place, Severity};
use snapfmt::digest::Digest;
use snapfmt::layout::kind::Kind;
use snapfmt::read::Seeker;
use snapfmt::{Error, Fault, Section};

use crate::input::FileInput;
use crate::source;

/// A fault of the file, or a rule that its contents break.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    severity: &'static str,
    /// The parent that it is about, if not the input itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(rename = "where")]
    place: String,
    offset: Option<u64>,
    message: String,
    /// What stock bhyve does with such a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    bhyve: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Whether `place` says what kind of thing is damaged, and not which one.
    #[serde(skip)]
    nameless: bool,
    #[serde(skip)]
    frame: bool,
}

impl Item {
    /// Whether this alone makes the answer no.
    pub(super) fn refuses(&self) -> bool {
        self.severity == "refuse"
    }

    /// That it is about this parent of the input.
    pub(super) fn belongs_to(&mut self, parent: &str) {
        self.parent = Some(parent.to_owned());
    }

    /// What bhyve would do, and what a person can do.
    pub(super) fn hint(&self) -> impl Iterator<Item = String> {
        let bhyve = self.bhyve.map(|words| format!("stock bhyve: {words}"));
        let hint = self.hint.as_ref().map(|words| format!("hint: {words}"));
        bhyve.into_iter().chain(hint)
    }

    /// Names the part that is damaged, or whose frame is, if an intact index lists it.
    pub(super) fn name_by_index(&mut self, file: &FileInput) {
        let Some(at) = self.offset.filter(|_| self.nameless) else { return };
        let Ok(seeker) = Seeker::open(file) else { return };
        let inside = |offset: u64, length: u64| (offset..offset + length).contains(&at);
        let listed = seeker.index().parts.iter().find(|part| inside(part.offset, part.length));
        let part = listed.map(|part| match &part.record {
            Some(record) => record.place(),
            None => Section::Part(part.kind),
        });
        let map = || {
            let maps = &seeker.index().maps;
            let map = maps.iter().find(|map| inside(map.offset, map.length));
            map.map(|_| Section::Part(Kind::Map))
        };
        let extent = || {
            let mut found = None;
            let quick = seeker.quick(|_| ()).ok()?;
            let maps = seeker.maps(&quick, |table| {
                let entry = table.entries.iter().find(|entry| inside(entry.offset, entry.length));
                found = found.or(entry.map(|entry| entry.gpa));
            });
            maps.ok().and(found).map(|gpa| Section::Extent { gpa })
        };
        if let Some(section) = part.or_else(map).or_else(extent) {
            self.place =
                if self.frame { format!("frame of {section}") } else { section.to_string() };
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = &self.parent {
            write!(f, "its parent {parent}: ")?;
        }
        f.write_str(&self.place)?;
        // The place of a rule has its offset in words already.
        if let (Some(offset), Some(_)) = (self.offset, self.fault) {
            write!(f, ", offset {offset:#x}")?;
        }
        write!(f, ": {}", self.message)?;
        let rule = self.rule.map(|rule| format!(" [{rule}]"));
        f.write_str(rule.as_deref().unwrap_or_default())
    }
}

/// A fault of the file.
pub(super) fn from_error(error: &Error, path: &Path) -> Item {
    Item {
        fault: Some(error.fault().id()),
        rule: None,
        severity: "refuse",
        place: error.section().to_string(),
        offset: Some(error.at()),
        message: source::words(error),
        bhyve: None,
        parent: None,
        hint: source::hint(error, path),
        nameless: matches!(
            error.section(),
            Section::Frame | Section::Part(Kind::Device | Kind::Extent)
        ),
        frame: matches!(error.section(), Section::Frame),
    }
}

/// A root other than the one asked for.
pub(super) fn root_differs(expected: Digest, found: Digest) -> Item {
    let fault = Fault::Root { expected, found };
    Item {
        fault: Some(fault.id()),
        rule: None,
        severity: "refuse",
        place: "trailer".to_owned(),
        offset: None,
        message: fault.to_string(),
        bhyve: None,
        parent: None,
        hint: fault.hint().map(str::to_owned),
        nameless: false,
        frame: false,
    }
}

/// Rules that are broken.
pub(super) fn from_rules(findings: &[Finding]) -> impl Iterator<Item = Item> {
    findings.iter().map(|finding| {
        let place = finding.at.to_string();
        let words = finding.to_string();
        let message = words.strip_prefix(&format!("{place}: ")).unwrap_or(&words).to_owned();
        Item {
            fault: None,
            rule: Some(finding.rule.id),
            severity: match finding.severity() {
                Severity::Refuse => "refuse",
                Severity::Warn => "warn",
            },
            offset: match &finding.at {
                Place::Meta { offset, .. }
                | Place::Record { offset, .. }
                | Place::Kern { offset } => Some(*offset),
                _ => None,
            },
            place,
            message,
            bhyve: Some(finding.rule.bhyve),
            parent: None,
            hint: Some(finding.advice().to_owned()),
            nameless: false,
            frame: false,
        }
    })
}
