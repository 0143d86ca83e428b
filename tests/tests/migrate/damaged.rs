//! A target that was restarted looks at what it has before it says that the VM is its own.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

use crate::kit::Ended;
use crate::world::{PATIENT, World};

/// READY is durable at the target, and the source has handed the VM over; both were killed.
fn ready() -> World {
    let world = World::small();
    let server = world.serve("--once");
    let mut sender = world.command(&format!("send vm.ckp unix:door {PATIENT}"));
    sender.env("MIGRATE_POINTS", world.bench.path("points")).env("MIGRATE_KILL", "5");
    assert_eq!(Ended::of(sender).code(), None);
    server.wait();
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED", "HANDED-OVER"]);
    assert_eq!(world.records("there"), ["READY"]);
    world
}

fn again(world: &World) -> [Ended; 2] {
    let server = world.serve("--once");
    let sent = world.send("");
    [sent, server.wait()]
}

#[track_caller]
fn assert_went_back(world: &World, ended: &[Ended; 2]) {
    assert_eq!(world.records("there"), ["READY", "RELEASED"], "{ended:?}");
    assert_eq!(world.status("vm.ckp")["phase"], "Resumed", "{ended:?}");
    assert_eq!(ended.each_ref().map(Ended::code), [Some(1); 2], "{ended:?}");
    world.assert_not_startable();
}

#[test]
fn a_restarted_target_whose_memory_is_gone_gives_the_vm_back() {
    let world = ready();
    fs::remove_file(world.bench.path("there/vm.ckp")).unwrap();
    let ended = again(&world);
    assert!(ended[1].stderr.contains("vm.ckp is not there"), "{ended:?}");
    assert_went_back(&world, &ended);
}

#[test]
fn a_restarted_target_whose_memory_changed_gives_the_vm_back() {
    let world = ready();
    let ram = fs::File::options().write(true).open(world.bench.path("there/vm.ckp")).unwrap();
    ram.write_all_at(b"flipped", 8 << 20).unwrap();
    let ended = again(&world);
    assert!(ended[1].stderr.contains("it is not the state that arrived"), "{ended:?}");
    assert_went_back(&world, &ended);
}

#[test]
fn a_restarted_target_whose_files_cannot_be_read_stays_where_it_is() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root reads everything");
        return;
    }
    let world = ready();
    let ram = world.bench.path("there/vm.ckp");
    let mode = |mode| fs::set_permissions(&ram, fs::Permissions::from_mode(mode)).unwrap();
    mode(0);
    let ended = again(&world);
    assert_eq!(world.records("there"), ["READY"], "{ended:?}");
    assert_eq!(world.records("vm.ckp.migrate"), ["SUSPENDED", "HANDED-OVER"], "{ended:?}");
    mode(0o600);
    let ended = again(&world);
    assert_eq!(ended.each_ref().map(Ended::code), [Some(0); 2], "{ended:?}");
    world.assert_arrived();
}

#[test]
fn a_target_that_cannot_name_what_it_keeps_says_why_and_keeps_it_later() {
    let world = ready();
    // A directory cannot be replaced by a file.
    let meta = world.bench.path("there/vm.ckp.meta");
    fs::create_dir(&meta).unwrap();
    let ended = again(&world);
    assert_eq!(world.records("there"), ["READY", "OWNER"], "{ended:?}");
    assert!(ended[1].stderr.contains("cannot rename"), "{ended:?}");
    fs::remove_dir(&meta).unwrap();
    let ended = again(&world);
    assert_eq!(ended.each_ref().map(Ended::code), [Some(0); 2], "{ended:?}");
    world.assert_arrived();
}
