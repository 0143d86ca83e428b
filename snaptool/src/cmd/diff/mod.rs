//! `snaptool diff`: what differs between two snapshots.
//!
//! ```text
//! state (all but RAM) ─> facts, records (bytes | fields) ┐
//! side (RAM, piece by piece) ─> memory                   ┴─> print (text | JSON)
//! ```
//! Of RAM only that is read whose roots differ; ranges are shown as they are found, so that neither
//! the size of RAM nor the number of differences takes memory.

mod facts;
mod fields;
mod held;
pub mod ignore;
pub mod memory;
mod print;
mod records;
pub mod side;
mod state;

use std::io::{self, Write};
use std::path::PathBuf;

use self::facts::Facts;
use self::held::Held;
use self::ignore::Ignore;
use self::print::{End, Printer};
use self::state::State;
use crate::cmd::help;
use crate::exit::{Answer, Trouble};
use crate::links::Where;
use crate::progress::{Options, Progress};
use crate::signal::Stop;
use crate::whole::Whole;

/// Compares two snapshots: machine, records and RAM.
///
/// Either may be a snapshot file, a delta whose parents --chain finds, or bhyve's three files. The
/// answer is yes if both hold the same machine state, which is what `content` names: when and how
/// they were written, the configuration and the wording of .meta are compared and shown, but do not
/// count. Of two snapshot files, only those parts of RAM are read whose digests differ.
///
/// Records are compared field by field where their layout is known, and byte by byte elsewhere.
///
/// Damage that is found is trouble. RAM with equal digests on both sides is not read: `snaptool
/// verify` does that.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = help::DIFF)]
pub struct Args {
    /// A snapshot file, or the RAM file of a snapshot of bhyve.
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// The one to compare it with.
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Where the parents of deltas are.
    #[command(flatten)]
    pub chain: Where,
    /// Print the same facts as JSON, with all ranges.
    #[arg(long)]
    pub json: bool,
    /// Show all ranges of RAM that differ, and all fields, not only the first 100.
    #[arg(long)]
    pub all: bool,
    /// Leave out fields that differ between any two snapshots: `time` is clocks and counters.
    #[arg(long, value_name = "WHAT", value_enum)]
    pub ignore: Vec<Ignore>,
    /// Show no progress.
    #[arg(short, long, short_alias = 'Q', alias = "no-progress")]
    pub quiet: bool,
    /// How to tell progress
    #[command(flatten)]
    pub progress: Options,
}

const EXTENTS: &str = "RAM with equal digests on both sides: it was not read";
const NO_DIGESTS: &str = "whether the three files are as bhyve wrote them: they carry no digests";

/// Runs the command and prints to stdout.
///
/// # Errors
/// As [`diff`].
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    diff(args, stop, &mut io::stdout().lock())
}

/// Compares and prints to `out`; nothing if there is trouble, save after some MiB of differences.
///
/// # Errors
/// An input that cannot be read or is damaged, and a reader of `out` that went away.
pub fn diff(args: &Args, stop: &Stop, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let open = |path| Whole::open(path, &args.chain, stop);
    let (a, b, untold) = (open(&args.a)?, open(&args.b)?, Progress::hidden());
    let (a, b) = (State::read(&a, stop, &untold)?, State::read(&b, stop, &untold)?);
    let facts = Facts::of(&a, &b, records::compare(&a, &b, &args.ignore, stop)?, &args.ignore);
    let mut printer = if args.json {
        Printer::Json { ranges: 0 }
    } else {
        Printer::Text { all: args.all, ranges: 0 }
    };
    let mut out = Held::new(out);
    printer.begin(&facts, &mut out)?;

    let top = [&a, &b].map(|state| state.vm.memory.size());
    let inputs = format!("{} {}", args.a.display(), args.b.display());
    let mode = args.progress.of("diff", &inputs).quiet(args.quiet || args.json);
    let progress = Progress::new("comparing", top.into_iter().max(), mode);
    let mut done = 0;
    let totals = memory::compare(
        &mut *a.ram()?,
        &mut *b.ram()?,
        &mut |range| Ok(printer.range(&range, &mut out)?),
        &mut |gpa| {
            stop.check()?;
            let pages = a.vm.memory.pages(done, gpa).max(b.vm.memory.pages(done, gpa));
            progress.add(pages.saturating_mul(4096));
            done = gpa;
            Ok(())
        },
    )?;
    drop(progress);
    a.unchanged()?;
    b.unchanged()?;

    let same = !facts.differ() && totals.pages == 0;
    if let (Some(a), Some(b)) = (a.content, b.content)
        && (a == b) != (same && facts.records.ignored.is_empty())
    {
        // Digests say one thing and bytes another: neither is an answer to rely on.
        let why = "the digests of the two files say otherwise than their contents";
        return Err(Trouble::new(why).hint("`snaptool verify` reads all of a file").into());
    }
    let mut not_checked = Vec::new();
    if a.root.is_some() || b.root.is_some() {
        not_checked.push(EXTENTS);
    }
    if a.root.is_none() || b.root.is_none() {
        not_checked.push(NO_DIGESTS);
    }
    printer.end(&facts, &totals, &End { same, not_checked }, &mut out)?;
    out.done()?;
    Ok(if same { Answer::Yes } else { Answer::No })
}
