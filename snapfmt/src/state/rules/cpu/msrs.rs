//! MSRs of the guest.

use super::super::canonical;
use super::super::rule::{Basis, Judge, Rule, Severity, Subject, rule};
use super::{BOTH, TAKES, invalid_svm};
use crate::bhyve::records::Vendor;

/// Where guest MSRs are in `vmcx`, and in `vmx`.
const NEW: &str = "vcpu->guest_msrs";
const OLD: &str = "vmx->guest_msrs[i]";

/// An MSR, in either record.
macro_rules! msr {
    ($($name:literal),*) => {
        &[$(Subject::part(NEW, $name), Subject::part(OLD, $name)),*]
    };
}

/// A rule about an MSR that is written on the host before it enters the guest. To be completed.
const fn written(id: &'static str) -> Rule {
    Rule {
        severity: Severity::Panic,
        vendor: Some(Vendor::Intel),
        reason: "the host writes it with WRMSR before it enters the guest, which raises #GP in the \
                 kernel for any other value",
        bhyve: "resumes; the first entry into the guest ends in \"general protection fault while \
                in kernel mode\"",
        source: "sys/amd64/vmm/intel/vmx_msr.c vmx_msr_guest_enter",
        ..rule(id, BOTH)
    }
}

/// The rules.
pub(super) static RULES: &[Rule] = &[
    Rule {
        subjects: msr!("LSTAR", "CSTAR", "KGSBASE"),
        condition: "must be a canonical address",
        judge: Judge::Number(canonical),
        ..written("msr-address")
    },
    Rule {
        subjects: msr!("SF_MASK"),
        condition: "must have 32 bits",
        judge: Judge::Number(|mask| mask >> 32 == 0),
        ..written("msr-sf-mask")
    },
    Rule {
        subjects: msr!("TSC_AUX"),
        condition: "must have 32 bits",
        judge: Judge::Number(|aux| aux >> 32 == 0),
        ..written("msr-tsc-aux")
    },
    Rule {
        vendor: Some(Vendor::Intel),
        subjects: msr!("PAT"),
        condition: "must have memory types in its 8 bytes: 0, 1, 4, 5, 6 or 7",
        reason: "vmm lets a guest write no others",
        bhyve: TAKES,
        source: "sys/amd64/vmm/intel/vmx_msr.c pat_valid",
        judge: Judge::Number(pat),
        ..rule("msr-pat-vmx", BOTH)
    },
    Rule {
        severity: Severity::Entry,
        vendor: Some(Vendor::Amd),
        subjects: &[Subject::field("vmcb.GUEST_PAT[8]")],
        condition: "must have memory types in its 8 bytes: 0, 1, 4, 5, 6 or 7",
        reason: "VMRUN refuses a guest with any others",
        bhyve: super::FAILS,
        source: "AMD APM vol. 2, 15.25.4",
        judge: Judge::Number(pat),
        ..rule("msr-pat-svm", super::VMCX)
    },
    Rule {
        subjects: &[
            Subject::field("vmcb.LSTAR[8]"),
            Subject::field("vmcb.CSTAR[8]"),
            Subject::field("vmcb.KERNELGBASE[8]"),
            Subject::field("vmcb->state.lstar"),
            Subject::field("vmcb->state.cstar"),
            Subject::field("vmcb->state.kernelgsbase"),
        ],
        condition: "must be a canonical address",
        reason: "a guest cannot write any other, and VMLOAD makes it one",
        source: "AMD APM vol. 2, 6.1.1",
        judge: Judge::Number(canonical),
        ..invalid_svm("msr-address-svm", BOTH)
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[Subject::field("vmcb.SFMASK[8]"), Subject::field("vmcb->state.sfmask")],
        condition: "must have 32 bits",
        reason: "a guest cannot write more",
        source: "AMD APM vol. 2, 6.1.1",
        judge: Judge::Number(|mask| mask >> 32 == 0),
        ..invalid_svm("msr-sfmask-svm", BOTH)
    },
];

fn pat(value: u64) -> bool {
    value.to_le_bytes().iter().all(|kind| matches!(kind, 0 | 1 | 4..=7))
}
