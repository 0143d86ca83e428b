//! `snaptool completions`: what a shell needs to complete our command lines.

use std::io::{self, Write as _};

use clap::Command;
use clap_complete::Shell;

use crate::exit::Answer;

/// Prints a script that teaches a shell to complete command lines.
///
/// The shell finds it by its place: for example
/// `~/.local/share/bash-completion/completions/snaptool` for bash, `_snaptool` in a folder of
/// `$fpath` for zsh, and `~/.config/fish/completions/snaptool.fish` for fish.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Kind,
}

/// The shells that we know.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    Bash,
    Zsh,
    Fish,
    Elvish,
}

/// Prints the script for `program`.
///
/// # Errors
/// A stdout that is gone.
pub fn run(args: &Args, mut program: Command) -> anyhow::Result<Answer> {
    let shell = match args.shell {
        Kind::Bash => Shell::Bash,
        Kind::Zsh => Shell::Zsh,
        Kind::Fish => Shell::Fish,
        Kind::Elvish => Shell::Elvish,
    };
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, name, &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Answer::Yes)
}
