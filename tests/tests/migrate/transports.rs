//! A fixture over each transport arrives with the same content, and is handed over once.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::kit::Ended;
use crate::world::{PATIENT, World};

const SOURCE: [&str; 3] = ["SUSPENDED", "HANDED-OVER", "DONE"];
const TARGET: [&str; 4] = ["READY", "OWNER", "KEPT", "SETTLED"];

/// Sends to a target that listens, and sees that all is well.
#[track_caller]
fn is_handed_over(world: &World, listen: &str, options: &str) {
    let line = format!("recv there --listen {listen} {PATIENT} {options}");
    let server = world.serve_as(world.command(&line));
    let sent = world.run(&format!("send vm.ckp {} {PATIENT} {options}", server.place));
    assert_eq!(sent.code(), Some(0), "{sent:?} {}", server.said());
    let received = server.wait();
    assert_eq!(received.code(), Some(0), "{received:?}");
    world.assert_arrived();
    assert_eq!(world.records("vm.ckp.migrate"), SOURCE);
    assert_eq!(world.records("there"), TARGET);
}

#[test]
fn over_a_unix_socket() {
    let world = World::new();
    is_handed_over(&world, "unix:door", "");
    assert!(!world.bench.path("door").exists());
}

#[test]
fn over_tcp_of_both_families() {
    for listen in ["tcp://127.0.0.1:0", "tcp://[::1]:0"] {
        // A machine may have only one of them.
        if std::net::TcpListener::bind(listen.trim_start_matches("tcp://")).is_ok() {
            is_handed_over(&World::small(), listen, "");
        }
    }
}

#[test]
fn with_one_thread_as_with_several() {
    is_handed_over(&World::small(), "unix:door", "--threads 1");
}

#[test]
fn through_pipes_that_ssh_would_make() {
    let world = World::new();
    let ssh = world.stand_in();
    let remote = env!("CARGO_BIN_EXE_migrate-tested");
    let dir = world.bench.path("there").display().to_string();
    let ssh = ssh.display();
    let line = format!(
        "send vm.ckp ssh://me@host:22{dir} --ssh {ssh} --remote-command {remote} {PATIENT}"
    );
    let sent = world.run(&line);
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    world.assert_arrived();
    assert_eq!(world.records("there"), TARGET);
}

#[test]
fn what_starts_the_vm_at_the_other_side_of_ssh_is_told_from_here() {
    let world = World::small();
    let ssh = world.stand_in().display().to_string();
    let dest = format!("ssh://host{}", world.bench.path("there").display());
    let run = "--recv-arg=cp {} 'it is $HOME'; : done";
    let remote = env!("CARGO_BIN_EXE_migrate-tested");
    let words = ["send", "vm.ckp", &dest, "--ssh", &ssh, "--remote-command", remote, PATIENT];
    let start = ["--recv-arg=--run", run, "--recv-arg=--ready=command:test -e 'it is $HOME'"];
    let sent = Ended::of(world.command_of(words.into_iter().chain(start)));
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    assert!(world.bench.same("vm.ckp", "it is $HOME"));
    assert_eq!(world.records("there").last(), Some(&"SETTLED"));
    assert_eq!(world.status("there")["phase"], "Running");
}

#[test]
fn through_a_pair_of_sockets_on_stdin_and_stdout() {
    // Each side has one socket as stdin and stdout: the target as ssh would run it, the source by a
    // stand-in for ssh that passes bytes on.
    let world = World::small();
    let (child, ours) = world.with_socket(world.command(&format!("recv there {PATIENT}")));
    let door = world.bench.path("door");
    let listener = std::os::unix::net::UnixListener::bind(&door).unwrap();
    let sender = world.command(&format!("send vm.ckp unix:door {PATIENT}")).spawn().unwrap();
    let (theirs, _) = listener.accept().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(&theirs, &ours));
        scope.spawn(|| pass_on(&ours, &theirs));
        let [sent, received] = [sender, child].map(Ended::waited);
        assert_eq!(sent.code(), Some(0), "{sent:?}");
        assert_eq!(received.code(), Some(0), "{received:?}");
    });
    world.assert_arrived();
}

