//! bhyve's one command, given as each version wants it, over real sockets.

// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::Cell;
use std::fs;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::Duration;

use migrate::bhyve::host::{Bhyve, Monotonic};
use migrate::bhyve::{
    Cause, Clock, Command, Connection, Directory, Failed, Files, Incomplete, Listener, Patience,
    Presence, Process, Protocol, Report, Sighting, Unsent, Verdict, ask,
};
use snapfmt::nvlist::OwnedValue;
use tests::fake_bhyve::{Conduct, FakeBhyve, VM, Version};

/// Time that passes only while nothing else is waited for.
#[derive(Default)]
struct Patient(Cell<Duration>);

impl Clock for Patient {
    fn now(&self) -> Duration {
        self.0.get()
    }

    fn wait(&self, time: Duration) {
        self.0.set(self.0.get() + time);
    }
}

/// In real time the first applies alone.
const PATIENCE: Patience = Patience {
    all: Duration::from_secs(3600),
    look: Duration::from_millis(1),
    settle: Duration::from_millis(3),
};

/// All that a bhyve can be.
fn versions() -> Vec<Version> {
    let plain = |protocol| Version { protocol, answers: false, primitives: false };
    let mut all: Vec<_> = Protocol::ALL.map(plain).to_vec();
    let newest = plain(Protocol::StreamDirectory);
    all.extend([
        Version { answers: true, ..newest },
        Version { answers: true, primitives: true, ..newest },
    ]);
    all
}

fn listener(bhyve: &FakeBhyve, protocol: Protocol) -> Listener {
    Listener { run_dir: bhyve.run_dir().to_owned(), vm: VM.to_owned(), protocol }
}

struct Run {
    report: Report,
    bhyve: FakeBhyve,
    directory: tempfile::TempDir,
}

fn run(version: Version, conduct: Conduct, command: Command) -> Run {
    let bhyve = FakeBhyve::start(version, conduct);
    let directory = tempfile::tempdir().unwrap();
    let listener = listener(&bhyve, version.protocol);
    let place = (directory.path(), "vm.ckp");
    let clock = Patient::default();
    let report = ask(&listener, command, place, &bhyve, &clock, PATIENCE).unwrap();
    Run { report, bhyve, directory }
}

fn read(directory: &Path, ending: &str) -> Vec<u8> {
    fs::read(directory.join(format!("vm.ckp{ending}"))).unwrap()
}

#[test]
fn every_version_writes_a_checkpoint_and_goes_on() {
    for version in versions() {
        let run = run(version, Conduct::Obeys, Command::Checkpoint);
        assert!(
            matches!(run.report.verdict, Verdict::Complete(_)),
            "{version:?}: {:?}",
            run.report
        );
        assert_eq!(run.report.process, Presence::Lives, "{version:?}");
        let machine = run.bhyve.machine();
        assert_eq!(read(run.directory.path(), ""), machine.memory(), "{version:?}");
        assert_eq!(read(run.directory.path(), ".kern").len(), 425);
        assert_eq!(machine.requests.len(), 1);
    }
}

#[test]
fn every_version_suspends_and_is_gone() {
    for version in versions() {
        let run = run(version, Conduct::Obeys, Command::Suspend);
        assert!(
            matches!(run.report.verdict, Verdict::Complete(_)),
            "{version:?}: {:?}",
            run.report
        );
        assert_eq!(run.report.process, Presence::Gone, "{version:?}");
        assert_eq!(read(run.directory.path(), ""), run.bhyve.machine().memory(), "{version:?}");
    }
}

#[test]
fn every_version_is_told_what_its_own_bhyvectl_tells_it() {
    for version in versions() {
        let run = run(version, Conduct::Obeys, Command::Suspend);
        let request = run.bhyve.machine().requests[0].clone();
        let names: Vec<_> =
            request.pairs().iter().map(|pair| String::from_utf8_lossy(&pair.name)).collect();
        let text = |name: &str| match request.get(name) {
            Some(OwnedValue::String(text)) => String::from_utf8(text.clone()).unwrap(),
            other => panic!("{name}: {other:?}"),
        };
        let path = run.directory.path().join("vm.ckp").to_str().unwrap().to_owned();
        let (wanted, cmd, filename) = match version.protocol {
            Protocol::StreamDirectory => {
                (&["cmd", "filename", "suspend", "fddir"][..], "checkpoint", "vm.ckp".to_owned())
            }
            Protocol::Stream => (&["cmd", "filename", "suspend"][..], "checkpoint", path),
            _ => (&["cmd", "filename"][..], "START_SUSPEND", path),
        };
        assert_eq!(names, wanted);
        assert_eq!((&*text("cmd"), text("filename")), (cmd, filename));
    }
}

#[test]
fn a_checkpoint_that_breaks_off_is_found_out_where_its_end_can_be_seen() {
    for version in versions() {
        if version.protocol.socket() == rustix::net::SocketType::STREAM {
            for command in [Command::Checkpoint, Command::Suspend] {
                let run = run(version, Conduct::BreaksOff(60), command);
                match run.report.verdict {
                    Verdict::GoesOn(Cause::Told(error)) if version.answers => {
                        assert_eq!(error, "Operation not supported");
                    }
                    Verdict::GoesOn(Cause::Ended(Incomplete::Meta(_))) if !version.answers => {}
                    other => panic!("{version:?}: {other:?}"),
                }
                assert_eq!(run.report.process, Presence::Lives);
            }
        }
    }
}

