//! A rule: what must hold, of which fields, and what happens if it does not.

use std::fmt;

use super::check::Check;
use crate::bhyve::records::Vendor;
use crate::state::Layout;

/// What a broken rule leads to, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The kernel of the host dies or hangs.
    Panic,
    /// Memory of the host is overwritten, or the guest is no longer kept apart from it.
    Corrupt,
    /// The bhyve process dies or its memory is overwritten.
    Ucrash,
    /// The CPU refuses to enter the guest: that virtual machine dies.
    Entry,
    /// bhyve cannot have written such a value. That it does harm is not known.
    Invalid,
    /// The guest misbehaves.
    Guest,
    /// It belongs to the host that wrote it and means something else anywhere else.
    HostSpecific,
}

impl Severity {
    /// The name that programs and the documentation use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Corrupt => "corrupt",
            Self::Ucrash => "ucrash",
            Self::Entry => "entry",
            Self::Invalid => "invalid",
            Self::Guest => "guest",
            Self::HostSpecific => "host-specific",
        }
    }

    /// What it means, in a few words.
    #[must_use]
    pub const fn means(self) -> &'static str {
        match self {
            Self::Panic => "the host panics or hangs",
            Self::Corrupt => "the host is corrupted, or open to the guest",
            Self::Ucrash => "the bhyve process crashes or is corrupted",
            Self::Entry => "the CPU refuses to enter the guest, which dies",
            Self::Invalid => "bhyve cannot have written it",
            Self::Guest => "the guest misbehaves",
            Self::HostSpecific => "it is of use on the host alone that wrote it",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When what a broken rule leads to happens, the earliest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// When a virtual CPU is entered for the first time, whatever the guest does then.
    Entry,
    /// While the state is restored, or later: perhaps only once the guest does something.
    Any,
}

/// How it is known that a rule must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Read in the source of FreeBSD or in the manual of the CPU, or tried.
    Source,
    /// It follows from what is known, but nobody has looked.
    Unverified,
}

/// What a broken rule means for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It must not be restored.
    Fail,
    /// Someone should know.
    Warn,
}

/// What a rule needs to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Needs {
    /// One record.
    Record,
    /// Several records of one machine.
    Records,
    /// Guest memory besides.
    Ram,
    /// Facts of the host that is to restore it.
    Host,
}

/// Of which virtual CPUs a rule speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slots {
    /// Of those that a host will enter before it sets their registers anew; see
    /// [`Machine::runs`](super::Machine::runs).
    Running,
    /// Of those that the machine has.
    Used,
    /// Of every slot in the record: [`Generation::A`](crate::bhyve::Generation::A) has always 16.
    All,
}

/// Some bytes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// All of them.
    All,
    /// Those of a [part](crate::state::Part).
    Part(&'static str),
    /// An offset in the field and a length.
    Range(u32, u32),
    /// Those that are in no part.
    Rest,
}

/// All bits of a number.
const ALL: u64 = u64::MAX;

/// What a rule speaks of: a field, or some of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The [key](crate::state::Field::key) of the field.
    pub key: &'static str,
    /// Which of several fields of that key in one record or slot; `None`: all of them.
    pub occurrence: Option<u32>,
    /// Which of its bytes.
    pub span: Span,
    /// Which bits of them, as a number; of an array, of each element. The rule judges the number as
    /// a whole, but no other bits matter.
    pub mask: u64,
    /// What the ids of the layouts begin with that it speaks of, where others have such a field too
    /// and the rule does not restrict it there.
    pub layouts: &'static str,
}

impl Subject {
    /// A whole field.
    #[must_use]
    pub const fn field(key: &'static str) -> Self {
        Self { key, occurrence: None, span: Span::All, mask: ALL, layouts: "" }
    }

    /// A part of a field.
    #[must_use]
    pub const fn part(key: &'static str, name: &'static str) -> Self {
        Self { key, occurrence: None, span: Span::Part(name), mask: ALL, layouts: "" }
    }

    /// Some bytes of a field.
    #[must_use]
    pub const fn range(key: &'static str, at: u32, len: u32) -> Self {
        Self { key, occurrence: None, span: Span::Range(at, len), mask: ALL, layouts: "" }
    }

    /// Some bits of a field that is a number, or of each element of an array.
    #[must_use]
    pub const fn bits(key: &'static str, mask: u64) -> Self {
        Self::field(key).mask(mask)
    }

    /// The bytes of a field that are in none of its parts.
    #[must_use]
    pub const fn rest(key: &'static str) -> Self {
        Self { key, occurrence: None, span: Span::Rest, mask: ALL, layouts: "" }
    }

    /// Only some bits of the number.
    #[must_use]
    pub const fn mask(self, mask: u64) -> Self {
        Self { mask, ..self }
    }

