//! The guest notices what a move could do to it: that is what the machine is for.

use std::time::Instant;

use crate::kit::{MEMORY, machine, said, skipped, sweeps, violations, wait};
use tempfile::tempdir;
use testvm::device::Timer;
use testvm::guest::layout::{PAGE, control, ring, visited};
use testvm::guest::waiting;
use testvm::kvm::CpuState;
use testvm::machine::{End, Machine};

/// Lets the guest run until it complains, or can no longer.
fn complains(machine: &Machine, what: &str) {
    let before = violations(machine);
    machine.resume();
    wait(what, || violations(machine) > before || machine.ended().is_some());
}

/// Changes something while the guest waits for work, and is in the middle of nothing; then lets it
/// visit all pages until it complains.
fn changed(machine: &Machine, what: &str, change: impl FnOnce()) {
    machine.set_rate(Some(0));
    pause_waiting(machine);
    change();
    machine.set_rate(None);
    complains(machine, what);
    // What follows from it is no answer to the next change.
    if machine.ended().is_none() {
        sweeps(machine, 2);
    }
}

fn page(machine: &Machine, gpa: u64) -> Vec<u8> {
    let mut page = vec![0; PAGE as usize];
    machine.ram().read(gpa, &mut page).unwrap();
    page
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn a_page_that_was_not_restored_is_noticed_by_the_guest() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let machine = machine(1, folder.path(), None);
    let pages = [visited(1), visited(1) + 100 * PAGE, MEMORY - PAGE];
    // Not before all pages have something to check.
    sweeps(&machine, 2);
    for gpa in pages {
        machine.pause();
        let stale = page(&machine, gpa);
        machine.resume();
        sweeps(&machine, 2);
        let put = |page: &[u8]| machine.ram().write(gpa, page).unwrap();
        changed(&machine, "a stale page", || put(&stale));
        let other = pages.into_iter().find(|other| *other != gpa).unwrap();
        changed(&machine, "the page of another address", || put(&page(&machine, other)));
        changed(&machine, "an empty page", || put(&[0; PAGE as usize]));
    }
    sweeps(&machine, 2);
    let said = said(folder.path(), 1);
    for words in ["sweep of a page", "address in a page", "words of a page", "keys of a sweep"] {
        assert!(said.contains(&format!("violation: {words}: found 0x")), "{said}");
    }
    assert_eq!(machine.ended(), None);
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn a_bit_of_memory_that_changed_is_noticed() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let machine = machine(1, folder.path(), None);
    sweeps(&machine, 2);
    let page = visited(1) + 100 * PAGE;
    // The address, the sweep, the key, and words of all kinds.
    let mut places: Vec<_> = [0, 8, 16, 24, 32, 40, 2048, 4088].map(|at| page + at).to_vec();
    // An entry of the page tables that maps nothing, and the ring of gaps.
    places.extend([8, ring(1 - 1), control(0) + 8]);
    for at in places {
        let mut byte = [0];
        changed(&machine, &format!("a bit that changed at {at:#x}"), || {
            machine.ram().read(at, &mut byte).unwrap();
            machine.ram().write(at, &[byte[0] ^ 0x10]).unwrap();
        });
        assert_eq!(machine.ended(), None, "{at:#x}");
        // Put back what the guest does not: it complains of it for ever.
        if at < visited(1) {
            machine.set_rate(Some(0));
            pause_waiting(&machine);
            machine.ram().write(at, &byte).unwrap();
            machine.set_rate(None);
            machine.resume();
            sweeps(&machine, 2);
        }
    }
}

/// Pauses a machine with nothing to do where all virtual CPUs wait for work.
fn pause_waiting(machine: &Machine) {
    wait("a guest that waits", || {
        machine.pause();
        let waits = |vcpu| {
            let regs = machine.cpu(vcpu).unwrap().regs;
            regs.rip == waiting() && regs.rax == 0
        };
        let all = (0..machine.ncpus()).all(waits);
        if !all {
            machine.resume();
        }
        all
    });
}

const BIT: u64 = 1 << 40;

type Change = Box<dyn Fn(&mut CpuState)>;
type Lose = fn(&Machine);

