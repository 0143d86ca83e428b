//! VM-entry and VM-exit controls.
//!
//! bhyve asks each CPU for the same few and leaves all others at their defaults, which are the same
//! on each CPU: so the values are known, however new the CPU.

use super::super::Chapter;
use super::super::rule::{Judge, Rule, Severity, Subject, rule};
use super::regs::LMA;
use super::{VMCX, entry_vmx, registers};
use crate::bhyve::records::Vendor;

/// The VM-entry controls that the architecture has always on, "load debug controls" among them, and
/// "load EFER".
pub(super) const ENTRY: u64 = 0x91ff;

/// "IA-32e mode guest".
pub(super) const LONG_MODE: u64 = 1 << 9;

/// The VM-exit controls that the architecture has always on, "save debug controls" among them, and
/// "host address space size", "acknowledge interrupt on exit", "save EFER", "load EFER".
pub(super) const EXIT: u64 = 0x33_efff;

const VMX_C: &str = "sys/amd64/vmm/intel/vmx.c vmx_modinit";

pub(in super::super) static CHAPTER: Chapter = Chapter {
    title: "`vmcx`: VM-entry and VM-exit controls",
    rules: RULES,
    argued: &[],
    not_rules: &[],
};

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Corrupt,
        vendor: Some(Vendor::Intel),
        subjects: &[Subject::field("VMCS_ENTRY_CTLS")],
        condition: "must be 0x91ff, or 0x93ff in long mode",
        reason: "it is what bhyve sets, on whatever CPU; with others the CPU would load what bhyve \
                 never set, or keep what belongs to the host",
        bhyve: "writes it to the VMCS as it is",
        source: VMX_C,
        judge: Judge::Number(|controls| controls & !LONG_MODE == ENTRY),
        ..rule("vmx-entry-controls", VMCX)
    },
    Rule {
        subjects: &[Subject::bits("VMCS_ENTRY_CTLS", LONG_MODE), Subject::bits("EFER", LMA)],
        condition: "must have \"IA-32e mode guest\" (bit 9) if, and only if, EFER has LMA (bit 10)",
        reason: "VM entry checks that the two are the same",
        source: "Intel SDM vol. 3, \"Checks on Guest Control Registers, Debug Registers, and \
                 MSRs\"",
        judge: Judge::Relation(|check| {
            registers(check, "VMCS_ENTRY_CTLS", &["EFER"], |controls, regs| {
                !regs.agree_on_long() || (controls & LONG_MODE != 0) == regs.long()
            });
        }),
        ..entry_vmx("vmx-entry-long-mode")
    },
    Rule {
        severity: Severity::Corrupt,
        vendor: Some(Vendor::Intel),
        subjects: &[Subject::field("VMCS_EXIT_CTLS")],
        condition: "must be 0x33efff",
        reason: "it is what bhyve sets, on whatever CPU; without \"load EFER\" the host would go \
                 on with the guest's, without \"host address space size\" not in 64-bit mode, and \
                 with others with state that bhyve never set",
        bhyve: "writes it to the VMCS as it is",
        source: VMX_C,
        judge: Judge::Number(|controls| controls == EXIT),
        ..rule("vmx-exit-controls", VMCX)
    },
];
