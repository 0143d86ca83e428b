//! What is refused so that a VM has one owner, and no stale copy of it goes anywhere.

use std::fs;
use std::os::unix::fs::{FileExt as _, symlink};
use std::os::unix::net::UnixListener;

use crate::kit::{Ended, SET};
use crate::world::{PATIENT, Server, World};

/// A source that was killed once SUSPENDED was durable, and a target that has all but the offer.
fn suspended() -> World {
    let world = World::small();
    let server = world.serve("--once");
    let mut sender = world.command(&format!("send vm.ckp unix:door {PATIENT}"));
    sender.env("MIGRATE_POINTS", world.bench.path("points")).env("MIGRATE_KILL", "2");
    let sent = Ended::of(sender);
    assert_eq!(sent.code(), None, "{sent:?}");
    server.wait();
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED"]);
    assert_eq!(world.records("there"), [""; 0]);
    world
}

fn handed_over() -> World {
    let world = World::small();
    let server = world.serve("");
    let sent = world.send("");
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    assert_eq!(server.wait().code(), Some(0));
    world
}

/// Another target, in another directory.
fn two(world: &World) -> Server {
    world.serve_as(world.command(&format!("recv two --listen unix:two.door {PATIENT}")))
}

/// A source's VM has run on, and was suspended once more under the same name.
fn run_on(world: &World) {
    let ram = fs::File::options().write(true).open(world.bench.path("vm.ckp")).unwrap();
    let middle = ram.metadata().unwrap().len() / 2;
    ram.write_all_at(b"another state", middle).unwrap();
}

/// The words that lead to a directory here by way of ssh.
fn over_ssh(world: &World, dir: &str) -> String {
    let (ssh, dir) = (world.stand_in(), world.bench.path(dir));
    let remote = env!("CARGO_BIN_EXE_migrate-tested");
    format!("ssh://host{} --ssh {} --remote-command {remote}", dir.display(), ssh.display())
}

#[track_caller]
fn refused(ended: &Ended, words: &str) {
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains(words), "{ended:?}");
}

#[test]
fn what_a_wrong_target_does_not_know_takes_nothing_back() {
    let world = suspended();
    let other = two(&world);
    let line = format!("resolve vm.ckp back --to unix:two.door {PATIENT}");
    refused(&world.run(&line), "offered to another target");
    let moved = world.run(&format!("{line} --peer-moved"));
    refused(&moved, "does not know of this hand-over (idle)");
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED"]);
    other.kill();
}

#[test]
fn what_a_busy_target_does_not_say_takes_nothing_back() {
    let world = suspended();
    let server = world.serve("");
    let to = over_ssh(&world, "there");
    let back = world.run(&format!("resolve vm.ckp back --peer-moved {PATIENT} --to {to}"));
    refused(&back, "does not know of this hand-over (busy)");
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED"]);
    server.kill();
}

#[test]
fn asking_a_wrong_place_makes_nothing_there() {
    let world = suspended();
    let to = over_ssh(&world, "nowhere");
    let back = world.run(&format!("resolve vm.ckp back --peer-moved {PATIENT} --to {to}"));
    assert_eq!(back.code(), Some(2), "{back:?}");
    assert!(back.stderr.contains("no migration has come to"), "{back:?}");
    assert!(!world.bench.path("nowhere").exists());
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED"]);
}

#[test]
fn what_the_target_has_no_record_of_comes_back_and_is_started() {
    let world = suspended();
    let mut words = vec!["resolve", "vm.ckp", "back", "--to", "unix:door", PATIENT];
    words.extend(["--run", "cp {} back", "--ready", "command:test -e back"]);
    let server = world.serve("");
    let back = Ended::of(world.command_of(words));
    assert_eq!(back.code(), Some(0), "{back:?} {}", server.said());
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED", "RESUMING", "RESUMED"]);
    assert!(world.bench.same("vm.ckp", "back"));
    assert_eq!(world.records("there"), [""; 0]);
    server.kill();
}

#[test]
fn a_command_that_would_not_be_run_is_refused() {
    let world = suspended();
    let words = ["resolve", "vm.ckp", "claim", "--peer-is-off", "--run", "true"];
    refused(&Ended::of(world.command_of(words)), "nothing is started by this decision");
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED"]);
}

