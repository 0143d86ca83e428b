//! Commands that are made up, and a few real ones. No test waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use super::ready::Means;
use super::start::run;
use super::*;
use crate::handover::Guest;
use crate::system::process::{Child, Clock, Ended, Log, Processes, Real, wait};

const SECOND: Duration = Duration::from_secs(1);

/// What becomes of one command.
#[derive(Clone, Copy)]
struct Fate {
    end: Option<(Duration, Ended)>,
    others: bool,
}

const fn code(code: i32) -> Ended {
    Ended { code: Some(code), signal: None }
}

/// Ends after so many seconds.
const fn ends(seconds: u64, how: Ended) -> Fate {
    Fate { end: Some((Duration::from_secs(seconds), how)), others: false }
}

const LIVES: Fate = Fate { end: None, others: true };

/// Time that passes when it is slept, and commands with their fates.
#[derive(Default)]
struct World {
    now: Rc<Cell<Duration>>,
    fates: RefCell<VecDeque<io::Result<Fate>>>,
    /// The words of the shell that were run.
    ran: RefCell<Vec<String>>,
    killed: Rc<Cell<bool>>,
    /// From when on the socket accepts.
    accepts: Option<Duration>,
}

struct FakeChild {
    now: Rc<Cell<Duration>>,
    killed: Rc<Cell<bool>>,
    begin: Duration,
    fate: Fate,
}

impl Clock for World {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn sleep(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }
}

impl Processes for World {
    fn start(&self, command: Command, _: Log) -> io::Result<Box<dyn Child>> {
        let words = command.get_args().nth(1).unwrap().to_str().unwrap();
        self.ran.borrow_mut().push(words.to_owned());
        let fate = self.fates.borrow_mut().pop_front().unwrap()?;
        let (now, killed) = (Rc::clone(&self.now), Rc::clone(&self.killed));
        Ok(Box::new(FakeChild { begin: now.get(), now, killed, fate }))
    }
}

impl Child for FakeChild {
    fn id(&self) -> u32 {
        7
    }

    fn ended(&mut self) -> io::Result<Option<Ended>> {
        let age = self.now.get() - self.begin;
        Ok(self.fate.end.filter(|(end, _)| age >= *end).map(|(_, how)| how))
    }

    fn leaves_others(&self) -> bool {
        self.fate.others
    }

    fn kill(&mut self) -> io::Result<()> {
        self.killed.set(true);
        Ok(())
    }
}

impl World {
    fn new(fates: impl IntoIterator<Item = Fate>) -> Self {
        let fates = fates.into_iter().map(Ok).collect();
        Self { fates: RefCell::new(fates), ..Self::default() }
    }

    fn accepting(self, seconds: u64) -> Self {
        Self { accepts: Some(Duration::from_secs(seconds)), ..self }
    }

    fn start(&self, words: &str, ready: &Ready) -> Started {
        let script = Script::with_place(words).unwrap();
        let contract = Contract { never_ran: vec![65] };
        let (snapshot, patience) = (Path::new("/vm/state"), 60 * SECOND);
        let plan = Plan { script: &script, snapshot, ready, contract: &contract, patience };
        let accepts = |_: &Path| self.accepts.is_some_and(|from| self.now.get() >= from);
        run(&plan, &Means { processes: self, clock: self, accepts: &accepts }, Log::Nowhere)
    }
}

/// What the shell says of a program that is there.
const FOUND: Fate = ends(0, code(0));

fn socket() -> Ready {
    Ready::bhyve("vm").unwrap()
}

const BHYVE: &str = "bhyve -r {} vm";

#[test]
fn a_guest_has_run_when_its_socket_accepts_and_the_process_lives() {
    let world = World::new([FOUND, LIVES]).accepting(3);
    let started = world.start(BHYVE, &socket());
    assert!(matches!(started, Started { guest: Guest::Ran, why: Why::Ready, pid: Some(7) }));
    assert!(!world.killed.get());
    assert_eq!(world.ran.borrow()[1], "trap '' HUP\nbhyve -r \"$1\" vm");
}

#[test]
fn what_accepts_before_anything_was_started_is_another_vm() {
    let world = World::new([]).accepting(0);
    let started = world.start(BHYVE, &socket());
    // It may be what an earlier start of these very files has left.
    assert!(matches!(started, Started { guest: Guest::Unknown, why: Why::AlreadyThere, .. }));
    assert!(world.ran.borrow().is_empty());
}