    /// Only in layouts whose ids begin so.
    #[must_use]
    pub const fn only(self, layouts: &'static str) -> Self {
        Self { layouts, ..self }
    }

    /// Whether it speaks of fields of a layout, if they have its key.
    #[must_use]
    pub fn speaks_of(&self, layout: &Layout) -> bool {
        layout.id.starts_with(self.layouts)
    }

    /// Only one of several fields of that key.
    #[must_use]
    pub const fn nth(self, occurrence: u32) -> Self {
        Self { occurrence: Some(occurrence), ..self }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key)?;
        if let Some(occurrence) = self.occurrence {
            write!(f, " #{occurrence}")?;
        }
        match self.span {
            Span::All if self.mask != ALL => write!(f, " & {:#x}", self.mask),
            Span::All => Ok(()),
            Span::Part(name) if self.mask != ALL => write!(f, " {name} & {:#x}", self.mask),
            Span::Part(name) => write!(f, " {name}"),
            Span::Range(at, 1) => write!(f, " byte {at}"),
            Span::Range(at, len) => write!(f, " bytes {at} to {}", at + len.saturating_sub(1)),
            Span::Rest => f.write_str(" bytes without a name"),
        }?;
        match self.layouts.trim_end_matches('-') {
            "" => Ok(()),
            layouts => write!(f, " of {layouts}"),
        }
    }
}

/// How a rule is checked.
#[derive(Debug, Clone, Copy)]
pub enum Judge {
    /// Each subject alone: whether its value is good. Of an array, each element.
    Number(fn(u64) -> bool),
    /// As [`Number`](Self::Number), with the highest bit of the bytes as sign.
    Signed(fn(i64) -> bool),
    /// Several fields together; it says itself which of them are wrong.
    Relation(fn(&mut Check<'_, '_>)),
    /// Whether each record has a known layout, as far as any is known of records of its name.
    Layout,
}

/// Something that must hold for state that is to be restored.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name, the same for ever.
    pub id: &'static str,
    /// What happens if it does not hold.
    pub severity: Severity,
    /// When it happens: of what is equally bad, what comes first is said first.
    pub moment: Moment,
    /// How that is known.
    pub basis: Basis,
    /// What it needs to see.
    pub needs: Needs,
    /// The maker of the CPU on whose hosts alone it must hold.
    pub vendor: Option<Vendor>,
    /// Of which virtual CPUs it speaks.
    pub slots: Slots,
    /// The records that it looks at: their names, of a device the name before `@pci.`.
    pub records: &'static [&'static str],
    /// What of them it restricts.
    pub subjects: &'static [Subject],
    /// What must hold, as in "must not be 0".
    pub condition: &'static str,
    /// Why it must.
    pub reason: &'static str,
    /// What stock bhyve does if it does not.
    pub bhyve: &'static str,
    /// What the owner of the snapshot can do.
    pub advice: &'static str,
    /// Where that can be read: file and function, or manual and chapter.
    pub source: &'static str,
    /// How it is checked.
    pub judge: Judge,
}

/// Something about values that is not held against a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRule {
    /// Where it is: a record, and a field or what else it is about.
    pub about: &'static str,
    /// What one might expect to be a rule.
    pub fact: &'static str,
    /// Why it is none.
    pub because: &'static str,
}

/// What can be done about damaged state.
pub(super) const ANOTHER: &str = "restore the file from a copy, or take another snapshot";

/// A rule as most are: about one record, invalid if broken. To be completed.
pub(super) const fn rule(id: &'static str, records: &'static [&'static str]) -> Rule {
    Rule {
        id,
        severity: Severity::Invalid,
        moment: Moment::Any,
        basis: Basis::Source,
        needs: Needs::Record,
        vendor: None,
        slots: Slots::Used,
        records,
        subjects: &[],
        condition: "",
        reason: "",
        bhyve: "",
        advice: ANOTHER,
        source: "",
        judge: Judge::Number(|_| true),
    }
}

impl Rule {
    /// What it means for a snapshot if the rule is broken.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match (self.basis, self.severity) {
            (Basis::Unverified, _) | (_, Severity::Guest | Severity::HostSpecific) => Verdict::Warn,
            _ => Verdict::Fail,
        }
    }

    /// Whether a person may take responsibility for breaking it: what kills the guest or bhyve
    /// alone, what nobody has verified, and records whose layout nobody here knows. Never what is
    /// known to harm the host.
    #[must_use]
    pub const fn acceptable(&self) -> bool {
        matches!(self.basis, Basis::Unverified)
            || matches!(self.severity, Severity::Entry | Severity::Ucrash)
            || matches!(self.judge, Judge::Layout)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}
