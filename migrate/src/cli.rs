//! The command line: what may be said, and how it is taken apart.

use std::ffi::OsString;

use clap::{CommandFactory as _, Parser, Subcommand};
use snaptool::cmd::completions;
use snaptool::exit::Answer;
use snaptool::signal::Stop;

use crate::cmd::options::Means;
use crate::cmd::{man, plan, recv, resolve, send, status};

const SETUP: &str = "\
Setup:
  migrate completions SHELL   prints completions for bash, zsh, fish or elvish
  migrate man                 prints the manual page, for mandoc or a folder man1";

/// Hands virtual machines of bhyve over to other hosts, with at most one owner whatever fails.
///
/// Exit status: 0 yes, 1 no (refused, came back, or a person has to decide), 2 trouble.
#[derive(Debug, Parser)]
#[command(name = "migrate", version, after_help = SETUP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Send(Box<send::Args>),
    Recv(Box<recv::Args>),
    Plan(Box<plan::Args>),
    Status(status::Args),
    Resolve(Box<resolve::Args>),
    #[command(hide = true)]
    Completions(completions::Args),
    #[command(hide = true)]
    Man(man::Args),
}

impl Cli {
    /// What is logged unless a person says otherwise: a server says what it does.
    #[must_use]
    pub fn level(&self) -> &'static str {
        match &self.command {
            Command::Recv(args) if args.listens() => "info",
            _ => "warn",
        }
    }

    /// Runs the command that was named.
    ///
    /// # Errors
    /// What kept it from an answer.
    pub fn run(&self, means: &Means, stop: &Stop) -> anyhow::Result<Answer> {
        match &self.command {
            Command::Send(args) => send::run(args, means, stop),
            Command::Recv(args) => recv::run(args, means, stop),
            Command::Plan(args) => plan::run(args, stop),
            Command::Status(args) => status::run(args, stop),
            Command::Resolve(args) => resolve::run(args, means, stop),
            Command::Completions(args) => completions::run(args, Self::command()),
            Command::Man(args) => man::run(args, Self::command()),
        }
    }
}

/// Runs the program with these means.
#[must_use]
pub fn main(means: &Means) -> std::process::ExitCode {
    main_of(std::env::args_os(), means)
}

/// The same with this command line, whose first word is not looked at.
#[must_use]
pub fn main_of(words: impl Iterator<Item = OsString>, means: &Means) -> std::process::ExitCode {
    snaptool::exit::program_is("migrate");
    match Cli::try_parse_from(words) {
        Ok(cli) => {
            log(cli.level());
            snaptool::exit::run(|stop| cli.run(means, stop))
        }
        Err(error) => snaptool::cli::without_work(&error),
    }
}

/// Logs to stderr what `MIGRATE_LOG` says.
fn log(level: &str) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("MIGRATE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // Tests may have one already.
    let _ = subscriber.with_writer(std::io::stderr).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }
}
