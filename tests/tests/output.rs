//! Output files appear whole or not at all, and nothing is replaced or removed that should stay.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use snaptool::exit;
use snaptool::output::{Content, Existing, Output, Staged, publish_set};
use tempfile::{TempDir, tempdir};

/// The names in a directory, hidden ones too, sorted.
fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn stage(dir: &TempDir, name: &str, existing: Existing) -> Staged {
    let mut staged = Staged::create(&dir.path().join(name), existing).unwrap();
    write!(staged, "new {name}").unwrap();
    staged
}

fn read(dir: &TempDir, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).unwrap()
}

/// Starts a process that stages `name` and waits; returns once it has staged it.
fn staging_child(dir: &TempDir, name: &str) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stager"))
        .arg("stage")
        .arg(dir.path().join(name))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

#[test]
fn a_file_appears_whole_private_and_alone() {
    let dir = tempdir().unwrap();
    let staged = stage(&dir, "a", Existing::Refuse);
    assert!(!dir.path().join("a").exists());
    assert_eq!(names(dir.path()).len(), 1);
    staged.write_at(b"NEW", 0).unwrap();
    staged.set_len(8).unwrap();
    staged.publish().unwrap();
    assert_eq!(names(dir.path()), ["a"]);
    assert_eq!(read(&dir, "a"), "NEW a\0\0\0");
    let data = fs::metadata(dir.path().join("a")).unwrap();
    assert_eq!((data.permissions().mode() & 0o7777, data.nlink()), (0o600, 1));
}

#[test]
fn giving_up_leaves_nothing() {
    let dir = tempdir().unwrap();
    drop(stage(&dir, "a", Existing::Refuse));
    assert!(names(dir.path()).is_empty());
}

#[test]
fn refusing_never_replaces_however_late_the_other_file_comes() {
    let dir = tempdir().unwrap();
    let staged = stage(&dir, "a", Existing::Refuse);
    fs::write(dir.path().join("a"), "someone else's").unwrap();
    let error = staged.publish().unwrap_err();
    assert!(exit::line(&error).ends_with("/a exists already"), "{}", exit::line(&error));
    assert_eq!(names(dir.path()), ["a"]);
    assert_eq!(read(&dir, "a"), "someone else's");
    // And the next attempt is refused before it begins.
    assert!(Staged::create(&dir.path().join("a"), Existing::Refuse).is_err());
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn replacing_keeps_the_old_file_until_the_new_one_is_whole() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("a"), "old").unwrap();
    let staged = stage(&dir, "a", Existing::Replace);
    assert_eq!(read(&dir, "a"), "old");
    staged.publish().unwrap();
    assert_eq!(read(&dir, "a"), "new a");
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn replacing_replaces_only_what_stood_there_at_first() {
    for existing in [Existing::Replace, Existing::Force] {
        let dir = tempdir().unwrap();
        let staged = stage(&dir, "a", existing);
        fs::write(dir.path().join("a"), "appeared").unwrap();
        let error = exit::line(&staged.publish().unwrap_err());
        assert!(error.ends_with("/a exists already"), "{error}");
        assert_eq!(read(&dir, "a"), "appeared");

        let staged = stage(&dir, "a", existing);
        fs::write(dir.path().join("b"), "exchanged").unwrap();
        fs::rename(dir.path().join("b"), dir.path().join("a")).unwrap();
        let error = exit::line(&staged.publish().unwrap_err());
        assert!(error.ends_with("/a was replaced by someone else meanwhile"), "{error}");
        assert_eq!(read(&dir, "a"), "exchanged");

        let staged = stage(&dir, "a", existing);
        fs::remove_file(dir.path().join("a")).unwrap();
        staged.publish().unwrap();
        assert_eq!((read(&dir, "a").as_str(), names(dir.path()).len()), ("new a", 1));
    }
}

#[test]
fn a_set_replaces_only_what_stood_there_at_first() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("kern"), "old").unwrap();
    let set = || ["ram", "kern", "meta"].map(|name| stage(&dir, name, Existing::Replace)).into();
    let late: Vec<Staged> = set();
    fs::write(dir.path().join("meta"), "appeared").unwrap();
    assert!(publish_set(late).is_err());
    let late: Vec<Staged> = set();
    fs::write(dir.path().join("other"), "exchanged").unwrap();
    fs::rename(dir.path().join("other"), dir.path().join("kern")).unwrap();
    assert!(publish_set(late).is_err());
    assert_eq!(names(dir.path()), ["kern", "meta"]);
    assert_eq!(
        (read(&dir, "kern").as_str(), read(&dir, "meta").as_str()),
        ("exchanged", "appeared")
    );
}

