//! `snaptool host-facts`: what this host has and allows, for a check on another.

use std::io::Write as _;
use std::path::PathBuf;

use crate::cmd::help;
use crate::exit::{Answer, note};
use crate::host;
use crate::output::{Content, Existing, Output};
use crate::signal::Stop;

/// Prints what this host has and allows, as JSON, for checks of snapshots that are to come here.
///
/// CPU, XCR0, VMX controls and more: what a host lacks of what a snapshot needs. Facts that cannot
/// be found out are null, and `unknown` says why; MSRs want root, and on FreeBSD cpuctl(4).
#[derive(Debug, clap::Args)]
#[command(after_long_help = help::HOST_FACTS)]
pub struct Args {
    /// Where to write: a file, which appears when it is complete, or `-` for stdout.
    #[arg(short, long, value_name = "FILE|-", default_value = "-")]
    output: PathBuf,
    /// Replace a file that is there.
    #[arg(short, long)]
    force: bool,
    /// Do not say on stderr what is not known.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
///
/// # Errors
/// Trouble with the output.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    stop.at_once()?;
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    let mut output = Output::open(&args.output, Content::Text, existing)?;
    let facts = host::probe();
    output.write_all(facts.to_json().as_bytes())?;
    output.finish()?;
    if !args.quiet && !facts.unknown.is_empty() {
        let names: Vec<_> = facts.unknown.keys().map(String::as_str).collect();
        note(&format!("not known: {}; `unknown` says why", names.join(", ")));
    }
    Ok(Answer::Yes)
}
