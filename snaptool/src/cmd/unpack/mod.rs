//! `snaptool unpack`: one file becomes bhyve's three again, byte for byte.

mod set;

use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use snapfmt::limits;
use snapfmt::read::{Kept, Part, StreamError, Verified};
use snapfmt::state::gate::{Acceptance, DeviceState, Judged, Policy};

use self::set::StagedSet;
use crate::cmd::help;
use crate::exit::{Answer, Trouble, note, report, warn};
use crate::front::read_all;
use crate::gate::{Telling, items};
use crate::host::Host;
use crate::input::Input;
use crate::links::{Damaged, Links, Where, unless_damaged};
use crate::pipeline;
use crate::progress::{Options, Progress};
use crate::signal::Stop;
use crate::{source, text};

/// Restores bhyve's three files (NAME, NAME.kern, NAME.meta) from a snapshot file.
///
/// They appear only if every byte of the snapshot was checked and found good, and no value in its
/// records is known to harm the host or bhyve: RAM first, then `.kern`, and last `.meta`, without
/// which bhyve does not restore. A delta takes its parents: see --chain.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help::UNPACK)]
pub struct Args {
    /// The snapshot file, or `-` for stdin.
    #[arg(value_name = "FILE|-")]
    input: PathBuf,
    /// The name of the RAM file; `.kern` and `.meta` appear beside it. None of the three may exist.
    #[arg(short, long, value_name = "BASE")]
    output: PathBuf,
    #[command(flatten)]
    chain: Where,
    /// Hold the state against this host, too, or against facts from `snaptool host-facts`.
    #[arg(long, value_name = "this|FACTS")]
    host: Option<Host>,
    /// Refuse also what otherwise is only a note, and records that nothing here knows.
    #[arg(long)]
    strict: bool,
    /// Take responsibility for a rule that a record breaks; may be given several times. Only for
    /// what can harm the guest or its bhyve process alone, and for what nobody has verified. It is
    /// recorded in BASE.accepted, which bhyve does not read.
    #[arg(long, value_name = "RULE@RECORD")]
    accept: Vec<Acceptance>,
    /// Show no progress.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    threads: pipeline::Threads,
    #[command(flatten)]
    progress: Options,
}

/// Runs the command.
///
/// # Errors
/// Trouble with files. A snapshot that is damaged is an answer: no.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    let host = args.host.as_ref().map(|host| host.facts(stop)).transpose()?;
    let policy = Policy { strict: args.strict, accept: args.accept.clone() };
    let input = Input::open(&args.input, stop)?;
    let (name, size) = (input.name().to_owned(), input.size());
    let read = |set: &mut StagedSet, kept: &mut Kept<'_>| match input {
        Input::File(file) if !args.chain.is_nowhere() => {
            let links = Links::find(file, &args.chain, stop)?;
            chained(&links, args, (set, kept), stop)
        }
        input => {
            let mode = args.progress.of("unpack", &name).quiet(args.quiet);
            let progress = Progress::new("unpacking", size, mode);
            from_front(progress.reading(input.into_reader()), args, (set, kept), stop)
        }
    };
    let mut set = StagedSet::create(&args.output, !args.accept.is_empty())?;
    let mut kept = Kept::new(host.as_ref());
    let Some(verified) = unless_damaged(read(&mut set, &mut kept))? else { return Ok(Answer::No) };
    let judged = kept.judge(&verified);
    let judged = judged.map_err(|_| anyhow::anyhow!("the records are not its own"))?;
    told(&judged, &policy, &name);
    let Ok(state) = judged.clear(&policy) else { return Ok(Answer::No) };
    let log = accepted(&state, &verified, &name);
    set.publish(&state, log)?;
    Ok(Answer::Yes)
}

