//! `migrate` over such a link: cut and resumed, and no faster than it was told to be.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::fixtures::unpack_without_memory;
use tests::netns::{Link, Sent, Shape};
use tests::sets::rings;

const MIB: u64 = 1 << 20;
const PORT: u16 = 4000;
const PATIENCE: Duration = Duration::from_secs(120);

/// A machine of 256 MiB, and one of 64.
const LARGE: (&str, u64) = ("amd-2cpu-linux", 256 * MIB);
const SMALL: (&str, u64) = ("intel-1cpu-fbsd", 64 * MIB);

/// 100 Mbit/s, and one packet of 1000 is lost.
const SHAPE: Shape = Shape { rate: 100_000_000, loss: 10 };

/// A VM at one end of a link, and room for it at the other.
struct Bench {
    link: Link,
    dir: TempDir,
    ram: u64,
}

impl Drop for Bench {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log"));
            eprintln!("{}", log.unwrap_or_default());
        }
    }
}

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// How it ended.
    fn end(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Bench {
    /// None, and a line, where there can be no link.
    fn or_skip((fixture, ram): (&str, u64)) -> Option<Self> {
        let link = Link::or_skip(SHAPE)?;
        let dir = TempDir::new().unwrap();
        let source = dir.path().join("source");
        fs::create_dir(&source).unwrap();
        let base = unpack_without_memory(fixture, &source).unwrap();
        // Noise cannot be compressed, and no page is like another.
        let file = File::create(&base).unwrap();
        let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
        for at in 0..ram / MIB {
            let mut bytes = Vec::with_capacity(1 << 20);
            while bytes.len() < 1 << 20 {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                bytes.extend_from_slice(&noise.to_le_bytes());
            }
            file.write_all_at(&bytes, at * MIB).unwrap();
        }
        let text = fs::read(source.join("vm.ckp.meta")).unwrap();
        let kern = fs::read(source.join("vm.ckp.kern")).unwrap();
        for (at, bytes) in rings(&text, &kern) {
            file.write_all_at(&bytes, at).unwrap();
        }
        Some(Self { link, dir, ram })
    }

    fn source(&self) -> PathBuf {
        self.dir.path().join("source/vm.ckp")
    }

    /// What it says is shown if the test fails.
    fn start(&self, mut command: Command) -> Running {
        let log = self.dir.path().join("log");
        let log = File::options().append(true).create(true).open(log).unwrap();
        command.env("MIGRATE_LOG", "info").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Running(command.spawn().unwrap())
    }

    /// The target, once it waits for a source.
    fn recv(&self) -> Running {
        let mut command = self.link.right().command(env!("CARGO_BIN_EXE_migrate-tested"));
        command.arg("recv").arg(self.dir.path().join("target"));
        command.arg("--listen").arg(format!("tcp://{}:{PORT}", self.link.right().address()));
        command.args(["--insecure", "--timeout", "3s"]);
        let target = self.start(command);
        let begin = Instant::now();
        while !self.link.right().listens(PORT) {
            assert!(begin.elapsed() < PATIENCE, "it does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        target
    }

    fn send(&self, options: &[&str]) -> Running {
        let mut command = self.link.left().command(env!("CARGO_BIN_EXE_migrate-tested"));
        command.arg("send").arg(self.source());
        command.arg(format!("tcp://{}:{PORT}", self.link.right().address()));
        command.args(["--insecure", "--timeout", "3s", "--compress", "none"]);
        command.args(options);
        self.start(command)
    }

    /// The same command again, until the target has noticed that the connection is gone.
    fn send_again(&self) -> Sent {
        for _ in 0..20 {
            let before = self.link.left().sent();
            if self.send(&[]).end().success() {
                return self.link.left().sent().since(before);
            }
            thread::sleep(Duration::from_millis(500));
        }
        panic!("it does not go on");
    }

    /// The RAM that the target keeps is that of the source.
    fn check(&self) {
        let target = self.dir.path().join("target");
        let mut found = 0;
        for entry in fs::read_dir(&target).unwrap() {
            let path = entry.unwrap().path();
            if path.metadata().unwrap().len() == self.ram {
                assert!(same(&self.source(), &path).unwrap(), "{}", path.display());
                found += 1;
            }
        }
        assert_eq!(found, 1, "files with RAM in {}", target.display());
    }

    /// What was sent of `sent` beyond the RAM, in parts of a thousand.
    fn beyond(&self, sent: u64) -> f64 {
        1000.0 * (sent as f64 - self.ram as f64) / self.ram as f64
    }
}

fn same(one: &PathBuf, other: &PathBuf) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    let size = one.metadata()?.len();
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    for at in (0..size).step_by(1 << 20) {
        one.read_exact_at(&mut a, at)?;
        other.read_exact_at(&mut b, at)?;
        if a != b {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Cuts the link when nine tenths have crossed it, and goes on.
fn cut_and_resumed(killed: bool) {
    let Some(bench) = Bench::or_skip(LARGE) else { return };
    let mut target = bench.recv();
    let before = bench.link.left().sent();
    let mut source = bench.send(&[]);
    // Packets are larger than what they carry by a part in 22.
    bench.link.cut_after(bench.ram / 10 * 9 * 104 / 100, PATIENCE);
    let first = bench.link.left().sent().since(before);
    if killed {
        drop(source);
        drop(target);
        target = bench.recv();
    } else {
        assert!(!source.end().success());
    }
    bench.link.mend();
    let second = bench.send_again();
    assert!(target.end().success());
    bench.check();
    let beyond = bench.beyond(first.payload() + second.payload());
    println!("killed {killed}: {first}, then {second}; {beyond:.2} of 1000 beyond the RAM");
    assert!(beyond < 10.0, "{beyond} of 1000");
}

#[test]
fn a_link_that_is_cut_at_90_percent_costs_one_percent_at_most() {
    cut_and_resumed(false);
}

#[test]
fn so_does_the_death_of_both_sides() {
    cut_and_resumed(true);
}

#[test]
fn a_limit_is_kept_within_5_percent() {
    let Some(bench) = Bench::or_skip(SMALL) else { return };
    let _target = bench.recv();
    let mut source = bench.send(&["--limit", "6M"]);
    // It is not held against the beginning, when there is nothing to wait for.
    let wait = |bytes: u64| {
        let begin = Instant::now();
        while bench.link.left().sent().payload() < bytes {
            assert!(begin.elapsed() < PATIENCE, "{}", bench.link.left().sent());
            thread::sleep(Duration::from_millis(1));
        }
        (Instant::now(), bench.link.left().sent())
    };
    let (begin, from) = wait(8 * MIB);
    let (end, to) = wait(56 * MIB);
    let rate = to.since(from).payload() as f64 / (end - begin).as_secs_f64();
    println!("{rate:.0} bytes in a second, where 6000000 is the limit");
    assert!((5.7e6..6.3e6).contains(&rate), "{rate}");
    assert!(source.end().success());
    bench.check();
}
