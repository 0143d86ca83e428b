//! The main job on data of this repository: a snapshot of bhyve becomes one file, is inspected and
//! verified, and becomes the same three files again; those and the file are damaged, and refused.
//!
//! Each line after a `$` is a command of `snaptool`, run as its own `main` runs it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser as _;
use snaptool::cli::Cli;
use snaptool::exit::{self, Answer};
use snaptool::signal::Stop;
use tests::fixtures;

const FIXTURE: &str = "intel-1cpu-fbsd";

fn main() -> ExitCode {
    exit::run(|stop| {
        let dir = tempfile::tempdir()?;
        fixtures::unpack(FIXTURE, dir.path())?;
        std::env::set_current_dir(dir.path())?;
        session(stop)?;
        Ok(Answer::Yes)
    })
}

fn session(stop: &Stop) -> anyhow::Result<()> {
    run(stop, "pack vm.ckp -o vm.snap", Answer::Yes)?;
    run(stop, "inspect vm.snap", Answer::Yes)?;
    run(stop, "verify vm.snap", Answer::Yes)?;
    run(stop, "unpack vm.snap -o again.ckp", Answer::Yes)?;
    for extension in ["", ".kern", ".meta"] {
        let (ours, theirs) = (format!("again.ckp{extension}"), format!("vm.ckp{extension}"));
        say(&format!("$ cmp {theirs} {ours}\n"))?;
        ensure!(same(theirs.as_ref(), ours.as_ref())?, "{theirs} and {ours} differ");
    }
    say("$ dd if=/dev/zero bs=1K count=1 conv=notrunc of=vm.ckp.kern\n")?;
    File::options().write(true).open("vm.ckp.kern")?.write_all_at(&[0; 1024], 0)?;
    run(stop, "verify vm.ckp", Answer::No)?;
    run(stop, "explain xcr0-loadable", Answer::Yes)?;
    say("$ printf X | dd of=vm.snap bs=1 seek=9000 conv=notrunc\n")?;
    File::options().write(true).open("vm.snap")?.write_all_at(b"X", 9000)?;
    run(stop, "verify vm.snap", Answer::No)
}

fn run(stop: &Stop, command: &str, expected: Answer) -> anyhow::Result<()> {
    say(&format!("$ snaptool {command}\n"))?;
    let words = std::iter::once("snaptool").chain(command.split(' '));
    let answer = Cli::try_parse_from(words)?.run(stop)?;
    ensure!(answer == expected, "the answer of `snaptool {command}` is {answer:?}");
    Ok(())
}

fn say(words: &str) -> io::Result<()> {
    io::stdout().write_all(words.as_bytes())
}

fn same(a: &Path, b: &Path) -> io::Result<bool> {
    if fs::metadata(a)?.len() != fs::metadata(b)?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let n = a.read(&mut left)?;
        let (Some(left), Some(right)) = (left.get(..n), right.get_mut(..n)) else {
            return Ok(false);
        };
        if n == 0 {
            return Ok(true);
        }
        b.read_exact(right)?;
        if left != right {
            return Ok(false);
        }
    }
}
