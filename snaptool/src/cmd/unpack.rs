//! `snaptool unpack`: one file becomes bhyve's three again, byte for byte.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use snapfmt::bhyve::set::{Files, RamLayout};
use snapfmt::layout::header::Header;
use snapfmt::limits;
use snapfmt::memory::block::Block;
use snapfmt::part::vm::Vm;
use snapfmt::read::{Kept, Part, StreamError, Verified, read_all};
use snapfmt::state::gate::{Acceptance, DeviceState, Judged, Policy};

use crate::cmd::help;
use crate::exit::{Answer, Trouble, note, report, warn};
use crate::gate::{Telling, items};
use crate::host::Host;
use crate::input::Input;
use crate::links::{Damaged, Links, Where, unless_damaged};
use crate::output::{Existing, Staged, publish_set};
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
    let result = read_all(input, |part, _| -> anyhow::Result<()> {
        stop.check()?;
        set.admit(&part)?;
        kept.take(part).map_or(Ok(()), |part| set.take(part))
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
            let admitted = set.admit(&part);
            taken = admitted.and_then(|()| kept.take(part).map_or(Ok(()), |part| set.take(part)));
        }
    })?;
    taken?;
    let checked = chain.check(limits::EXTENT_MIN, |block| {
        kept.block(&block);
        set.pages(&block)
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

/// The three files, under names that bhyve does not know.
struct StagedSet {
    ram: Staged,
    kern: Staged,
    meta: Staged,
    /// What was accepted. A set appears with it or not at all.
    log: Option<Staged>,
    layout: Option<RamLayout>,
    /// Whether there was META.
    described: bool,
    /// Whether there was a record.
    has_records: bool,
}

impl StagedSet {
    fn create(base: &Path, accepts: bool) -> anyhow::Result<Self> {
        if base.as_os_str() == "-" {
            return Err(Trouble::new("three files cannot go to stdout")
                .hint("give the name of the RAM file with -o")
                .into());
        }
        let files = Files::of(base);
        not_interrupted(&files)?;
        let log = log_of(base);
        if fs::symlink_metadata(&log).is_ok() {
            let log = text::path(&log);
            return Err(Trouble::new(format!("{log} exists already"))
                .hint("it tells what was accepted of another set: remove it, or name another BASE")
                .into());
        }
        let log = accepts.then(|| Staged::create(&log, Existing::Refuse)).transpose()?;
        Ok(Self {
            log,
            ram: Staged::create(&files.ram, Existing::Refuse)?,
            kern: Staged::create(&files.kern, Existing::Refuse)?,
            meta: Staged::create(&files.meta, Existing::Refuse)?,
            layout: None,
            described: false,
            has_records: false,
        })
    }

    /// Refuses a file that cannot be three files, before gigabytes of it are staged.
    fn admit(&mut self, part: &Part) -> anyhow::Result<()> {
        match part {
            Part::Meta(_) => self.described = true,
            Part::Record(_) if !self.described => return Err(never_three_files()),
            Part::Record(_) => self.has_records = true,
            Part::Extent(_) | Part::Index(_) if !self.has_records => return Err(memory_only()),
            _ => {}
        }
        Ok(())
    }

    /// Stages a part whose digests have matched.
    fn take(&mut self, part: Part) -> anyhow::Result<()> {
        match part {
            // What is missing in it would be zeros in the RAM file.
            Part::Header(Header { parent: Some(_), .. }) | Part::Delta(_) => return Err(delta()),
            Part::Vm(vm) => {
                self.layout = Some(layout(&vm)?);
                self.ram.set_len(vm.memory.size())?;
            }
            Part::Extent(extent) => self.pages(&extent.block)?,
            Part::Config(_) => {
                note("the configuration is left out: it has no place in the three files");
            }
            Part::Other(part) => note(&format!("left out: {} part", part.kind())),
            _ => {}
        }
        Ok(())
    }

    /// Writes the data pages, those that touch in one go.
    fn pages(&self, block: &Block) -> anyhow::Result<()> {
        let Some(layout) = self.layout else { return Ok(()) };
        let mut rest = block.pages.as_slice();
        let mut run: Option<(u64, usize)> = None;
        for (gpa, page) in block.iter() {
            let at = layout.offset(gpa).ok_or_else(outside)?;
            match &mut run {
                Some((start, len)) if *start + *len as u64 == at => *len += page.len(),
                _ => {
                    rest = self.put(rest, run)?;
                    run = Some((at, page.len()));
                }
            }
        }
        self.put(rest, run)?;
        Ok(())
    }

    fn put<'a>(&self, pages: &'a [u8], run: Option<(u64, usize)>) -> anyhow::Result<&'a [u8]> {
        let Some((at, len)) = run else { return Ok(pages) };
        let (now, rest) = pages.split_at_checked(len).ok_or_else(outside)?;
        self.ram.write_at(now, at)?;
        Ok(rest)
    }

    /// The one place where state is handed to what restores it.
    fn publish(mut self, state: &DeviceState, log: Option<String>) -> anyhow::Result<()> {
        for record in state.records() {
            self.kern.write_all(record.bytes())?;
        }
        self.meta.write_all(state.meta_text())?;
        let mut files = vec![self.ram, self.kern];
        if let (Some(mut file), Some(log)) = (self.log, log) {
            file.write_all(log.as_bytes())?;
            files.push(file);
        }
        files.push(self.meta);
        publish_set(files)
    }
}

