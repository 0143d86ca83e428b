//! `snaptool verify`: whether snapshots are intact and well formed.

mod finding;

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use snapfmt::digest::Digest;
use snapfmt::limits;
use snapfmt::read::{ChainError, CheckError, ReadError, Seeker, StreamError, read_all};

use self::finding::{Item, from_error, from_rules, root_differs};
use crate::cmd::help;
use crate::exit::{Answer, Trouble, line, note, report};
use crate::input::FileInput;
use crate::links::{Links, Where};
use crate::progress::{Options, Progress};
use crate::signal::Stop;
use crate::source::Source;
use crate::text;
use crate::three::ThreeFiles;

/// Checks snapshots: every byte of a snapshot file, or the structure of bhyve's three files.
///
/// Says nothing when all is well. "Well" means intact and well formed: not that the state is one
/// that a host survives, and not that nobody forged it (for that, compare --expect-root).
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
    progress: Options,
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
    not_checked: Vec<&'static str>,
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
const FIELDS: &str = "fields: whether the values in the records are ones that a host survives";
const RAM_PAGES: &str = "RAM: the pages themselves";
const RAM_MAPS: &str = "RAM: the maps of its extents";
const STATE: &str = "state: memory_root of a delta, which its content is claimed for, and pages \
                     that are stored as differences: they take its parents";
const THREE_RAM: &str = "RAM and records: bhyve's three files have no checksums";

