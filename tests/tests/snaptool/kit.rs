//! A folder to work in, and the program run in it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::SeekFrom;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tests::fixtures;
use tests::sets::rings;

/// The fixture for what needs no particular one.
pub(crate) const FIXTURE: &str = "intel-1cpu-fbsd";

/// The one with 4 GiB of RAM and a record of 32 MiB, which takes its time.
pub(crate) const LARGE: &str = "intel-4cpu-highmem";

/// What three files are called beside the name of their RAM.
pub(crate) const SET: [&str; 3] = ["", ".kern", ".meta"];

/// A folder of its own, and the program in it.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A folder for little, where syncing costs nothing if there is such a place.
    pub(crate) fn in_memory() -> Self {
        tempfile::tempdir_in("/dev/shm").map_or_else(|_| Self::empty(), |dir| Self { dir })
    }

    /// A folder with a fixture's three files: `vm.ckp` and those beside it.
    pub(crate) fn fixture(name: &str) -> Self {
        let bench = if name == LARGE { Self::empty() } else { Self::in_memory() };
        fixtures::unpack(name, bench.dir.path()).unwrap();
        bench
    }

    /// The same with RAM that is `random` bytes of noise and then zeros.
    pub(crate) fn noisy(random: usize) -> Self {
        let bench = if random > 4 << 20 { Self::empty() } else { Self::in_memory() };
        fixtures::unpack_without_memory(FIXTURE, bench.dir.path()).unwrap();
        let ram = File::options().write(true).open(bench.path("vm.ckp")).unwrap();
        ram.write_all_at(&noise(random), 0).unwrap();
        bench.write_rings();
        bench
    }

    /// Writes the rings of virtio queues into RAM that was not saved with the records.
    pub(crate) fn write_rings(&self) {
        let ram = File::options().write(true).open(self.path("vm.ckp")).unwrap();
        for (at, bytes) in rings(&self.read("vm.ckp.meta"), &self.read("vm.ckp.kern")) {
            ram.write_all_at(&bytes, at).unwrap();
        }
    }

    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.dir.path().join(name.as_ref())
    }

    /// The program with arguments that are words of `line`.
    pub(crate) fn command(&self, line: &str) -> Command {
        self.command_of(line.split_whitespace())
    }

    pub(crate) fn command_of<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snaptool-tested"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ended {
        Ended::of(self.command(line))
    }

    pub(crate) fn run_of<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ended {
        Ended::of(self.command_of(args))
    }

    /// Runs the program with `bytes` coming through a pipe.
    pub(crate) fn feed(&self, line: &str, bytes: &[u8]) -> Ended {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // It may well stop reading before the end.
            scope.spawn(move || drop(stdin.write_all(bytes)));
            Ended::waited(child)
        })
    }

    /// Runs a shell script, in which `$S` is the program.
    pub(crate) fn sh(&self, script: &str) -> Ended {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).current_dir(self.dir.path());
        command.env("S", env!("CARGO_BIN_EXE_snaptool-tested"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ended::of(command)
    }

    /// Packs `vm.ckp` and returns the two identities.
    pub(crate) fn pack(&self, options: &str, name: &str) -> (String, String) {
        let ended = self.run(&format!("pack vm.ckp {options} -o {name}"));
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        ended.noted();
        let mut lines = ended.stdout.lines();
        let mut identity = |label| lines.next().unwrap().strip_prefix(label).unwrap().to_owned();
        (identity("root     "), identity("content  "))
    }

    /// The names in the folder, hidden ones too, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
    }

    /// The names of temporaries of `target`.
    pub(crate) fn temporaries(&self, target: &str) -> Vec<String> {
        let prefix = format!(".{target}.snaptool-");
        let ours = |name: &String| name.starts_with(&prefix) && name.ends_with(".tmp");
        self.names().into_iter().filter(ours).collect()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Replaces the first occurrence of a text in a file.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        self.write(name, text.replacen(from, to, 1));
    }

    /// A new named pipe. An older one may hold bytes yet: a process that another test just forked
    /// may have its end open for a moment.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let _ = fs::remove_file(&path);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        path
    }

    /// Asserts that two sets are the same, byte for byte.
    #[track_caller]
    pub(crate) fn assert_same_set(&self, a: &str, b: &str) {
        for ending in SET {
            let [a, b] = [a, b].map(|base| format!("{base}{ending}"));
            assert!(self.same(&a, &b), "{a} and {b} differ");
        }
    }

    /// Whether two files have the same bytes. Reads what either has as data, not its holes.
    pub(crate) fn same(&self, a: &str, b: &str) -> bool {
        let [a, b] = [a, b].map(|name| File::open(self.path(name)).unwrap());
        a.metadata().unwrap().len() == b.metadata().unwrap().len()
            && same_where_first_has_data(&a, &b)
            && same_where_first_has_data(&b, &a)
    }

    /// The one object that `line` prints.
    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.run(line).stdout).unwrap()
    }
}

