//! Registers and controls of virtual CPUs on Intel.

use super::cpu::{cx, on, pae, protected, real_mode, vm86};
use super::{Case, INTEL, INTEL_4, OLD_INTEL, case};
use crate::fixture::set;

const VALID: u64 = 1 << 31;
const NON_CANONICAL: u64 = 1 << 55;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = segments();
    cases.extend(msrs());
    cases.extend([
        case("rflags-reserved-vmx", INTEL, &[cx("RFLAGS", 0x200)]),
        case("rflags-reserved-vmx", INTEL_4, &[cx("RFLAGS", 0x20_0000_0202).vcpu(2)]),
        case("rflags-if", INTEL, &[cx("RFLAGS", 2), set("vm", "vcpu->exitintinfo", VALID | 32)]),
        on(
            "nextrip-width",
            protected(),
            &[cx("RIP", 0xffff_fff8), set("vm", "vcpu->nextrip", 1 << 32)],
        ),
        case("table-limit-vmx", INTEL, &[cx("GDTR.limit", 0x1_0000)]),
        case("table-base-vmx", INTEL, &[cx("IDTR.base", NON_CANONICAL)]),
        case("sysenter-cs", INTEL, &[cx("VMCS_GUEST_IA32_SYSENTER_CS", 1 << 32)]),
        case("sysenter", INTEL, &[cx("VMCS_GUEST_IA32_SYSENTER_ESP", NON_CANONICAL)]),
        case("sysenter", OLD_INTEL, &[cx("VMCS_GUEST_IA32_SYSENTER_EIP", NON_CANONICAL)]),
        case("activity", INTEL, &[cx("VMCS_GUEST_ACTIVITY", 7)]),
        case(
            "activity",
            INTEL,
            &[cx("VMCS_GUEST_ACTIVITY", 1), cx("VMCS_GUEST_INTERRUPTIBILITY", 2)],
        ),
        case(
            "activity",
            INTEL,
            &[cx("VMCS_GUEST_ACTIVITY", 1), cx("SS.access", 0xc0f3), cx("CS.access", 0xa0fb)],
        ),
        case("activity-asleep", INTEL, &[cx("VMCS_GUEST_ACTIVITY", 3)]),
        case("vmx-entry-controls", INTEL, &[cx("VMCS_ENTRY_CTLS", 0x13ff)]),
        case("vmx-entry-controls", INTEL, &[cx("VMCS_ENTRY_CTLS", 0xd3ff)]),
        case("vmx-entry-long-mode", OLD_INTEL, &[cx("VMCS_ENTRY_CTLS", 0x91ff)]),
    ]);
    cases.extend([0, 1, 1 << 1, 1 << 2, 1 << 8].map(|bits| {
        let rule = "interruptibility";
        match bits {
            0 => case(rule, INTEL, &[cx("VMCS_GUEST_INTERRUPTIBILITY", 0b11)]),
            1 => case(rule, INTEL, &[cx("VMCS_GUEST_INTERRUPTIBILITY", 1), cx("RFLAGS", 2)]),
            2 => case(rule, INTEL, &[cx("VMCS_GUEST_INTERRUPTIBILITY", 1 << 40)]),
            _ => case(rule, INTEL, &[cx("VMCS_GUEST_INTERRUPTIBILITY", bits)]),
        }
    }));
    // What belongs to the host, one by one; and what would load what nobody set.
    let bits = [2, 9, 15, 20, 21, 12, 18, 19, 22, 28];
    let controls = bits.map(|bit| 0x33_efff ^ 1 << bit).into_iter().chain([0, u64::MAX]);
    cases.extend(
        controls.map(|value| case("vmx-exit-controls", INTEL, &[cx("VMCS_EXIT_CTLS", value)])),
    );
    cases.extend([
        on("pdpte", pae(), &[cx("PDPTE0", 0x1003)]),
        on("pdpte", pae(), &[cx("PDPTE3", 1 << 63 | 1)]),
        case("posted-pending", INTEL, &[cx("pir_desc", 2).part("pending")]),
        case("posted-unused", INTEL, &[cx("pir_desc", 1).bytes(63, 1)]),
        case("posted-vectors", INTEL, &[cx("pir_desc", 0x80).bytes(1, 1)]),
    ]);
    cases
}

