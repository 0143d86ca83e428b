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
mod finding;
mod machine;
mod memory;
pub mod not_rules;
mod report;
mod rule;
mod running;
mod vm;

pub use super::host::HostFacts;
pub use check::{Check, check};
pub use finding::{Spot, StateFinding, Value};
pub use machine::{Known, Machine, StateRecord};
pub use memory::{GuestRam, RamError};
pub use report::{Missing, NotChecked, Report};
pub use rule::{Basis, Judge, Needs, Rule, Severity, Slots, Span, Subject, Verdict};

/// The rules, a list for each file of them.
static FAMILIES: [&[Rule]; 1] = [vm::RULES];

/// Every rule.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    FAMILIES.into_iter().chain(cpu::RULES).flatten()
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
