//! A guest that moves between processes in three files notices nothing but the time.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]
#![allow(dead_code)]

mod kit;

use kit::{Process, beats, said, skipped, wait};
use tempfile::tempdir;

#[test]
fn a_suspended_guest_goes_on_where_it_was() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let folder = folder.path();
    let mut process = Process::start(folder, &["-c", "2", "-m", "8"]);
    for _ in 0..20 {
        let before = [0, 1].map(|vcpu| beats(folder, vcpu).len());
        wait("reports", || (0..2).all(|vcpu| beats(folder, vcpu).len() > before[vcpu as usize]));
        process.checkpoint(folder, "vm.ckp", true);
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
