//! `spec/facts.md`, made from the rules by which two hosts are compared.

use std::fmt::Write as _;
use std::path::PathBuf;

use migrate::facts::{DISK_RULE, FEATURES, RULES, Rule};
use migrate::stream::message::Grade;
use snapfmt::bhyve::records::Vendor;

/// What no table can say; its rules stand where it says so.
const TEXT: &str = include_str!("facts_doc.md");

/// Where the document is.
#[must_use]
pub fn place() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/facts.md"))
}

/// The document.
#[must_use]
pub fn document() -> String {
    let (rules, features) = TEXT.split_once("RULES\n").unwrap_or((TEXT, ""));
    let mut out = rules.to_owned();
    for rule in RULES.iter().chain([&DISK_RULE]) {
        row(rule, &mut out);
    }
    out += features;
    let mut words: Vec<_> = FEATURES.iter().map(|feature| feature.word).collect();
    words.dedup();
    for word in words {
        let names = FEATURES.iter().filter(|feature| feature.word == word);
        let names: Vec<_> = names.map(|feature| feature.name).collect();
        let _ = writeln!(out, "| `{word}` | {} |", names.join(", "));
    }
    out
}

fn row(rule: &Rule, out: &mut String) {
    let compared = match rule.only {
        Some(Vendor::Intel) => format!("{} (Intel)", rule.compared),
        Some(Vendor::Amd) => format!("{} (AMD)", rule.compared),
        None => rule.compared.to_owned(),
    };
    let reason = |grade| rule.reason(grade).unwrap_or("–");
    let accepted = match (rule.refused, rule.overridable) {
        (None, _) => "–",
        (Some(_), true) => "by its subject",
        (Some(_), false) => "never",
    };
    let [works, may_fail, refused] = [Grade::Works, Grade::MayFail, Grade::Refused].map(reason);
    let subject = rule.subject;
    let _ = writeln!(
        out,
        "| `{subject}` | {compared} | {works} | {may_fail} | {refused} | {accepted} |"
    );
}
