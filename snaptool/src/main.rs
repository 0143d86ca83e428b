//! The command line of the snapshot toolkit.

use std::process::ExitCode;

fn main() -> ExitCode {
    snaptool::exit::run(|_stop| anyhow::bail!("there are no commands yet"))
}