/// A change of every register that the guest can tell, but for those that it cannot go on without.
fn changes() -> Vec<(String, Change)> {
    let mut changes: Vec<(String, Change)> = Vec::new();
    let mut change = |name: &str, change: Change| changes.push((name.to_owned(), change));
    change("rax", Box::new(|cpu| cpu.regs.rax ^= BIT));
    change("rbx", Box::new(|cpu| cpu.regs.rax ^= BIT));
    change("rcx", Box::new(|cpu| cpu.regs.rcx ^= BIT));
    change("rdx", Box::new(|cpu| cpu.regs.rdx ^= BIT));
    change("rsi", Box::new(|cpu| cpu.regs.rsi ^= BIT));
    change("rdi", Box::new(|cpu| cpu.regs.rdi ^= BIT));
    change("rbp", Box::new(|cpu| cpu.regs.rbp ^= BIT));
    change("r8", Box::new(|cpu| cpu.regs.r8 ^= BIT));
    change("r9", Box::new(|cpu| cpu.regs.r9 ^= BIT));
    change("r10", Box::new(|cpu| cpu.regs.r10 ^= BIT));
    change("r11", Box::new(|cpu| cpu.regs.r11 ^= BIT));
    change("r12", Box::new(|cpu| cpu.regs.r12 ^= BIT));
    change("r13", Box::new(|cpu| cpu.regs.r13 ^= BIT));
    change("r14", Box::new(|cpu| cpu.regs.r14 ^= BIT));
    change("carry flag", Box::new(|cpu| cpu.regs.rflags ^= 1));
    change("direction flag", Box::new(|cpu| cpu.regs.rflags ^= 0x400));
    change("base of FS", Box::new(|cpu| cpu.segments.fs.base += 8));
    change("base of GS", Box::new(|cpu| cpu.segments.gs.base += 8));
    change("MXCSR", Box::new(|cpu| cpu.fpu[24] ^= 0x40));
    for register in 0..16 {
        for half in [0, 8] {
            let at = 160 + 16 * register + half;
            change(&format!("xmm{register}"), Box::new(move |cpu| cpu.fpu[at] ^= 0x40));
        }
    }
    change("lapic id", Box::new(|cpu| cpu.set_apic(0x20, 3 << 24)));
    change("lapic ldr", Box::new(|cpu| cpu.set_apic(0xd0, cpu.apic(0xd0) ^ (1 << 30))));
    change("lapic lvt", Box::new(|cpu| cpu.set_apic(0x370, cpu.apic(0x370) ^ 1)));
    change("lapic timer", Box::new(|cpu| cpu.set_apic(0x380, cpu.apic(0x380) ^ 1)));
    changes
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn a_register_that_was_not_restored_is_noticed() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let machine = machine(1, folder.path(), Some(0));
    wait("a report", || machine.status(0).unwrap().beats > 0);
    for (name, change) in changes() {
        pause_waiting(&machine);
        let good = machine.cpu(0).unwrap();
        let mut bad = good.clone();
        change(&mut bad);
        machine.set_cpu(0, &bad).unwrap();
        complains(&machine, &name);
        assert_eq!(machine.ended(), None, "{name}");
        // Put back what the guest cannot.
        machine.pause();
        let mut state = machine.cpu(0).unwrap();
        state.segments = good.segments;
        let id = good.apic(0x20);
        state.set_apic(0x20, id);
        machine.set_cpu(0, &state).unwrap();
        machine.resume();
    }
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn a_guest_that_lost_what_it_cannot_run_without_ends() {
    if skipped() {
        return;
    }
    let lost: [(&str, Change); 4] = [
        ("rip", Box::new(|cpu| cpu.regs.rip ^= BIT)),
        ("rsp", Box::new(|cpu| cpu.regs.rsp ^= BIT)),
        ("r15", Box::new(|cpu| cpu.regs.r15 ^= BIT)),
        ("cr3", Box::new(|cpu| cpu.cr[2] += 6 * PAGE)),
    ];
    for (name, lose) in lost {
        let folder = tempdir().unwrap();
        let machine = machine(1, folder.path(), Some(0));
        wait("a report", || machine.status(0).unwrap().beats > 0);
        pause_waiting(&machine);
        let mut state = machine.cpu(0).unwrap();
        lose(&mut state);
        machine.set_cpu(0, &state).unwrap();
        machine.resume();
        let end = machine.wait();
        assert!(matches!(end, End::TripleFault | End::Failed(_)), "{name}: {end:?}");
    }
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn a_device_that_was_not_restored_is_noticed() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let machine = machine(2, folder.path(), Some(0));
    wait("reports", || (0..2).all(|vcpu| machine.status(vcpu).unwrap().beats > 1));
    assert_eq!(violations(&machine), 0);
    let lost: [(&str, Lose); 4] = [
        ("the first serial port", |machine| machine.devices().uarts[0].scr ^= 1),
        ("the second serial port", |machine| machine.devices().uarts[1].scr ^= 1),
        ("the memory of the clock chip", |machine| machine.devices().cmos.bytes[0x43] ^= 1),
        ("the ACPI timer", |machine| {
            let before = machine.devices().timer.value().wrapping_sub(1 << 30);
            machine.devices().timer = Timer::new(before);
        }),
    ];
    for (name, lose) in lost {
        changed(&machine, name, || lose(&machine));
        assert_eq!(machine.ended(), None, "{name}");
    }
}

#[test]
#[ignore = "runs a guest on KVM: seconds, and now and then minutes"]
fn the_time_that_a_guest_did_not_run_is_measured_from_inside() {
    if skipped() {
        return;
    }
    let folder = tempdir().unwrap();
    let machine = machine(1, folder.path(), Some(0));
    wait("a report", || machine.status(0).unwrap().beats > 0);
    machine.pause();
    let begin = Instant::now();
    wait("some time to pass", || begin.elapsed().as_millis() >= 50);
    let least = u64::try_from(begin.elapsed().as_micros()).unwrap();
    machine.resume();
    wait("the gap", || machine.status(0).unwrap().max >= least);
}
