//! What values of device state a host survives, as rules.
//!
//! ```text
//! Meta, bytes ──> Machine ──┐
//! guest memory (if given) ──┼── check ──> Report: findings, and what could not be checked
//! facts of a host (if given)┘
//!
//! Rule, Argued ──> class::classes ──> of every byte of a layout: which rules, or why none
//! ```
//!
//! A kernel takes most of what a snapshot holds without looking at it. Each rule names what it must
//! not take, why, what stock bhyve does with it, and how that is known. Rules are data, so that
//! checks, documentation and tests say the same.
//!
//! Refusing wrongly locks someone's machine away, so that a rule fails a snapshot only if its harm
//! was read in a source or a manual, or if bhyve cannot have written the value. All else warns; see
//! [`Rule::verdict`].
//!
//! A rule looks at fields by their keys. It does not know where they lie, and has nothing to say of
//! records whose layout is not known: the [`Report`] lists those.

mod check;
pub mod class;
mod cpu;
mod device;
mod finding;
mod kept;
mod kern_layout;
mod lapic_service;
mod lapic_timer;
mod machine;
mod memory;
mod report;
mod rule;
mod running;
mod vatpic;
mod vatpit;
mod vhpet;
mod vioapic;
mod vlapic;
mod vm;
mod vrtc;

use class::Argued;

pub use super::host::HostFacts;
pub use check::{Check, check};
pub use finding::{Spot, StateFinding, Value};
pub use kept::KeptRam;
pub use machine::{Known, Machine, StateRecord};
pub use memory::{GuestRam, RamError};
pub use report::{Missing, NotChecked, Report};
pub use rule::{
    Basis, Judge, Moment, Needs, NotRule, Rule, Severity, Slots, Span, Subject, Verdict,
};

/// What is known of the values of some records.
pub struct Chapter {
    /// The records, and what they are.
    pub title: &'static str,
    /// The rules.
    pub rules: &'static [Rule],
    /// Bytes that no rule restricts, and why.
    pub argued: &'static [Argued],
    /// What is no rule, and why.
    pub not_rules: &'static [NotRule],
}

static CHAPTERS: &[&Chapter] = &[
    &kern_layout::CHAPTER,
    &vhpet::CHAPTER,
    &vm::CHAPTER,
    &vioapic::CHAPTER,
    &vlapic::CHAPTER,
    &lapic_service::CHAPTER,
    &lapic_timer::CHAPTER,
    &vatpit::CHAPTER,
    &vatpic::CHAPTER,
    &vrtc::CHAPTER,
];

/// All that is known, in the order of the records.
pub fn chapters() -> impl Iterator<Item = &'static Chapter> {
    CHAPTERS.iter().chain(cpu::CHAPTERS).chain(device::CHAPTERS).copied()
}

/// Every rule.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    chapters().flat_map(|chapter| chapter.rules)
}

/// The rule of that [id](Rule::id).
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}

/// Whether a linear address is canonical: bits 63 to 47 are equal. bhyve's guests have no LA57.
pub(crate) const fn canonical(address: u64) -> bool {
    (address.cast_signed() << 16 >> 16).cast_unsigned() == address
}
