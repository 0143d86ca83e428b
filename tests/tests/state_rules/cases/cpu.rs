//! Registers of virtual CPUs, as both vendors have them.

use super::{AMD, Case, INTEL, INTEL_4, OLD_AMD, OLD_INTEL, case};
use crate::fixture::{Edit, set};

/// A field of `vmcx`.
pub(crate) fn cx(key: &'static str, number: u64) -> Edit {
    set("vmcx", key, number)
}

/// A register that snapshots of 2020 have twice on AMD.
pub(crate) fn both(old: &'static str, new: &'static str, number: u64) -> [Edit; 2] {
    [set("vmx", old, number), cx(new, number)]
}

/// A 32-bit guest without paging.
pub(crate) fn protected() -> Vec<Edit> {
    vec![
        cx("CR0", 0x33),
        cx("EFER", 0),
        cx("VMCS_ENTRY_CTLS", 0x91ff),
        cx("CS.access", 0xc09b),
        cx("RIP", 0x1000),
        set("vm", "vcpu->nextrip", 0x1000),
    ]
}

/// A guest in real mode, as after a reset.
pub(crate) fn real_mode() -> Vec<Edit> {
    let mut edits = protected();
    edits.extend([
        cx("CR0", 0x20),
        cx("CR4", 0x2000),
        cx("RFLAGS", 2),
        cx("RIP", 0xfff0),
        set("vm", "vcpu->nextrip", 0xfff0),
    ]);
    for (selector, base, limit, access) in [
        ("ES", "ES.base", "ES.limit", "ES.access"),
        ("SS", "SS.base", "SS.limit", "SS.access"),
        ("DS", "DS.base", "DS.limit", "DS.access"),
        ("FS", "FS.base", "FS.limit", "FS.access"),
        ("GS", "GS.base", "GS.limit", "GS.access"),
        ("CS", "CS.base", "CS.limit", "CS.access"),
    ] {
        let (segment, address) = if selector == "CS" { (0xf000, 0xffff_0000) } else { (0, 0) };
        edits.extend([
            cx(selector, segment),
            cx(base, address),
            cx(limit, 0xffff),
            cx(access, 0x93),
        ]);
    }
    edits
}

/// A guest in virtual-8086 mode.
pub(crate) fn vm86() -> Vec<Edit> {
    let mut edits = protected();
    edits.push(cx("RFLAGS", 1 << 17 | 0x202));
    for (selector, base, limit, access) in [
        ("ES", "ES.base", "ES.limit", "ES.access"),
        ("CS", "CS.base", "CS.limit", "CS.access"),
        ("SS", "SS.base", "SS.limit", "SS.access"),
        ("DS", "DS.base", "DS.limit", "DS.access"),
        ("FS", "FS.base", "FS.limit", "FS.access"),
        ("GS", "GS.base", "GS.limit", "GS.access"),
    ] {
        edits.extend([
            cx(selector, 0x1234),
            cx(base, 0x12340),
            cx(limit, 0xffff),
            cx(access, 0xf3),
        ]);
    }
    edits
}

/// A 32-bit guest with PAE paging.
pub(crate) fn pae() -> Vec<Edit> {
    let mut edits = protected();
    edits.extend([
        cx("CR0", 0x8000_0033),
        cx("CR4", 0x2020),
        cx("CR3", 0x14d_a020),
        cx("PDPTE0", 0x2001),
        cx("PDPTE1", 0x3001),
        cx("PDPTE2", 0x4001),
        cx("PDPTE3", 0x5001),
    ]);
    edits
}

/// A break on top of a state that is good.
pub(super) fn on(rule: &'static str, mut state: Vec<Edit>, edits: &[Edit]) -> Case {
    state.extend_from_slice(edits);
    case(rule, INTEL, &state)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("cr0-paging", INTEL, &[cx("CR0", 0x8005_0032)]),
        case("cr0-paging", AMD, &[cx("CR0", 0x8005_0032).vcpu(1)]),
        case("cr0-upper-vmx", INTEL, &[cx("CR0", 0x1_8005_003b)]),
        case("cr0-upper-svm", AMD, &[cx("CR0", 0x8000_0000_8005_0033)]),
        case("cr0-cache", AMD, &[cx("CR0", 0xa005_0033)]),
        case("cr3-memory", INTEL, &[cx("CR3", 0x000f_ffff_ffff_f000)]),
        case("cr3-memory", INTEL, &[cx("CR3", 64 << 20)]),
        case("cr3-memory", INTEL_4, &[cx("CR3", 5 << 30).vcpu(3)]),
        case("cr3-upper", INTEL, &[cx("CR3", 1 << 63 | 0x14d_a000)]),
        case("cr3-upper", AMD, &[cx("CR3", 1 << 61 | 0x33b_a000)]),
        case("cr4-reserved-vmx", INTEL, &[cx("CR4", 1 << 40 | 0x35_26e0)]),
        case("cr4-reserved-svm", AMD, &[cx("CR4", 0x35_26e0)]),
        case("cr4-pae", INTEL, &[cx("CR4", 0x35_26c0)]),
        case("cr4-pae", OLD_AMD, &both("vmcb->state.cr4", "CR4", 0x35_06c0)),
        on("cr4-pcid", protected(), &[cx("CR4", 0x2_2020)]),
        case("cr4-cet", INTEL, &[cx("CR4", 0xb5_26e0), cx("CR0", 0x8004_003b)]),
        case("efer-svme", AMD, &[cx("EFER", 0xd01)]),
        case("efer-reserved-vmx", INTEL, &[cx("EFER", 0x1d01)]),
        case("efer-reserved-svm", AMD, &[cx("EFER", 0x1d03)]),
        case("efer-reserved-svm", AMD, &[cx("EFER", 0x1d01 | 1 << 63)]),
        case("efer-long-mode", AMD, &[cx("EFER", 0x1901)]),
        on(
            "efer-long-mode",
            protected(),
            &[cx("EFER", 0x400), cx("VMCS_ENTRY_CTLS", 0x93ff), cx("CR4", 0x2020)],
        ),
        case(
            "rip-canonical",
            OLD_INTEL,
            &[cx("RIP", 0xffff_7fff_ffff_fff8), set("vm", "vcpu->nextrip", 0xffff_8000_0000_0000)],
        ),
        case("segment-selector", INTEL, &[cx("GS", 0x1_001b)]),
        case("segment-selector", AMD, &[cx("LDTR", 1 << 63).vcpu(1)]),
        case("segment-cs-width", INTEL, &[cx("CS.access", 0xe09b)]),
        case("segment-cs-width", OLD_AMD, &[cx("CS.access", 0xe09b)]),
        on("rflags-vm86", vm86(), &[cx("CR0", 0x32)]),
        case("dr7", INTEL, &[cx("DR7", 1 << 32 | 0x400)]),
        case("dr7", AMD, &[cx("DR7", 1 << 63 | 0x400)]),
        case("mtrr-default", INTEL, &[cx("mtrr", 0xc07).part("def_type")]),
        case("mtrr-default", AMD, &[cx("vcpu->mtrr", 0x1c06).part("def_type")]),
        case("mtrr-fixed", INTEL, &[cx("mtrr", 2 << 8).part("fixed16k[1]")]),
        case("mtrr-base", AMD, &[cx("vcpu->mtrr", 0xc000_0100).part("var[9].base").vcpu(1)]),
        case("mtrr-mask", INTEL, &[cx("mtrr", 0xf_c000_0801).part("var[0].mask")]),
    ]
}
