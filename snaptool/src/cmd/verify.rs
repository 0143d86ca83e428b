//! `snaptool verify`: whether snapshots are intact and well formed, and hold nothing that is known
//! to harm who restores them.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use snapfmt::bhyve::Finding;
use snapfmt::digest::Digest;
use snapfmt::limits;
use snapfmt::read::{ChainError, CheckError, Kept, Part, ReadError, Seeker, StreamError};
use snapfmt::state::HostFacts;
use snapfmt::state::gate::{Judgement, Policy};

use crate::cmd::help;
use crate::exit::{Answer, Trouble, line, note, report};
use crate::front::read_all;
use crate::gate::{Item, More, Telling, from_error, items, not_checked, root_differs, three};
use crate::host::Host;
use crate::input::FileInput;
use crate::links::{Links, Where};
use crate::pipeline;
use crate::progress::{Options, Progress};
use crate::signal::Stop;
use crate::source::Source;
use crate::text;
use crate::three::ThreeFiles;

/// Checks snapshots: every byte of a snapshot file, and of its state, or that of bhyve's three
/// files, all values against what is known to harm a host, bhyve or the guest.
///
/// Says nothing when all is well. "Well" means intact, well formed, and not broken in any way that
/// the rules of `snaptool explain --list` know: not that there is no other way, and not that nobody
/// forged it (for that, compare --expect-root).
///
/// A delta alone is checked as far as it goes; with --chain, all of it is, and so are its parents.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help::VERIFY)]
#[allow(clippy::struct_excessive_bools)]
pub struct Args {
    /// Snapshot files, `-` for stdin, or the RAM files of three-file snapshots.
    #[arg(required = true, value_name = "FILE|-|BASE")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    chain: Where,
    /// Demand this root, as `pack` printed it.
    #[arg(long, value_name = "HEX")]
    expect_root: Option<Digest>,
    /// Hold the state against this host, too, or against facts from `snaptool host-facts`.
    #[arg(long, value_name = "this|FACTS")]
    host: Option<Host>,
    /// Say no also to what otherwise is only a note, and to records that nothing here knows.
    #[arg(long)]
    strict: bool,
    /// Check header, index, records and trailer only: takes as long whatever the size of RAM.
    #[arg(long, conflicts_with = "map")]
    quick: bool,
    /// Check, besides, the maps of RAM, but not RAM itself.
    #[arg(long)]
    map: bool,
    /// Print one JSON object per input, on a line of its own.
    #[arg(long)]
    json: bool,
    /// Show no progress.
    #[arg(short, long, short_alias = 'Q', alias = "no-progress")]
    quiet: bool,
    #[command(flatten)]
    threads: pipeline::Threads,
    #[command(flatten)]
    progress: Options,
}

/// How to check.
struct Check<'a> {
    args: &'a Args,
    host: Option<HostFacts>,
    policy: Policy,
    stop: &'a Stop,
}

/// What was found out about one input.
#[derive(Debug, Serialize)]
struct Report {
    /// Of `spec/verify.md`.
    schema: u32,
    input: String,
    kind: &'static str,
    checked: &'static str,
    /// Nothing if there was trouble.
    ok: Option<bool>,
    root: Option<String>,
    content: Option<String>,
    /// The files that were checked with it, the full one first; only with its parents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chain: Vec<Linked>,
    findings: Vec<Item>,
    /// Where rules are broken in more places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    more: Vec<More>,
    not_checked: Vec<String>,
    #[serde(skip)]
    telling: Telling,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

/// A file of the chain of an input.
#[derive(Debug, Serialize)]
struct Linked {
    input: String,
    root: String,
    content: String,
}

const AUTHENTIC: &str = "authenticity: whoever can change a file can also change its digests";
const HARM: &str =
    "harm: the rules are what is known; nobody has proved that nothing else does harm";
const RAM_PAGES: &str = "RAM: the pages themselves";
const RAM_MAPS: &str = "RAM: the maps of its extents";
const STATE: &str = "state: memory_root of a delta, which its content is claimed for, and pages \
                     that are stored as differences: they take its parents";
const STATE_UNREAD: &str = "state: the records, which only `.meta` can tell";
const THREE_RAM: &str = "RAM and records: bhyve's three files have no checksums";

/// Runs the command.
///
/// # Errors
/// Trouble with stdout and signals, and with the facts of a host. Trouble with one input does not
/// keep the others from being checked.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    let mut answer = Answer::Yes;
    let mut trouble = None;
    let host = args.host.as_ref().map(|host| host.facts(stop)).transpose()?;
    let policy = Policy { strict: args.strict, accept: Vec::new() };
    let check = Check { args, host, policy, stop };
    for path in &args.inputs {
        let name = if path.as_os_str() == "-" { "stdin".to_owned() } else { text::path(path) };
        let result = check.input(path, name.clone());
        stop.check()?;
        let report = match result {
            Ok(report) => report,
            Err(error) => {
                let failed = Report::new(name, "unknown", args).failed(line(&error));
                if let Some(earlier) = trouble.replace(error) {
                    report(&earlier);
                }
                failed
            }
        };
        if report.ok == Some(false) {
            answer = Answer::No;
        }
        report.print(args.json)?;
    }
    trouble.map_or(Ok(answer), Err)
}

