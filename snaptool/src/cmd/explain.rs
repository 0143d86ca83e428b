//! `snaptool explain`: what a rule says, why, and what to do about it.

use std::io::{self, BufWriter, Write};

use snapfmt::bhyve;
use snapfmt::bhyve::records::Vendor;
use snapfmt::state::rules::{self, Basis, Moment, Needs, Rule, Slots, Verdict};

use crate::cmd::help;
use crate::exit::{Answer, Trouble};
use crate::text;

/// Says what a rule about snapshots is: what must hold, why, what stock bhyve does where it does
/// not, how that is known, and what can be done.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help::EXPLAIN)]
pub struct Args {
    /// The rule, as `verify` names it in brackets.
    #[arg(value_name = "RULE", required_unless_present = "list")]
    rule: Option<String>,
    /// List all rules, one a line.
    #[arg(long, conflicts_with = "rule")]
    list: bool,
}

/// Runs the command.
///
/// # Errors
/// A rule that there is not, and trouble with stdout.
pub fn run(args: &Args) -> anyhow::Result<Answer> {
    let mut out = BufWriter::new(io::stdout().lock());
    match &args.rule {
        Some(id) => explain(id, &mut out)?,
        None => list(&mut out)?,
    }
    out.flush()?;
    Ok(Answer::Yes)
}

fn list(out: &mut impl Write) -> io::Result<()> {
    let ids = rules::all().map(|rule| rule.id).chain(bhyve::rules::all().map(|rule| rule.id));
    let width = ids.map(str::len).max().unwrap_or_default();
    for rule in rules::all() {
        let (id, severity) = (rule.id, rule.severity.name());
        let verdict = verdict(rule.verdict());
        writeln!(out, "{id:width$}  {verdict:5}  {severity:13}  {}", rule.records.join(", "))?;
    }
    for rule in bhyve::rules::all() {
        let verdict = structure_verdict(rule.severity);
        writeln!(out, "{:width$}  {verdict:5}  structure      {}", rule.id, rule.says)?;
    }
    Ok(())
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fail => "fails",
        Verdict::Warn => "warns",
    }
}

const fn structure_verdict(severity: bhyve::Severity) -> &'static str {
    match severity {
        bhyve::Severity::Refuse => "fails",
        bhyve::Severity::Warn => "warns",
    }
}

fn explain(id: &str, out: &mut impl Write) -> anyhow::Result<()> {
    if let Some(rule) = rules::by_id(id) {
        return Ok(state(rule, out)?);
    }
    if let Some(rule) = bhyve::rules::all().find(|rule| rule.id == id) {
        return Ok(structure(rule, out)?);
    }
    let words = id.to_ascii_lowercase();
    let all = rules::all().map(|rule| rule.id).chain(bhyve::rules::all().map(|rule| rule.id));
    let like: Vec<_> = all.filter(|id| id.contains(&words)).take(8).collect();
    let hint = if words.is_empty() || like.is_empty() {
        "`snaptool explain --list` lists all rules".to_owned()
    } else {
        format!("there are {}", like.join(", "))
    };
    Err(Trouble::new(format!("there is no rule {}", text::escape(id))).hint(hint).into())
}

fn state(rule: &Rule, out: &mut impl Write) -> io::Result<()> {
    let means = rule.severity.means();
    writeln!(out, "{}: {} a snapshot", rule.id, verdict(rule.verdict()))?;
    let mut line = |what: &str, words: &str| writeln!(out, "  {what:12} {words}");
    line("severity", &format!("{}: {means}", rule.severity))?;
    match rule.moment {
        Moment::Entry => line("when", "a virtual CPU is entered for the first time")?,
        Moment::Any => {}
    }
    line(
        "known by",
        match rule.basis {
            Basis::Source => "reading the source or the manual, or trying",
            Basis::Unverified => "what follows from both; nobody has looked, so that it only warns",
        },
    )?;
    line("records", &rule.records.join(", "))?;
    for subject in rule.subjects {
        line("field", &subject.to_string())?;
    }
    line("must", rule.condition.strip_prefix("must ").unwrap_or(rule.condition))?;
    line("because", rule.reason)?;
    line("stock bhyve", rule.bhyve)?;
    line("what to do", rule.advice)?;
    line("source", rule.source)?;
    match rule.needs {
        Needs::Record | Needs::Records => {}
        Needs::Ram => line("needs", "guest memory, which `verify --quick` does not read")?,
        Needs::Host => line("needs", "facts of the host that restores it: --host")?,
    }
    match rule.vendor {
        Some(Vendor::Intel) => line("hosts", "with CPUs of Intel")?,
        Some(Vendor::Amd) => line("hosts", "with CPUs of AMD")?,
        None => {}
    }
    match rule.slots {
        Slots::Running => line("slots", "of virtual CPUs that run before their registers are set")?,
        Slots::Used => {}
        Slots::All => line("slots", "all, also those of virtual CPUs that are not there")?,
    }
    let accept = match rule.acceptable() {
        true => format!("unpack --accept {}@RECORD", rule.id),
        false if rule.verdict() == Verdict::Warn => "not needed: it only warns".to_owned(),
        false => "never".to_owned(),
    };
    line("to accept", &accept)
}

fn structure(rule: &bhyve::Rule, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}: {} a snapshot", rule.id, structure_verdict(rule.severity))?;
    let mut line = |what: &str, words: &str| writeln!(out, "  {what:12} {words}");
    line("severity", "structure: the files, whatever the values in them")?;
    line("found", rule.says)?;
    line("because", rule.reason)?;
    line("stock bhyve", rule.bhyve)?;
    line(
        "known by",
        match rule.basis {
            bhyve::Basis::Tried => "giving such a snapshot to bhyve's own restore code",
            bhyve::Basis::Read => "reading its source",
            bhyve::Basis::Supposed => "what follows from the source; nobody has looked",
        },
    )?;
    line("what to do", rule.advice)?;
    line(
        "to accept",
        match rule.severity {
            bhyve::Severity::Refuse => "never",
            bhyve::Severity::Warn => "not needed: it only warns",
        },
    )
}
