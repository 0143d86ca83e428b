//! Ctrl-C: whatever it interrupts, what it leaves is said, harmless, and can be gone on with.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;

use crate::kit::{Bench, Ended, is_ignored, send, wait_until};
use crate::world::{PATIENT, World};

fn slow() -> World {
    World { bench: Bench::noisy(16 << 20) }
}

fn some_is_there(world: &World) {
    let ram = world.bench.path("there/vm.ckp");
    wait_until("some of the memory is there", || {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(&ram).is_ok_and(|data| data.blocks() > 0)
    });
}

#[test]
fn the_source_is_stopped_and_goes_on() {
    if is_ignored(Signal::INT) {
        eprintln!("skipped: SIGINT is ignored here");
        return;
    }
    let world = slow();
    let server = world.serve("");
    let line = format!("send vm.ckp unix:door {PATIENT} --limit 4M --compress none");
    let sender = world.command(&line).spawn().unwrap();
    some_is_there(&world);
    send(&sender, Signal::INT);
    let sent = Ended::waited(sender);
    assert_eq!(sent.status.signal(), Some(Signal::INT.as_raw()), "{sent:?}");
    assert!(sent.stderr.contains("nothing has changed here: the VM is this side's"), "{sent:?}");
    assert!(sent.stderr.contains("the same command goes on where it was"), "{sent:?}");
    world.assert_not_startable();
    // The target still waits.
    let again = world.send("");
    assert_eq!(again.code(), Some(0), "{again:?}");
    let received = server.wait();
    assert_eq!(received.code(), Some(0), "{received:?}");
    assert!(received.stderr.contains("a person stopped it"), "{received:?}");
    world.assert_arrived();
}

#[test]
fn the_target_is_stopped_and_goes_on() {
    if is_ignored(Signal::INT) {
        eprintln!("skipped: SIGINT is ignored here");
        return;
    }
    let world = slow();
    let mut server = world.serve("");
    let line = format!("send vm.ckp unix:door {PATIENT} --limit 4M --compress none");
    let sender = world.command(&line).spawn().unwrap();
    some_is_there(&world);
    send(server.child(), Signal::INT);
    let received = server.wait();
    assert_eq!(received.status.signal(), Some(Signal::INT.as_raw()), "{received:?}");
    assert!(received.stderr.contains("what has arrived stays in there"), "{received:?}");
    let sent = Ended::waited(sender);
    assert_eq!(sent.code(), Some(2), "{sent:?}");
    assert!(sent.stderr.contains("the target: a person stopped it"), "{sent:?}");
    assert!(!world.bench.path("door").exists());
    world.assert_not_startable();
    let server = world.serve("");
    assert_eq!(world.send("").code(), Some(0));
    assert_eq!(server.wait().code(), Some(0));
    world.assert_arrived();
}

#[test]
fn a_target_that_waits_for_nobody_is_stopped_at_once() {
    if is_ignored(Signal::TERM) {
        eprintln!("skipped: SIGTERM is ignored here");
        return;
    }
    let world = World::small();
    let mut server = world.serve("");
    send(server.child(), Signal::TERM);
    let received = server.wait();
    assert_eq!(received.status.signal(), Some(Signal::TERM.as_raw()), "{received:?}");
    assert!(!world.bench.path("door").exists());
}
