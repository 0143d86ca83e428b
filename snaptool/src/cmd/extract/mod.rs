//! `snaptool extract`: one part of a snapshot, raw, for those who look into it.
//!
//! ```text
//! PART ─ what ─> What ─┬─ snapshot (seek, survey) ─┐
//!                      └─ three files ─────────────┴─> OUT, under a name that bhyve does not
//! resume
//! ```
//! What is damaged is given only if it is asked for, as it lies in the file, and under a name that
//! says so. Nothing here makes files that can be restored: that is `unpack`'s alone.

mod claim;
mod name;
mod part;
mod what;

use std::io::Write as _;
use std::path::PathBuf;

use self::name::{beside, restorable};
use self::what::What;
use crate::cmd::help;
use crate::exit::{Answer, Trouble};
use crate::output::{Content, Existing, Output};
use crate::signal::Stop;
use crate::source::Source;
use crate::text;

/// Copies one part of a snapshot into a file of its own, as bhyve wrote it.
///
/// The file gets a name under which bhyve resumes nothing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help::EXTRACT)]
pub struct Args {
    /// The snapshot file, or the RAM file of a snapshot of bhyve.
    #[arg(value_name = "FILE|BASE")]
    input: PathBuf,
    /// What: header, meta, config, devices/NAME (a record, whichever list it is in),
    /// kern_structs/NAME or structs/NAME, or memory/GPA+LENGTH.
    #[arg(value_name = "PART")]
    part: What,
    /// Where to write, or `-` for stdout [default: FILE, PART and `.raw`].
    #[arg(short, long, value_name = "OUT|-")]
    output: Option<PathBuf>,
    /// Copy the part even if it is damaged, as it lies in the file, frame and all, to a name that
    /// ends in `.claim`: nobody vouches for it.
    #[arg(long)]
    damaged: bool,
    /// Replace a file that is there.
    #[arg(short, long)]
    force: bool,
}

/// Runs the command.
///
/// # Errors
/// A part that is not there or damaged, and trouble with files.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    let ending = if args.damaged { "claim" } else { "raw" };
    let path = args.output.clone().unwrap_or_else(|| beside(&args.input, &args.part, ending));
    let to_stdout = path.as_os_str() == "-";
    if args.damaged && (to_stdout || path.extension().is_none_or(|end| end != ending)) {
        return Err(Trouble::new("damaged bytes go only to a name that ends in .claim").into());
    }
    if !to_stdout && let Some(why) = restorable(&path) {
        return Err(Trouble::new(format!("{} {why}", text::path(&path)))
            .hint("name another output; `unpack` makes what bhyve can resume")
            .into());
    }
    let source = Source::open(&args.input, stop)?;
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    let open = || Output::open(&path, Content::Binary, existing);
    match source {
        Source::Stream(_) => Err(Trouble::new("a part cannot be picked out of a pipe")
            .hint("save the snapshot to a file first")
            .into()),
        Source::ThreeFiles(_) if args.damaged => {
            Err(Trouble::new("nothing in three files says whether it is damaged")
                .hint("leave out --damaged")
                .into())
        }
        Source::File(file) if args.damaged => {
            let mut output = open()?;
            claim::copy(&file, &args.part, &mut output)?;
            file.unchanged()?;
            output.finish()?;
            Ok(Answer::No)
        }
        Source::File(file) => {
            let mut output = open()?;
            if !part::of_file(&file, &args.part, &mut output, stop)? {
                return Ok(Answer::No);
            }
            file.unchanged()?;
            output.flush()?;
            output.finish()?;
            Ok(Answer::Yes)
        }
        Source::ThreeFiles(set) => {
            let mut output = open()?;
            part::of_three(&set, &args.part, &mut output, stop)?;
            set.unchanged()?;
            output.finish()?;
            Ok(Answer::Yes)
        }
    }
}
