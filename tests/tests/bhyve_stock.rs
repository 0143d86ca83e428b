//! A VM of stock bhyve as a migration's source: by checkpoints, and read while it runs.

// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use migrate::bhyve::stock::{Stock, StockError, World};
use migrate::bhyve::{Cause, Clock, Listener, Patience, Presence, Process, Protocol, Verdict};
use migrate::handover::Guest;
use migrate::vm::{Changed, Running, Source};
use snapfmt::bhyve::Files;
use tests::fake_bhyve::{Conduct, FakeBhyve, VM, Version};

const PAGE: u64 = 4096;
const MEMORY: usize = 19 * 4096;

const PATIENCE: Patience = Patience {
    all: Duration::from_secs(3600),
    look: Duration::from_millis(1),
    settle: Duration::from_millis(3),
};

/// What is around a bhyve. Each look at the clock takes a while.
struct Around {
    bhyve: FakeBhyve,
    time: Cell<Duration>,
    guest: Guest,
    restarted: Vec<PathBuf>,
}

impl Process for Around {
    fn presence(&self) -> Presence {
        self.bhyve.presence()
    }
}

impl Clock for Around {
    fn now(&self) -> Duration {
        self.time.set(self.time.get() + Duration::from_micros(10));
        self.time.get()
    }

    fn wait(&self, time: Duration) {
        self.time.set(self.time.get() + time);
    }
}

impl World for &mut Around {
    fn read(&mut self, gpa: u64, into: &mut [u8]) -> bool {
        let at = usize::try_from(gpa).unwrap();
        let memory = self.bhyve.machine().memory();
        memory.get(at..at + into.len()).is_some_and(|from| {
            into.copy_from_slice(from);
            true
        })
    }

    fn restart(&mut self, files: &Files) -> Guest {
        assert!(files.meta.exists());
        self.restarted.push(files.ram.clone());
        self.guest
    }
}

impl Process for &mut Around {
    fn presence(&self) -> Presence {
        (**self).presence()
    }
}

impl Clock for &mut Around {
    fn now(&self) -> Duration {
        (**self).now()
    }

    fn wait(&self, time: Duration) {
        (**self).wait(time);
    }
}

fn around(conduct: Conduct) -> Around {
    let protocol = Protocol::StreamDirectory;
    let version = Version { protocol, answers: false, primitives: false };
    Around {
        bhyve: FakeBhyve::start(version, conduct),
        time: Cell::default(),
        guest: Guest::Ran,
        restarted: Vec::new(),
    }
}

fn rehearse<'a>(
    around: &'a mut Around,
    directory: &tempfile::TempDir,
    live: bool,
) -> Result<Stock<&'a mut Around>, StockError> {
    let listener = Listener {
        run_dir: around.bhyve.run_dir().to_owned(),
        vm: VM.to_owned(),
        protocol: Protocol::StreamDirectory,
    };
    let (vm, state) = Stock::rehearse(listener, directory.path(), PATIENCE, around, live)?;
    assert_eq!(state.kern.len(), 425);
    Ok(vm)
}

/// All of it: the machine is too small for memory above the hole.
fn whole(vm: &mut impl Source<Error = StockError>) -> Vec<u8> {
    let mut bytes = vec![0; MEMORY];
    vm.read(0, &mut bytes).unwrap();
    bytes
}

fn count(directory: &tempfile::TempDir) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[test]
fn a_rehearsal_tells_how_much_memory_there_is_and_what_the_pause_costs_at_least() {
    let (directory, mut around) = (tempfile::tempdir().unwrap(), around(Conduct::Obeys));
    let vm = rehearse(&mut around, &directory, false).unwrap();
    assert_eq!(vm.memory().size(), MEMORY as u64);
    let cost = vm.cost();
    assert_eq!(cost.running, Running::Stopped);
    let floor = cost.pause.floor(MEMORY as u64).saturating_sub(cost.pause.fixed);
    let differs = floor.abs_diff(vm.written());
    assert!(differs < Duration::from_micros(1), "{floor:?} {:?}", vm.written());
}

#[test]
fn without_the_device_a_round_is_a_checkpoint_and_old_files_go() {
    let (directory, mut around) = (tempfile::tempdir().unwrap(), around(Conduct::Obeys));
    let mut vm = rehearse(&mut around, &directory, false).unwrap();
    let before = whole(&mut vm);
    let mark = vm.mark().unwrap();
    assert_eq!(whole(&mut vm), before);
    let (_, changed) = vm.changed(mark).unwrap();
    assert_eq!(changed, Changed::Scan);
    assert_eq!(count(&directory), 3);
}