#[test]
fn a_program_that_is_not_there_never_ran() {
    let world = World::new([ends(0, code(127))]);
    let started = world.start(BHYVE, &socket());
    assert_eq!(started.guest, Guest::NeverRan);
    assert_eq!(started.why.to_string(), "there is no program \"bhyve\"");
    assert_eq!(world.ran.borrow().len(), 1);
}

#[test]
fn a_shell_that_cannot_be_executed_never_ran() {
    let world = World::default();
    world.fates.borrow_mut().push_back(Err(io::ErrorKind::NotFound.into()));
    let started = world.start("a | b {}", &socket());
    assert!(matches!(started, Started { guest: Guest::NeverRan, why: Why::NoShell(_), .. }));
}

#[test]
fn an_exit_code_that_was_declared_proves_that_nothing_ran_if_nothing_is_left() {
    let started = World::new([FOUND, ends(2, code(65))]).start(BHYVE, &socket());
    assert!(matches!(started, Started { guest: Guest::NeverRan, why: Why::Declared(_), .. }));
    let left = Fate { others: true, ..ends(2, code(65)) };
    let started = World::new([FOUND, left]).start(BHYVE, &socket());
    assert!(matches!(started, Started { guest: Guest::Unknown, why: Why::LeftBehind(_), .. }));
}

#[test]
fn any_other_end_before_it_was_ready_leaves_it_unknown() {
    let killed = Ended { code: None, signal: Some(9) };
    for how in [code(1), code(4), code(126), code(127), killed] {
        let started = World::new([FOUND, ends(2, how)]).start(BHYVE, &socket());
        assert_eq!(started.guest, Guest::Unknown, "{how}");
        assert!(matches!(started.why, Why::Ended(end) if end == how), "{how}");
    }
}

