//! `snaptool join`: a full snapshot and the deltas over it become one full snapshot.

use std::path::PathBuf;

use snapfmt::memory::block::Block;
use snapfmt::read::Chain;
use snapfmt::write::Sealed;

use crate::cmd::help;
use crate::cmd::make::{self, copy, drain, form, target};
use crate::exit::{Answer, Trouble};
use crate::links::{Damaged, Links, Where, unless_damaged};
use crate::output::Output;
use crate::pipeline;
use crate::progress::{Options, Progress};
use crate::signal::Stop;
use crate::watch::Watched;

/// Joins a full snapshot and the deltas over it into one full snapshot of the newest state.
///
/// Every byte of all files is checked first. The result has the content of the newest file: who has
/// it needs none of the others.
///
/// Prints the identities of what it wrote.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help::JOIN)]
pub struct Args {
    /// The full snapshot and the deltas over it, in this order; with --chain, the last delta is
    /// enough.
    #[arg(required = true, value_name = "FILE")]
    inputs: Vec<PathBuf>,
    /// Where to write: a file, which appears when it is complete, or `-` for stdout. Nothing is
    /// replaced without --force.
    #[arg(short, long, value_name = "FILE|-")]
    output: PathBuf,
    #[command(flatten)]
    chain: Where,
    #[command(flatten)]
    form: form::Storage,
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
/// Trouble with files. Files that are damaged, or do not belong together, are an answer: no.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    let links = Links::given(&args.inputs, &args.chain, stop)?;
    match unless_damaged(join(args, &links, stop)) {
        Ok(joined) => Ok(if joined.is_some() { Answer::Yes } else { Answer::No }),
        Err(error) => make::misfit(error, links.name()),
    }
}

fn join(args: &Args, links: &Links, stop: &Stop) -> anyhow::Result<()> {
    let mode = args.progress.of("join", links.name()).quiet(args.quiet);
    let progress = Progress::new("joining", Some(links.bytes()), mode);
    let chain = links.open(stop, &progress, |_, _| ())?;
    let old = if args.force { target::Old::Any } else { target::Old::None };
    let inputs: Vec<_> = links.identities().collect();
    let mut output = target::open(&args.output, old, &inputs, stop)?;
    if output.as_staged().is_none() {
        // A reader of a pipe gets nothing of a chain that does not belong together.
        chain.contents().map_err(|error| links.wrong(error))?;
    }
    let sealed = write(args, (links, &chain), &mut output)?;
    drop(progress);
    target::finish(output, &sealed, args.quiet)
}

fn write(
    args: &Args,
    (links, chain): (&Links, &Chain<Watched<'_>>),
    output: &mut Output,
) -> anyhow::Result<Sealed> {
    let newest = chain.newest().seeker();
    let header = make::header(chain.vm(), newest.header().vm_uuid.clone(), None);
    let writer = copy::begin((links, chain), &header, args.form.compression(), output)?;
    let mut writer = writer.memory()?;
    let (encoder, mut out) = (writer.encoder(), Vec::new());
    let work = |(): &mut (), block: Block| encoder.block(&block);
    let take = |part: Result<_, snapfmt::Error>| {
        writer.append(&part?, &mut out)?;
        drain(&mut out, output)
    };
    pipeline::in_order(args.threads.count(), work, take, |give| {
        let checked = chain.check(args.form.extent_size(), &mut *give);
        checked.map_err(|error| links.failed(error))
    })?;
    for part in copy::late(links, chain)? {
        writer.carry(&part, &mut out)?;
    }
    // What comes now makes the snapshot valid for whoever reads it from a pipe.
    links.unchanged()?;
    let sealed = writer.finish(&mut out)?;
    if sealed.index.content != newest.index().content {
        let words = format!("{} was read twice, and was not the same", links.name());
        return Err(Damaged(Trouble::new(words)).into());
    }
    drain(&mut out, output)?;
    Ok(sealed)
}