#[test]
fn replacing_through_a_link_keeps_the_link() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("a"), "old").unwrap();
    symlink("a", dir.path().join("link")).unwrap();
    assert!(Staged::create(&dir.path().join("link"), Existing::Refuse).is_err());
    stage(&dir, "link", Existing::Replace).publish().unwrap();
    assert_eq!(read(&dir, "a"), "new link");
    assert!(dir.path().join("link").is_symlink());
}

#[test]
fn names_that_cannot_become_a_file_are_refused_at_once() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    symlink("self", dir.path().join("self")).unwrap();
    let before = names(dir.path());
    for (name, words) in [
        ("", "is a directory"),
        (".", "is a directory"),
        ("..", "is a directory"),
        ("new/", "names a directory"),
        ("new/.", "names a directory"),
        ("no/such", "does not exist"),
        ("no/..", "names a directory"),
        ("file/x", "cannot look at"),
        ("dangling", "is a symbolic link to nothing"),
        ("self", "cannot look at"),
    ] {
        for existing in [Existing::Refuse, Existing::Replace] {
            let error = Staged::create(&dir.path().join(name), existing).unwrap_err();
            assert!(exit::line(&error).contains(words), "{name}: {}", exit::line(&error));
        }
    }
    assert!(Output::open(Path::new(""), Content::Binary, Existing::Refuse).is_err());
    assert_eq!(names(dir.path()), before);
}

