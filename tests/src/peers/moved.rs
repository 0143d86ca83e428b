//! `migrate` from one process to another, over TCP on this machine.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use super::cost::{Cost, MIGRATE};
use super::files::Files;
use super::guest;

/// Hands the RAM file over: from the call of `send` until all is verified at the target, durable,
/// and handed over, and both processes have ended.
///
/// # Errors
/// A migration that does not come to its end.
pub(super) fn over_tcp(files: &Files, compression: &str) -> anyhow::Result<Cost> {
    let (here, there) = (files.path("vm.ckp.migrate"), files.path("arrived"));
    for dir in [&here, &there] {
        // The first time there is none.
        let _ = fs::remove_dir_all(dir);
    }
    let (program, at) = (std::env::current_exe()?, format!("tcp://127.0.0.1:{}", guest::port()?));
    let before = processors()?;
    let mut target = Command::new(&program)
        .args([MIGRATE, "recv", "--once", "--listen", &at])
        .arg(&there)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(target.stderr.take().context("no stderr")?);
    let mut line = String::new();
    while !line.contains("waiting") {
        line.clear();
        anyhow::ensure!(said.read_line(&mut line)? > 0, "the target ended");
    }
    let quiet = std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    let begin = Instant::now();
    let sent = Command::new(&program)
        .args([MIGRATE, "send", "-q", "--compress", compression])
        .arg(files.ram())
        .arg(&at)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let kept = target.wait()?;
    let time = begin.elapsed();
    let _ = quiet.join();
    anyhow::ensure!(sent.success() && kept.success(), "not handed over: {sent}, {kept}");
    let processors = processors()?.saturating_sub(before);
    Ok(Cost { time, processors, memory: None })
}

/// What all children that were waited for have taken.
fn processors() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = [usage.user_time(), usage.system_time()].map(|time| time.num_microseconds());
    Ok(Duration::from_micros(micros.iter().sum::<i64>().try_into()?))
}
