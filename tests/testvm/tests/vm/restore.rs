//! A guest that moves between processes in three files notices nothing but the time.

use crate::kit::{Process, beats, said, skipped, wait};
use tempfile::tempdir;

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn a_suspended_guest_goes_on_where_it_was() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let mut process = Process::start(folder, &["-c", "2", "-m", "1"]);
    for _ in 0..20 {
        let before = [0, 1].map(|vcpu| beats(folder, vcpu).len());
        wait("reports", || (0..2).all(|vcpu| beats(folder, vcpu).len() > before[vcpu as usize]));
        process.suspend(folder, "vm.ckp");
        assert_eq!(process.ended().code(), Some(0));
        process = Process::start(folder, &["-r", "vm.ckp"]);
    }
    for vcpu in 0..2 {
        let before = beats(folder, vcpu);
        wait("reports", || beats(folder, vcpu).len() > before.len());
        let beats = beats(folder, vcpu);
        // One text, without a gap and without a repetition.
        let numbers: Vec<_> = beats.iter().map(|beat| beat.beat).collect();
        assert_eq!(numbers, (1..=beats.len() as u64).collect::<Vec<_>>());
        assert!(beats.windows(2).all(|pair| pair[0].visits <= pair[1].visits));
        assert!(beats.last().unwrap().sweeps > 1);
        assert_eq!(beats.last().unwrap().violations, 0, "{}", said(folder, vcpu + 1));
    }
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn a_checkpoint_leaves_the_guest_running_and_can_be_gone_on_from() {
    if skipped() {
        return;
    }
    let (here, there) = (tempdir().unwrap(), tempdir().unwrap());
    let (here, there) = (here.path(), there.path());
    let first = Process::start(here, &["-m", "1"]);
    wait("a report", || !beats(here, 0).is_empty());
    first.checkpoint(there, "vm.ckp", false);
    // As with bhyve, nobody says when it is done; the next request is heard after it.
    first.suspend(here, "after.ckp");
    assert_eq!(first.ended().code(), Some(0));
    let before = beats(here, 0).len() as u64;
    let copy = Process::start(there, &["-r", "vm.ckp"]);
    let original = Process::start(here, &["-r", "after.ckp"]);
    for (folder, _process) in [(there, copy), (here, original)] {
        wait("more reports", || beats(folder, 0).last().is_some_and(|beat| beat.beat > before));
        assert_eq!(beats(folder, 0).last().unwrap().violations, 0, "{}", said(folder, 1));
    }
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn what_is_no_request_disturbs_nobody() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let process = Process::start(folder, &["-m", "1"]);
    process.say(b"");
    process.say(b"l\0\0");
    process.say(&[0xff; 100]);
    // A list that is announced as longer than any memory.
    let mut long = [0xff; 19];
    long[..3].copy_from_slice(b"l\0\0");
    process.say(&long);
    let new = snapfmt::nvlist::Nvlist::builder;
    process.ask(new(), None);
    process.ask(new().string("cmd", "reboot"), None);
    process.ask(new().string("cmd", "checkpoint").string("filename", "x"), None);
    // The folder is announced and does not come.
    let absent = new().string("cmd", "checkpoint").string("filename", "x").boolean("suspend", true);
    process.ask(absent.descriptor("fddir", 0), None);
    process.suspend(folder, "vm.ckp");
    assert_eq!(process.ended().code(), Some(0));
    assert!(!folder.join("x").exists());
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn files_that_cannot_be_written_leave_the_guest_running() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let process = Process::start(folder, &["-m", "1"]);
    std::fs::create_dir(folder.join("bad.kern")).unwrap();
    process.suspend(folder, "bad");
    let before = beats(folder, 0).len();
    wait("more reports", || beats(folder, 0).len() > before + 1);
    process.suspend(folder, "good");
    assert_eq!(process.ended().code(), Some(0));
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn a_snapshot_that_is_not_whole_is_not_started() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let process = Process::start(folder, &["-m", "1"]);
    process.suspend(folder, "vm.ckp");
    assert_eq!(process.ended().code(), Some(0));
    for name in ["vm.ckp", "vm.ckp.kern", "vm.ckp.meta"] {
        let path = folder.join(name);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        if name != "vm.ckp.meta" {
            assert_eq!(Process::begin(folder, &["-r", "vm.ckp"]).ended().code(), Some(1), "{name}");
        }
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(Process::begin(folder, &["-r", "vm.ckp"]).ended().code(), Some(1), "{name}");
        std::fs::write(&path, whole).unwrap();
    }
    let process = Process::start(folder, &["-r", "vm.ckp"]);
    process.suspend(folder, "vm.ckp");
    assert_eq!(process.ended().code(), Some(0));
}
