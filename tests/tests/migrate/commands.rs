//! What people look at and decide.

use std::fs;

use crate::kit::Ended;
use crate::world::{PATIENT, World};

/// A source that was killed once HANDED-OVER was durable, and a target that is READY.
fn torn_apart() -> World {
    let world = World::small();
    let server = world.serve("--once");
    let mut sender = world.command(&format!("send vm.ckp unix:door {PATIENT}"));
    sender.env("MIGRATE_POINTS", world.bench.path("points"));
    // Before write, before sync and after sync of SUSPENDED, then of HANDED-OVER.
    let sent = Ended::of({
        sender.env("MIGRATE_KILL", "5");
        sender
    });
    assert_eq!(sent.code(), None, "{sent:?}");
    server.wait();
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED", "HANDED-OVER"]);
    assert_eq!(world.records("there"), ["READY"]);
    world
}

#[test]
fn a_plan_makes_no_file_and_says_what_differs() {
    let world = World::small();
    let (ssh, dir) = (world.stand_in(), world.bench.path("there"));
    let remote = env!("CARGO_BIN_EXE_migrate-tested");
    let (ssh, dir) = (ssh.display(), dir.display());
    let before = world.bench.names();
    let line =
        format!("plan vm.ckp ssh://host{dir} --ssh {ssh} --remote-command {remote} {PATIENT}");
    let planned = world.run(&line);
    assert_eq!(planned.code(), Some(0), "{planned:?}");
    assert!(planned.stdout.contains("compression zstd:1"), "{planned:?}");
    assert_eq!(world.bench.names(), before);
    let planned = world.run(&format!("{line} --json"));
    let plan: serde_json::Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(plan["ok"], true);
    let findings = plan["findings"].as_array().unwrap();
    assert!(findings.iter().any(|it| it["subject"] == "page_size" && it["grade"] == "same"));
}

#[test]
fn what_was_handed_over_goes_on_and_needs_no_decision() {
    let world = torn_apart();
    assert_eq!(world.status("vm.ckp")["owner"], "no");
    assert!(world.status("there")["question"].is_string());
    let server = world.serve("");
    let sent = world.send("");
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    assert_eq!(server.wait().code(), Some(0));
    world.assert_arrived();
}

#[test]
fn the_way_back_is_asked_of_the_target() {
    let world = torn_apart();
    let server = world.serve("");
    let back = world.run(&format!("resolve vm.ckp back --to unix:door {PATIENT}"));
    assert_eq!(back.code(), Some(1), "{back:?}");
    assert!(back.stderr.contains("the VM is this side's again"), "{back:?}");
    let received = server.wait();
    assert_eq!(received.code(), Some(1), "{received:?}");
    assert_eq!(world.records("there"), ["READY", "RELEASED"]);
    assert_eq!(world.status("vm.ckp")["phase"], "Resumed");
    assert!(!world.bench.path("there/vm.ckp").exists());
}

#[test]
fn a_claim_wants_a_reason_and_gives_the_vm_to_one_side() {
    let world = torn_apart();
    let claim = world.run("resolve there claim");
    assert_eq!(claim.code(), Some(1), "{claim:?}");
    assert_eq!(world.records("there"), ["READY"]);
    let claim = world.run("resolve there claim --fence false");
    assert_eq!(claim.code(), Some(2), "{claim:?}");
    assert_eq!(world.records("there"), ["READY"]);
    world.assert_not_startable();
    let claim = world.run("resolve there claim --peer-is-off");
    assert_eq!(claim.code(), Some(0), "{claim:?}");
    assert_eq!(world.records("there"), ["READY", "CLAIMED"]);
    // A person starts it: bhyve finds all it needs.
    world.assert_arrived();
    // The source hears of it, and gives its copy up.
    let server = world.serve("--once");
    let sent = world.send("");
    assert_eq!(sent.code(), Some(1), "{sent:?} {}", server.said());
    assert_eq!(world.status("vm.ckp")["phase"], "Superseded");
}

#[test]
fn fencing_that_succeeds_gives_the_vm_to_this_side() {
    let world = torn_apart();
    let words = ["resolve", "vm.ckp", "claim", "--fence", "echo {} > fenced"];
    let claim = Ended::of(world.command_of(words));
    assert_eq!(claim.code(), Some(0), "{claim:?}");
    assert_eq!(world.records("vm.ckp.migrate").last(), Some(&"CLAIMED"));
    let name = world.status("vm.ckp")["vm"].as_str().unwrap().to_owned();
    assert_eq!(fs::read_to_string(world.bench.path("fenced")).unwrap().trim(), name);
}

#[test]
fn nothing_to_decide_is_no_decision() {
    let world = World::small();
    let ended = world.run("resolve vm.ckp claim --peer-is-off");
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(!world.bench.path("vm.ckp.migrate").exists());
    let ended = world.run("status vm.ckp");
    assert_eq!(ended.code(), Some(1), "{ended:?}");
}

#[test]
fn another_target_does_not_get_what_was_offered_to_one() {
    let world = torn_apart();
    let other = world.serve_as(world.command(&format!("recv other --listen unix:two {PATIENT}")));
    let sent = world.run(&format!("send vm.ckp unix:two {PATIENT}"));
    assert_eq!(sent.code(), Some(1), "{sent:?}");
    assert!(sent.stderr.contains("offered to another target"), "{sent:?}");
    assert!(!world.bench.path("other/vm.ckp").exists());
    other.kill();
}

#[test]
fn what_was_handed_over_is_not_handed_over_twice_unasked() {
    let world = World::small();
    let server = world.serve("");
    assert_eq!(world.send("").code(), Some(0));
    assert_eq!(server.wait().code(), Some(0));
    let server = world.serve("--once");
    let again = world.send("");
    assert_eq!(again.code(), Some(0), "{again:?}");
    assert!(again.stderr.contains("was handed over before"), "{again:?}");
    server.wait();
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED", "HANDED-OVER", "DONE"]);
}
