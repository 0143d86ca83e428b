//! How long it takes to pack, verify and unpack, beside the tools that people use, on one machine,
//! in one run: `cargo run --release -p tests --bin peers -- IMAGE`.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use migrate::cmd::options::Means;
use snaptool::{cli, exit};
use tests::peers::{self, Args, cost};

fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    // This program is run again for what is measured: so it is the code of this build.
    match words.get(1).and_then(|word| word.to_str()) {
        Some(cost::WRAPPER) => cost::wrapped(words.split_off(2)),
        Some(cost::SNAPTOOL) => match cli::Cli::try_parse_from(words.split_off(1)) {
            Ok(cli) => exit::run(|stop| cli.run(stop)),
            Err(error) => cli::without_work(&error),
        },
        Some(cost::MIGRATE) => migrate::cli::main_of(words.drain(1..), &Means::default()),
        _ => {
            let args = Args::parse();
            exit::run(|stop| peers::run(&args, stop).map(|()| exit::Answer::Yes))
        }
    }
}