#[test]
fn a_bhyve_that_says_that_all_is_well_is_not_believed() {
    for version in versions() {
        if version.protocol.socket() == rustix::net::SocketType::STREAM {
            let checkpoint = run(version, Conduct::Forgets, Command::Checkpoint).report.verdict;
            assert_eq!(checkpoint, Verdict::GoesOn(Cause::Ended(Incomplete::Nothing)));
            let suspend = run(version, Conduct::Forgets, Command::Suspend).report.verdict;
            assert!(matches!(suspend, Verdict::GoesOn(_)), "{version:?}: {suspend:?}");
        }
    }
}

#[test]
fn a_bhyve_that_dies_is_found_out_over_datagrams_too() {
    for version in versions() {
        let report = run(version, Conduct::Dies(60), Command::Suspend).report;
        assert!(matches!(report.verdict, Verdict::Lost(Incomplete::Meta(_))), "{report:?}");
    }
}

#[test]
fn another_version_than_was_said_is_found_out_before_anything_happens() {
    for version in versions() {
        let bhyve = FakeBhyve::start(version, Conduct::Obeys);
        for protocol in
            Protocol::ALL.into_iter().filter(|p| p.socket() != version.protocol.socket())
        {
            let directory = tempfile::tempdir().unwrap();
            let failed = ask(
                &listener(&bhyve, protocol),
                Command::Suspend,
                (directory.path(), "vm.ckp"),
                &bhyve,
                &Patient::default(),
                PATIENCE,
            )
            .unwrap_err();
            assert!(!failed.may_be_done());
            assert!(matches!(failed, Failed::Unsent(Unsent::OtherKind { .. })), "{failed}");
        }
        assert_eq!(bhyve.machine().requests, []);
    }
}

#[test]
fn files_that_are_there_are_never_overwritten() {
    let version = versions()[3];
    let bhyve = FakeBhyve::start(version, Conduct::Obeys);
    for ending in ["", ".kern", ".meta"] {
        let directory = tempfile::tempdir().unwrap();
        let old = directory.path().join(format!("vm.ckp{ending}"));
        fs::write(&old, "precious").unwrap();
        let failed = ask(
            &listener(&bhyve, version.protocol),
            Command::Checkpoint,
            (directory.path(), "vm.ckp"),
            &bhyve,
            &Patient::default(),
            PATIENCE,
        );
        assert!(matches!(failed, Err(Failed::Exists)));
        assert_eq!(fs::read(old).unwrap(), b"precious");
    }
    assert_eq!(bhyve.machine().requests, []);
}

#[test]
fn nobody_who_listens_is_told_from_a_bhyve_that_is_gone_while_its_socket_stays() {
    let run_dir = tempfile::tempdir().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ask = |protocol| {
        let listener = Listener { run_dir: run_dir.path().into(), vm: VM.into(), protocol };
        let place = (directory.path(), "vm.ckp");
        let process = Bhyve::default();
        ask(&listener, Command::Checkpoint, place, &process, &Patient::default(), PATIENCE)
    };
    let nobody = |failed: Result<Report, Failed>| match failed {
        Err(Failed::Unsent(Unsent::Nobody { source, .. })) => source.kind(),
        other => panic!("{other:?}"),
    };
    for protocol in Protocol::ALL {
        assert_eq!(nobody(ask(protocol)), std::io::ErrorKind::NotFound);
    }
    drop(UnixListener::bind(run_dir.path().join(VM)).unwrap());
    assert_eq!(nobody(ask(Protocol::Stream)), std::io::ErrorKind::ConnectionRefused);
    fs::remove_file(run_dir.path().join(VM)).unwrap();
    drop(UnixDatagram::bind(run_dir.path().join(VM)).unwrap());
    assert_eq!(nobody(ask(Protocol::DatagramList)), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn a_link_in_place_of_meta_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/passwd", directory.path().join("vm.ckp.meta")).unwrap();
    let files = Directory::open(directory.path(), "vm.ckp").unwrap();
    assert!(files.look().is_err());
}

#[test]
fn files_can_be_synced_only_if_all_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let files = Directory::open(directory.path(), "vm.ckp").unwrap();
    assert_eq!(files.look().unwrap(), Sighting::default());
    for ending in ["", ".kern", ".meta"] {
        assert_eq!(files.sync().unwrap_err().kind(), std::io::ErrorKind::NotFound);
        fs::write(directory.path().join(format!("vm.ckp{ending}")), "x").unwrap();
    }
    files.sync().unwrap();
}

#[test]
fn a_process_is_known_by_its_number_or_by_the_node_of_its_vm() {
    let here = rustix::process::getpid();
    let node = tempfile::NamedTempFile::new().unwrap();
    let known = |pid, node: Option<&Path>| Bhyve { pid, node: node.map(Path::to_owned) }.presence();
    assert_eq!(known(Some(here), None), Presence::Lives);
    assert_eq!(known(None, Some(node.path())), Presence::Lives);
    assert_eq!(known(None, Some(Path::new("/dev/vmm/none"))), Presence::Unknown);
    assert_eq!(known(None, None), Presence::Unknown);
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    child.wait().unwrap();
    assert_eq!(known(Some(pid), Some(node.path())), Presence::Gone);
}

#[test]
fn the_clock_of_the_host_never_goes_back() {
    let clock = Monotonic::new();
    let before = clock.now();
    clock.wait(Duration::from_millis(1));
    assert!(clock.now() >= before + Duration::from_millis(1));
}

#[test]
fn a_bhyve_that_takes_no_more_connections_is_an_error_and_no_wait() {
    let run_dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(run_dir.path().join(VM)).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let open = || Connection::open(run_dir.path(), VM, Protocol::Stream);
    let all: Vec<_> = (0..8).map(|_| open()).collect();
    assert!(all[0].is_ok());
    let refused = all.iter().find_map(|one| one.as_ref().err()).unwrap();
    assert!(matches!(refused, Unsent::Socket { .. } | Unsent::Nobody { .. }), "{refused}");
}
