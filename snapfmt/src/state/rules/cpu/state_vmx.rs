//! SYSENTER, interruptibility, activity: the rest of the guest state that VM entry checks.

use super::super::Chapter;
use super::super::canonical;
use super::super::check::Check;
use super::super::rule::{Basis, Judge, Rule, Severity, Slots, Subject, rule};
use super::regs::IF;
use super::{SIGN, TAKES, VMCX, entry_vmx, registers};
use crate::bhyve::records::Vendor;

const INTERRUPTIBILITY: &str = "VMCS_GUEST_INTERRUPTIBILITY";
const ACTIVITY: &str = "VMCS_GUEST_ACTIVITY";

const BLOCKING_BY_STI: u64 = 1;
const BLOCKING: u64 = 0b11;
const BLOCKING_BY_SMI: u64 = 1 << 2;
const INTERRUPTIBILITY_RESERVED: u64 = !0 << 5;

const HLT: u64 = 1;

pub(in super::super) static CHAPTER: Chapter = Chapter {
    title: "`vmcx`: other guest state that VM entry checks",
    rules: RULES,
    argued: &[],
    not_rules: &[],
};

static RULES: &[Rule] = &[
    Rule {
        vendor: Some(Vendor::Intel),
        subjects: &[Subject::bits("VMCS_GUEST_IA32_SYSENTER_CS", 0xffff_ffff << 32)],
        condition: "must have 32 bits",
        reason: "the VMCS has no more of it, and no more are restored",
        bhyve: TAKES,
        source: "Intel SDM vol. 3, \"32-Bit Guest-State Fields\"",
        judge: Judge::Number(|cs| cs >> 32 == 0),
        ..rule("sysenter-cs", VMCX)
    },
    Rule {
        subjects: &[
            Subject::bits("VMCS_GUEST_IA32_SYSENTER_ESP", SIGN),
            Subject::bits("VMCS_GUEST_IA32_SYSENTER_EIP", SIGN),
        ],
        condition: "must be a canonical address",
        reason: "VM entry loads it into an MSR, and checks it",
        source: "Intel SDM vol. 3, \"Checks on Guest Control Registers, Debug Registers, and \
                 MSRs\"",
        judge: Judge::Number(canonical),
        ..entry_vmx("sysenter")
    },
    Rule {
        subjects: &[Subject::field(INTERRUPTIBILITY), Subject::bits("RFLAGS", IF)],
        condition: "must not have blocking by STI (bit 0) together with MOV SS (1) or without \
                    RFLAGS.IF, nor blocking by SMI (2), nor any above 4",
        reason: "VM entry checks it",
        source: "Intel SDM vol. 3, \"Checks on Guest Non-Register State\"",
        judge: Judge::Relation(|check| {
            registers(check, INTERRUPTIBILITY, &["RFLAGS"], |state, regs| {
                let by_sti = state & BLOCKING_BY_STI != 0;
                state & (BLOCKING_BY_SMI | INTERRUPTIBILITY_RESERVED) == 0
                    && state & BLOCKING != BLOCKING
                    && (!by_sti || regs.rflags & IF != 0)
            });
        }),
        ..entry_vmx("interruptibility")
    },
    Rule {
        subjects: &[
            Subject::field(ACTIVITY),
            Subject::bits(INTERRUPTIBILITY, BLOCKING),
            Subject::bits("SS.access", 0b11 << 5),
        ],
        condition: "must be one of 0 to 3; 1 (HLT) only at privilege level 0; and 0 while \
                    interrupts are blocked by STI or MOV SS",
        reason: "VM entry checks it",
        source: "Intel SDM vol. 3, \"Checks on Guest Non-Register State\"",
        judge: Judge::Relation(activity),
        ..entry_vmx("activity")
    },
    Rule {
        severity: Severity::Guest,
        basis: Basis::Unverified,
        vendor: Some(Vendor::Intel),
        slots: Slots::Running,
        subjects: &[Subject::field(ACTIVITY)],
        condition: "must be 0 (active) or 1 (HLT)",
        reason: "bhyve has no way to wake a virtual CPU that is shut down (2), or that waits for a \
                 SIPI (3) in the CPU instead of in bhyve",
        bhyve: "resumes; the virtual CPU does not run",
        source: "Intel SDM vol. 3, \"Guest Non-Register State\"",
        judge: Judge::Number(|activity| !matches!(activity, 2 | 3)),
        ..rule("activity-asleep", VMCX)
    },
];

fn activity(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vmcx") {
        let Some(field) = slot.get(ACTIVITY) else { continue };
        let interruptibility = slot.u64(INTERRUPTIBILITY).unwrap_or_default();
        let ss = slot.u64("SS.access").unwrap_or_default();
        let good = match field.u64().unwrap_or_default() {
            0 => true,
            state @ 1..=3 => interruptibility & BLOCKING == 0 && (state != HLT || ss >> 5 & 3 == 0),
            _ => false,
        };
        if !good {
            let others = [("interruptibility", interruptibility), ("SS.access", ss)];
            check.breaks(known.record, &field, &others);
        }
    }
}