#[test]
fn an_exit_code_that_was_declared_proves_nothing_once_something_accepted() {
    /// Ends in the moment in which the socket accepts.
    struct Late(Cell<u32>);
    impl Child for Late {
        fn id(&self) -> u32 {
            7
        }
        fn ended(&mut self) -> io::Result<Option<Ended>> {
            self.0.set(self.0.get() + 1);
            Ok((self.0.get() > 1).then_some(code(65)))
        }
        fn leaves_others(&self) -> bool {
            false
        }
        fn kill(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    struct Once(Cell<bool>);
    impl Processes for Once {
        fn start(&self, _: Command, _: Log) -> io::Result<Box<dyn Child>> {
            self.0.set(true);
            Ok(Box::new(Late(Cell::new(0))))
        }
    }
    let once = Once(Cell::new(false));
    let script = Script::with_place("a; b {}").unwrap();
    let (ready, contract) = (socket(), Contract { never_ran: vec![65] });
    let (snapshot, patience) = (Path::new("/x"), SECOND);
    let plan = Plan { script: &script, snapshot, ready: &ready, contract: &contract, patience };
    let world = World::default();
    let means = Means { processes: &once, clock: &world, accepts: &|_| once.0.get() };
    let started = run(&plan, &means, Log::Nowhere);
    assert!(matches!(started, Started { guest: Guest::Unknown, why: Why::Ended(_), .. }));
}

#[test]
fn a_command_that_puts_the_vm_into_the_background_is_waited_for() {
    let world = World::new([FOUND, ends(1, code(0))]).accepting(5);
    assert_eq!(world.start("vm-start {}", &socket()).guest, Guest::Ran);
    let world = World::new([FOUND, ends(1, code(0))]);
    let started = world.start("vm-start {}", &socket());
    assert!(matches!(started, Started { guest: Guest::Unknown, why: Why::NotReady(_), .. }));
}

#[test]
fn what_is_not_ready_in_time_is_left_alone_and_unknown() {
    let world = World::new([FOUND, LIVES]);
    let started = world.start(BHYVE, &socket());
    assert!(matches!(started, Started { guest: Guest::Unknown, why: Why::NotReady(_), .. }));
    assert!(!world.killed.get());
    assert_eq!(world.now.get().as_secs(), 60);
}

#[test]
fn a_readiness_command_is_asked_again_until_it_says_yes() {
    let ready = Ready::Command(Script::parse("ping vm").unwrap());
    let no = || ends(0, code(1));
    let world = World::new([no(), FOUND, LIVES, no(), no(), ends(0, code(0))]);
    assert_eq!(world.start(BHYVE, &ready).guest, Guest::Ran);
    let world = World::new([ends(0, code(0))]);
    assert!(matches!(world.start(BHYVE, &ready).why, Why::AlreadyThere));
}

#[test]
fn a_readiness_command_that_does_not_end_is_killed_and_has_not_said_yes() {
    let ready = Ready::Command(Script::parse("sleep").unwrap());
    let world = World::new([LIVES, FOUND, LIVES, LIVES, ends(0, code(0))]);
    assert_eq!(world.start(BHYVE, &ready).guest, Guest::Ran);
    assert!(world.killed.get());
}

#[test]
fn a_command_that_must_only_live_has_run_when_it_lived_long_enough() {
    let ready = Ready::Lives(5 * SECOND);
    let world = World::new([FOUND, ends(6, code(1))]);
    assert_eq!(world.start(BHYVE, &ready).guest, Guest::Ran);
    for how in [code(0), code(1)] {
        let started = World::new([FOUND, ends(4, how)]).start(BHYVE, &ready);
        assert!(matches!(started, Started { guest: Guest::Unknown, why: Why::Ended(_), .. }));
    }
}

#[test]
fn only_names_that_can_be_files_have_a_socket() {
    for name in ["", "a/b", "..", ".x"] {
        assert_eq!(Ready::bhyve(name), None, "{name}");
    }
    assert_eq!(Ready::bhyve("vm"), Some(Ready::Socket("/var/run/bhyve/vm".into())));
}

#[test]
fn a_hook_has_done_its_work_only_if_it_ends_with_0_in_time() {
    let script = Script::parse("ipmitool -H {} power off").unwrap();
    let done = |fate| {
        let world = World::new([fate]);
        let done = hook(&script, OsStr::new("peer"), 30 * SECOND, &world, &world);
        (done, world.killed.get())
    };
    assert!(matches!(done(ends(2, code(0))), (Ok(()), false)));
    assert!(matches!(done(ends(2, code(1))), (Err(HookError::Failed(_)), false)));
    assert!(matches!(done(ends(31, code(0))), (Err(HookError::Late(_)), true)));
    assert!(matches!(done(LIVES), (Err(HookError::Late(_)), true)));
}

#[test]
fn real_commands_end_as_they_are_seen_to() {
    let script = Script::with_place("test {} = /x/y && exit 65").unwrap();
    let contract = Contract { never_ran: vec![65] };
    let (ready, snapshot) = (Ready::Lives(60 * SECOND), Path::new("/x/y"));
    let plan = |script, contract| Plan {
        script,
        snapshot,
        ready: &ready,
        contract,
        patience: 60 * SECOND,
    };
    let started = start(&plan(&script, &contract), &Real, &Real, Log::Nowhere);
    assert_eq!(started.guest, Guest::NeverRan, "{}", started.why);
    let none = Contract::default();
    let started = start(&plan(&script, &none), &Real, &Real, Log::Nowhere);
    assert_eq!(started.guest, Guest::Unknown, "{}", started.why);
    let nothing = Script::with_place("no-such-program-anywhere {}").unwrap();
    let started = start(&plan(&nothing, &contract), &Real, &Real, Log::Nowhere);
    assert!(matches!(started, Started { guest: Guest::NeverRan, why: Why::NoProgram(_), .. }));
}

#[test]
fn a_real_command_has_a_group_of_its_own_and_is_killed_with_all_of_it() {
    let script = Script::parse("sleep 1000 & sleep 1000").unwrap();
    let mut child = Real.start(script.command(OsStr::new("")), Log::Nowhere).unwrap();
    let group = format!("pgid={}", child.id());
    assert_eq!(wait(child.as_mut(), &Real, Duration::ZERO).unwrap(), None);
    let output = Command::new("ps").args(["-o", "pgid=", "-p", &child.id().to_string()]).output();
    let found = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(format!("pgid={}", found.trim()), group);
    assert!(child.leaves_others());
    child.kill().unwrap();
}