impl Check<'_> {
    fn input(&self, path: &Path, name: String) -> anyhow::Result<Report> {
        let args = self.args;
        match Source::open(path, self.stop)? {
            Source::ThreeFiles(set) => self.three(&set, Report::new(name, "three-file", args)),
            Source::File(file) if !args.chain.is_nowhere() && is_delta(&file) => {
                let links = Links::find(file, &args.chain, self.stop)?;
                self.chained(&links, Report::new(name, "snapshot", args))
            }
            Source::File(file) if args.quick || args.map => {
                self.by_seeking(&file, Report::new(name, "snapshot", args), path)
            }
            Source::File(file) => {
                let size = Some(file.len());
                let report = Report::new(name, "snapshot", args);
                let report = self.front_to_back(file.reader(), size, report, path)?;
                file.unchanged()?;
                Ok(report.named_by_index(&file))
            }
            Source::Stream(_) if args.quick || args.map => Err(Trouble::new(format!(
                "{name} can be read only once, and a partial check jumps about"
            ))
            .hint("leave out --quick and --map, or save the snapshot to a file first")
            .into()),
            Source::Stream(stream) => {
                let report = Report::new(name, "snapshot", args);
                self.front_to_back(stream, None, report, path)
            }
        }
    }

    fn three(&self, set: &ThreeFiles, mut report: Report) -> anyhow::Result<Report> {
        if self.args.expect_root.is_some() {
            return Err(Trouble::new(format!("{} has no root: it is three files", report.input))
                .hint("`snaptool pack` makes one file of them, and prints its root")
                .into());
        }
        let judged = three(set, self.host.as_ref())?;
        set.unchanged()?;
        match judged {
            Some(judged) => report.judged(judged.judgement(), &self.policy),
            None => report.structure(set.findings.clone(), &self.policy),
        }
        report.not_checked.push(THREE_RAM.to_owned());
        Ok(report.decided())
    }

    fn front_to_back(
        &self,
        input: impl io::Read,
        size: Option<u64>,
        mut report: Report,
        path: &Path,
    ) -> anyhow::Result<Report> {
        let args = self.args;
        let mode = args.progress.of("verify", &report.input).quiet(args.quiet || args.json);
        let progress = Progress::new("verifying", size, mode);
        let mut kept = Kept::new(self.host.as_ref());
        let threads = args.threads.count();
        let result = read_all(
            progress.reading(input),
            threads,
            |_| (),
            |part, _| {
                self.stop.check()?;
                Ok(kept.take(part))
            },
        );
        match result {
            Ok(verified) => {
                report.identify(verified.root(), verified.index().content, args);
                let judged = kept.judge(&verified).map_err(|_| foreign())?;
                report.judged(judged.judgement(), &self.policy);
                report.not_checked.extend(verified.unsettled().map(|_| STATE.to_owned()));
            }
            Err(StreamError::Format(error)) => report.findings.push(from_error(&error, path)),
            Err(StreamError::Io { source, .. }) => return Err(source.into()),
            Err(StreamError::Taker(stopped)) => return Err(stopped),
        }
        Ok(report.decided())
    }

    fn chained(&self, links: &Links, mut report: Report) -> anyhow::Result<Report> {
        let args = self.args;
        let total = (!args.quick && !args.map).then(|| links.bytes());
        let mode = args.progress.of("verify", &report.input).quiet(args.quiet || args.json);
        let progress = Progress::new("verifying", total, mode);
        match self.links(links, &progress, &mut report) {
            Ok(judgement) => report.judged(&judgement?, &self.policy),
            Err(ChainError { link, error: ReadError::Format(error) }) => {
                let Some(file) = links.files().get(link) else { anyhow::bail!("no such file") };
                let mut item = from_error(&error, Path::new(file.name()));
                item.name_by_index(file);
                if link < links.last() {
                    item.belongs_to(file.name());
                }
                report.findings.push(item);
            }
            Err(ChainError { error: ReadError::Io { source, .. }, .. }) => {
                return Err(source.into());
            }
        }
        links.unchanged()?;
        Ok(report.decided())
    }

    /// Checks a chain as far as was asked for, and judges its newest state.
    fn links(
        &self,
        links: &Links,
        progress: &Progress,
        report: &mut Report,
    ) -> Result<anyhow::Result<Judgement>, ChainError> {
        let args = self.args;
        let mut kept = Kept::new(self.host.as_ref());
        let chain = links.chain(self.stop, progress, |link, part| {
            if link == links.last() {
                kept.take(part);
            }
        })?;
        for (link, file) in chain.links().zip(links.files()) {
            let (root, content) = (link.seeker().root(), link.seeker().index().content);
            let (root, content) = (root.to_string(), content.to_string());
            report.chain.push(Linked { input: file.name().to_owned(), root, content });
        }
        let newest = chain.newest();
        report.identify(newest.seeker().root(), newest.seeker().index().content, args);
        if args.quick || args.map {
            let open: &[_] = if args.quick { &[RAM_MAPS, RAM_PAGES, STATE] } else { &[RAM_PAGES] };
            report.not_checked.extend(open.iter().map(|&words| words.to_owned()));
            if args.map {
                chain.contents()?;
            }
            let judged = newest.quick().judge(kept.into_records(), None, self.host.as_ref());
            return Ok(judged.map_err(|_| foreign()));
        }
        let checked = chain.check(limits::EXTENT_MIN, |block| {
            kept.block(&block);
            Ok::<_, Infallible>(())
        });
        let verified = checked.map_err(|error| match error {
            CheckError::Chain(error) => error,
            CheckError::Taker(never) => match never {},
        })?;
        let judged = verified.last().and_then(|verified| kept.judge(verified).ok());
        Ok(judged.map(|judged| judged.judgement().clone()).ok_or_else(foreign))
    }

    fn by_seeking(
        &self,
        file: &FileInput,
        mut report: Report,
        path: &Path,
    ) -> anyhow::Result<Report> {
        let args = self.args;
        let mut records = Vec::new();
        let result = (|| {
            let seeker = Seeker::open(file)?;
            let quick = seeker.quick(|part| {
                if let Part::Record(record) = part {
                    records.push(record);
                }
            })?;
            if args.map {
                seeker.maps(&quick, |_| ())?;
            } else {
                report.not_checked.push(RAM_MAPS.to_owned());
            }
            report.not_checked.push(RAM_PAGES.to_owned());
            report.not_checked.extend(seeker.header().parent.as_ref().map(|_| STATE.to_owned()));
            report.identify(seeker.root(), seeker.index().content, args);
            Ok(quick)
        })();
        match result {
            Ok(quick) => {
                let judgement = quick.judge(records, None, self.host.as_ref());
                report.judged(&judgement.map_err(|_| foreign())?, &self.policy);
            }
            Err(ReadError::Format(error)) => report.findings.push(from_error(&error, path)),
            Err(ReadError::Io { source, .. }) => return Err(source.into()),
        }
        file.unchanged()?;
        Ok(report.decided())
    }
}

