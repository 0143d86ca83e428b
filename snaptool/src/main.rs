//! The command line of the snapshot toolkit.

use std::process::ExitCode;

use clap::Parser as _;
use snaptool::{cli, exit};

fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => exit::run(|stop| cli.run(stop)),
        Err(error) => cli::without_work(&error),
    }
}