/// Asks the system for data itself, so as not to lean on what is tested here.
fn same_where_first_has_data(first: &File, second: &File) -> bool {
    let end = first.metadata().unwrap().len();
    let mut at = 0;
    let (mut ours, mut theirs) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    while at < end {
        let Ok(start) = rustix::fs::seek(first, SeekFrom::Data(at)) else { break };
        at = rustix::fs::seek(first, SeekFrom::Hole(start)).unwrap();
        let mut from = start;
        while from < at {
            let len = usize::try_from((at - from).min(1 << 16)).unwrap();
            first.read_exact_at(&mut ours[..len], from).unwrap();
            second.read_exact_at(&mut theirs[..len], from).unwrap();
            if ours[..len] != theirs[..len] {
                return false;
            }
            from += len as u64;
        }
    }
    true
}

/// How a run ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(mut command: Command) -> Self {
        Self::waited(command.spawn().unwrap())
    }

    pub(crate) fn waited(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Self { status: output.status, stdout, stderr }
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Asserts that it ended with this code and said nothing.
    #[track_caller]
    pub(crate) fn silent(&self, code: i32) {
        let said = (self.code(), self.stdout.as_str(), self.stderr.as_str());
        assert_eq!(said, (Some(code), "", ""));
    }

    /// Asserts the answer yes, with nothing said but what belongs to the host that wrote the set.
    #[track_caller]
    pub(crate) fn passes(&self) {
        assert_eq!((self.code(), self.stdout.as_str()), (Some(0), ""), "{self:?}");
        self.noted();
    }

    /// Asserts that only such notes were made: every set of a host of AMD has some.
    #[track_caller]
    fn noted(&self) {
        let by_host = |line: &str| {
            let kern =
                line.contains(": kern record vmcx at ") || line.contains(": kern record vmx at ");
            line.starts_with("snaptool: note: ") && kern && line.contains("[svm-")
        };
        assert!(self.stderr.lines().all(by_host), "{self:?}");
    }

    /// Asserts the answer no, told on stderr; returns that.
    #[track_caller]
    pub(crate) fn refusal(&self) -> &str {
        self.told(1)
    }

    /// Asserts that it was trouble, told on stderr only; returns that.
    #[track_caller]
    pub(crate) fn trouble(&self) -> &str {
        self.told(2)
    }

    #[track_caller]
    fn told(&self, code: i32) -> &str {
        assert_eq!((self.code(), self.stdout.as_str()), (Some(code), ""), "{}", self.stderr);
        assert!(self.stderr.contains("snaptool: error: "), "{}", self.stderr);
        &self.stderr
    }

    /// Asserts death by a signal, without a word.
    #[track_caller]
    pub(crate) fn died(&self, signal: Signal) {
        let said = (self.status.signal(), self.stderr.as_str());
        assert_eq!(said, (Some(signal.as_raw()), ""));
    }
}

pub(crate) fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Whether whoever started us had this signal ignored: then our children ignore it, too.
pub(crate) fn is_ignored(signal: Signal) -> bool {
    snaptool::signal::ignored_signals() & (1 << (signal.as_raw() - 1)) != 0
}

/// Waits until something is so; a minute without it fails the test.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// Numbers that look random and are always the same (splitmix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Bytes that no compression makes smaller.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut numbers = Numbers(1);
    let words = std::iter::repeat_with(|| numbers.next().to_le_bytes());
    words.take(len.div_ceil(8)).flatten().take(len).collect()
}
