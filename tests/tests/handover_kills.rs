//! Two processes, real journals in real files, and SIGKILL at every numbered point of either side,
//! or of both.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const SIDES: [&str; 2] = ["source", "target"];

/// Where each side is to be killed, if it is.
type Kills = [Option<usize>; 2];

/// Whether the start command at the target refuses before any vCPU runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Works,
    Refuses,
}

fn spawn(dir: &Path, side: usize, start: Start, kill: Option<usize>, peer: UnixStream) -> Child {
    let home = dir.join(SIDES[side]);
    fs::create_dir_all(&home).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_handover"));
    command.arg(SIDES[side]).arg(home).env_remove("HANDOVER_KILL");
    if (start, side) == (Start::Refuses, 1) {
        command.arg("refuse");
    }
    if let Some(point) = kill {
        command.env("HANDOVER_KILL", point.to_string());
    }
    command.stdin(OwnedFd::from(peer)).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Runs both sides until both have ended. Who was killed, and the last words of those who were not.
fn run(dir: &Path, start: Start, kills: Kills) -> [Option<String>; 2] {
    let (a, b) = UnixStream::pair().unwrap();
    let children = [spawn(dir, 0, start, kills[0], a), spawn(dir, 1, start, kills[1], b)];
    children.map(|child| {
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        if status.signal() == Some(9) {
            return None;
        }
        assert!(status.success(), "{kills:?}: {}", String::from_utf8_lossy(&stderr));
        Some(String::from_utf8(stdout).unwrap().trim().to_owned())
    })
}

fn points(dir: &Path, side: usize) -> Vec<String> {
    let list = fs::read_to_string(dir.join(SIDES[side]).join("points")).unwrap();
    list.lines().map(str::to_owned).collect()
}

/// Where the guest has run, after a run with these kills and one without.
fn outcome(start: Start, kills: Kills) -> String {
    let dir = tempfile::tempdir().unwrap();
    let first = run(dir.path(), start, kills);
    for (side, kill) in kills.iter().enumerate() {
        // Another's death may keep a process from ever coming to its point.
        let died = first[side].is_none();
        assert!(!died || kill.is_some(), "{kills:?}: {first:?}");
    }
    let ran = |side: &str| dir.path().join(side).join("guest").exists();
    assert!(!SIDES.iter().all(|side| ran(side)), "{kills:?}: two copies at once");
    let last = run(dir.path(), start, [None; 2]).map(Option::unwrap);
    let owners = last.iter().filter(|words| words.ends_with(" Owner")).count();
    let running: Vec<_> = SIDES.into_iter().filter(|side| ran(side)).collect();
    assert_eq!((owners, running.len()), (1, 1), "{kills:?}: {last:?} {running:?}");
    let owner = last.iter().position(|words| words.ends_with(" Owner")).unwrap();
    assert_eq!(SIDES[owner], running[0], "{kills:?}: {last:?}");
    // Nothing is left to be said: a third run changes nothing.
    assert_eq!(run(dir.path(), start, [None; 2]).map(Option::unwrap), last, "{kills:?}");
    running[0].to_owned()
}

/// The points of an undisturbed hand-over.
fn all_points(start: Start) -> [Vec<String>; 2] {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), start, [None; 2]);
    [0, 1].map(|side| points(dir.path(), side))
}

#[test]
fn killed_at_any_point_of_either_side_exactly_one_owner_is_left() {
    for start in [Start::Works, Start::Refuses] {
        let all = all_points(start);
        println!("\nstart command {start:?}\nkilled  point                        guest runs at");
        for (side, points) in all.iter().enumerate() {
            assert!(points.len() > 8, "{points:?}");
            for (number, name) in points.iter().enumerate() {
                let mut kills = [None; 2];
                kills[side] = Some(number);
                let owner = outcome(start, kills);
                println!("{:<8}{number:>3} {name:<25}{owner}", SIDES[side]);
            }
        }
    }
}

#[test]
fn killed_at_any_two_points_exactly_one_owner_is_left() {
    let all = all_points(Start::Works);
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    // Every third point of the source with every point of the target: all pairs take minutes.
    for source in (0..all[0].len()).step_by(3) {
        for target in 0..all[1].len() {
            let owner = outcome(Start::Works, [Some(source), Some(target)]);
            *owners.entry(owner).or_default() += 1;
        }
    }
    println!("the guest runs at: {owners:?}");
}
