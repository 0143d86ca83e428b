//! A broken rule, and where: one line for a person, data for a program.

use std::fmt;

use super::machine::StateRecord;
use super::rule::{Basis, Rule, Verdict};
use crate::bhyve::Section;
use crate::state::{FieldRef, Kind, Misfit, Why};

/// Bytes of a value that are shown.
const SHOWN: usize = 16;

/// A rule, broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFinding {
    /// The rule.
    pub rule: &'static Rule,
    /// The list of `.meta` in which the record stands.
    pub section: Section,
    /// The name of the record.
    pub record: String,
    /// The virtual CPU that the field belongs to.
    pub vcpu: Option<u32>,
    /// The key of the field.
    pub key: &'static str,
    /// What of the field, if only some of it.
    pub part: Option<&'static str>,
    /// How many fields of that key come before it.
    pub occurrence: u32,
    /// Where the bytes are in the record.
    pub offset: u64,
    /// Where they are in `.kern`.
    pub kern_offset: u64,
    /// How many they are.
    pub len: u64,
    /// What they are.
    pub value: Value,
    /// What else the rule looked at.
    pub others: Vec<(&'static str, u64)>,
    /// The number of the record, for sorting.
    pub(super) order: usize,
}

impl StateFinding {
    pub(super) fn new(
        rule: &'static Rule,
        (order, record): (usize, &StateRecord<'_>),
        field: &FieldRef<'_, '_>,
        spot: Spot,
        others: &[(&'static str, u64)],
    ) -> Self {
        let at = usize::try_from(spot.at).unwrap_or(usize::MAX);
        let end = at.saturating_add(usize::try_from(spot.len).unwrap_or(usize::MAX));
        let bytes = field.bytes().get(at..end).unwrap_or(field.bytes());
        Self {
            rule,
            section: record.entry.section,
            record: record.entry.name.clone(),
            vcpu: field.vcpu(),
            key: field.key(),
            part: spot.name,
            occurrence: field.occurrence(),
            offset: field.offset() + spot.at,
            kern_offset: record.entry.offset.saturating_add(field.offset() + spot.at),
            len: spot.len,
            value: Value::of(bytes, field.definition().kind),
            others: others.to_vec(),
            order,
        }
    }

    /// A record that has no known layout, by where the layout ends that fits furthest.
    pub(super) fn misfit(
        rule: &'static Rule,
        (order, record): (usize, &StateRecord<'_>),
        misfit: Misfit,
    ) -> Self {
        let (key, number) = match misfit.why {
            Why::Count { key, found, .. } => (key, Some(found)),
            Why::Truncated { key, .. } | Why::Rest { key, .. } | Why::Sign { key } => (key, None),
            _ => ("the record", None),
        };
        let at = usize::try_from(misfit.at).unwrap_or(usize::MAX);
        let rest = record.bytes.get(at..).unwrap_or_default();
        let shown: Vec<u8> = rest.iter().take(SHOWN).copied().collect();
        Self {
            rule,
            section: record.entry.section,
            record: record.entry.name.clone(),
            vcpu: None,
            key,
            part: None,
            occurrence: 0,
            offset: misfit.at,
            kern_offset: record.entry.offset.saturating_add(misfit.at),
            len: shown.len() as u64,
            value: number.map_or(Value::Bytes(shown), Value::Number),
            others: Vec::new(),
            order,
        }
    }

    /// What it means for the snapshot.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.rule.verdict()
    }
}

impl fmt::Display for StateFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, record, kern_offset, key, .. } = self;
        let record = record.escape_debug();
        write!(f, "{section} record {record} at {kern_offset:#x}: {key}")?;
        if self.occurrence > 0 {
            write!(f, " #{}", self.occurrence)?;
        }
        if let Some(part) = self.part {
            write!(f, " {part}")?;
        }
        if let Some(vcpu) = self.vcpu {
            write!(f, " of vcpu {vcpu}")?;
        }
        write!(f, " is {}", self.value)?;
        for (what, value) in &self.others {
            write!(f, ", {what} {value:#x}")?;
        }
        write!(f, ": {}", self.rule.severity.means())?;
        if self.rule.basis == Basis::Unverified {
            f.write_str(", which nobody has verified")?;
        }
        write!(f, "; it {}", self.rule.condition)
    }
}

/// Which bytes of a field a finding is about.
#[derive(Debug, Clone, Copy)]
pub struct Spot {
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) name: Option<&'static str>,
}

impl Spot {
    /// The whole field.
    #[must_use]
    pub fn whole(field: &FieldRef<'_, '_>) -> Self {
        Self { at: 0, len: field.len(), name: None }
    }

    /// Some bytes of it.
    #[must_use]
    pub const fn bytes(at: u64, len: u64) -> Self {
        Self { at, len, name: None }
    }

    /// A part of it; the whole field if there is no such part.
    #[must_use]
    pub fn part(field: &FieldRef<'_, '_>, name: &str) -> Self {
        let inside = field.definition().inside;
        inside.iter().find(|part| part.name == name).map_or_else(
            || Self::whole(field),
            |part| Self { at: part.at.into(), len: part.len.into(), name: Some(part.name) },
        )
    }
}

/// A value that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(u64),
    /// A number that may be negative.
    Signed(i64),
    /// The first bytes of something else.
    Bytes(Vec<u8>),
}

impl Value {
    fn of(bytes: &[u8], kind: Kind) -> Self {
        let signed = matches!(kind, Kind::Signed);
        match crate::state::value::little_endian(bytes) {
            Some(_) if signed => {
                Self::Signed(crate::state::value::signed(bytes).unwrap_or_default())
            }
            Some(number) => Self::Number(number),
            None => Self::Bytes(bytes.iter().take(SHOWN).copied().collect()),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number:#x}"),
            Self::Signed(number) => write!(f, "{number}"),
            Self::Bytes(bytes) => write!(f, "{} ...", hex::encode(bytes)),
        }
    }
}
