//! Copies, which hand nothing over.

use std::fs;

use crate::kit::Ended;
use crate::world::{PATIENT, World};

#[test]
fn a_copy_in_a_file_is_received_from_it() {
    let world = World::new();
    let sent = world.run(&format!("send vm.ckp file:copy {PATIENT}"));
    sent.silent(0);
    let received = received(&world, "copy");
    assert_eq!(received.code(), Some(0), "{received:?}");
    assert_eq!(received.stdout, "");
    world.assert_arrived();
    assert!(world.records("there").is_empty());
    assert!(!world.bench.path("vm.ckp.migrate").exists());
}

fn received(world: &World, copy: &str) -> Ended {
    let mut command = world.command(&format!("recv there {PATIENT}"));
    command.stdin(fs::File::open(world.bench.path(copy)).unwrap());
    Ended::of(command)
}

#[test]
fn a_copy_goes_through_a_pipe() {
    let world = World::new();
    let mut sender = world.command(&format!("send vm.ckp - {PATIENT}")).spawn().unwrap();
    let mut receiver = world.command(&format!("recv there {PATIENT}"));
    let received = Ended::of({
        receiver.stdin(sender.stdout.take().unwrap());
        receiver
    });
    let sent = Ended::waited(sender);
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    assert_eq!(received.code(), Some(0), "{received:?}");
    world.assert_arrived();
}

#[test]
fn a_copy_that_ends_early_is_none() {
    let world = World::small();
    world.run(&format!("send vm.ckp file:copy {PATIENT}")).silent(0);
    let whole = world.bench.read("copy");
    // In the middle of RAM; before the last item; within the last item.
    for cut in [whole.len() / 2, whole.len() - 128 - 19, whole.len() - 1] {
        world.bench.write("cut", &whole[..cut]);
        let received = received(&world, "cut");
        assert_eq!(received.code(), Some(2), "{cut}: {received:?}");
        world.assert_not_startable();
    }
    let received = received(&world, "copy");
    assert_eq!(received.code(), Some(0), "{received:?}");
    world.assert_arrived();
}

#[test]
fn a_copy_serves_the_hand_over_that_comes_later() {
    let world = World::new();
    world.run(&format!("send vm.ckp file:copy {PATIENT}")).silent(0);
    let received = received(&world, "copy");
    assert_eq!(received.code(), Some(0), "{received:?}");
    let server = world.serve("");
    let sent = world.send("--progress json");
    assert_eq!(sent.code(), Some(0), "{sent:?} {}", server.said());
    // All of the memory is there already.
    let last = sent.stderr.lines().rfind(|line| line.starts_with('{')).unwrap();
    let last: serde_json::Value = serde_json::from_str(last).unwrap();
    let sent = last["progress"]["sent"].as_u64().unwrap();
    assert!(sent < 1 << 20, "{last}");
    assert_eq!(server.wait().code(), Some(0));
    world.assert_arrived();
}

#[test]
fn a_copy_replaces_nothing_unasked() {
    let world = World::small();
    world.bench.write("copy", "mine");
    let sent = world.run("send vm.ckp file:copy");
    assert_eq!(sent.code(), Some(2), "{sent:?}");
    assert_eq!(world.bench.read("copy"), b"mine");
    world.run(&format!("send vm.ckp file:copy --force {PATIENT}")).silent(0);
    assert_ne!(world.bench.read("copy"), b"mine");
}
