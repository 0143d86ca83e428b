//! `snaptool delta`: what changed between two states becomes a file.
//!
//! ```text
//! opened (both states but RAM) ─> hash (content of the parent) ─> area (on threads) ─> a delta
//! ```
//! Areas of both states are compared by several threads and written in order by one. What decides
//! is in `snapfmt::delta`; how much is read depends on what is known: of a snapshot file leaves,
//! and only pages that changed; of a RAM file, all but its holes.

mod area;
mod hash;

use std::path::PathBuf;

use snapfmt::digest::Digest;
use snapfmt::layout::header::Parent;
use snapfmt::memory::area::Areas;
use snapfmt::memory::map::MemoryMap;
use snapfmt::memory::tree::RootBuilder;
use snapfmt::read::chain::same_machine;
use snapfmt::write::{DeltaWriter, Sealed, Writer};

use self::area::{Compared, Scratch};
use crate::area::lists;
use crate::cmd::help;
use crate::cmd::make::config::Configuration;
use crate::cmd::make::{self, copy, drain, form, target};
use crate::exit::{Answer, Trouble, note};
use crate::links::{Damaged, Where, unless_damaged};
use crate::opened::{Opened, Ram};
use crate::output::Output;
use crate::pipeline;
use crate::progress::{Options, Progress};
use crate::ram::Holes;
use crate::signal::Stop;
use crate::text;
use crate::whole::Whole;

/// Writes what changed between two states of a VM: a delta, small and fast.
///
/// BASE and NEW are snapshot files, deltas whose parents --chain finds, or bhyve's three files. The
/// delta has the device state of NEW, and those pages of its RAM that are not those of BASE. It
/// takes BASE to be used, any file with the same content: keep one.
///
/// Prints the identities of what it wrote: its content is that of NEW.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help::DELTA)]
pub struct Args {
    /// The state to build on: a snapshot file, or the RAM file of three.
    base: PathBuf,
    /// The state that the delta leads to.
    new: PathBuf,
    /// Where to write: a file, which appears when it is complete, or `-` for stdout. Nothing is
    /// replaced without --force.
    #[arg(short, long, value_name = "FILE|-")]
    output: PathBuf,
    #[command(flatten)]
    chain: Where,
    #[command(flatten)]
    form: form::Storage,
    /// The VM's configuration, to keep with the state of three files, as `pack` does.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the holes of RAM files, too, for file systems that are wrong about where they are.
    #[arg(long)]
    read_holes: bool,
    /// Replace what has the name of the output, or write on a disk.
    #[arg(short, long)]
    force: bool,
    /// Show no progress, nor with `-o -` the identities.
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
/// Trouble with files. An input that is damaged is an answer: no.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    let written = unless_damaged(delta(args, stop));
    match written {
        Ok(written) => Ok(if written.is_some() { Answer::Yes } else { Answer::No }),
        Err(error) => make::misfit(error, &text::path(&args.new)),
    }
}

fn delta(args: &Args, stop: &Stop) -> anyhow::Result<()> {
    let files = Whole::open(&args.base, &args.chain, stop)?;
    let new_files = Whole::open(&args.new, &args.chain, stop)?;
    let (untold, holes) = (Progress::hidden(), Holes::read_if(args.read_holes));
    let parent = Opened::open(&files, holes, stop, &untold)?;
    let new = Opened::open(&new_files, holes, stop, &untold)?;
    fits(&parent, &new)?;
    let config = configuration(args, &new, stop)?;
    let mut inputs = [files.identities(), new_files.identities()].concat();
    inputs.extend(config.iter().flat_map(|config| &config.inputs));
    let old = if args.force { target::Old::Any } else { target::Old::None };
    let mut output = target::open(&args.output, old, &inputs, stop)?;
    let known = hash::identify(&parent, args, stop)?;
    let unchanged = || files.unchanged().and_then(|()| new_files.unchanged());
    let work = Work { args, parent: &parent, new: &new, stop, known, unchanged: &unchanged };
    let sealed = work.write(config.as_ref(), &mut output)?;
    target::finish(output, &sealed, args.quiet)
}

/// Whether a delta may lie between the states.
fn fits(parent: &Opened<'_>, new: &Opened<'_>) -> anyhow::Result<()> {
    if let Err(fault) = same_machine(&parent.vm, &new.vm) {
        let words = format!("{} is not of the same machine as {}", new.name, parent.name);
        let error = Trouble::new(words).because(anyhow::anyhow!("{fault}"));
        return Err(Damaged(error).into());
    }
    if parent.vm.name != new.vm.name {
        let [old, now] = [parent, new].map(|end| text::escape(&end.vm.name));
        note(&format!("{} is of the VM {old}, {} of {now}", parent.name, new.name));
    }
    Ok(())
}

fn configuration(
    args: &Args,
    new: &Opened<'_>,
    stop: &Stop,
) -> anyhow::Result<Option<Configuration>> {
    let Some(path) = &args.config else { return Ok(None) };
    let Ram::File { meta, .. } = &new.ram else {
        let words = format!("{} is a snapshot file, and has its configuration in it", new.name);
        return Err(Trouble::new(words).hint("leave out --config").into());
    };
    Configuration::read(path, meta, stop).map(Some)
}