#[test]
fn a_running_guest_is_read_as_it_is_and_a_suspended_one_as_it_was() {
    let (directory, mut around) = (tempfile::tempdir().unwrap(), around(Conduct::Obeys));
    around.bhyve.machine().write(PAGE, 1);
    let mut vm = rehearse(&mut around, &directory, true).unwrap();
    assert_eq!(vm.cost().running, Running::Scanned);
    let mark = vm.mark().unwrap();
    assert_eq!((whole(&mut vm)[4096], count(&directory)), (1, 3));
    assert_eq!(vm.changed(mark).unwrap().1, Changed::Scan);
    let state = vm.suspend().unwrap();
    assert!(state.meta.starts_with(b"{"));
    let copy = whole(&mut vm);
    assert_eq!(copy, fs::read(&vm.files().unwrap().ram).unwrap());
    drop(vm);
    assert_eq!(copy, around.bhyve.machine().memory());
}

#[test]
fn the_way_back_starts_from_the_files_of_the_suspend_and_keeps_them() {
    let (directory, mut around) = (tempfile::tempdir().unwrap(), around(Conduct::Obeys));
    let mut vm = rehearse(&mut around, &directory, false).unwrap();
    assert!(matches!(vm.resume(), Err(StockError::Runs)));
    assert!(matches!(vm.destroy(), Err(StockError::Runs)));
    assert!(vm.files().is_none());
    vm.suspend().unwrap();
    let ram = vm.files().unwrap().ram.clone();
    vm.resume().unwrap();
    assert!(vm.files().is_none());
    drop(vm);
    assert_eq!(around.restarted, std::slice::from_ref(&ram));
    assert!(ram.exists());
}

#[test]
fn a_start_that_is_not_known_to_have_worked_leaves_the_vm_suspended() {
    for guest in [Guest::NeverRan, Guest::Unknown] {
        let (directory, mut around) = (tempfile::tempdir().unwrap(), around(Conduct::Obeys));
        around.guest = guest;
        let mut vm = rehearse(&mut around, &directory, false).unwrap();
        vm.suspend().unwrap();
        assert!(matches!(vm.resume(), Err(StockError::NotRestarted(found)) if found == guest));
        assert!(vm.files().is_some());
    }
}

#[test]
fn destroy_leaves_nothing() {
    let (directory, mut around) = (tempfile::tempdir().unwrap(), around(Conduct::Obeys));
    let mut vm = rehearse(&mut around, &directory, false).unwrap();
    vm.suspend().unwrap();
    assert_eq!(count(&directory), 3);
    vm.destroy().unwrap();
    assert_eq!(count(&directory), 0);
}

#[test]
fn a_suspend_whose_files_are_gone_is_a_suspend_all_the_same() {
    let (directory, mut around) = (tempfile::tempdir().unwrap(), around(Conduct::Obeys));
    let mut vm = rehearse(&mut around, &directory, false).unwrap();
    vm.suspend().unwrap();
    let files = vm.files().unwrap().clone();
    fs::remove_file(&files.ram).unwrap();
    assert!(
        matches!(vm.read(0, &mut [0]), Err(StockError::File { path, .. }) if path == files.ram)
    );
    assert!(vm.files().is_some());
}

#[test]
fn a_rehearsal_that_fails_says_that_the_guest_goes_on() {
    let (directory, mut around) = (tempfile::tempdir().unwrap(), around(Conduct::BreaksOff(9)));
    match rehearse(&mut around, &directory, false).map(|_| ()).unwrap_err() {
        StockError::Command(report) => {
            assert!(matches!(report.verdict, Verdict::GoesOn(Cause::Ended(_))));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn memory_is_read_only_where_there_is_some() {
    for live in [false, true] {
        let (directory, mut around) = (tempfile::tempdir().unwrap(), around(Conduct::Obeys));
        let mut vm = rehearse(&mut around, &directory, live).unwrap();
        for gpa in [18 * PAGE, 19 * PAGE, 4 << 30, u64::MAX] {
            let read = vm.read(gpa, &mut [0; 8192]);
            assert!(matches!(read, Err(StockError::Range { .. })), "{gpa:#x}");
        }
    }
}
