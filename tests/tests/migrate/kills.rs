//! Both processes killed by SIGKILL: at every step of every write to a journal, and in the middle
//! of memory. The same commands go on, and the VM has one owner.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use crate::kit::{Ended, send, wait_until};
use crate::world::{PATIENT, World};
use rustix::process::Signal;

/// The variables that count points, and kill at one of them.
fn watch(command: &mut Command, list: &std::path::Path, kill: Option<usize>) {
    command.env("MIGRATE_POINTS", list).env_remove("MIGRATE_KILL");
    if let Some(point) = kill {
        command.env("MIGRATE_KILL", point.to_string());
    }
}

/// One hand-over, in which one side is killed at a point, if it is.
fn attempt(world: &World, kills: [Option<usize>; 2]) -> [Ended; 2] {
    attempt_with(world, kills, &[])
}

/// The same, with more words for the target.
fn attempt_with(world: &World, kills: [Option<usize>; 2], more: &[&str]) -> [Ended; 2] {
    let words = ["recv", "there", "--listen", "unix:door", PATIENT, "--once"];
    let mut server = world.command_of(words.into_iter().chain(more.iter().copied()));
    watch(&mut server, &world.bench.path("points.target"), kills[1]);
    let server = world.serve_as(server);
    let mut sender = world.command(&format!("send vm.ckp unix:door {PATIENT}"));
    watch(&mut sender, &world.bench.path("points.source"), kills[0]);
    let sent = Ended::of(sender);
    [sent, server.wait()]
}

fn points(world: &World, side: &str) -> Vec<String> {
    let list = fs::read_to_string(world.bench.path(format!("points.{side}"))).unwrap();
    list.lines().map(str::to_owned).collect()
}

const HEAD: &str = "| killed | at | source and target then | after the same commands |\n\
                    |---|---|---|---|\n";

/// The phase of either side, and whether it counts as owner.
fn outcome(world: &World) -> String {
    let side = |place: &str| {
        let status = world.status(place);
        let [phase, owner] = ["phase", "owner"].map(|key| status[key].as_str().map(str::to_owned));
        let phase = phase.unwrap_or_else(|| "no journal".to_owned());
        format!("{phase} ({})", owner.unwrap_or_else(|| "-".to_owned()))
    };
    format!("{}; {}", side("vm.ckp"), side("there"))
}

#[test]
fn whoever_is_killed_at_whatever_step_the_same_commands_go_on_to_one_owner() {
    let world = World::small();
    let whole = attempt(&world, [None, None]);
    assert!(whole.iter().all(|ended| ended.code() == Some(0)), "{whole:?}");
    let steps = ["source", "target"].map(|side| points(&world, side));
    // SUSPENDED, HANDED-OVER, DONE; READY, OWNER, KEPT, SETTLED: three steps each.
    assert_eq!(steps.each_ref().map(Vec::len), [9, 12]);
    let mut table = String::from(HEAD);
    for (side, steps) in steps.iter().enumerate() {
        for (point, step) in steps.iter().enumerate() {
            let world = World::small();
            let mut kills = [None, None];
            kills[side] = Some(point);
            let ended = attempt(&world, kills);
            let signal = ended[side].status.signal();
            assert_eq!(signal, Some(Signal::KILL.as_raw()), "{side} {point}: {ended:?}");
            // A target whose snapshot is not its own yet has none that bhyve starts.
            if !world.records("there").contains(&"OWNER") {
                world.assert_not_startable();
            }
            let left = outcome(&world);
            let again = attempt(&world, [None, None]);
            let said = format!("{side} {point}: {ended:?} then {again:?}");
            let who = ["source", "target"][side];
            table += &format!("| {who} | {step} | {left} | {} |\n", outcome(&world));
            assert_eq!(again[0].code(), Some(0), "{said}");
            world.assert_arrived();
            assert_eq!(world.status("vm.ckp")["owner"], "no", "{said}");
            assert_eq!(world.status("there")["phase"], "Kept", "{said}");
            assert_eq!(world.status("there")["settled"], true, "{said}");
        }
    }
    insta::assert_snapshot!("kept", table);
}

/// A guest that can be started once only, and what shows it.
const GUEST: [&str; 4] = ["--run", "mkdir started; : {}", "--ready", "command:test -d started"];

