//! The command line: what may be said, and how it is taken apart.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::cmd::{
    completions, delta, diff, explain, extract, host_facts, inspect, join, man, nvlist, pack,
    unpack, verify,
};
use crate::exit::{self, Answer};
use crate::signal::Stop;
use crate::text;

const SETUP: &str = "\
Setup:
  snaptool completions SHELL  prints completions for bash, zsh, fish or elvish
  snaptool man                prints the manual page, for mandoc or a folder man1";

/// Packs, checks and shows snapshots of bhyve virtual machines.
///
/// Exit status: 0 yes, 1 no (invalid, or different), 2 trouble (usage, files).
#[derive(Debug, Parser)]
#[command(name = "snaptool", version, after_help = SETUP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Pack(pack::Args),
    Delta(delta::Args),
    Join(join::Args),
    Unpack(unpack::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Diff(diff::Args),
    Extract(extract::Args),
    Explain(explain::Args),
    Nvlist(nvlist::Args),
    HostFacts(host_facts::Args),
    #[command(hide = true)]
    Completions(completions::Args),
    #[command(hide = true)]
    Man(man::Args),
}

impl Cli {
    /// Runs the command that was named.
    ///
    /// # Errors
    /// What kept it from an answer.
    pub fn run(&self, stop: &Stop) -> anyhow::Result<Answer> {
        match &self.command {
            Command::Pack(args) => pack::run(args, stop),
            Command::Delta(args) => delta::run(args, stop),
            Command::Join(args) => join::run(args, stop),
            Command::Unpack(args) => unpack::run(args, stop),
            Command::Inspect(args) => inspect::run(args, stop),
            Command::Verify(args) => verify::run(args, stop),
            Command::Diff(args) => diff::run(args, stop),
            Command::Extract(args) => extract::run(args, stop),
            Command::Explain(args) => explain::run(args),
            Command::Nvlist(args) => nvlist::run(args, stop),
            Command::HostFacts(args) => host_facts::run(args, stop),
            Command::Completions(args) => completions::run(args, Cli::command()),
            Command::Man(args) => man::run(args, Cli::command()),
        }
    }
}

/// Ends after arguments that name no work to do: help on stdout, mistakes on stderr.
#[must_use]
pub fn without_work(error: &clap::Error) -> ExitCode {
    let words = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nobody to tell if stdout is gone.
            let _ = io::stdout().write_all(words.as_bytes());
            ExitCode::SUCCESS
        }
        kind => {
            let words = match kind {
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                    format!("no command given\n\n{words}")
                }
                _ => words.strip_prefix("error: ").unwrap_or(&words).to_owned(),
            };
            // Arguments are often names of files; what is wrong with them is quoted.
            let lines: Vec<_> = words.lines().map(text::one_line).collect();
            let _ = writeln!(io::stderr(), "{}: error: {}", exit::program(), lines.join("\n"));
            ExitCode::from(2)
        }
    }
}
