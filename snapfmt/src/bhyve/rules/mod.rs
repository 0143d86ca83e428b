//! The rules about stock snapshots: tables, from which messages, documentation and tests follow.
//!
//! Refusing wrongly locks someone's machine away. So a rule refuses only where bhyve cannot have
//! written what was found, or where restoring it is known to harm the host; all else is a warning.
//! What stock bhyve does with each was tried, read or supposed: each rule says which.

mod kern;
mod machine;
mod meta;

use super::finding::Rule;

pub use kern::*;
pub use machine::*;
pub use meta::*;

/// Every rule, those about the text of `.meta` first.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [META_RULES, MACHINE_RULES, KERN_RULES].into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_its_own_id_and_one_line_sentences() {
        let mut ids = BTreeSet::new();
        for rule in all() {
            assert!(ids.insert(rule.id), "{} twice", rule.id);
            assert!(rule.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", rule.id);
            for text in [rule.says, rule.reason, rule.bhyve, rule.advice] {
                assert!(!text.is_empty() && !text.contains('\n'), "{}: {text:?}", rule.id);
                assert!(!text.ends_with('.'), "{}: {text:?}", rule.id);
            }
        }
    }
}
