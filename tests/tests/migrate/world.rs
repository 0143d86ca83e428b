//! A folder with both sides of a migration in it.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use migrate::journal;
use serde_json::Value;

use crate::kit::{Bench, Ended, FIXTURE, SET, wait_until};

/// Longer than any test should take on a machine that has much else to do.
pub(crate) const PATIENT: &str = "--timeout=120s";

/// A source in `vm.ckp`, and a target in `there`.
pub(crate) struct World {
    pub(crate) bench: Bench,
}

/// A target that listens.
pub(crate) struct Server {
    child: Option<Child>,
    log: PathBuf,
    /// Where it listens.
    pub(crate) place: String,
}

impl World {
    /// A source with a fixture and some RAM that takes a while.
    pub(crate) fn new() -> Self {
        Self { bench: Bench::noisy(3 << 20) }
    }

    /// A source with a fixture as it is.
    pub(crate) fn small() -> Self {
        Self { bench: Bench::fixture(FIXTURE) }
    }

    /// The program with arguments that are words of `line`.
    pub(crate) fn command(&self, line: &str) -> Command {
        self.command_of(line.split_whitespace())
    }

    pub(crate) fn command_of<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_migrate-tested"));
        command.args(words).current_dir(self.bench.path(".")).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ended {
        Ended::of(self.command(line))
    }

    /// Starts a target that listens at a Unix socket.
    pub(crate) fn serve(&self, options: &str) -> Server {
        self.serve_as(self.command(&format!("recv there --listen unix:door {PATIENT} {options}")))
    }

    pub(crate) fn serve_as(&self, mut command: Command) -> Server {
        let log = self.bench.path("server.log");
        let file = File::create(&log).unwrap();
        let mut child = command.stderr(file).spawn().unwrap();
        let mut place = None;
        wait_until("the target listens", || {
            let said = fs::read_to_string(&log).unwrap();
            let line = said.lines().find_map(|line| line.split_once("waiting at "));
            place = line.map(|(_, place)| place.trim().to_owned());
            assert!(place.is_some() || child.try_wait().unwrap().is_none(), "{said}");
            place.is_some()
        });
        Server { child: Some(child), log, place: place.unwrap() }
    }

    /// Sends `vm.ckp` to a target that listens at the Unix socket.
    pub(crate) fn send(&self, options: &str) -> Ended {
        self.run(&format!("send vm.ckp unix:door {PATIENT} {options}"))
    }

    /// Runs both sides over a pair of sockets, as ssh would: the source by `send`, by way of a
    /// stand-in for ssh that has its words run by a shell here.
    pub(crate) fn stand_in(&self) -> PathBuf {
        let path = self.bench.path("ssh");
        // The last argument is what a shell there would be given.
        let script = "#!/bin/sh\nfor last; do :; done\nexec /bin/sh -c \"$last\"\n";
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    /// Asserts that the target has exactly what the source has.
    #[track_caller]
    pub(crate) fn assert_arrived(&self) {
        self.bench.assert_same_set("vm.ckp", "there/vm.ckp");
        let ended = self.bench.run("diff vm.ckp there/vm.ckp");
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        for name in ["there", "vm.ckp.migrate"] {
            let mode = fs::metadata(self.bench.path(name)).map(|data| data.permissions().mode());
            assert!(mode.is_err() || mode.unwrap() & 0o077 == 0, "{name}");
        }
    }

    /// Asserts that the target has nothing that bhyve would start.
    #[track_caller]
    pub(crate) fn assert_not_startable(&self) {
        assert!(!self.bench.path("there/vm.ckp.meta").exists());
    }

    /// The records of a journal, by name.
    pub(crate) fn records(&self, dir: &str) -> Vec<&'static str> {
        let bytes = fs::read(self.bench.path(format!("{dir}/journal"))).unwrap_or_default();
        let records = journal::read(&bytes).unwrap().records;
        records.iter().map(|record| record.entry.kind.name()).collect()
    }

    /// What `status --json` says.
    pub(crate) fn status(&self, place: &str) -> Value {
        let ended = self.run(&format!("status --json {place}"));
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// Both ends of a pair of sockets, one given to a command as stdin and stdout.
    pub(crate) fn with_socket(&self, mut command: Command) -> (Child, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let output = OwnedFd::from(theirs.try_clone().unwrap());
        command.stdin(OwnedFd::from(theirs)).stdout(output);
        (command.spawn().unwrap(), ours)
    }

    /// The names of the three files, in a directory.
    pub(crate) fn set(dir: &str) -> [String; 3] {
        SET.map(|ending| format!("{dir}vm.ckp{ending}"))
    }
}

impl Server {
    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let mut ended = Ended::waited(self.child.take().unwrap());
        ended.stderr = fs::read_to_string(&self.log).unwrap();
        ended
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it by force.
    pub(crate) fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
