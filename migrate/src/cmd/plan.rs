//! `migrate plan`: everything short of sending.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::json;
use snapfmt::part::codec::Compression;
use snaptool::exit::{self, Answer};
use snaptool::links::Where;
use snaptool::signal::Stop;
use snaptool::text;

use super::help;
use super::options::{Making, Reach, Through, connect};
use super::send::run_until_stopped;
use super::show::{How, Shown};
use super::vm::{Supervised, facts, open};
use super::words::{Side, answer, print};
use super::{PRODUCER, table};
use crate::core::{Outcome, Source as Machine, SourceConfig, Task};
use crate::driver::{Source, SourceSetup};
use crate::facts::{compare, refusals};
use crate::stream::message::{Facts, Finding, Grade};
use crate::transport::Dest;

/// Finds out whether a VM can be handed over, and changes nothing.
///
/// Both hosts are compared for this VM: what is the same, what differs and works, what may fail,
/// and what is refused, with the option that accepts it if there is one.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = help::PLAN)]
pub struct Args {
    /// What would be sent; see `send`.
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// Where it would go; see `send`.
    #[arg(value_name = "DEST")]
    dest: Dest,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print also what is the same.
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    places: Where,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    through: Through,
    /// Accept what is refused, as `send` would.
    #[arg(long, value_name = "OPTION")]
    allow: Vec<String>,
    #[command(flatten)]
    supervised: Supervised,
}

/// What was found out.
struct Found {
    facts: Facts,
    findings: Vec<Finding>,
    /// What may start the VM again.
    unstopped: Vec<String>,
    compression: Compression,
    why: &'static str,
}

/// Runs the command.
///
/// # Errors
/// What keeps it from an answer.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    let name = text::path(&args.source);
    let origin = open(&args.source, &args.places, &args.making, &args.dest, stop)?;
    let facts = facts(&args.source, origin.as_ref())?;
    let (compression, why) = args.making.compression(&args.dest);
    let unstopped = args.supervised.unstopped(&origin.vm().name)?;
    let mut found = Found { facts, findings: Vec::new(), unstopped, compression, why };
    if args.dest.answers() {
        let timeout = format!("{}ms", args.reach.timeout.0.as_millis());
        let mut words = vec!["recv", "--plan", "--timeout", timeout.as_str()];
        if let Dest::Ssh(remote) = &args.dest {
            words.extend(["--", remote.path.as_str()]);
        }
        let core = Machine::new(SourceConfig {
            task: Task::Plan(Box::new(found.facts.clone())),
            producer: PRODUCER.to_owned(),
            timeout: args.reach.timeout.0,
            judge: compare,
        });
        let timeout = args.reach.timeout.0;
        let setup = SourceSetup {
            origin: None,
            journal: None,
            note: None,
            resume: None,
            decision: None,
            limit: None,
            timeout,
        };
        let mut shown = Shown::new("plan", name.clone(), How::None, true);
        let mut driver = Source::new(core, setup, &mut shown);
        let connection = connect(&args.dest, &args.reach, &args.through, &words)?;
        let ended = run_until_stopped(&mut driver, stop, |driver| driver.run(connection))?;
        drop(driver);
        if ended.outcome != Outcome::Done {
            return answer(ended, Side::Asking(&name), timeout, stop);
        }
        found.findings = shown.report.take().map(|report| report.findings).unwrap_or_default();
    }
    let refused = refusals(&found.findings, &args.allow).count() + found.unstopped.len();
    print(&if args.json { found.json(&args.allow) } else { found.text(args.all) })?;
    if refused > 0 {
        exit::note(&format!("{refused} of these keep the VM from being moved"));
        return Ok(Answer::No);
    }
    Ok(Answer::Yes)
}

impl Found {
    fn method(&self) -> String {
        match self.compression {
            Compression::Zstd(level) => format!("zstd:{level}"),
            _ => "none".to_owned(),
        }
    }

    fn text(&self, all: bool) -> String {
        let needs = &self.facts.needs;
        let (memory, stored) = (text::size(needs.memsize), text::size(needs.stored));
        let name = text::escape(&needs.name);
        let mut out = String::new();
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "VM          {name}: {} CPUs, {memory} of RAM", needs.ncpus);
        let _ = writeln!(out, "to send     up to {stored}, before compression");
        let _ = writeln!(out, "compression {}: {}", self.method(), self.why);
        let mut rows = Vec::new();
        let shown = self.findings.iter().filter(|it| all || it.grade != Grade::Same);
        for finding in shown {
            let value = |value: &Option<String>| {
                value.as_deref().map_or_else(|| "-".to_owned(), text::escape)
            };
            let option = finding.option.as_ref();
            let way =
                option.map_or_else(String::new, |it| format!(" (--allow {})", text::escape(it)));
            let way = if finding.grade == Grade::Refused { way } else { String::new() };
            rows.push([
                grade(finding.grade).to_owned(),
                text::escape(&finding.subject),
                value(&finding.source),
                value(&finding.target),
                text::one_line(&finding.reason) + &way,
            ]);
        }
        for words in &self.unstopped {
            let words = text::one_line(words) + " (--stop-supervisor)";
            let here = ["refused", "supervisor", "-", "-"].map(str::to_owned);
            let [grade, subject, source, target] = here;
            rows.push([grade, subject, source, target, words]);
        }
        if !rows.is_empty() {
            let head = ["grade", "subject", "source", "target", "why"].map(str::to_owned);
            rows.insert(0, head);
            out.push('\n');
            out.push_str(&table(&rows));
        }
        let same = self.findings.iter().filter(|it| it.grade == Grade::Same).count();
        if !all && same > 0 {
            let _ = writeln!(out, "\n{same} more are the same at both");
        }
        out
    }

    fn json(&self, allow: &[String]) -> String {
        let needs = &self.facts.needs;
        let findings = self.findings.iter().map(|finding| {
            let Finding { subject, source, target, reason, option, .. } = finding;
            let accepted = option.as_ref().is_some_and(|option| allow.contains(option));
            json!({
                "subject": subject, "grade": grade(finding.grade), "source": source,
                "target": target, "reason": reason, "option": option, "accepted": accepted,
            })
        });
        let findings: Vec<_> = findings.collect();
        let refused = refusals(&self.findings, allow).count() + self.unstopped.len();
        let plan = json!({
            "vm": { "name": needs.name, "ncpus": needs.ncpus, "memory": needs.memsize },
            "stored": needs.stored, "compression": self.method(), "why": self.why,
            "findings": findings, "supervisors": self.unstopped, "ok": refused == 0,
        });
        format!("{plan:#}\n")
    }
}

/// As the specification names it (§5.3).
fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Same => "same",
        Grade::Works => "works",
        Grade::MayFail => "may-fail",
        Grade::Refused => "refused",
    }
}