#[test]
fn a_very_long_name_works() {
    let dir = tempdir().unwrap();
    let name = "n".repeat(255);
    stage(&dir, &name, Existing::Refuse).publish().unwrap();
    assert_eq!(names(dir.path()), [name]);
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next_for_the_same_name_only() {
    let dir = tempdir().unwrap();
    let mut child = staging_child(&dir, "a");
    assert_eq!(names(dir.path()).len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(names(dir.path()).len(), 1, "a killed process cannot tidy up");

    drop(stage(&dir, "b", Existing::Refuse));
    assert_eq!(names(dir.path()).len(), 1, "another target's temporary is not ours to remove");
    stage(&dir, "a", Existing::Refuse).publish().unwrap();
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn a_living_process_keeps_its_temporary_and_can_publish_it() {
    let dir = tempdir().unwrap();
    let mut child = staging_child(&dir, "a");
    drop(stage(&dir, "a", Existing::Refuse));
    assert_eq!(names(dir.path()).len(), 1);
    child.stdin.take().unwrap().write_all(b"p").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn of_two_who_stage_the_same_name_the_second_to_finish_is_refused() {
    let dir = tempdir().unwrap();
    let first = stage(&dir, "a", Existing::Refuse);
    let second = stage(&dir, "a", Existing::Refuse);
    second.publish().unwrap();
    assert!(first.publish().is_err());
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn of_many_who_race_for_a_name_exactly_one_gets_it() {
    for _ in 0..30 {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        // Each tidies up first, while the others are between creating and locking theirs.
        let race = || match Staged::create(&path, Existing::Refuse) {
            Ok(staged) => staged.publish().is_ok(),
            Err(_) => false,
        };
        let won = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8).map(|_| scope.spawn(race)).collect();
            racers.into_iter().map(|racer| usize::from(racer.join().unwrap())).sum::<usize>()
        });
        assert_eq!(won, 1);
        assert_eq!(names(dir.path()), ["a"]);
    }
}

#[test]
fn a_lookalike_of_a_temporary_stays() {
    let dir = tempdir().unwrap();
    let fifo = ".a.snaptool-1-00000000.tmp";
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join(fifo), 0o600.into()).unwrap();
    symlink("/etc/passwd", dir.path().join(".a.snaptool-1-00000001.tmp")).unwrap();
    fs::write(dir.path().join(".a.snaptool-1-00000002.old"), "the only copy").unwrap();
    fs::create_dir(dir.path().join(".a.snaptool-1-00000003.tmp")).unwrap();
    drop(stage(&dir, "a", Existing::Refuse));
    assert_eq!(names(dir.path()).len(), 4);
}

#[test]
fn a_set_is_published_in_order_and_taken_back_as_a_whole() {
    let dir = tempdir().unwrap();
    let set = |existing| ["ram", "kern", "meta"].map(|name| stage(&dir, name, existing)).into();
    publish_set(set(Existing::Refuse)).unwrap();
    assert_eq!(names(dir.path()), ["kern", "meta", "ram"]);

    fs::remove_file(dir.path().join("ram")).unwrap();
    fs::remove_file(dir.path().join("kern")).unwrap();
    fs::remove_file(dir.path().join("meta")).unwrap();
    let late: Vec<Staged> = set(Existing::Refuse);
    fs::write(dir.path().join("meta"), "someone else's").unwrap();
    assert!(publish_set(late).is_err());
    assert_eq!(names(dir.path()), ["meta"]);
    assert_eq!(read(&dir, "meta"), "someone else's");
}

/// The temporary of `name`, pulled away so that naming it must fail.
fn sabotage(dir: &TempDir, name: &str) {
    let ours = |n: &String| n.starts_with(&format!(".{name}.snaptool-")) && n.ends_with(".tmp");
    let temp = names(dir.path()).into_iter().find(ours).unwrap();
    fs::remove_file(dir.path().join(temp)).unwrap();
}

#[test]
fn a_set_that_fails_midway_leaves_nothing_new() {
    for lost in ["ram", "kern", "meta"] {
        let dir = tempdir().unwrap();
        let set = ["ram", "kern", "meta"].map(|name| stage(&dir, name, Existing::Refuse)).into();
        sabotage(&dir, lost);
        publish_set(set).unwrap_err();
        assert!(names(dir.path()).is_empty(), "{lost}: {:?}", names(dir.path()));
    }
}

#[test]
fn a_set_that_fails_midway_brings_the_old_set_back() {
    for lost in ["ram", "kern", "meta"] {
        let dir = tempdir().unwrap();
        for name in ["kern", "meta", "ram"] {
            fs::write(dir.path().join(name), format!("old {name}")).unwrap();
        }
        let set = ["ram", "kern", "meta"].map(|name| stage(&dir, name, Existing::Replace)).into();
        sabotage(&dir, lost);
        publish_set(set).unwrap_err();
        assert_eq!(names(dir.path()), ["kern", "meta", "ram"]);
        for name in ["kern", "meta", "ram"] {
            assert_eq!(read(&dir, name), format!("old {name}"));
        }
    }
}

#[test]
fn a_replaced_set_leaves_only_the_new_one() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("meta"), "old").unwrap();
    let set = ["ram", "kern", "meta"].map(|name| stage(&dir, name, Existing::Replace)).into();
    publish_set(set).unwrap();
    assert_eq!(names(dir.path()), ["kern", "meta", "ram"]);
    assert_eq!(read(&dir, "meta"), "new meta");
}

#[test]
fn devices_are_written_straight_and_stay_devices() {
    for existing in [Existing::Refuse, Existing::Replace, Existing::Force] {
        let mut null = Output::open(Path::new("/dev/null"), Content::Binary, existing).unwrap();
        assert!(null.as_staged().is_none());
        null.write_all(b"gone").unwrap();
        null.finish().unwrap();
        assert!(Staged::create(Path::new("/dev/null"), existing).is_err());
    }
}

#[test]
fn a_full_disk_is_named_and_explained() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let mut output = Output::open(full, Content::Binary, Existing::Refuse).unwrap();
    let error = anyhow::Error::from(output.write_all(b"x").unwrap_err());
    assert_eq!(exit::line(&error), "cannot write /dev/full: No space left on device");
    assert_eq!(exit::hints(&error).len(), 1);
}

#[test]
fn a_hostile_name_cannot_upset_the_terminal() {
    let dir = tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"a\x1b[2J\xff\n");
    fs::write(dir.path().join(name), "").unwrap();
    let error = Staged::create(&dir.path().join(name), Existing::Refuse).unwrap_err();
    let line = exit::line(&error);
    assert!(line.ends_with("a\\u{1b}[2J\\xff\\n exists already"), "{line}");
}