#[test]
fn nobody_is_fenced_for_a_claim_that_cannot_be() {
    let world = handed_over();
    let words = ["resolve", "vm.ckp", "claim", "--fence", "touch fenced"];
    refused(&Ended::of(world.command_of(words)), "cannot be claimed");
    assert!(!world.bench.path("fenced").exists());
    // The name of a VM that is not known fences nothing, or all.
    let world = suspended();
    fs::remove_file(world.bench.path("vm.ckp.migrate/session")).unwrap();
    let words = ["resolve", "vm.ckp", "claim", "--fence", "echo {} > fenced"];
    refused(&Ended::of(world.command_of(words)), "the VM's name is not known here");
    assert!(!world.bench.path("fenced").exists());
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED"]);
}

#[test]
fn the_owners_only_copy_is_not_discarded() {
    let world = handed_over();
    let discard = format!("recv there --listen unix:door --discard {PATIENT}");
    let kept = world.run(&discard);
    assert_eq!(kept.code(), Some(2), "{kept:?}");
    assert!(kept.stderr.contains("this is its owner's copy"), "{kept:?}");
    world.assert_arrived();
    assert_eq!(world.status("there")["phase"], "Kept");
    // Another VM's source is not told to discard it either.
    let server = world.serve("");
    run_on(&world);
    let sent = world.send("--anew");
    refused(&sent, "this is its owner's copy");
    assert!(!sent.stderr.contains("iscard"), "{sent:?}");
    assert!(sent.stderr.contains("name another directory"), "{sent:?}");
    server.kill();
}

#[test]
fn a_claimed_vm_is_not_discarded() {
    let world = World::small();
    let server = world.serve("--once");
    let mut sender = world.command(&format!("send vm.ckp unix:door {PATIENT}"));
    sender.env("MIGRATE_POINTS", world.bench.path("points")).env("MIGRATE_KILL", "5");
    assert_eq!(Ended::of(sender).code(), None);
    server.wait();
    let claim = world.run("resolve there claim --peer-is-off");
    assert_eq!(claim.code(), Some(0), "{claim:?}");
    let claimed = world.run(&format!("recv there --listen unix:door --discard {PATIENT}"));
    assert_eq!(claimed.code(), Some(2), "{claimed:?}");
    assert!(claimed.stderr.contains("this is its owner's copy"), "{claimed:?}");
    world.assert_arrived();
}

#[test]
fn what_is_unfinished_is_discarded_when_a_source_begins_and_not_before() {
    let world = suspended();
    let server = world.serve("--discard");
    assert_eq!(world.status("unix:door")["phase"], "idle");
    server.kill();
    assert_eq!(world.status("there")["phase"], "receiving");
    assert!(world.bench.same("vm.ckp", "there/vm.ckp"));
    fs::remove_dir_all(world.bench.path("vm.ckp.migrate")).unwrap();
    let server = world.serve("");
    refused(&world.send(""), "another hand-over");
    server.kill();
    let server = world.serve("--discard");
    let sent = world.send("");
    assert_eq!(sent.code(), Some(0), "{sent:?} {}", server.said());
    assert_eq!(server.wait().code(), Some(0));
    world.assert_arrived();
}

#[test]
fn what_was_handed_over_does_not_go_to_a_second_target() {
    let world = handed_over();
    let other = two(&world);
    let line = format!("send vm.ckp unix:two.door {PATIENT} --anew");
    refused(&world.run(&line), "what is here is stale");
    // What looks new is found to be the same.
    let bytes = world.bench.read("vm.ckp");
    world.bench.write("vm.ckp", bytes);
    refused(&world.send(""), "another state than what was handed over to unix:door");
    refused(&world.run(&line), "this very state was handed over before");
    refused(&world.send(""), "another state than what was handed over to unix:door");
    assert_eq!(world.records("two"), [""; 0]);
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED", "HANDED-OVER", "DONE"]);
    let sent = world.run(&format!("{line} --peer-vm-is-gone"));
    assert_eq!(sent.code(), Some(0), "{sent:?} {}", other.said());
    assert_eq!(other.wait().code(), Some(0));
}

