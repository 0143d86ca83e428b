//! RFLAGS, and where the guest goes on.

use super::super::Chapter;
use super::super::check::Check;
use super::super::rule::{Basis, Judge, Needs, Rule, Subject};
use super::regs::{IF, LMA, PE, Regs, VM};
use super::{VMCX, entry, entry_vmx, invalid_svm, registers};

const RFLAGS: &[Subject] = &[Subject::bits("RFLAGS", ONE | ZERO)];
const NEXTRIP: &str = "vcpu->nextrip";
const INTINFO: &str = "vcpu->exitintinfo";

/// Always 1.
const ONE: u64 = 1 << 1;

/// Always 0: 3, 5, 15, and all above ID.
const ZERO: u64 = 1 << 3 | 1 << 5 | 1 << 15 | !0 << 22;

pub(in super::super) static CHAPTER: Chapter = Chapter {
    title: "`vmcx`: RFLAGS, and where the guest goes on",
    rules: RULES,
    argued: &[],
    not_rules: &[],
};

static RULES: &[Rule] = &[
    Rule {
        subjects: RFLAGS,
        condition: "must have bit 1, and none of 3, 5, 15 and those above 21",
        reason: "VM entry checks the reserved bits",
        source: "Intel SDM vol. 3, \"Checks on Guest RIP, RFLAGS, and SSP\"",
        judge: Judge::Number(|rflags| rflags & (ONE | ZERO) == ONE),
        ..entry_vmx("rflags-reserved-vmx")
    },
    Rule {
        slots: super::Slots::Running,
        subjects: RFLAGS,
        condition: "must have bit 1, and none of 3, 5, 15 and those above 21",
        reason: "a CPU stores the reserved bits always so",
        source: "AMD APM vol. 1, \"Flags Register\"",
        judge: Judge::Number(|rflags| rflags & (ONE | ZERO) == ONE),
        ..invalid_svm("rflags-reserved-svm", VMCX)
    },
    Rule {
        subjects: &[
            Subject::bits("RFLAGS", VM),
            Subject::bits("CR0", PE),
            Subject::bits("EFER", LMA),
        ],
        condition: "must have VM (bit 17) only with CR0.PE, and not in long mode",
        reason: "virtual-8086 mode is part of protected mode, and long mode has none",
        source: "Intel SDM vol. 3, \"Checks on Guest RIP, RFLAGS, and SSP\"; \
                 AMD APM vol. 2, \"Legacy Modes\"",
        judge: Judge::Relation(|check| {
            registers(check, "RFLAGS", &["CR0", "EFER"], |rflags, regs| {
                rflags & VM == 0 || regs.cr0 & PE != 0 && !regs.long()
            });
        }),
        ..entry("rflags-vm86")
    },
    Rule {
        basis: Basis::Unverified,
        needs: Needs::Records,
        records: &["vmcx", "vm"],
        subjects: &[Subject::bits("RFLAGS", IF), Subject::field(INTINFO)],
        condition: "must have IF (bit 9) while exitintinfo has an interrupt",
        reason: "an interrupt was being delivered, and VM entry injects none that the guest masks",
        source: "Intel SDM vol. 3, \"Checks on Guest RIP, RFLAGS, and SSP\"",
        judge: Judge::Relation(interrupted),
        ..entry_vmx("rflags-if")
    },
    Rule {
        needs: Needs::Records,
        records: &["vm", "vmcx"],
        subjects: &[
            Subject::bits(NEXTRIP, 0xffff_ffff << 32).only("vm-"),
            Subject::bits("CS.access", 1 << 13),
            Subject::bits("EFER", LMA),
        ],
        condition: "must be below 4 GiB outside of 64-bit mode",
        reason: "it becomes the guest's RIP, which has 32 bits there, and VM entry checks it",
        source: "sys/amd64/vmm/vmm.c vm_run; \
                 Intel SDM vol. 3, \"Checks on Guest RIP, RFLAGS, and SSP\"",
        judge: Judge::Relation(nextrip),
        ..entry_vmx("nextrip-width")
    },
];

fn interrupted(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vmcx") {
        let info = check.machine().slot("vm", slot.index()).and_then(|vm| vm.u64(INTINFO));
        let Some((field, info)) = slot.get("RFLAGS").zip(info) else { continue };
        // Valid, and of type 0.
        let interrupt = info & (1 << 31 | 7 << 8) == 1 << 31;
        if interrupt && field.u64().is_some_and(|rflags| rflags & IF == 0) {
            check.breaks(known.record, &field, &[("exitintinfo", info)]);
        }
    }
}

fn nextrip(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vm") {
        let registers = check.machine().slot("vmcx", slot.index());
        let Some((field, registers)) = slot.get(NEXTRIP).zip(registers) else { continue };
        if Regs::of(registers).is_some_and(|regs| regs.agree_on_long() && !regs.bits64())
            && field.u64().is_some_and(|rip| rip >> 32 != 0)
        {
            let efer = registers.u64("EFER").unwrap_or_default();
            let cs = registers.u64("CS.access").unwrap_or_default();
            check.breaks(known.record, &field, &[("EFER", efer), ("CS.access", cs)]);
        }
    }
}
