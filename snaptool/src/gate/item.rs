//! One thing that is wrong with a snapshot, for people and for programs.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use snapfmt::bhyve::{self, Finding, Place};
use snapfmt::digest::Digest;
use snapfmt::layout::kind::Kind;
use snapfmt::read::Seeker;
use snapfmt::state::gate::UnknownRecord;
use snapfmt::state::rules::{Basis, Judge, StateFinding, Value};
use snapfmt::{Error, Fault, Section};

use crate::input::FileInput;
use crate::source;

/// A fault of the file, or a rule that its contents break.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Item {
    verdict: &'static str,
    /// What kind of finding it is.
    about: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'static str>,
    /// The parent that it is about, if not the input itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    place: String,
    offset: Option<u64>,
    #[serde(flatten)]
    field: Option<Field>,
    message: String,
    /// What stock bhyve does with such a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    bhyve: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// `RULE@RECORD`, where a person may take responsibility.
    #[serde(skip)]
    accept: Option<String>,
    /// Whether `place` says what kind of thing is damaged, and not which one.
    #[serde(skip)]
    nameless: bool,
    #[serde(skip)]
    frame: bool,
}

/// A field of a record, as a finding names it.
#[derive(Debug, Serialize)]
struct Field {
    section: String,
    record: String,
    vcpu: Option<u32>,
    field: &'static str,
    part: Option<&'static str>,
    occurrence: u32,
    record_offset: u64,
    length: u64,
    /// A number, as decimal digits; of what is none, its first bytes in `hex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    compared_with: Vec<Compared>,
}

#[derive(Debug, Serialize)]
struct Compared {
    what: &'static str,
    value: String,
}

/// Of what fails and what warns.
const fn verdict(fails: bool) -> &'static str {
    if fails { "fail" } else { "warn" }
}

impl Item {
    /// Whether this alone makes the answer no.
    pub(crate) fn fails(&self) -> bool {
        self.verdict == "fail"
    }

    /// `RULE@RECORD`, where a person may take responsibility.
    pub(crate) fn accept(&self) -> Option<&str> {
        self.accept.as_deref()
    }

    /// That it is about this parent of the input.
    pub(crate) fn belongs_to(&mut self, parent: &str) {
        self.parent = Some(parent.to_owned());
    }

    /// What bhyve would do, and what a person can do.
    pub(crate) fn hints(&self) -> impl Iterator<Item = String> {
        let bhyve = self.bhyve.map(|words| format!("stock bhyve: {words}"));
        let hint = self.hint.as_ref().map(|words| format!("hint: {words}"));
        bhyve.into_iter().chain(hint)
    }

    /// Names the part that is damaged, or whose frame is, if an intact index lists it.
    pub(crate) fn name_by_index(&mut self, file: &FileInput) {
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
pub(crate) fn from_error(error: &Error, path: &Path) -> Item {
    Item {
        verdict: verdict(true),
        about: "file",
        fault: Some(error.fault().id()),
        place: error.section().to_string(),
        offset: Some(error.at()),
        message: source::words(error),
        hint: source::hint(error, path),
        nameless: matches!(
            error.section(),
            Section::Frame | Section::Part(Kind::Device | Kind::Extent)
        ),
        frame: matches!(error.section(), Section::Frame),
        ..Item::default()
    }
}

/// A root other than the one asked for.
pub(crate) fn root_differs(expected: Digest, found: Digest) -> Item {
    let fault = Fault::Root { expected, found };
    Item {
        verdict: verdict(true),
        about: "file",
        fault: Some(fault.id()),
        place: "trailer".to_owned(),
        message: fault.to_string(),
        hint: fault.hint().map(str::to_owned),
        ..Item::default()
    }
}

/// What follows the place in a sentence that begins with it.
fn after(place: &str, words: &str) -> String {
    let rest = words.strip_prefix(place).and_then(|rest| rest.strip_prefix(": "));
    rest.unwrap_or(words).to_owned()
}

/// A structure rule that is broken.
pub(super) fn from_structure(finding: &Finding, strict: bool) -> Item {
    let place = finding.at.to_string();
    Item {
        verdict: verdict(strict || finding.severity() == bhyve::Severity::Refuse),
        about: "structure",
        rule: Some(finding.rule.id),
        evidence: Some(match finding.rule.basis {
            bhyve::Basis::Tried => "tried",
            bhyve::Basis::Read => "source",
            bhyve::Basis::Supposed => "unverified",
        }),
        offset: match &finding.at {
            Place::Meta { offset, .. } | Place::Record { offset, .. } | Place::Kern { offset } => {
                Some(*offset)
            }
            _ => None,
        },
        message: after(&place, &finding.to_string()),
        place,
        bhyve: Some(finding.rule.bhyve),
        hint: Some(finding.advice().to_owned()),
        ..Item::default()
    }
}

/// A rule of device state that is broken.
pub(super) fn from_state(finding: &StateFinding, fails: bool) -> Item {
    let StateFinding { rule, section, record, kern_offset, .. } = finding;
    let place = format!("{section} record {} at {kern_offset:#x}", record.escape_debug());
    let (value, hex) = match &finding.value {
        Value::Number(number) => (Some(number.to_string()), None),
        Value::Signed(number) => (Some(number.to_string()), None),
        Value::Bytes(bytes) => (None, Some(hex::encode(bytes))),
    };
    let compared = finding.others.iter();
    let compared = compared.map(|&(what, value)| Compared { what, value: value.to_string() });
    Item {
        verdict: verdict(fails),
        about: if matches!(rule.judge, Judge::Layout) { "layout" } else { "state" },
        rule: Some(rule.id),
        severity: Some(rule.severity.name()),
        evidence: Some(match rule.basis {
            Basis::Source => "source",
            Basis::Unverified => "unverified",
        }),
        message: after(&place, &finding.to_string()),
        place,
        offset: Some(*kern_offset),
        field: Some(Field {
            section: section.to_string(),
            record: record.clone(),
            vcpu: finding.vcpu,
            field: finding.key,
            part: finding.part,
            occurrence: finding.occurrence,
            record_offset: finding.offset,
            length: finding.len,
            value,
            hex,
            compared_with: compared.collect(),
        }),
        bhyve: Some(rule.bhyve),
        hint: Some(rule.advice.to_owned()),
        accept: acceptable(finding),
        ..Item::default()
    }
}

/// How a person takes responsibility. Nothing is offered whose name would mean something to a
/// shell.
fn acceptable(finding: &StateFinding) -> Option<String> {
    let StateFinding { rule, record, .. } = finding;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '_' | '-');
    (rule.acceptable() && record.chars().all(plain)).then(|| format!("{}@{record}", rule.id))
}

/// A record about which nothing was checked.
pub(super) fn from_unknown(unknown: &UnknownRecord, strict: bool) -> Item {
    let UnknownRecord { section, record, kern_offset, .. } = unknown;
    let place = format!("{section} record {} at {kern_offset:#x}", record.escape_debug());
    let hint = "a newer snaptool may know it".to_owned();
    Item {
        verdict: verdict(strict),
        about: "layout",
        offset: Some(*kern_offset),
        message: after(&place, &unknown.to_string()),
        place,
        hint: Some(hint),
        ..Item::default()
    }
}
