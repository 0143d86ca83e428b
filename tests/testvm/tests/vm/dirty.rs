//! The log of written pages is exact, so that a mover may leave out what it does not name.

use crate::kit::{MEMORY, machine, skipped, wait};
use tempfile::tempdir;
use testvm::guest::layout::PAGE;
use testvm::machine::Machine;

fn image(machine: &Machine) -> Vec<u8> {
    let mut image = vec![0; MEMORY as usize];
    machine.ram().read(0, &mut image).unwrap();
    image
}

fn is_named(log: &[u64], page: usize) -> bool {
    log[page / 64] >> (page % 64) & 1 == 1
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn dirty_log_names_every_page_that_the_guest_wrote() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    for ncpus in [1, 2] {
        let machine = machine(ncpus, folder.path(), Some(4 << 20));
        let visits = || (0..ncpus).map(|vcpu| machine.status(vcpu).unwrap().visits).sum::<u64>();
        machine.pause();
        machine.vm().take_dirty().unwrap();
        let mut before = image(&machine);
        for _ in 0..5 {
            let begin = visits();
            machine.resume();
            wait("visits", || visits() >= begin + 50);
            machine.pause();
            let log = machine.vm().take_dirty().unwrap();
            let after = image(&machine);
            let (old, new) = (before.chunks(PAGE as usize), after.chunks(PAGE as usize));
            let changed: Vec<_> = old.zip(new).map(|(old, new)| old != new).collect();
            let missing = (0..changed.len()).filter(|&page| changed[page] && !is_named(&log, page));
            assert_eq!(missing.collect::<Vec<_>>(), [0; 0]);
            let written = changed.iter().filter(|changed| **changed).count();
            let named = (0..changed.len()).filter(|&page| is_named(&log, page)).count();
            assert!(written >= 20 && named >= written, "{written} {named}");
            before = after;
        }
        // Nothing is written while it is paused.
        assert!(machine.vm().take_dirty().unwrap().iter().all(|word| *word == 0));
        assert_eq!(crate::kit::violations(&machine), 0);
    }
}