/// All that it takes to write the delta.
struct Work<'a> {
    args: &'a Args,
    parent: &'a Opened<'a>,
    new: &'a Opened<'a>,
    stop: &'a Stop,
    /// `content` and memory root of the parent.
    known: (Digest, Digest),
    unchanged: &'a dyn Fn() -> anyhow::Result<()>,
}

impl Work<'_> {
    fn write(&self, config: Option<&Configuration>, output: &mut Output) -> anyhow::Result<Sealed> {
        let mut writer = self.begin(config, output)?.changes()?;
        let root = self.compare(&mut writer, output)?;
        let mut out = Vec::new();
        if let Ram::Stored { links, chain } = &self.new.ram {
            for part in copy::late(links, chain)? {
                writer.carry(&part, &mut out)?;
            }
        }
        // What comes now makes the delta valid for whoever reads it from a pipe.
        (self.unchanged)()?;
        let sealed = writer.finish(root, &mut out)?;
        if let Ram::Stored { chain, .. } = &self.new.ram {
            let content = chain.newest().seeker().index().content;
            if sealed.index.content != content {
                return Err(unlike(&self.new.name));
            }
        }
        drain(&mut out, output)?;
        Ok(sealed)
    }

    /// Writes all that comes before memory.
    fn begin(&self, config: Option<&Configuration>, output: &mut Output) -> anyhow::Result<Writer> {
        let compression = self.args.form.compression();
        let uuid = match &self.parent.ram {
            Ram::Stored { chain, .. } => Some(chain.newest().seeker().header().uuid.clone()),
            Ram::File { .. } => None,
        };
        let parent = Some(Parent { content: self.known.0, uuid });
        match &self.new.ram {
            Ram::Stored { links, chain } => {
                let vm_uuid = chain.newest().seeker().header().vm_uuid.clone();
                let header = make::header(&self.new.vm, vm_uuid, parent);
                copy::begin((links, chain), &header, compression, output)
            }
            Ram::File { set, meta, .. } => {
                let uuid = config.and_then(|config| config.uuid.clone());
                let header = make::header(&self.new.vm, uuid, parent);
                let (vm, text, mut out) = (self.new.vm.clone(), set.meta_text(meta), Vec::new());
                let mut writer = Writer::begin(&header, vm, &text, compression, &mut out)?;
                if let Some(config) = config {
                    writer.config(&config.text, &mut out)?;
                }
                for record in set.records() {
                    self.stop.check()?;
                    let section = meta.key(record.section);
                    writer.record(section, &record.name, &set.bytes(record)?, &mut out)?;
                    drain(&mut out, output)?;
                }
                drain(&mut out, output)?;
                Ok(writer)
            }
        }
    }

    /// Writes what changed, and gives the memory root of the new state.
    fn compare(&self, writer: &mut DeltaWriter, output: &mut Output) -> anyhow::Result<Digest> {
        let Self { args, parent, new, stop, .. } = self;
        let map = &new.vm.memory;
        let mode = args.progress.of("delta", &new.name).quiet(args.quiet);
        let progress = Progress::new("comparing", Some(map.size()), mode);
        let encoder = writer.encoder();
        let least = args.form.extent_size();
        let mut both = lists(parent, least)?;
        let count = both.len();
        both.extend(lists(new, least)?);
        let mut trees = [(); 2].map(|()| RootBuilder::new(map.clone()));
        let (mut out, mut done) = (Vec::new(), 0);
        let take = |compared: anyhow::Result<Compared>| {
            let Compared { gpa, size, parent, root, change } = compared?;
            for (tree, root) in trees.iter_mut().zip([parent, root]) {
                tree.block(gpa, size, root);
            }
            if let Some(change) = change {
                writer.append(&change, &mut out)?;
                drain(&mut out, output)?;
            }
            let end = gpa.saturating_add(size);
            progress.add(bytes(map, done, end));
            done = end;
            Ok(())
        };
        let work = |scratch: &mut Scratch, area| {
            area::compare((parent, new), (area, count), &encoder, scratch, stop)
        };
        pipeline::in_order(args.threads.count(), work, take, |give| {
            Areas::new(both, least).try_for_each(|area| give(area?))
        })?;
        progress.add(bytes(map, done, u64::MAX));
        let [before, root] = trees.map(RootBuilder::finish);
        if before != self.known.1 {
            (self.unchanged)()?;
            return Err(unlike(&parent.name));
        }
        Ok(root)
    }
}

fn bytes(map: &MemoryMap, from: u64, to: u64) -> u64 {
    map.pages(from, to).saturating_mul(snapfmt::limits::PAGE as u64)
}

/// What was compared is not the state that the file says it is of.
fn unlike(name: &str) -> anyhow::Error {
    let words = format!("{name}: its RAM is not that of the state that it says it is of");
    Damaged(Trouble::new(words).hint("`snaptool verify` says what is wrong with it")).into()
}