/// Where it is recorded what was accepted. bhyve reads BASE, BASE.kern and BASE.meta only.
fn log_of(base: &Path) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(".accepted");
    name.into()
}

/// Refuses an incomplete set in words of its own: a run that was killed between giving the first
/// name and the last leaves one, whose bytes are good; nobody but a person can tell.
fn not_interrupted(files: &Files) -> anyhow::Result<()> {
    let there = |path: &&PathBuf| fs::symlink_metadata(path).is_ok();
    let left: Vec<_> = [&files.ram, &files.kern].into_iter().filter(there).collect();
    let Some(first) = left.first().filter(|_| !there(&&files.meta)) else { return Ok(()) };
    let (first, meta) = (text::path(first), text::path(&files.meta));
    let names: Vec<_> = left.iter().map(|path| text::path(path)).collect();
    Err(Trouble::new(format!(
        "{first} exists already, and no {meta}: an interrupted unpack left it, or it is part of no \
         whole set"
    ))
    .hint(format!("if nobody needs it, remove {} and try again", names.join(" and ")))
    .into())
}

fn delta() -> anyhow::Error {
    Trouble::new("this is a delta: it holds only what changed since its parent")
        .hint("name the folder in which its parents are, with --chain")
        .into()
}

fn never_three_files() -> anyhow::Error {
    Trouble::new("this state never was three files: the snapshot has no .meta to give back")
        .hint("`snaptool inspect` shows its records")
        .into()
}

fn memory_only() -> anyhow::Error {
    Trouble::new("this snapshot holds memory only, and no device records")
        .hint("a round of a migration writes such files; unpack the one that has the devices")
        .into()
}

fn outside() -> anyhow::Error {
    anyhow::anyhow!("a page lies outside of the RAM file")
}

/// How the machine's memory lies in a RAM file: bhyve has one way only.
fn layout(vm: &Vm) -> anyhow::Result<RamLayout> {
    let layout = RamLayout::new(vm.memory.size());
    let own = vm.memory.segments().iter().map(|s| (s.gpa, s.len));
    if own.eq(layout.segments().map(|s| (s.gpa, s.len))) {
        return Ok(layout);
    }
    let name = text::escape(&vm.name);
    Err(Trouble::new(format!("the memory of {name} does not lie as bhyve's three files have it"))
        .hint("`snaptool inspect FILE memory` shows its segments")
        .into())
}
