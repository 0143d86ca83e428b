//! Hardware state of the virtual CPUs on Intel hosts: `vmcx`, and `vmx` where that was apart.

use super::super::dsl::*;
use super::super::schema::{Item, Kind, Layout, Part, Repeat, Width};
use super::mtrr::{MTRR, MTRR_LEN};
use super::segments::{SEGMENTS, TABLES, val};
use crate::bhyve::records::Vendor::Intel;

const VMCS: &[Item] = &[
    val("CR0"),
    val("CR3"),
    val("CR4"),
    val("DR7"),
    val("RSP"),
    val("RIP").means("not used: the guest goes on at `nextrip` of `vm`"),
    val("RFLAGS"),
    Item::Shared(SEGMENTS),
    Item::Shared(TABLES),
    val("PDPTE0").means("used with PAE paging only, as the next three"),
    val("PDPTE1"),
    val("PDPTE2"),
    val("PDPTE3"),
    val("VMCS_GUEST_IA32_SYSENTER_CS"),
    val("VMCS_GUEST_IA32_SYSENTER_ESP"),
    val("VMCS_GUEST_IA32_SYSENTER_EIP"),
    val("VMCS_GUEST_INTERRUPTIBILITY"),
    val("VMCS_GUEST_ACTIVITY").means("0 active, 1 HLT, 2 shutdown, 3 wait for SIPI"),
    val("VMCS_ENTRY_CTLS").host().means("VM-entry controls, as the CPU of the host has them"),
    val("VMCS_EXIT_CTLS").host().means("VM-exit controls, as the CPU of the host has them"),
];

const MSR_PARTS: &[Part] = &[
    part("LSTAR", 0, Width::Eight),
    part("CSTAR", 8, Width::Eight),
    part("STAR", 16, Width::Eight),
    part("SF_MASK", 24, Width::Eight),
    part("KGSBASE", 32, Width::Eight),
    part("PAT", 40, Width::Eight),
    part("TSC_AUX", 48, Width::Eight),
];
const MSRS: &str = "LSTAR CSTAR STAR SF_MASK KGSBASE PAT TSC_AUX, written with WRMSR on the host";
const MSRS_6: &str = "LSTAR CSTAR STAR SF_MASK KGSBASE PAT, written with WRMSR on the host";

/// The first six of [`MSR_PARTS`].
const MSR_PARTS_6: &[Part] = MSR_PARTS.split_at(6).0;

const GUEST_MSRS: Item =
    ints("vcpu->guest_msrs", Width::Eight, 7).bits().inside(MSR_PARTS).means(MSRS);

const PIR_DESC: Item = bytes("pir_desc", 64)
    .inside(&[
        piece("pir", 0, 32, Kind::Bytes),
        part("pending", 32, Width::Eight),
        piece("unused", 40, 24, Kind::Bytes),
    ])
    .means("posted interrupts");

const MTRRS: Item = ints("mtrr", Width::Eight, MTRR_LEN / 8)
    .bits()
    .inside(MTRR)
    .means("memory type range registers, which are emulated only");

const CONTEXT: &[Item] = &[
    u64("vmxctx->guest_rdi").bits(),
    u64("vmxctx->guest_rsi").bits(),
    u64("vmxctx->guest_rdx").bits(),
    u64("vmxctx->guest_rcx").bits(),
    u64("vmxctx->guest_r8").bits(),
    u64("vmxctx->guest_r9").bits(),
    u64("vmxctx->guest_rax").bits(),
    u64("vmxctx->guest_rbx").bits(),
    u64("vmxctx->guest_rbp").bits(),
    u64("vmxctx->guest_r10").bits(),
    u64("vmxctx->guest_r11").bits(),
    u64("vmxctx->guest_r12").bits(),
    u64("vmxctx->guest_r13").bits(),
    u64("vmxctx->guest_r14").bits(),
    u64("vmxctx->guest_r15").bits(),
    u64("vmxctx->guest_cr2").bits(),
    u64("vmxctx->guest_dr0").bits(),
    u64("vmxctx->guest_dr1").bits(),
    u64("vmxctx->guest_dr2").bits(),
    u64("vmxctx->guest_dr3").bits(),
    u64("vmxctx->guest_dr6").bits().means("loaded with MOV DR6 on the host"),
];

/// One slot for each virtual CPU.
macro_rules! slots {
    ($($item:expr),*) => {
        [&[group("vcpus", Repeat::Slots, &[$($item),*])], &[], &[]]
    };
}

const CX: &[&str] = &["vmcx"];
const VMX: &[&str] = &["vmx"];

pub(super) static LAYOUTS: [Layout; 7] = [
    cpu(
        "vmx-intel-216",
        VMX,
        Intel,
        [A, A],
        slots![
            ints("vmx->guest_msrs[i]", Width::Eight, 6).bits().inside(MSR_PARTS_6).means(MSRS_6),
            Item::Shared(CONTEXT)
        ],
    ),
    cpu(
        "vmx-intel-224",
        VMX,
        Intel,
        [A, NEITHER],
        slots![
            ints("vmx->guest_msrs[i]", Width::Eight, 7).bits().inside(MSR_PARTS).means(MSRS),
            Item::Shared(CONTEXT)
        ],
    ),
    cpu("vmcx-intel-376", CX, Intel, [A, A], slots![Item::Shared(VMCS)]),
    cpu(
        "vmcx-intel-600",
        CX,
        Intel,
        [BOTH, NEITHER],
        slots![Item::Shared(VMCS), GUEST_MSRS, Item::Shared(CONTEXT)],
    ),
    cpu(
        "vmcx-intel-664",
        CX,
        Intel,
        [BOTH, NEITHER],
        slots![Item::Shared(VMCS), GUEST_MSRS, PIR_DESC, Item::Shared(CONTEXT)],
    ),
    cpu(
        "vmcx-intel-856",
        CX,
        Intel,
        [BOTH, NEITHER],
        slots![Item::Shared(VMCS), GUEST_MSRS, MTRRS, Item::Shared(CONTEXT)],
    ),
    cpu(
        "vmcx-intel-920",
        CX,
        Intel,
        [BOTH, B],
        slots![Item::Shared(VMCS), GUEST_MSRS, PIR_DESC, MTRRS, Item::Shared(CONTEXT)],
    ),
];