/// Runs the command.
///
/// # Errors
/// Trouble with stdout and signals. Trouble with one input does not keep the others from being
/// checked.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    let mut answer = Answer::Yes;
    let mut trouble = None;
    for path in &args.inputs {
        let name = if path.as_os_str() == "-" { "stdin".to_owned() } else { text::path(path) };
        let result = check(path, name.clone(), args, stop);
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

fn check(path: &Path, name: String, args: &Args, stop: &Stop) -> anyhow::Result<Report> {
    match Source::open(path, stop)? {
        Source::ThreeFiles(set) => three(&set, Report::new(name, "three-file", args), args),
        Source::File(file) if !args.chain.is_nowhere() && is_delta(&file) => {
            let links = Links::find(file, &args.chain, stop)?;
            chained(&links, Report::new(name, "snapshot", args), args, stop)
        }
        Source::File(file) if args.quick || args.map => {
            by_seeking(&file, Report::new(name, "snapshot", args), path, args)
        }
        Source::File(file) => {
            let size = Some(file.len());
            let report = Report::new(name, "snapshot", args);
            let report = from_front(file.reader(), size, report, path, args, stop)?;
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
            from_front(stream, None, report, path, args, stop)
        }
    }
}

fn three(set: &ThreeFiles, mut report: Report, args: &Args) -> anyhow::Result<Report> {
    if args.expect_root.is_some() {
        return Err(Trouble::new(format!("{} has no root: it is three files", report.input))
            .hint("`snaptool pack` makes one file of them, and prints its root")
            .into());
    }
    set.unchanged()?;
    report.findings.extend(from_rules(&set.findings));
    report.not_checked.push(THREE_RAM);
    Ok(report.judged())
}

fn from_front(
    input: impl io::Read,
    size: Option<u64>,
    mut report: Report,
    path: &Path,
    args: &Args,
    stop: &Stop,
) -> anyhow::Result<Report> {
    let mode = args.progress.of("verify", &report.input).quiet(args.quiet || args.json);
    let progress = Progress::new("verifying", size, mode);
    let result = read_all(progress.reading(input), |_, _| stop.check());
    match result {
        Ok(verified) => {
            report.identify(verified.root(), verified.index().content, args);
            report.findings.extend(from_rules(verified.findings()));
            report.not_checked.extend(verified.unsettled().map(|_| STATE));
        }
        Err(StreamError::Format(error)) => report.findings.push(from_error(&error, path)),
        Err(StreamError::Io { source, .. }) => return Err(source.into()),
        Err(StreamError::Taker(stopped)) => return Err(stopped.into()),
    }
    Ok(report.judged())
}

/// Whether this is a delta, as far as an intact header block says.
fn is_delta(file: &FileInput) -> bool {
    Seeker::open(file).is_ok_and(|seeker| seeker.header().parent.is_some())
}

fn chained(links: &Links, mut report: Report, args: &Args, stop: &Stop) -> anyhow::Result<Report> {
    let total = (!args.quick && !args.map).then(|| links.bytes());
    let mode = args.progress.of("verify", &report.input).quiet(args.quiet || args.json);
    let progress = Progress::new("verifying", total, mode);
    let result = (|| {
        let chain = links.chain(stop, &progress, |_, _| ())?;
        for (link, file) in chain.links().zip(links.files()) {
            let (root, content) = (link.seeker().root(), link.seeker().index().content);
            let (root, content) = (root.to_string(), content.to_string());
            report.chain.push(Linked { input: file.name().to_owned(), root, content });
        }
        if args.quick {
            report.not_checked.extend([RAM_MAPS, RAM_PAGES, STATE]);
        } else if args.map {
            report.not_checked.push(RAM_PAGES);
            chain.contents()?;
        } else {
            let checked = chain.check(limits::EXTENT_MIN, |_| Ok::<_, Infallible>(()));
            checked.map_err(|error| match error {
                CheckError::Chain(error) => error,
                CheckError::Taker(never) => match never {},
            })?;
        }
        let newest = chain.newest();
        report.identify(newest.seeker().root(), newest.seeker().index().content, args);
        report.findings.extend(from_rules(newest.quick().findings()));
        Ok(())
    })();
    match result {
        Ok(()) => {}
        Err(ChainError { link, error: ReadError::Format(error) }) => {
            let Some(file) = links.files().get(link) else { anyhow::bail!("no such file") };
            let mut item = from_error(&error, Path::new(file.name()));
            item.name_by_index(file);
            if link < links.last() {
                item.belongs_to(file.name());
            }
            report.findings.push(item);
        }
        Err(ChainError { error: ReadError::Io { source, .. }, .. }) => return Err(source.into()),
    }
    links.unchanged()?;
    Ok(report.judged())
}

fn by_seeking(
    file: &FileInput,
    mut report: Report,
    path: &Path,
    args: &Args,
) -> anyhow::Result<Report> {
    let result = (|| {
        let seeker = Seeker::open(file)?;
        let quick = seeker.quick(|_| ())?;
        if args.map {
            seeker.maps(&quick, |_| ())?;
        } else {
            report.not_checked.push(RAM_MAPS);
        }
        report.not_checked.push(RAM_PAGES);
        report.not_checked.extend(seeker.header().parent.as_ref().map(|_| STATE));
        report.identify(seeker.root(), seeker.index().content, args);
        report.findings.extend(from_rules(quick.findings()));
        Ok(())
    })();
    match result {
        Ok(()) => {}
        Err(ReadError::Format(error)) => report.findings.push(from_error(&error, path)),
        Err(ReadError::Io { source, .. }) => return Err(source.into()),
    }
    file.unchanged()?;
    Ok(report.judged())
}

impl Report {
    fn new(input: String, kind: &'static str, args: &Args) -> Self {
        let checked = match (kind, args.quick, args.map) {
            ("three-file", ..) => "structure",
            (_, true, _) => "quick",
            (_, _, true) => "map",
            _ => "full",
        };
        Self {
            schema: 1,
            input,
            kind,
            checked,
            ok: None,
            root: None,
            content: None,
            chain: Vec::new(),
            findings: Vec::new(),
            not_checked: vec![FIELDS],
            trouble: None,
        }
    }

    fn identify(&mut self, root: Digest, content: Digest, args: &Args) {
        self.root = Some(root.to_string());
        self.content = Some(content.to_string());
        match args.expect_root {
            None => self.not_checked.push(AUTHENTIC),
            Some(expected) if expected == root => {}
            Some(expected) => self.findings.push(root_differs(expected, root)),
        }
    }

    fn judged(mut self) -> Self {
        self.ok = Some(!self.findings.iter().any(Item::refuses));
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

    fn print(&self, json: bool) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if json {
            serde_json::to_writer(&mut out, self)?;
            writeln!(out)?;
            return Ok(());
        }
        for item in &self.findings {
            let words = format!("{}: {item}", self.input);
            if item.refuses() {
                writeln!(out, "{words}")?;
                for hint in item.hint() {
                    writeln!(out, "  {hint}")?;
                }
            } else {
                note(&words);
            }
        }
        Ok(())
    }
}
