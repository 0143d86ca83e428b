//! A program for tests that need a process: to kill, to interrupt, or to give odd files to.
//!
//! ```text
//! stager stage [--replace] PATH...   stage files, say `ready`, publish them as a set on any input
//! stager copy IN OUT                 copy with the tool's own inputs and outputs
//! stager talk                        write to stdout for ever
//! ```

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use snaptool::exit::{self, Answer};
use snaptool::input::Input;
use snaptool::output::{Content, Existing, Output, Staged, publish_set};
use snaptool::progress::Progress;
use snaptool::signal::Stop;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    exit::run(|stop| match args.as_slice() {
        ["stage", "--replace", paths @ ..] => stage(paths, Existing::Replace, stop),
        ["stage", paths @ ..] => stage(paths, Existing::Refuse, stop),
        ["copy", from, to] => copy(from, to, stop),
        ["talk"] => talk(),
        _ => bail!("unknown arguments"),
    })
}

fn stage(paths: &[&str], existing: Existing, stop: &Stop) -> anyhow::Result<Answer> {
    let mut staged = Vec::new();
    for path in paths {
        let mut file = Staged::create(Path::new(path), existing)?;
        writeln!(file, "new {path}")?;
        staged.push(file);
    }
    println!("ready");
    let mut word = [0];
    if Input::open(Path::new("-"), stop)?.into_reader().read(&mut word)? == 0 {
        return Ok(Answer::No);
    }
    publish_set(staged)?;
    Ok(Answer::Yes)
}

fn copy(from: &str, to: &str, stop: &Stop) -> anyhow::Result<Answer> {
    let input = Input::open(Path::new(from), stop)?;
    let mut output = Output::open(Path::new(to), Content::Binary, Existing::Refuse)?;
    let progress = Progress::new("copying", input.size(), false);
    let mut reader = input.into_reader();
    let mut buf = vec![0; 65_536];
    loop {
        stop.check()?;
        let n = reader.read(&mut buf)?;
        if n == 0 {
            break;
        }
        output.write_all(buf.get(..n).unwrap_or_default())?;
        progress.add(u64::try_from(n)?);
    }
    output.finish()?;
    Ok(Answer::Yes)
}

fn talk() -> anyhow::Result<Answer> {
    let mut output = Output::open(Path::new("-"), Content::Text, Existing::Refuse)?;
    loop {
        output.write_all(b"and another thing\n")?;
    }
}
