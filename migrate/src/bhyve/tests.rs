//! What is inferred of a command, in worlds that are written down: no socket, no disk, no time.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::Duration;

use snapfmt::nvlist::{Builder, Nvlist};

use super::watch::Told;
use super::*;

const META: &str = r#"{
  "basic metadata": { "ncpus": 1, "vmname": "vm", "memsize": 8192, "memflags": 0 },
  "kern_structs": [ { "device": "vhpet", "size": 284, "file_offset": 0 } ],
  "devices": [ { "device": "atkbdc", "size": 141, "file_offset": 284 } ]
}
"#;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const PATIENCE: Patience = Patience { all: at(60), look: at(1), settle: at(5) };

fn whole() -> Sighting {
    Sighting { ram: Some(8192), kern: Some(425), meta: Some(META.into()) }
}

fn partial() -> Sighting {
    Sighting { meta: Some(META.as_bytes()[..60].to_vec()), ..whole() }
}

/// A world in which things happen at certain seconds.
struct World {
    now: Cell<Duration>,
    heard: RefCell<Vec<(u64, Heard)>>,
    files: Vec<(u64, Sighting)>,
    process: Vec<(u64, Presence)>,
    sync: Result<(), io::ErrorKind>,
    synced: Cell<u32>,
}

impl World {
    fn new() -> Self {
        Self {
            now: Cell::new(at(1000)),
            heard: RefCell::default(),
            files: Vec::new(),
            process: Vec::new(),
            sync: Ok(()),
            synced: Cell::new(0),
        }
    }

    fn hears(self, second: u64, heard: Heard) -> Self {
        self.heard.borrow_mut().push((second, heard));
        self
    }

    fn closes(self, second: u64) -> Self {
        self.hears(second, Heard::Closed)
    }

    fn answers(self, second: u64, answer: Builder) -> Self {
        self.hears(second, Heard::Answer(answer.build().unwrap()))
    }

    fn shows(mut self, second: u64, files: Sighting) -> Self {
        self.files.push((second, files));
        self
    }

    fn process(mut self, second: u64, presence: Presence) -> Self {
        self.process.push((second, presence));
        self
    }

    fn second(&self) -> u64 {
        self.now.get().as_secs() - 1000
    }

    fn latest<T: Clone>(&self, all: &[(u64, T)]) -> Option<T> {
        all.iter().rfind(|(second, _)| *second <= self.second()).map(|(_, what)| what.clone())
    }

    fn watch(&self, command: Command) -> Report {
        watch(command, &mut &*self, &self, &self, &self, PATIENCE).unwrap()
    }

    fn checkpoint(&self) -> Verdict {
        self.watch(Command::Checkpoint).verdict
    }

    fn suspend(&self) -> Verdict {
        self.watch(Command::Suspend).verdict
    }
}

impl Clock for &World {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn wait(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }
}

impl Line for &World {
    fn hear(&mut self, time: Duration) -> Heard {
        let due = |heard: &mut Vec<(u64, Heard)>, second| {
            heard.first().is_some_and(|(at, _)| *at <= second).then(|| heard.remove(0).1)
        };
        self.wait(time);
        due(&mut self.heard.borrow_mut(), self.second()).unwrap_or(Heard::Nothing)
    }
}

impl Files for &World {
    fn look(&self) -> io::Result<Sighting> {
        Ok(self.latest(&self.files).unwrap_or_default())
    }

    fn sync(&self) -> io::Result<()> {
        self.synced.set(self.synced.get() + 1);
        self.sync.map_err(io::Error::from)
    }
}

impl Process for &World {
    fn presence(&self) -> Presence {
        self.latest(&self.process).unwrap_or(Presence::Lives)
    }
}

