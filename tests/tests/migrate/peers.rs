//! Peers that send nothing, garbage, drops, or come second: both sides end with an error, and
//! nothing is harmed.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::kit::{Ended, wait_until};
use crate::world::{PATIENT, World};

/// A target that ends with its first source, and the other end of that connection.
fn target(world: &World, timeout: &str) -> (std::process::Child, UnixStream) {
    world.with_socket(world.command(&format!("recv there --timeout {timeout}")))
}

/// A source, and the other end of its connection.
fn source(world: &World, timeout: &str) -> (std::process::Child, UnixStream) {
    let listener = UnixListener::bind(world.bench.path("door")).unwrap();
    let line = format!("send vm.ckp unix:door --timeout {timeout}");
    let child = world.command(&line).spawn().unwrap();
    (child, listener.accept().unwrap().0)
}

#[track_caller]
fn is_trouble(ended: &Ended, words: &str) {
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains(words), "{ended:?}");
}

#[test]
fn a_peer_that_says_nothing_is_left() {
    let world = World::small();
    let (child, _socket) = target(&world, "300ms");
    is_trouble(&Ended::waited(child), "nothing came from the other side");
    let (child, _socket) = source(&world, "300ms");
    is_trouble(&Ended::waited(child), "nothing came from the other side");
    world.assert_not_startable();
}

#[test]
fn a_peer_that_drips_is_left() {
    // A byte now and then is no item: the clock goes on. Each is sent when the last was taken.
    let world = World::small();
    let (child, mut socket) = target(&world, "300ms");
    let dripping = std::thread::spawn(move || {
        let item = b"BHYVMESG".iter().chain(&[0; 119]);
        let pause = std::time::Duration::from_millis(50);
        for byte in item {
            if socket.write_all(&[*byte]).is_err() {
                return true;
            }
            // The peer reads for as long as it likes; only its end is waited for.
            std::thread::park_timeout(pause);
        }
        false
    });
    let ended = Ended::waited(child);
    is_trouble(&ended, "nothing came from the other side");
    assert!(dripping.join().unwrap(), "it listened to the last drop");
}

#[test]
fn garbage_is_shown_as_far_as_it_helps_and_refused() {
    let world = World::small();
    let (child, mut socket) = target(&world, "120s");
    socket.write_all(b"Welcome to FreeBSD!\x1b[2J\r\n").unwrap();
    let ended = Ended::waited(child);
    is_trouble(&ended, "Welcome to FreeBSD!");
    assert!(!ended.stderr.contains('\x1b'), "{ended:?}");
    let (child, mut socket) = source(&world, "120s");
    socket.write_all(&[0xff; 4096]).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    is_trouble(&Ended::waited(child), "neither a message nor a part begins here");
}

#[test]
fn an_end_is_never_taken_for_success() {
    let world = World::small();
    let (child, socket) = target(&world, "120s");
    drop(socket);
    is_trouble(&Ended::waited(child), "the connection is gone");
    let (child, socket) = source(&world, "120s");
    drop(socket);
    is_trouble(&Ended::waited(child), "the connection is gone");
}

#[test]
fn a_peer_that_never_reads_is_left() {
    // It never reads, and says PING for ever: that it can say something does not help.
    let world = World::new();
    let (child, mut socket) = source(&world, "500ms");
    let mut hello = vec![0; 4096];
    let _ = socket.read(&mut hello).unwrap();
    let ended = Ended::waited(child);
    is_trouble(&ended, "nothing came from the other side, or was read by it");
}

#[test]
fn a_second_source_is_told_busy_and_harms_nothing() {
    let world = World { bench: crate::kit::Bench::noisy(8 << 20) };
    let server = world.serve("");
    let line = format!("send vm.ckp unix:door {PATIENT} --limit 4M --compress none");
    let first = world.command(&line).spawn().unwrap();
    wait_until("the first is there", || server.said().contains("a source is here"));
    // The journal of the source is held as well: another copy of the VM comes.
    for ending in crate::kit::SET {
        let [from, to] =
            ["vm.ckp", "other.ckp"].map(|name| world.bench.path(name.to_owned() + ending));
        std::fs::copy(from, to).unwrap();
    }
    let second = world.run(&format!("send other.ckp unix:door {PATIENT}"));
    assert_eq!(second.code(), Some(1), "{second:?}");
    assert!(second.stderr.contains("another source is being answered"), "{second:?}");
    let same = world.send("");
    assert_eq!(same.code(), Some(1), "{same:?}");
    assert!(same.stderr.contains("another migrate is at work with vm.ckp.migrate/journal"));
    assert_eq!(world.status("unix:door")["role"], "target");
    let first = Ended::waited(first);
    assert_eq!(first.code(), Some(0), "{first:?}");
    assert_eq!(server.wait().code(), Some(0));
    world.assert_arrived();
}

#[test]
fn a_second_target_over_ssh_is_told_busy() {
    let world = World::small();
    let server = world.serve("");
    let (ssh, dir) = (world.stand_in(), world.bench.path("there"));
    let remote = env!("CARGO_BIN_EXE_migrate-tested");
    let (ssh, dir) = (ssh.display(), dir.display());
    let line =
        format!("send vm.ckp ssh://host{dir} --ssh {ssh} --remote-command {remote} {PATIENT}");
    let sent = world.run(&line);
    assert_eq!(sent.code(), Some(1), "{sent:?}");
    assert!(sent.stderr.contains("the target: another source is being answered"), "{sent:?}");
    server.kill();
}