/// Whether this is a delta, as far as an intact header block says.
fn is_delta(file: &FileInput) -> bool {
    Seeker::open(file).is_ok_and(|seeker| seeker.header().parent.is_some())
}

fn foreign() -> anyhow::Error {
    anyhow::anyhow!("the records are not those of the file")
}

impl Report {
    fn new(input: String, kind: &'static str, args: &Args) -> Self {
        let checked = match (kind, args.quick, args.map) {
            ("three-file", ..) => "state",
            (_, true, _) => "quick",
            (_, _, true) => "map",
            _ => "full",
        };
        Self {
            schema: 2,
            input,
            kind,
            checked,
            ok: None,
            root: None,
            content: None,
            chain: Vec::new(),
            findings: Vec::new(),
            more: Vec::new(),
            not_checked: vec![HARM.to_owned()],
            telling: Telling::default(),
            trouble: None,
        }
    }

    fn identify(&mut self, root: Digest, content: Digest, args: &Args) {
        self.root = Some(root.to_string());
        self.content = Some(content.to_string());
        match args.expect_root {
            None => self.not_checked.push(AUTHENTIC.to_owned()),
            Some(expected) if expected == root => {}
            Some(expected) => self.findings.push(root_differs(expected, root)),
        }
    }

    /// What the rules say, and what could not be checked.
    fn judged(&mut self, judgement: &Judgement, policy: &Policy) {
        self.findings.extend(items(judgement, policy));
        self.not_checked.extend(not_checked(judgement));
        self.telling = Telling::of(Some(judgement));
        self.more = self.telling.more();
    }

    /// What the structure rules say where the state cannot be looked at.
    fn structure(&mut self, structure: Vec<Finding>, policy: &Policy) {
        let judgement = Judgement { structure, ..Judgement::default() };
        self.findings.extend(items(&judgement, policy));
        self.not_checked.push(STATE_UNREAD.to_owned());
    }

    fn decided(mut self) -> Self {
        self.ok = Some(!self.findings.iter().any(Item::fails));
        self
    }

    fn failed(mut self, why: String) -> Self {
        self.trouble = Some(why);
        self
    }

    /// A damaged frame does not say which part it was; an intact index does.
    fn named_by_index(mut self, file: &FileInput) -> Self {
        for item in &mut self.findings {
            item.name_by_index(file);
        }
        self
    }

    fn print(mut self, json: bool) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if json {
            serde_json::to_writer(&mut out, &self)?;
            writeln!(out)?;
            return Ok(());
        }
        for item in self.findings.iter().filter(|item| item.fails()) {
            writeln!(out, "{}: {item}", self.input)?;
            for hint in self.telling.hints(item) {
                writeln!(out, "  {hint}")?;
            }
        }
        for words in self.telling.warnings(&self.findings) {
            note(&format!("{}: {words}", self.input));
        }
        // A delta alone is checked in part only, and silence would not say so (§13.4).
        if self.not_checked.iter().any(|words| words == STATE) {
            note(&format!("{}: not checked: {STATE} (--chain)", self.input));
        }
        Ok(())
    }
}
