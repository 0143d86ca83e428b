//! How processes end: by which signal, with which code, and what they leave behind.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::tempdir;

fn stager(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stager"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn copy(from: &str, to: &str) -> Output {
    stager(&["copy", from, to]).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn wait_until_ready(child: &mut Child) {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn a_signal_cleans_up_and_then_kills_even_while_waiting_for_input() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        // Children inherit what is ignored here, as it is under `nohup` or in the background.
        if snaptool::signal::ignored_signals() & (1 << (signal.as_raw() - 1)) != 0 {
            continue;
        }
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        let mut child =
            stager(&["stage", path.to_str().unwrap()]).stdin(Stdio::piped()).spawn().unwrap();
        wait_until_ready(&mut child);
        assert!(!is_empty(dir.path()));
        send(&child, signal);
        assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
        assert!(is_empty(dir.path()));
        let mut words = String::new();
        child.stderr.unwrap().read_to_string(&mut words).unwrap();
        assert_eq!(words, "");
    }
}

#[test]
fn a_named_pipe_is_read_to_its_end_though_its_writer_comes_late() {
    let dir = tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
    let child = stager(&["copy", fifo.to_str().unwrap(), "-"]).spawn().unwrap();
    // Opening waits for the reader, so this is late by its nature.
    let mut writer = fs::File::options().write(true).open(&fifo).unwrap();
    writer.write_all(b"late").unwrap();
    drop(writer);
    assert_eq!(child.wait_with_output().unwrap().stdout, b"late");
}

#[test]
fn a_second_signal_kills_what_does_not_listen() {
    let mut child = stager(&["talk"]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    // It blocks, since nobody reads on. Signals that come too fast count as one: hence again.
    let status = loop {
        send(&child, Signal::TERM);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::yield_now();
    };
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn what_was_ignored_before_stays_ignored() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let mut child = Command::new("/bin/sh")
        .args(["-c", "trap '' HUP; exec \"$0\" stage \"$1\"", env!("CARGO_BIN_EXE_stager")])
        .arg(&path)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until_ready(&mut child);
    send(&child, Signal::HUP);
    child.stdin.take().unwrap().write_all(b"p").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(path.exists());
}

#[test]
fn no_input_means_no_and_leaves_nothing() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let output = stager(&["stage", path.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(is_empty(dir.path()));
}

#[test]
fn trouble_is_two_and_says_so_on_stderr_only() {
    let output = copy("/no/such/file", "-");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let words = stderr(&output);
    let mut lines = words.lines();
    let error = "snaptool: error: cannot open /no/such/file: No such file or directory";
    assert_eq!(lines.next(), Some(error));
    assert!(lines.next().unwrap().starts_with("snaptool: hint: "));
    assert_eq!(lines.next(), None);
}

#[test]
fn a_reader_that_goes_away_ends_us_quietly() {
    let mut child = stager(&["talk"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(Signal::PIPE.as_raw()));
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_reader_of_a_named_pipe_that_goes_away_is_trouble() {
    let dir = tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
    let mut child = stager(&["copy", "/dev/zero", fifo.to_str().unwrap()]).spawn().unwrap();
    let mut reader = fs::File::open(&fifo).unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    drop(reader);
    let mut words = String::new();
    child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(words.contains("fifo: broken pipe\n"), "{words}");
}

#[test]
fn pipes_and_files_carry_the_same_bytes_in_every_combination() {
    let dir = tempdir().unwrap();
    let from = dir.path().join("from");
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    fs::write(&from, &bytes).unwrap();
    let from = from.to_str().unwrap();

    assert_eq!(copy(from, "-").stdout, bytes);
    let to = dir.path().join("to");
    assert!(copy(from, to.to_str().unwrap()).status.success());
    assert_eq!(fs::read(&to).unwrap(), bytes);

    let redirected = stager(&["copy", "-", "-"]).stdin(fs::File::open(from).unwrap()).output();
    assert_eq!(redirected.unwrap().stdout, bytes);

    let mut child = stager(&["copy", "-", "/dev/stdout"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    assert_eq!(child.wait_with_output().unwrap().stdout, bytes);
    writer.join().unwrap();
}

#[test]
fn an_input_that_is_no_file_is_refused_in_words() {
    let dir = tempdir().unwrap();
    let output = copy(dir.path().to_str().unwrap(), "-");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(" is a directory\n"), "{}", stderr(&output));
}

#[test]
fn a_copy_that_fails_leaves_no_file() {
    let dir = tempdir().unwrap();
    let output = Command::new("/bin/sh")
        .args([
            "-c",
            "ulimit -f 8; exec \"$0\" copy /dev/zero \"$1\"",
            env!("CARGO_BIN_EXE_stager"),
        ])
        .arg(dir.path().join("to"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let words = stderr(&output);
    assert!(words.contains("/to: File too large\nsnaptool: hint: "), "{words}");
    assert!(is_empty(dir.path()));
}
