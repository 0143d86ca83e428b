//! `snaptool nvlist`: from files to the functions of this module, and back.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use snapfmt::limits;
use snapfmt::nvlist::{Options, View};

use super::{Binaries, describe, parse_text, show};
use crate::cmd::help;
use crate::exit::{Answer, Trouble, report};
use crate::input::Input;
use crate::output::{Content, Existing, Output};
use crate::signal::Stop;

/// Shows a packed list of FreeBSD's libnv, or makes one.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help::NVLIST)]
pub struct Args {
    /// The packed list (with --pack: its description), or `-` for stdin.
    #[arg(value_name = "FILE|-")]
    input: PathBuf,
    /// Print the list's description as JSON.
    #[arg(long)]
    json: bool,
    /// Turn such a description into the packed list, on stdout.
    #[arg(long, conflicts_with = "json")]
    pack: bool,
    /// How many descriptors came with the list: its descriptors are indexes below that.
    #[arg(long, default_value_t = 0, value_name = "N")]
    descriptors: u64,
}

/// Runs the command.
///
/// # Errors
/// Trouble with files. A malformed list, or a description of none, is an answer: no.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    stop.at_once()?;
    let input = Input::open(&args.input, stop)?;
    let name = input.name().to_owned();
    // A description spends up to 2 digits on a byte, and words on every pair.
    let limit = limits::NVLIST_SIZE as u64 * if args.pack { 4 } else { 1 };
    let mut bytes = Vec::new();
    input.into_reader().take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let words = format!("{name}: longer than the limit of {limit} bytes");
        report(&Trouble::new(words).into());
        return Ok(Answer::No);
    }
    let done = if args.pack { pack(&bytes)? } else { print(&bytes, args)? };
    match done {
        Ok(()) => Ok(Answer::Yes),
        Err(why) => {
            report(&Trouble::new(format!("{name}: {why}")).into());
            Ok(Answer::No)
        }
    }
}

/// Trouble with stdout is the outer error; what is wrong with the list is the inner one.
fn print(bytes: &[u8], args: &Args) -> anyhow::Result<Result<(), String>> {
    let options = Options::new().any_flags().descriptors(args.descriptors);
    let view = match View::parse(bytes, &options) {
        Ok(view) => view,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        serde_json::to_writer_pretty(&mut out, &describe(&view, Binaries::Full))?;
        writeln!(out)?;
    } else {
        show(&view, &mut out)?;
    }
    out.flush()?;
    Ok(Ok(()))
}

fn pack(text: &[u8]) -> anyhow::Result<Result<(), String>> {
    let packed = std::str::from_utf8(text)
        .map_err(|error| format!("not UTF-8 at offset {:#x}", error.valid_up_to()))
        .and_then(|text| parse_text(text).map_err(|error| error.to_string()))
        .and_then(|list| list.pack_to_send().map_err(|error| error.to_string()));
    let packed = match packed {
        Ok(packed) => packed,
        Err(why) => return Ok(Err(why)),
    };
    let mut output = Output::open("-".as_ref(), Content::Binary, Existing::Refuse)?;
    output.write_all(&packed)?;
    output.finish()?;
    Ok(Ok(()))
}
