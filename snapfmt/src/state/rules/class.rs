//! Of every byte of a record: which rules restrict it, or why none does.
//!
//! A byte is ruled if a rule speaks of it. Any other byte has to be argued: any value of it is
//! legal, or it is opaque, or it has a meaning on one host alone. Bytes of fields that a rule
//! speaks of in part, as of some bits of a register, count as ruled.

use super::rule::{Rule, Span, Subject};
use crate::state::{Field, Layout, Repeat, Shape};

/// Why no rule restricts a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Any value is legal.
    Free,
    /// What is in it is not looked at before it is overwritten, or not known to anyone.
    Opaque,
    /// It has a meaning on the host alone that wrote it, and does no harm elsewhere.
    HostSpecific,
}

impl Class {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "any value",
            Self::Opaque => "opaque",
            Self::HostSpecific => "host-specific",
        }
    }
}

/// An argument for bytes that no rule restricts.
#[derive(Debug, Clone, Copy)]
pub struct Argued {
    /// The records.
    pub records: &'static [&'static str],
    /// The bytes.
    pub subjects: &'static [Subject],
    /// What they are.
    pub class: Class,
    /// Why.
    pub because: &'static str,
}

/// All arguments.
pub fn argued() -> impl Iterator<Item = &'static Argued> {
    super::chapters().flat_map(|chapter| chapter.argued)
}

/// What is known of a byte.
#[derive(Debug, Clone, PartialEq)]
pub enum ByteClass {
    /// These rules restrict it.
    Ruled(Vec<&'static Rule>),
    /// None does, for a reason.
    Argued(Class, &'static str),
    /// Nothing.
    Unclassed,
}

/// Bytes of a field of which the same is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The field.
    pub field: &'static Field,
    /// The first byte, in the field.
    pub at: u32,
    /// How many bytes.
    pub len: u32,
    /// How often the field is there: in the record, or in the slot of a virtual CPU.
    pub times: u32,
    /// What is known of them.
    pub class: ByteClass,
}

/// Bytes of a record, or of the slot of a virtual CPU, by what is known of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Restricted by a rule.
    pub ruled: u64,
    /// Any value is legal.
    pub free: u64,
    /// Opaque.
    pub opaque: u64,
    /// Of one host alone.
    pub host: u64,
    /// Nothing is known.
    pub unclassed: u64,
}

impl Tally {
    /// All bytes.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.ruled + self.free + self.opaque + self.host + self.unclassed
    }
}

/// What is known of the bytes of a layout, in their order. Fields of varying length count as one
/// byte.
#[must_use]
pub fn classes(layout: &'static Layout) -> Vec<Run> {
    let family = |names: &[&str]| layout.names.iter().any(|name| names.contains(name));
    let vendor = |rule: &Rule| match (rule.vendor, layout.vendor) {
        (Some(wanted), Some(own)) => wanted == own,
        _ => true,
    };
    let rules = super::all().filter(|rule| family(rule.records) && vendor(rule));
    let rules: Vec<_> = rules.collect();
    let argued: Vec<_> = argued().filter(|argued| family(argued.records)).collect();
    let mut runs: Vec<Run> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for definition in layout.definitions() {
        let field = definition.field;
        let before = seen.iter().filter(|key| **key == field.key()).count();
        seen.push(field.key());
        let speaks = |subject: &Subject| {
            subject.key == field.key()
                && subject.speaks_of(layout)
                && subject.occurrence.is_none_or(|wanted| usize::try_from(wanted) == Ok(before))
        };
        let times = definition.groups.iter().map(|group| match group.repeat {
            Repeat::Times(times) => times,
            _ => 1,
        });
        let times = times.product();
        for at in 0..field.shape.fixed_len().unwrap_or(1) {
            let covers = |subjects: &[Subject]| {
                subjects.iter().any(|subject| speaks(subject) && covers(field, subject, at))
            };
            let ruled: Vec<_> =
                rules.iter().copied().filter(|rule| covers(rule.subjects)).collect();
            let class = if ruled.is_empty() {
                let found = argued.iter().find(|argued| covers(argued.subjects));
                found.map_or(ByteClass::Unclassed, |a| ByteClass::Argued(a.class, a.because))
            } else {
                ByteClass::Ruled(ruled)
            };
            match runs.last_mut() {
                Some(last) if at > 0 && last.class == class => last.len += 1,
                _ => runs.push(Run { field, at, len: 1, times, class }),
            }
        }
    }
    runs
}

/// The bytes of a layout, counted.
#[must_use]
pub fn tally(layout: &'static Layout) -> Tally {
    let mut tally = Tally::default();
    for run in classes(layout) {
        let bytes = u64::from(run.len) * u64::from(run.times);
        *match run.class {
            ByteClass::Ruled(_) => &mut tally.ruled,
            ByteClass::Argued(Class::Free, _) => &mut tally.free,
            ByteClass::Argued(Class::Opaque, _) => &mut tally.opaque,
            ByteClass::Argued(Class::HostSpecific, _) => &mut tally.host,
            ByteClass::Unclassed => &mut tally.unclassed,
        } += bytes;
    }
    tally
}

/// Whether a subject has a byte of a field.
fn covers(field: &Field, subject: &Subject, at: u32) -> bool {
    let inside = |start: u32, len: u32| at.checked_sub(start).filter(|rest| *rest < len);
    let within = match (subject.span, field.shape) {
        (Span::All, Shape::Ints(width, _)) => Some(at % width.bytes()),
        (Span::All, _) => Some(at),
        (Span::Part(name), _) => {
            let part = field.inside.iter().find(|part| part.name == name);
            part.and_then(|part| inside(part.at, part.len))
        }
        (Span::Range(start, len), _) => inside(start, len),
        (Span::Rest, _) => {
            let part = field.inside.iter().find_map(|part| inside(part.at, part.len));
            part.is_none().then_some(at)
        }
    };
    let bits = |byte: u32| subject.mask == u64::MAX || subject.mask >> (8 * byte) & 0xff != 0;
    within.is_some_and(bits)
}