#[test]
fn a_target_that_starts_the_vm_is_killed_at_whatever_step_and_it_starts_once_at_most() {
    let world = World::small();
    let whole = attempt_with(&world, [None, None], &GUEST);
    assert!(whole.iter().all(|ended| ended.code() == Some(0)), "{whole:?}");
    // READY, OWNER, STARTING, RUNNING, SETTLED: three steps each.
    let steps = points(&world, "target");
    assert_eq!(steps.len(), 15);
    let (mut asked, mut table) = (0, String::from(HEAD));
    for (point, step) in steps.iter().enumerate() {
        let world = World::small();
        let killed = attempt_with(&world, [None, Some(point)], &GUEST);
        assert_eq!(killed[1].status.signal(), Some(Signal::KILL.as_raw()), "{point}: {killed:?}");
        let left = outcome(&world);
        let again = attempt_with(&world, [None, None], &GUEST);
        let said = format!("{point}: {killed:?} then {again:?}");
        table += &format!("| target | {step} | {left} | {} |\n", outcome(&world));
        if world.status("there")["phase"] == "StartUnknown" {
            // A person looks.
            assert!(again.iter().all(|ended| ended.code() == Some(1)), "{said}");
            asked += 1;
            let ran = world.bench.path("started").exists();
            let decision = if ran { "ran" } else { "never-ran" };
            let resolved = world.run(&format!("resolve there {decision}"));
            assert_eq!(resolved.code(), Some(0), "{said}: {resolved:?}");
            let told = attempt_with(&world, [None, None], &GUEST);
            assert_eq!(told[0].code(), Some(i32::from(!ran)), "{said}: {told:?}");
        }
        let [source, target] = ["vm.ckp", "there"].map(|side| world.status(side));
        let owners = [&source["owner"], &target["owner"]];
        let phases = [&source["phase"], &target["phase"]].map(|it| it.as_str().unwrap());
        match phases {
            ["Done", "Running"] => assert!(world.bench.path("started").exists(), "{said}"),
            ["Resumed", "Released"] => assert!(!world.bench.path("started").exists(), "{said}"),
            _ => panic!("{said}: {phases:?}"),
        }
        assert_eq!(owners.iter().filter(|it| **it == "owner").count(), 1, "{said}: {owners:?}");
        let log = fs::read_to_string(world.bench.path("there/start.log")).unwrap_or_default();
        assert!(!log.contains("exists"), "started twice: {said} {log}");
    }
    // After STARTING and before RUNNING was durable.
    assert!((2..=6).contains(&asked), "{asked}");
    insta::assert_snapshot!("started", table);
}

#[test]
fn what_was_received_by_an_earlier_process_is_checked_before_it_is_started() {
    let world = World::small();
    // OWNER is durable, and nothing was started.
    let killed = attempt_with(&world, [None, Some(5)], &GUEST);
    assert_eq!(killed[1].status.signal(), Some(Signal::KILL.as_raw()), "{killed:?}");
    assert_eq!(world.records("there"), ["READY", "OWNER"]);
    let ram = fs::File::options().write(true).open(world.bench.path("there/vm.ckp")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&ram, b"flipped", 8 << 20).unwrap();
    let again = attempt_with(&world, [None, None], &GUEST);
    assert!(again[1].stderr.contains("it is not the state that arrived"), "{again:?}");
    assert!(!world.bench.path("started").exists());
    // Provably nothing ran: the source has the VM again.
    assert_eq!(world.status("vm.ckp")["phase"], "Resumed", "{again:?}");
}

#[test]
fn what_arrived_before_a_kill_is_not_sent_again() {
    let world = World { bench: crate::kit::Bench::noisy(16 << 20) };
    let sent = |ended: &Ended| -> u64 {
        let last = ended.stderr.lines().rfind(|line| line.starts_with('{')).unwrap();
        let last: serde_json::Value = serde_json::from_str(last).unwrap();
        last["progress"]["sent"].as_u64().unwrap()
    };
    let server = world.serve("--once");
    let line = format!("send vm.ckp unix:door {PATIENT} --limit 8M --compress none");
    let mut sender = world.command(&line).spawn().unwrap();
    // Some of the memory is on the target's disk.
    let ram = world.bench.path("there/vm.ckp");
    wait_until("some of the memory is there", || {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(&ram).is_ok_and(|data| data.blocks() * 512 > 8 << 20)
    });
    sender.kill().unwrap();
    sender.wait().unwrap();
    let received = server.wait();
    assert_eq!(received.code(), Some(2), "{received:?}");
    world.assert_not_startable();
    assert_eq!(world.status("there")["phase"], "receiving");
    let server = world.serve("");
    let again = world.send("--compress none --progress json");
    assert_eq!(again.code(), Some(0), "{again:?}");
    assert_eq!(server.wait().code(), Some(0));
    world.assert_arrived();
    // All that is random is 16 MiB; 8 of them were there, but for the blocks on their way.
    assert!(sent(&again) < 11 << 20, "{}", sent(&again));
}

#[test]
fn a_target_that_is_killed_in_the_middle_of_memory_goes_on() {
    let world = World { bench: crate::kit::Bench::noisy(16 << 20) };
    let mut server = world.serve("");
    let line = format!("send vm.ckp unix:door {PATIENT} --limit 8M --compress none");
    let sender = world.command(&line).spawn().unwrap();
    let ram = world.bench.path("there/vm.ckp");
    wait_until("some of the memory is there", || {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(&ram).is_ok_and(|data| data.blocks() * 512 > 4 << 20)
    });
    send(server.child(), Signal::KILL);
    let sent = Ended::waited(sender);
    assert_eq!(sent.code(), Some(2), "{sent:?}");
    assert!(sent.stderr.contains("the same command goes on"), "{sent:?}");
    server.wait();
    let server = world.serve("");
    assert_eq!(world.send("").code(), Some(0));
    assert_eq!(server.wait().code(), Some(0));
    world.assert_arrived();
}
