//! All that rules say of a snapshot: in which order, how often, and what could not be checked.

use std::collections::BTreeMap;

use serde::Serialize;
use snapfmt::state::gate::{Judgement, Policy, Standing};

use super::item::{Item, from_state, from_structure, from_unknown};

/// Rules that are named where a line lists them; others are counted.
const NAMED: usize = 8;

/// Findings under a policy: the structure first, on which all else rests, then the values, the
/// worst first, then what nobody could look at. What was accepted is not among them.
pub(crate) fn items(judgement: &Judgement, policy: &Policy) -> Vec<Item> {
    let strict = policy.strict;
    let structure = judgement.structure.iter().map(|finding| from_structure(finding, strict));
    let state =
        judgement.state.findings.iter().filter_map(|finding| match policy.standing(finding) {
            Standing::Fails => Some(from_state(finding, true)),
            Standing::Warns => Some(from_state(finding, false)),
            Standing::Accepted => None,
        });
    let unknown = judgement.unknown.iter().map(|unknown| from_unknown(unknown, strict));
    let (fail, warn): (Vec<_>, Vec<_>) =
        structure.chain(state).chain(unknown).partition(Item::fails);
    fail.into_iter().chain(warn).collect()
}

/// What could not be checked, a sentence for each reason.
pub(crate) fn not_checked(judgement: &Judgement) -> Vec<String> {
    let mut reasons = BTreeMap::<_, Vec<&str>>::new();
    for not in &judgement.state.not_checked {
        reasons.entry(not.why.to_string()).or_default().push(not.rule.id);
    }
    let rules = reasons.into_iter().map(|(why, mut rules)| {
        rules.dedup();
        let mut names = rules.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        if rules.len() > NAMED {
            names += &format!(" and {} more", rules.len() - NAMED);
        }
        format!("rules: {why}: {names}")
    });
    let layouts = judgement.unknown.iter().map(|unknown| format!("layout: {unknown}"));
    layouts.chain(rules).collect()
}

/// Places where a rule is broken that are not listed.
#[derive(Debug, Serialize)]
pub(crate) struct More {
    rule: &'static str,
    places: u64,
}

/// Findings as they are told: each in one line, and what is the same for all of a rule once.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    said: BTreeMap<&'static str, u64>,
    more: BTreeMap<&'static str, u64>,
}

impl Telling {
    /// Of a judgement; of none, nothing is left out.
    pub(crate) fn of(judgement: Option<&Judgement>) -> Self {
        let more = judgement.into_iter().flat_map(|judgement| &judgement.state.more);
        let more = more.map(|(rule, places)| (rule.id, *places)).collect();
        Self { said: BTreeMap::new(), more }
    }

    /// For programs: what is not listed.
    pub(crate) fn more(&self) -> Vec<More> {
        self.more.iter().map(|(&rule, &places)| More { rule, places }).collect()
    }

    /// What stock bhyve does and what a person can do, unless that was said of the same rule.
    pub(crate) fn hints(&mut self, item: &Item) -> Vec<String> {
        let said = item.rule.map(|rule| self.said.entry(rule).or_default());
        let first = said.is_none_or(|said| {
            *said += 1;
            *said == 1
        });
        if !first {
            return Vec::new();
        }
        let more = item.rule.and_then(|rule| self.more.get(rule));
        let more = more.map(|places| format!("in {places} more places, which are not listed"));
        item.hints().chain(more).collect()
    }

    /// Warnings in as many lines as rules that are broken: the first place of each, and how many
    /// there are.
    pub(crate) fn warnings(&self, items: &[Item]) -> Vec<String> {
        let mut lines = Vec::<(Option<&'static str>, String, u64)>::new();
        for item in items.iter().filter(|item| !item.fails()) {
            match lines.iter_mut().find(|(rule, ..)| rule.is_some() && *rule == item.rule) {
                Some((.., others)) => *others += 1,
                None => lines.push((item.rule, item.to_string(), 0)),
            }
        }
        let others = |rule: Option<&'static str>, listed: u64| {
            listed + rule.and_then(|rule| self.more.get(rule)).copied().unwrap_or_default()
        };
        lines
            .into_iter()
            .map(|(rule, line, listed)| match others(rule, listed) {
                0 => line,
                1 => format!("{line}, and one place more"),
                n => format!("{line}, and {n} places more"),
            })
            .collect()
    }
}