fn segments() -> Vec<Case> {
    vec![
        case("segment-table", INTEL, &[cx("TR", 0x4c)]),
        case("segment-base", INTEL, &[cx("FS.base", NON_CANONICAL)]),
        case("segment-base", OLD_INTEL, &[cx("CS.base", 1 << 32)]),
        case("segment-base", INTEL, &[cx("DS.base", 1 << 32)]),
        on("segment-vm86-base", vm86(), &[cx("DS.base", 0x12350)]),
        on("segment-vm86-limit", vm86(), &[cx("SS.limit", 0xfffff)]),
        on("segment-vm86-access", vm86(), &[cx("CS.access", 0x93)]),
        case("segment-cs", INTEL, &[cx("CS.access", 0xa09a)]),
        case("segment-cs", INTEL, &[cx("CS.access", 0xa01b)]),
        case("segment-cs", INTEL, &[cx("CS.access", 0xa08b)]),
        case("segment-cs-dpl", INTEL, &[cx("CS.access", 0xa0fb)]),
        case("segment-cs-dpl", INTEL, &[cx("CS.access", 0xa0ff)]),
        case("segment-ss", INTEL, &[cx("SS.access", 0xc091)]),
        case("segment-ss", INTEL, &[cx("SS.access", 0xc083)]),
        on("segment-ss", real_mode(), &[cx("SS.access", 0xf3)]),
        case("segment-data", INTEL, &[cx("ES.access", 0xc0f2)]),
        case("segment-data", INTEL, &[cx("GS.access", 0xc0f9)]),
        case("segment-data", INTEL, &[cx("DS.access", 0xc073)]),
        case("segment-reserved", INTEL, &[cx("DS.access", 0xc1f3)]),
        case("segment-reserved", INTEL, &[cx("CS.access", 0x2_a09b)]),
        case("segment-limit", INTEL, &[cx("ES.limit", 0xffff_fff0)]),
        case("segment-limit", INTEL, &[cx("TR.limit", 0x10_0000)]),
        case("segment-tr", INTEL, &[cx("TR.access", 0x89)]),
        case("segment-tr", INTEL, &[cx("TR.access", 0x83)]),
        case("segment-tr", INTEL_4, &[cx("TR.access", 0x1_008b).vcpu(1)]),
        case("segment-ldtr", INTEL, &[cx("LDTR.access", 0x8b)]),
    ]
}

/// The same in `vmx` of 2020 and in `vmcx`; TSC_AUX is not in the former.
fn msrs() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rule, name, value) in [
        ("msr-address", "LSTAR", NON_CANONICAL),
        ("msr-address", "CSTAR", 1 << 47),
        ("msr-address", "KGSBASE", NON_CANONICAL),
        ("msr-sf-mask", "SF_MASK", 1 << 32),
        ("msr-pat-vmx", "PAT", 0x0706_0504_0302_0100),
        ("msr-pat-vmx", "PAT", 0x08 << 56),
    ] {
        let new = set("vmcx", "vcpu->guest_msrs", value).part(name);
        let old = set("vmx", "vmx->guest_msrs[i]", value).part(name);
        cases.extend([case(rule, INTEL, &[new]), case(rule, OLD_INTEL, &[old])]);
    }
    cases.extend([
        case("msr-tsc-aux", INTEL, &[cx("vcpu->guest_msrs", 1 << 32).part("TSC_AUX")]),
        case("dr6-vmx", INTEL, &[cx("vmxctx->guest_dr6", 0x1_ffff_0ff0)]),
        case("dr6-vmx", OLD_INTEL, &[set("vmx", "vmxctx->guest_dr6", 1 << 63)]),
    ]);
    cases
}
