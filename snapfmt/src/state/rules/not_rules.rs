//! What is known of a value and is no rule, and why.

use super::{cpu, vm};

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

/// The lists, one for each family of records.
static LISTS: [&[NotRule]; 1] = [vm::NOT_RULES];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static NotRule> {
    LISTS.into_iter().chain(cpu::NOT_RULES).flatten()
}
