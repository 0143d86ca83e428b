//! `snaptool unpack`: one file becomes bhyve's three again, byte for byte.

use std::fs;
use std::io;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use snapfmt::bhyve::Severity;
use snapfmt::bhyve::set::{Files, RamLayout};
use snapfmt::layout::header::Header;
use snapfmt::limits;
use snapfmt::memory::block::Block;
use snapfmt::part::vm::Vm;
use snapfmt::read::{Part, StreamError, Verified, read_all};

use crate::cmd::help;
use crate::exit::{Answer, Trouble, note, report};
use crate::input::Input;
use crate::links::{Damaged, Links, Where, unless_damaged};
use crate::output::{Existing, Staged, publish_set};
use crate::progress::{Options, Progress};
use crate::signal::Stop;
use crate::{source, text};

/// Restores bhyve's three files (NAME, NAME.kern, NAME.meta) from a snapshot file.
///
/// They appear only if every byte of the snapshot was checked and found good: RAM first, then
/// `.kern`, and last `.meta`, without which bhyve does not restore. A delta takes its parents: see
/// --chain.
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
    let input = Input::open(&args.input, stop)?;
    let (name, size) = (input.name().to_owned(), input.size());
    let read = |set: &mut StagedSet| match input {
        Input::File(file) if !args.chain.is_nowhere() => {
            let links = Links::find(file, &args.chain, stop)?;
            chained(&links, args, set, stop)
        }
        input => {
            let mode = args.progress.of("unpack", &name).quiet(args.quiet);
            let progress = Progress::new("unpacking", size, mode);
            from_front(progress.reading(input.into_reader()), args, set, stop)
        }
    };
    let mut set = StagedSet::create(&args.output)?;
    match unless_damaged(read(&mut set))? {
        Some(verified) if !refused(&verified, &name) => {
            set.publish()?;
            Ok(Answer::Yes)
        }
        _ => Ok(Answer::No),
    }
}

/// Stages all of a file, as it comes.
fn from_front(
    input: impl io::Read,
    args: &Args,
    set: &mut StagedSet,
    stop: &Stop,
) -> anyhow::Result<Verified> {
    let result = read_all(input, |part, _| -> anyhow::Result<()> {
        stop.check()?;
        set.take(part)
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

/// Stages the newest state of a chain.
fn chained(
    links: &Links,
    args: &Args,
    set: &mut StagedSet,
    stop: &Stop,
) -> anyhow::Result<Verified> {
    let mode = args.progress.of("unpack", links.name()).quiet(args.quiet);
    let progress = Progress::new("unpacking", Some(links.bytes()), mode);
    let mut taken = Ok(());
    let chain = links.open(stop, &progress, |link, part| {
        if link == links.last() && taken.is_ok() {
            taken = set.take(part);
        }
    })?;
    taken?;
    let checked = chain.check(limits::EXTENT_MIN, |block| set.pages(&block));
    let mut verified = checked.map_err(|error| links.failed(error))?;
    links.unchanged()?;
    verified.pop().ok_or_else(|| anyhow::anyhow!("a chain has a file"))
}

/// Says which structure rules the snapshot breaks, and whether one of them forbids a restore.
fn refused(verified: &Verified, name: &str) -> bool {
    let mut refused = false;
    for finding in verified.findings() {
        let message = format!("{name}: {finding}");
        match finding.severity() {
            Severity::Refuse => {
                report(&Trouble::new(message).hint(finding.advice()).into());
                refused = true;
            }
            Severity::Warn => note(&message),
        }
    }
    refused
}

/// The three files, under names that bhyve does not know.
struct StagedSet {
    ram: Staged,
    kern: Staged,
    meta: Staged,
    layout: Option<RamLayout>,
    /// Whether there was META.
    described: bool,
    /// Whether there was a record.
    has_records: bool,
}

impl StagedSet {
    fn create(base: &Path) -> anyhow::Result<Self> {
        if base.as_os_str() == "-" {
            return Err(Trouble::new("three files cannot go to stdout")
                .hint("give the name of the RAM file with -o")
                .into());
        }
        let files = Files::of(base);
        not_interrupted(&files)?;
        Ok(Self {
            ram: Staged::create(&files.ram, Existing::Refuse)?,
            kern: Staged::create(&files.kern, Existing::Refuse)?,
            meta: Staged::create(&files.meta, Existing::Refuse)?,
            layout: None,
            described: false,
            has_records: false,
        })
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
            Part::Meta(meta) => {
                self.described = true;
                self.meta.write_all(&meta.text)?;
            }
            Part::Record(_) if !self.described => return Err(never_three_files()),
            Part::Record(record) => {
                self.has_records = true;
                self.kern.write_all(record.bytes())?;
            }
            Part::Extent(_) | Part::Index(_) if !self.has_records => return Err(memory_only()),
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

    fn publish(self) -> anyhow::Result<()> {
        publish_set(vec![self.ram, self.kern, self.meta])
    }
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
