//! Removing what a killed run left behind, and nothing else.
//!
//! A temporary is ours if its name says so, and it is left behind if nobody holds its lock: the
//! kernel drops the lock of a killed process. The number in its name is for people; processes'
//! numbers come again, and mean nothing across a network. Where `flock` does not work nothing is
//! removed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::OFlags;

use super::place::{Place, identity};
use super::staged::{TEMPORARY, hidden_prefix};

/// Removes left-behind temporaries of the same target. Failing at it is no reason to fail.
pub(super) fn remove(place: &Place) {
    let prefix = hidden_prefix(&place.name);
    let Ok(entries) = std::fs::read_dir(&place.dir_path) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if is_temporary(&name, &prefix) {
            remove_if_unlocked(place, &name);
        }
    }
}

/// Whether a name is `PREFIX`, digits, `-`, eight hexadecimal digits, `.tmp`.
fn is_temporary(name: &OsStr, prefix: &[u8]) -> bool {
    let Some(rest) = name.as_bytes().strip_prefix(prefix) else { return false };
    let Ok(rest) = std::str::from_utf8(rest) else { return false };
    let Some((rest, ending)) = rest.rsplit_once('.') else { return false };
    let Some((pid, random)) = rest.split_once('-') else { return false };
    ending == TEMPORARY
        && !pid.is_empty()
        && pid.bytes().all(|b| b.is_ascii_digit())
        && random.len() == 8
        && random.bytes().all(|b| b.is_ascii_hexdigit())
}

fn remove_if_unlocked(place: &Place, name: &OsStr) {
    // A network file system wants a file open for writing to lock it exclusively.
    let Ok(file) = place.open(name, OFlags::RDWR) else { return };
    let is_file = file.metadata().is_ok_and(|data| data.is_file());
    if !is_file || file.try_lock().is_err() {
        return;
    }
    // While we hold the lock nobody else of us removes it, and its maker is dead or about to
    // notice.
    let same = rustix::fs::fstat(&file)
        .is_ok_and(|stat| matches!(place.identify(name), Ok(Some(now)) if now == identity(&stat)));
    if same {
        let _ = place.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::staged::hidden_name;

    #[test]
    fn only_our_own_names_are_recognised() {
        let target = OsStr::new("vm.snap");
        let prefix = hidden_prefix(target);
        assert!(is_temporary(&hidden_name(target, "tmp"), &prefix));
        for other in [
            "vm.snap",
            ".vm.snap.snaptool-1-01234567.old",
            ".vm.snap.snaptool-1-0123456.tmp",
            ".vm.snap.snaptool-1-0123456z.tmp",
            ".vm.snap.snaptool--01234567.tmp",
            ".vm.snap.snaptool-x-01234567.tmp",
            ".vm.snap.snaptool-1-01234567.tmp.bak",
            ".vm.snap2.snaptool-1-01234567.tmp",
            "vm.snap.snaptool-1-01234567.tmp",
        ] {
            assert!(!is_temporary(OsStr::new(other), &prefix), "{other}");
        }
    }

    #[test]
    fn the_longest_name_still_has_room_for_ours() {
        let name = hidden_name(OsStr::new(&"n".repeat(255)), "tmp");
        assert!(name.len() <= 255, "{}", name.len());
    }
}
