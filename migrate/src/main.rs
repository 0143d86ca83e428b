//! Hands virtual machines of bhyve over to other hosts.

use std::process::ExitCode;

use migrate::cli;
use migrate::cmd::options::Means;

fn main() -> ExitCode {
    cli::main(&Means::default())
}
