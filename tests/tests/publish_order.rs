//! The order in which a set's names come and go, as the kernel reports it.
#![cfg(target_os = "linux")]
// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use snaptool::output::{Existing, Staged, publish_set};
use tempfile::tempdir;

const SET: [&str; 3] = ["ram", "kern", "meta"];

fn stage(dir: &Path, existing: Existing) -> Vec<Staged> {
    let stage = |name: &str| {
        let mut staged = Staged::create(&dir.join(name), existing).unwrap();
        write!(staged, "new {name}").unwrap();
        staged
    };
    SET.map(stage).into()
}

fn watch(dir: &Path) -> OwnedFd {
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    let what = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
    inotify::add_watch(&watch, dir, what).unwrap();
    watch
}

/// What happened to names that are not hidden: `+name` came, `-name` went.
fn seen(watch: &OwnedFd) -> Vec<String> {
    let mut buf = [MaybeUninit::uninit(); 8192];
    let mut reader = Reader::new(watch, &mut buf);
    let mut seen = Vec::new();
    while let Ok(event) = reader.next() {
        let name = event.file_name().unwrap().to_str().unwrap();
        let came = event.events().intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        if !name.starts_with('.') {
            seen.push(format!("{}{name}", if came { '+' } else { '-' }));
        }
    }
    seen
}

/// Pulls a temporary away, so that naming it must fail.
fn sabotage(dir: &Path, name: &str) {
    for entry in fs::read_dir(dir).unwrap() {
        let temp = entry.unwrap().file_name().into_string().unwrap();
        if temp.starts_with(&format!(".{name}.snaptool-")) {
            fs::remove_file(dir.join(temp)).unwrap();
        }
    }
}

#[test]
fn a_new_set_gets_its_names_in_order() {
    let dir = tempdir().unwrap();
    let set = stage(dir.path(), Existing::Refuse);
    let watch = watch(dir.path());
    publish_set(set).unwrap();
    assert_eq!(seen(&watch), ["+ram", "+kern", "+meta"]);
}

#[test]
fn the_old_set_loses_its_last_name_before_anything_changes() {
    let dir = tempdir().unwrap();
    publish_set(stage(dir.path(), Existing::Refuse)).unwrap();
    let set = stage(dir.path(), Existing::Replace);
    let watch = watch(dir.path());
    publish_set(set).unwrap();
    assert_eq!(seen(&watch), ["-meta", "-kern", "-ram", "+ram", "+kern", "+meta"]);
}

#[test]
fn rolling_back_never_shows_a_last_name_beside_foreign_files() {
    let dir = tempdir().unwrap();
    publish_set(stage(dir.path(), Existing::Refuse)).unwrap();
    let set = stage(dir.path(), Existing::Replace);
    sabotage(dir.path(), "meta");
    let watch = watch(dir.path());
    publish_set(set).unwrap_err();
    let expected =
        ["-meta", "-kern", "-ram", "+ram", "+kern", "-kern", "-ram", "+ram", "+kern", "+meta"];
    assert_eq!(seen(&watch), expected);
}
