//! Inputs: positions, streams, and files that change while they are read.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use snaptool::exit;
use snaptool::input::{FileInput, Input};
use snaptool::signal::Stop;
use tempfile::tempdir;

fn file(path: &Path) -> FileInput {
    Input::open(path, &Stop::never()).unwrap().into_file().unwrap()
}

#[test]
fn a_file_can_be_read_at_any_position_within_it() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "0123456789").unwrap();
    let file = file(&path);
    assert_eq!((file.len(), file.is_empty()), (10, false));
    let mut buf = [0; 4];
    file.read_exact_at(&mut buf, 6).unwrap();
    assert_eq!(&buf, b"6789");
    assert_eq!(file.read_at(&mut buf, 8).unwrap(), 2);
    assert_eq!(file.read_at(&mut buf, 10).unwrap(), 0);
    assert_eq!(file.read_at(&mut buf, u64::MAX).unwrap(), 0);
    file.read_exact_at(&mut [], 10).unwrap();
    for at in [7, 10, u64::MAX] {
        let error = file.read_exact_at(&mut buf, at).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains(" ends at 0xa, before 4 bytes at "), "{error}");
    }
    file.unchanged().unwrap();
}

#[test]
fn a_file_that_shrinks_is_an_error_that_says_so() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "0123456789").unwrap();
    let file = file(&path);
    fs::File::options().write(true).open(&path).unwrap().set_len(5).unwrap();
    let mut buf = [0; 10];
    assert_eq!(file.read_at(&mut buf, 0).unwrap(), 5);
    let error = anyhow::Error::from(file.read_exact_at(&mut buf, 0).unwrap_err());
    assert!(exit::line(&error).ends_with("/a changed while it was read"));
    assert_eq!(exit::hints(&error).len(), 1);
    assert!(file.unchanged().is_err());
    let mut reader = Input::open(&path, &Stop::never()).unwrap().into_reader();
    fs::File::options().write(true).open(&path).unwrap().set_len(2).unwrap();
    assert!(reader.read_to_end(&mut Vec::new()).is_err());
}

#[test]
fn a_file_that_grows_is_noticed_and_read_to_its_old_length() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "01234").unwrap();
    let input = Input::open(&path, &Stop::never()).unwrap();
    let twin = file(&path);
    fs::write(&path, "0123456789").unwrap();
    let mut bytes = Vec::new();
    input.into_reader().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"01234");
    assert!(twin.unchanged().is_err());
}

#[test]
fn a_change_is_noticed_though_the_time_is_set_back() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "01234").unwrap();
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let file = file(&path);
    // The clock of file times ticks some hundred times a second.
    std::thread::sleep(std::time::Duration::from_millis(30));
    fs::write(&path, "56789").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    assert!(file.unchanged().is_err());
}

#[test]
fn a_file_that_lost_its_name_is_noticed() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "01234").unwrap();
    fs::hard_link(&path, dir.path().join("b")).unwrap();
    let file = file(&path);
    file.unchanged_at(&path).unwrap();
    file.unchanged_at(&dir.path().join("b")).unwrap();
    fs::write(dir.path().join("c"), "01234").unwrap();
    for other in ["c", "gone"] {
        let error = file.unchanged_at(&dir.path().join(other)).unwrap_err();
        assert!(exit::line(&error).ends_with("/a was replaced while it was read"));
    }
}

#[test]
fn a_stream_is_a_stream_and_says_why_it_cannot_jump() {
    let input = Input::open(Path::new("/dev/zero"), &Stop::never()).unwrap();
    assert_eq!((input.size(), input.name()), (None, "/dev/zero"));
    let error = input.into_file().unwrap_err();
    assert_eq!(exit::line(&error), "/dev/zero can be read only once, front to back");
    let mut buf = [1; 3];
    let input = Input::open(Path::new("/dev/zero"), &Stop::never()).unwrap();
    input.into_reader().read_exact(&mut buf).unwrap();
    assert_eq!(buf, [0; 3]);
}

#[test]
fn what_cannot_be_opened_is_named() {
    let dir = tempdir().unwrap();
    let open = |path: &Path| exit::line(&Input::open(path, &Stop::never()).unwrap_err());
    assert!(open(dir.path()).ends_with(" is a directory"));
    assert!(open(&dir.path().join("x\n")).contains("x\\n: No such file or directory"));
    assert_eq!(open(Path::new("")), "the name of the input is empty");
}
