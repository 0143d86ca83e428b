//! `spec/facts.md`, made from the rules by which two hosts are compared.

use std::fmt::Write as _;
use std::path::PathBuf;

use migrate::facts::{DISK_RULE, FEATURES, RULES, Rule};
use migrate::stream::message::Grade;
use snapfmt::bhyve::records::Vendor;

const HEAD: &str = "\
# Facts of hosts

Made from the rules in `migrate/src/facts`; `stream.md` §5 says what grades are for. To write it anew:
`cargo test -p tests --test facts -- --ignored`.

Every respect in which two hosts are compared before a VM is moved, and what each grade of it means. What is not
known of a side that is compared is graded `may-fail`, and the reason says of which side. What is `refused` goes on
when a person accepts it by its subject, unless the table says never. A respect that neither CPU can have is left out.

";

const FEATURES_HEAD: &str = "
## Features that guests see

A word of features is refused if the target lacks one of these, since bhyve shows them to guests as the CPU has them.
Another one that the target lacks is hidden or feigned by bhyve of FreeBSD 14: `may-fail`. OSXSAVE and OSPKE say what a
system switched on, and are not compared.

| fact | features |
|---|---|
";

/// Where the document is.
#[must_use]
pub fn place() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/facts.md"))
}

/// The document.
#[must_use]
pub fn document() -> String {
    let mut out = HEAD.to_owned();
    out += "| subject | compared | works | may fail | refused | accepted |\n|---|---|---|---|---|---|\n";
    for rule in RULES.iter().chain([&DISK_RULE]) {
        row(rule, &mut out);
    }
    out += FEATURES_HEAD;
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