#[test]
fn a_newer_snapshot_is_not_said_to_be_handed_over_and_goes_anew() {
    let world = handed_over();
    run_on(&world);
    let sent = world.send("");
    refused(&sent, "another state than what was handed over to unix:door");
    assert!(sent.stderr.contains("--anew"), "{sent:?}");
    let other = two(&world);
    let sent = world.run(&format!("send vm.ckp unix:two.door {PATIENT} --anew"));
    assert_eq!(sent.code(), Some(0), "{sent:?} {}", other.said());
    assert_eq!(other.wait().code(), Some(0));
    assert!(world.bench.same("vm.ckp", "two/vm.ckp"));
}

#[test]
fn what_ended_before_is_not_called_this_sides() {
    let world = handed_over();
    run_on(&world);
    let listener = UnixListener::bind(world.bench.path("hangs-up")).unwrap();
    let line = format!("send vm.ckp unix:hangs-up {PATIENT} --anew");
    let child = world.command(&line).spawn().unwrap();
    drop(listener.accept().unwrap());
    let sent = Ended::waited(child);
    assert_eq!(sent.code(), Some(2), "{sent:?}");
    assert!(!sent.stderr.contains("the VM is this side's"), "{sent:?}");
    assert!(sent.stderr.contains("the hand-over before it ended: Done"), "{sent:?}");
}

#[test]
fn one_vm_has_one_journal_by_whatever_name() {
    let world = handed_over();
    for ending in SET {
        let [file, link] =
            ["vm.ckp", "link.ckp"].map(|it| world.bench.path(format!("{it}{ending}")));
        symlink(file, link).unwrap();
    }
    let server = world.serve("");
    let sent = world.run(&format!("send link.ckp unix:door {PATIENT}"));
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    assert!(sent.stderr.contains("was handed over before"), "{sent:?}");
    assert!(!world.bench.path("link.ckp.migrate").exists());
    server.kill();
    for ending in SET {
        let [file, link] =
            ["vm.ckp", "hard.ckp"].map(|it| world.bench.path(format!("{it}{ending}")));
        fs::hard_link(file, link).unwrap();
    }
    refused(&world.run(&format!("send hard.ckp unix:door {PATIENT}")), "has 2 names");
    assert!(!world.bench.path("hard.ckp.migrate").exists());
}

#[test]
fn a_received_vm_is_sent_on_only_where_it_is_kept() {
    let world = handed_over();
    let other = two(&world);
    let sent = world.run(&format!("send there/vm.ckp unix:two.door {PATIENT}"));
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    assert_eq!(other.wait().code(), Some(0));
    // Where it has run, it is stale.
    let world = World::small();
    let words = ["recv", "there", "--listen", "unix:door", PATIENT, "--run", "cp {} ran"];
    let ready = ["--ready", "command:test -e ran"];
    let server = world.serve_as(world.command_of(words.into_iter().chain(ready)));
    assert_eq!(world.send("").code(), Some(0));
    assert_eq!(server.wait().code(), Some(0));
    let sent = world.run(&format!("send there/vm.ckp unix:two.door {PATIENT}"));
    refused(&sent, "the VM has run from it");
    assert!(!world.bench.path("there/vm.ckp.migrate").exists());
}

#[test]
fn a_vm_is_started_at_the_other_side_of_ssh_by_one_option() {
    let world = World::small();
    let to = over_ssh(&world, "there");
    let mut words: Vec<_> = ["send", "vm.ckp"].into_iter().chain(to.split(' ')).collect();
    words.extend([PATIENT, "--remote-run", "cp {} ran", "--recv-arg=--ready=command:test -e ran"]);
    let sent = Ended::of(world.command_of(words));
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    assert!(world.bench.same("vm.ckp", "ran"));
    assert_eq!(world.status("there")["phase"], "Running");
    // Elsewhere it would be lost.
    let sent = world.run(&format!("send vm.ckp unix:door {PATIENT} --remote-run true"));
    assert_eq!(sent.code(), Some(2), "{sent:?}");
    assert!(sent.stderr.contains("go through ssh only"), "{sent:?}");
}

#[test]
fn whoever_only_asks_is_not_the_one_source() {
    let world = World::small();
    let server = world.serve("--once");
    assert_eq!(world.status("unix:door")["phase"], "idle");
    let planned = world.run(&format!("plan vm.ckp unix:door {PATIENT}"));
    assert_eq!(planned.code(), Some(0), "{planned:?}");
    let sent = world.send("");
    assert_eq!(sent.code(), Some(0), "{sent:?} {}", server.said());
    assert_eq!(server.wait().code(), Some(0));
    world.assert_arrived();
}
