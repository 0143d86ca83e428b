//! Debug registers.

use super::super::Chapter;
use super::super::rule::{Judge, Moment, Rule, Severity, Slots, Subject, rule};
use super::{BOTH, VMCX, entry, entry_svm};
use crate::bhyve::records::Vendor;

const UPPER: u64 = 0xffff_ffff << 32;

pub(in super::super) static CHAPTER: Chapter =
    Chapter { title: "`vmcx`, `vmx`: debug registers", rules: RULES, argued: &[], not_rules: &[] };

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Panic,
        moment: Moment::Entry,
        vendor: Some(Vendor::Intel),
        subjects: &[Subject::bits("vmxctx->guest_dr6", UPPER)],
        condition: "must have 32 bits",
        reason: "the host loads it with MOV DR6 before it enters the guest, which raises #GP in \
                 the kernel for any other value",
        bhyve: "resumes; the first entry into the guest ends in \"general protection fault while \
                in kernel mode\"",
        source: "sys/amd64/vmm/intel/vmx.c vmx_dr_enter_guest; \
                 Intel SDM vol. 3, \"Debug Registers\"",
        judge: Judge::Number(|dr6| dr6 >> 32 == 0),
        ..rule("dr6-vmx", BOTH)
    },
    Rule {
        slots: Slots::Used,
        records: BOTH,
        subjects: &[Subject::bits("DR6", UPPER), Subject::bits("vmcb->state.dr6", UPPER)],
        condition: "must have 32 bits",
        reason: "VMRUN refuses a guest with more",
        judge: Judge::Number(|dr6| dr6 >> 32 == 0),
        ..entry_svm("dr6-svm")
    },
    Rule {
        slots: Slots::Used,
        subjects: &[Subject::bits("DR7", UPPER)],
        condition: "must have 32 bits",
        reason: "the CPU refuses to enter a guest with more",
        judge: Judge::Number(|dr7| dr7 >> 32 == 0),
        records: VMCX,
        ..entry("dr7")
    },
];