fn told(verdict: Verdict) -> String {
    match verdict {
        Verdict::GoesOn(cause) => cause.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_checkpoint_is_complete_when_its_meta_is_finished() {
    let report = World::new().shows(2, partial()).shows(4, whole()).watch(Command::Checkpoint);
    let Verdict::Complete(meta) = &report.verdict else { panic!("{report:?}") };
    assert_eq!(meta.vm.memsize, 8192);
    assert_eq!((report.took, report.process, report.heard), (at(4), Presence::Lives, None));
}

#[test]
fn a_checkpoint_is_not_synced_and_a_suspend_is() {
    let world = World::new().shows(1, whole()).process(1, Presence::Gone);
    assert!(matches!(world.checkpoint(), Verdict::Complete(_)));
    assert_eq!(world.synced.get(), 0);
    assert!(matches!(world.suspend(), Verdict::Complete(_)));
    assert_eq!(world.synced.get(), 1);
}

#[test]
fn a_checkpoint_that_ends_without_whole_files_has_failed_and_the_guest_goes_on() {
    let nothing = World::new().closes(3);
    assert_eq!(
        told(nothing.checkpoint()),
        "bhyve has ended the command: none of the files is there"
    );
    assert_eq!(nothing.second(), 8, "after the time to settle");
    let told = told(World::new().closes(3).shows(1, partial()).checkpoint());
    assert!(told.starts_with("bhyve has ended the command: `.meta` is not finished"), "{told}");
}

#[test]
fn files_that_show_late_after_the_end_still_count() {
    let world = World::new().closes(2).shows(5, whole());
    assert!(matches!(world.checkpoint(), Verdict::Complete(_)));
}

#[test]
fn what_bhyve_says_is_told_and_cannot_write_on_a_terminal() {
    let world = World::new().answers(1, Nvlist::builder().string("error", "no\x1b[2J"));
    assert_eq!(told(world.checkpoint()), "bhyve says: no\\x1b[2J");
    let world = World::new().answers(1, Nvlist::builder().number("error", 22));
    assert_eq!(told(world.suspend()), "bhyve says: an error that is not text");
}

#[test]
fn an_answer_without_error_is_not_believed() {
    let world = World::new().answers(1, Nvlist::builder()).shows(0, partial());
    assert!(matches!(world.checkpoint(), Verdict::GoesOn(Cause::Ended(_))));
    let world = World::new().answers(1, Nvlist::builder()).shows(0, whole());
    assert_eq!(world.suspend(), Verdict::GoesOn(Cause::Returned));
}

#[test]
fn a_suspend_is_complete_when_the_process_is_gone_too() {
    let world = World::new().shows(2, whole()).closes(3).process(4, Presence::Gone);
    let report = world.watch(Command::Suspend);
    assert!(matches!(report.verdict, Verdict::Complete(_)), "{report:?}");
    assert_eq!(report.took, at(4));
}

#[test]
fn whole_files_of_a_bhyve_that_does_not_go_are_not_used() {
    let world = World::new().shows(2, whole()).closes(3);
    assert!(matches!(world.suspend(), Verdict::Lingers(_)));
    assert_eq!(world.second(), 8);
}

#[test]
fn a_process_of_unknown_number_is_gone_when_it_has_closed_its_connection() {
    let world = World::new().shows(2, whole()).closes(3).process(0, Presence::Unknown);
    assert!(matches!(world.suspend(), Verdict::Complete(_)));
    let world = World::new().shows(2, partial()).closes(3).process(0, Presence::Unknown);
    assert!(matches!(world.suspend(), Verdict::Unknown(Incomplete::Meta(_))));
    let world = World::new().shows(2, whole()).process(0, Presence::Unknown);
    assert!(matches!(world.suspend(), Verdict::Lingers(_)), "no connection that could close");
    assert_eq!(world.second(), 60);
}

#[test]
fn a_bhyve_that_dies_before_its_files_are_whole_has_lost_the_memory() {
    let world = World::new().shows(2, partial()).process(3, Presence::Gone);
    assert!(matches!(world.suspend(), Verdict::Lost(Incomplete::Meta(_))));
    assert!(matches!(world.checkpoint(), Verdict::Lost(_)));
}

#[test]
fn a_suspend_that_fails_leaves_the_guest_where_it_was() {
    let world = World::new().shows(2, partial()).closes(3);
    assert!(matches!(world.suspend(), Verdict::GoesOn(Cause::Ended(_))));
}

#[test]
fn when_the_time_is_over_nothing_is_known() {
    let world = World::new().shows(2, partial());
    assert!(matches!(world.checkpoint(), Verdict::Unknown(Incomplete::Meta(_))));
    assert_eq!(world.second(), 60);
    let world = World::new().shows(2, partial());
    assert!(matches!(world.suspend(), Verdict::Unknown(_)));
}

#[test]
fn files_that_cannot_be_synced_are_not_complete() {
    let mut world = World::new().shows(2, whole()).process(3, Presence::Gone);
    world.sync = Err(io::ErrorKind::StorageFull);
    assert!(matches!(world.suspend(), Verdict::NotSynced(_, io::ErrorKind::StorageFull)));
}

#[test]
fn every_verdict_has_advice_of_its_own() {
    let meta = || Box::new(whole().complete().unwrap());
    let mut all = vec![
        Verdict::Complete(meta()).advice(),
        Verdict::GoesOn(Cause::Returned).advice(),
        Verdict::Lost(Incomplete::Nothing).advice(),
        Verdict::Lingers(meta()).advice(),
        Verdict::NotSynced(meta(), io::ErrorKind::Other).advice(),
        Verdict::Unknown(Incomplete::Nothing).advice(),
    ];
    all.dedup();
    assert_eq!(all.len(), 6);
}

#[test]
fn files_are_whole_only_if_all_three_agree() {
    assert!(whole().complete().is_ok());
    let mut short = META.as_bytes().to_vec();
    for cut in (1..META.trim_end().len()).rev() {
        short.truncate(cut);
        let seen = Sighting { meta: Some(short.clone()), ..whole() };
        assert!(matches!(seen.complete(), Err(Incomplete::Meta(_))), "{cut}");
    }
    let length = |ending, found, wanted| Err(Incomplete::Length { ending, found, wanted });
    let seen = |ram, kern| Sighting { ram, kern, ..whole() };
    let complete = |seen: Sighting| seen.complete().map(|_| ());
    assert_eq!(complete(seen(Some(8191), Some(425))), length("", 8191, 8192));
    assert_eq!(complete(seen(Some(8192), Some(424))), length(".kern", 424, 425));
    assert_eq!(complete(seen(None, Some(425))), Err(Incomplete::Missing("")));
    assert_eq!(complete(seen(Some(8192), None)), Err(Incomplete::Missing(".kern")));
    assert_eq!(complete(Sighting { meta: None, ..whole() }), Err(Incomplete::Missing(".meta")));
    assert_eq!(complete(Sighting::default()), Err(Incomplete::Nothing));
}

#[test]
fn a_broken_connection_is_an_end() {
    let mut told = Told::default();
    told.hear(Heard::Broken(crate::msgio::Error::TimedOut));
    assert!(!told.open && !told.answered);
}