fn pass_on(from: &UnixStream, to: &UnixStream) {
    let [mut reads, mut writes] = [from, to].map(|it| it.try_clone().unwrap());
    let _ = std::io::copy(&mut reads, &mut writes);
    let _ = writes.shutdown(std::net::Shutdown::Write);
    drop(OwnedFd::from(reads));
}

#[test]
fn a_snapshot_file_is_sent_as_well_as_three() {
    let world = World::new();
    let (_, content) = world.bench.pack("", "vm.snap");
    let server = world.serve("");
    let sent = world.run(&format!("send vm.snap unix:door {PATIENT} --compress zstd:1"));
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    assert_eq!(server.wait().code(), Some(0));
    world.assert_arrived();
    assert_eq!(world.status("there")["content"], content);
    assert_eq!(world.status("vm.snap")["content"], content);
}

#[test]
fn a_limit_changes_nothing_but_the_time() {
    let world = World::small();
    let server = world.serve("");
    let sent = world.send("--limit 20M");
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    assert_eq!(server.wait().code(), Some(0));
    world.assert_arrived();
}

#[test]
fn tcp_does_not_leave_this_machine_unasked() {
    let world = World::small();
    let sent = world.run("send vm.ckp tcp://192.0.2.1:9 --timeout 1s");
    assert!(sent.stderr.contains("is not on this machine"), "{sent:?}");
    assert_eq!(sent.code(), Some(2));
    let received = world.run("recv there --listen tcp://0.0.0.0:0 --timeout 1s");
    assert!(received.stderr.contains("is not on this machine"), "{received:?}");
    assert_eq!(received.code(), Some(2));
}

#[test]
fn a_start_command_gets_the_path_as_one_word_and_only_what_was_checked() {
    let world = World::new();
    let dir = "there ' $(touch oops)";
    let run = "cp {} \"$PWD/started\"; cp {}.meta started.meta; exec sleep 1000 < /dev/null";
    let words = ["recv", dir, "--listen", "unix:door", PATIENT, "--run", run];
    let more = ["--ready", "command:test -s started.meta"];
    let mut server = world.serve_as(world.command_of(words.into_iter().chain(more)));
    let sent = world.send("");
    assert_eq!(sent.code(), Some(0), "{sent:?} {}", server.said());
    let pid = server.child().id();
    let received = server.wait();
    assert_eq!(received.code(), Some(0), "{received:?}");
    assert!(world.bench.same("vm.ckp", "started"));
    assert!(world.bench.same("vm.ckp.meta", "started.meta"));
    assert!(!world.bench.path("oops").exists());
    assert_eq!(world.records(dir), ["READY", "OWNER", "STARTING", "RUNNING", "SETTLED"]);
    // The guest outlives what started it.
    let pid_said = received
        .stderr
        .split("pid=")
        .nth(1)
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<i32>().ok());
    let guest = pid_said.filter(|guest| u32::try_from(*guest) != Ok(pid)).unwrap();
    let guest = rustix::process::Pid::from_raw(guest).unwrap();
    rustix::process::kill_process_group(guest, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_start_command_that_provably_started_nothing_gives_the_vm_back() {
    let world = World::small();
    let words = ["recv", "there", "--listen", "unix:door", PATIENT];
    let start = ["--run", "no-such-program {}"];
    let server = world.serve_as(world.command_of(words.into_iter().chain(start)));
    let sent = world.send("");
    assert_eq!(sent.code(), Some(1), "{sent:?} {}", server.said());
    assert!(sent.stderr.contains("the VM is this side's again"), "{sent:?}");
    let received = server.wait();
    assert_eq!(received.code(), Some(1), "{received:?}");
    let source = ["SUSPENDED", "HANDED-OVER", "RESUMING", "RESUMED"];
    assert_eq!(world.records("vm.ckp.migrate"), source);
    assert_eq!(world.records("there"), ["READY", "OWNER", "STARTING", "RELEASED"]);
    world.assert_not_startable();
    assert!(!world.bench.path("there/vm.ckp").exists());
}
