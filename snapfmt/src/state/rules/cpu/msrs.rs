//! MSRs of the guest.

use super::super::Chapter;
use super::super::canonical;
use super::super::rule::{Basis, Judge, Moment, Rule, Severity, Subject, rule};
use super::{BOTH, SIGN, TAKES, invalid_svm};
use crate::bhyve::records::Vendor;

/// Where guest MSRs are in `vmcx`, and in `vmx`.
const NEW: &str = "vcpu->guest_msrs";
const OLD: &str = "vmx->guest_msrs[i]";

const UPPER: u64 = 0xffff_ffff << 32;

/// An MSR, in either record.
macro_rules! msr {
    ($mask:expr; $($name:literal),*) => {
        &[$(Subject::part(NEW, $name).mask($mask), Subject::part(OLD, $name).mask($mask)),*]
    };
}

/// A rule about an MSR that is written on the host before it enters the guest. To be completed.
const fn written(id: &'static str) -> Rule {
    Rule {
        severity: Severity::Panic,
        moment: Moment::Entry,
        vendor: Some(Vendor::Intel),
        reason: "the host writes it with WRMSR before it enters the guest, which raises #GP in the \
                 kernel for any other value",
        bhyve: "resumes; the first entry into the guest ends in \"general protection fault while \
                in kernel mode\"",
        source: "sys/amd64/vmm/intel/vmx_msr.c vmx_msr_guest_enter",
        ..rule(id, BOTH)
    }
}

pub(in super::super) static CHAPTER: Chapter =
    Chapter { title: "`vmcx`, `vmx`: MSRs", rules: RULES, argued: &[], not_rules: &[] };

static RULES: &[Rule] = &[
    Rule {
        subjects: msr!(SIGN; "LSTAR", "CSTAR", "KGSBASE"),
        condition: "must be a canonical address",
        judge: Judge::Number(canonical),
        ..written("msr-address")
    },
    Rule {
        subjects: msr!(UPPER; "SF_MASK"),
        condition: "must have 32 bits",
        judge: Judge::Number(|mask| mask >> 32 == 0),
        ..written("msr-sf-mask")
    },
    Rule {
        subjects: msr!(UPPER; "TSC_AUX"),
        condition: "must have 32 bits",
        judge: Judge::Number(|aux| aux >> 32 == 0),
        ..written("msr-tsc-aux")
    },
    Rule {
        vendor: Some(Vendor::Intel),
        subjects: msr!(!0; "PAT"),
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
        source: "AMD APM vol. 2, \"Nested Paging\"",
        judge: Judge::Number(pat),
        ..rule("msr-pat-svm", super::VMCX)
    },
    Rule {
        subjects: &[
            Subject::bits("vmcb.LSTAR[8]", SIGN),
            Subject::bits("vmcb.CSTAR[8]", SIGN),
            Subject::bits("vmcb.KERNELGBASE[8]", SIGN),
            Subject::bits("vmcb->state.lstar", SIGN),
            Subject::bits("vmcb->state.cstar", SIGN),
            Subject::bits("vmcb->state.kernelgsbase", SIGN),
        ],
        condition: "must be a canonical address",
        reason: "a guest cannot write any other, and VMLOAD makes it one",
        source: "AMD APM vol. 2, \"Fast System Call and Return\"",
        judge: Judge::Number(canonical),
        ..invalid_svm("msr-address-svm", BOTH)
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[
            Subject::bits("vmcb.SFMASK[8]", UPPER),
            Subject::bits("vmcb->state.sfmask", UPPER),
        ],
        condition: "must have 32 bits",
        reason: "a guest cannot write more",
        source: "AMD APM vol. 2, \"Fast System Call and Return\"",
        judge: Judge::Number(|mask| mask >> 32 == 0),
        ..invalid_svm("msr-sfmask-svm", BOTH)
    },
];

fn pat(value: u64) -> bool {
    value.to_le_bytes().iter().all(|kind| matches!(kind, 0 | 1 | 4..=7))
}