/// Stages all of a file, as it comes, and keeps what the rules will look at.
fn from_front(
    input: impl io::Read,
    args: &Args,
    (set, kept): (&mut StagedSet, &mut Kept<'_>),
    stop: &Stop,
) -> anyhow::Result<Verified> {
    let StagedSet { ram, course, .. } = set;
    let ram = &*ram;
    let look = |part: &Part| match part {
        Part::Extent(extent) => ram.pages(&extent.block),
        _ => Ok(()),
    };
    let result = read_all(input, args.threads.count(), look, |part, written| {
        stop.check()?;
        course.admit(&part)?;
        written.unwrap_or(Ok(()))?;
        let Some(part) = kept.take(part) else { return Ok(None) };
        ram.take(&part)?;
        Ok(Some(part))
    });
    result.map_err(|error| match error {
        StreamError::Format(error) => {
            let name = match args.input.as_os_str() {
                stdin if stdin == "-" => "stdin".to_owned(),
                _ => text::path(&args.input),
            };
            let (section, at, words) = (error.section(), error.at(), source::words(&error));
            let trouble = Trouble::new(format!("{name}: {section}, offset {at:#x}: {words}"));
            let hint = source::hint(&error, &args.input).into_iter();
            Damaged(hint.fold(trouble, Trouble::hint)).into()
        }
        StreamError::Io { source, .. } => source.into(),
        StreamError::Taker(error) => error,
    })
}

/// Stages the newest state of a chain, and keeps what the rules will look at.
fn chained(
    links: &Links,
    args: &Args,
    (set, kept): (&mut StagedSet, &mut Kept<'_>),
    stop: &Stop,
) -> anyhow::Result<Verified> {
    let mode = args.progress.of("unpack", links.name()).quiet(args.quiet);
    let progress = Progress::new("unpacking", Some(links.bytes()), mode);
    let mut taken = Ok(());
    let chain = links.open(stop, &progress, |link, part| {
        if link == links.last() && taken.is_ok() {
            let admitted = set.course.admit(&part);
            let part = kept.take(part);
            taken = admitted.and_then(|()| part.map_or(Ok(()), |part| set.ram.take(&part)));
        }
    })?;
    taken?;
    let checked = chain.check(limits::EXTENT_MIN, |block| {
        kept.block(&block);
        set.ram.pages(&block)
    });
    let mut verified = checked.map_err(|error| links.failed(error))?;
    links.unchanged()?;
    verified.pop().ok_or_else(|| anyhow::anyhow!("a chain has a file"))
}

/// Says what stands against a restore, and what someone should know.
fn told(judged: &Judged, policy: &Policy, name: &str) {
    let judgement = judged.judgement();
    let found = items(judgement, policy);
    let mut telling = Telling::of(Some(judgement));
    for item in found.iter().filter(|item| item.fails()) {
        let trouble = Trouble::new(format!("{name}: {item}"));
        let hints = telling.hints(item).into_iter();
        let hints =
            hints.map(|words| words.strip_prefix("hint: ").map(str::to_owned).unwrap_or(words));
        report(&hints.fold(trouble, Trouble::hint).into());
    }
    for words in telling.warnings(&found) {
        note(&format!("{name}: {words}"));
    }
    let failing = found.iter().filter(|item| item.fails());
    if let Some(mut accept) = failing.map(|item| item.accept()).collect::<Option<Vec<_>>>()
        && !accept.is_empty()
    {
        accept.sort_unstable();
        accept.dedup();
        let options: Vec<_> = accept.iter().map(|what| format!("--accept {what}")).collect();
        note(&format!("who takes responsibility for that adds {}", options.join(" ")));
    }
    for acceptance in &policy.accept {
        if !judgement.state.findings.iter().any(|finding| acceptance.covers(finding)) {
            note(&format!("{name}: there is nothing to accept for {acceptance}"));
        }
    }
}

/// What a person took responsibility for, to be kept beside the files, if anything.
fn accepted(state: &DeviceState, verified: &Verified, name: &str) -> Option<String> {
    if state.accepted().is_empty() {
        return None;
    }
    let accepted = state.accepted().iter().map(|finding| {
        warn(&format!("{name}: accepted: {finding} [{}]", finding.rule.id));
        json!({
            "rule": finding.rule.id,
            "record": finding.record,
            "severity": finding.rule.severity.name(),
            "message": finding.to_string(),
        })
    });
    let accepted: Vec<_> = accepted.collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let log = json!({
        "schema": 1,
        "unpacked_by": concat!("snaptool ", env!("CARGO_PKG_VERSION")),
        "time": now,
        "input": name,
        "root": verified.root().to_string(),
        "content": verified.index().content.to_string(),
        "accepted": accepted,
    });
    Some(format!("{log:#}\n"))
}
