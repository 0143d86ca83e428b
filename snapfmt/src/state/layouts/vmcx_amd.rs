//! Hardware state of the virtual CPUs on AMD hosts: `vmcx`, and `vmx` where that was apart.
//!
//! Fields of the VMCB are stored as 64 bits, however wide they are; on restore as many low bytes
//! count as the number in brackets says.

use super::super::dsl::*;
use super::super::schema::{Item, Layout, Repeat, Width};
use super::mtrr::{MTRR, MTRR_LEN};
use super::segments::{SEGMENTS, TABLES, val};
use crate::bhyve::records::Vendor::Amd;

const CR_2020: &[Item] = &[
    val("CR0"),
    val("CR2"),
    val("CR3"),
    val("CR4"),
    val("DR7"),
    val("RAX"),
    val("RSP"),
    val("RIP").means("not used: the guest goes on at `nextrip`"),
    val("RFLAGS"),
];

const CR: &[Item] = &[
    val("CR0"),
    val("CR2"),
    val("CR3"),
    val("CR4"),
    val("DR6"),
    val("DR7"),
    val("RAX"),
    val("RSP"),
    val("RIP").means("not used: the guest goes on at `nextrip`"),
    val("RFLAGS"),
];

const INTERCEPTS: &[Item] = &[
    val("vmcb.CR_INTERCEPT[4]").means("15:0 reads of CR0 to CR15, 31:16 writes, that are caught"),
    val("vmcb.DR_INTERCEPT[4]").means("as of control registers"),
    val("vmcb.EXC_INTERCEPT[4]").means("exceptions that are caught"),
    val("vmcb.INST1_INTERCEPT[4]").means("instructions and events that are caught"),
    val("vmcb.INST2_INTERCEPT[4]").means("instructions that are caught, VMRUN first"),
];

const SYSENTER: &[Item] =
    &[val("vmcb.SYSENTER_CS[8]"), val("vmcb.SYSENTER_ESP[8]"), val("vmcb.SYSENTER_EIP[8]")];

const EXITINFO: &[Item] =
    &[val("vmcb.EXITINFO1[8]"), val("vmcb.EXITINFO2[8]"), val("vmcb.EXITINTINFO[8]")];

const AVIC: &[Item] = &[
    val("vmcb.AVIC_BAR[8]").host_address().means("not used by bhyve: 0"),
    val("vmcb.AVIC_PAGE[8]").host_address().means("not used by bhyve: 0"),
    val("vmcb.AVIC_LT[8]").host_address().means("not used by bhyve: 0"),
    val("vmcb.AVIC_PT[8]").host_address().means("not used by bhyve: 0"),
];

const ASID: Item = val("vmcb.ASID[4]").host().means("address space of the guest in the host's TLB");
const TLB_CTRL: Item = val("vmcb.TLB_CTRL[4]").means("what the next entry flushes from the TLB");
const VIRQ: Item = val("vmcb.VIRQ[8]")
    .means("7:0 V_TPR, 8 V_IRQ, 24 V_INTR_MASKING: the guest's RFLAGS.IF does not mask the host's");
const SHADOW: Item = val("INTR_SHADOW").flag().means("in the shadow of STI or MOV SS");

const CONTROLS: &[Item] = &[
    SHADOW,
    Item::Shared(INTERCEPTS),
    val("vmcb.PAUSE_FILTHRESH[2]"),
    val("vmcb.PAUSE_FILCNT[2]"),
    ASID,
    TLB_CTRL,
    VIRQ,
    val("vmcb.EXIT_REASON[8]"),
    Item::Shared(EXITINFO),
    val("vmcb.NP_ENABLE[1]").means("bit 0: nested paging"),
    Item::Shared(AVIC),
    val("vmcb.CPL[1]"),
    val("vmcb.STAR[8]"),
    val("vmcb.LSTAR[8]"),
    val("vmcb.CSTAR[8]"),
    val("vmcb.SFMASK[8]"),
    val("vmcb.KERNELGBASE[8]"),
    Item::Shared(SYSENTER),
    val("vmcb.GUEST_PAT[8]"),
    val("vmcb.DBGCTL[8]"),
    val("vmcb.BR_FROM[8]"),
    val("vmcb.BR_TO[8]"),
    val("vmcb.INT_FROM[8]"),
    val("vmcb.INT_TO[8]"),
];

const SWCTX: &[Item] = &[
    u64("vcpu->swctx.sctx_rbp").bits(),
    u64("vcpu->swctx.sctx_rbx").bits(),
    u64("vcpu->swctx.sctx_rcx").bits(),
    u64("vcpu->swctx.sctx_rdx").bits(),
    u64("vcpu->swctx.sctx_rdi").bits(),
    u64("vcpu->swctx.sctx_rsi").bits(),
    u64("vcpu->swctx.sctx_r8").bits(),
    u64("vcpu->swctx.sctx_r9").bits(),
    u64("vcpu->swctx.sctx_r10").bits(),
    u64("vcpu->swctx.sctx_r11").bits(),
    u64("vcpu->swctx.sctx_r12").bits(),
    u64("vcpu->swctx.sctx_r13").bits(),
    u64("vcpu->swctx.sctx_r14").bits(),
    u64("vcpu->swctx.sctx_r15").bits(),
    u64("vcpu->swctx.sctx_dr0").bits(),
    u64("vcpu->swctx.sctx_dr1").bits(),
    u64("vcpu->swctx.sctx_dr2").bits(),
    u64("vcpu->swctx.sctx_dr3").bits(),
];

const VCPU: &[Item] = &[
    u64("vcpu->nextrip").bits().means("where the guest goes on"),
    i32("vcpu->lastcpu").host().means("CPU of the host that it ran on last; -1 none"),
    u32("vcpu->dirty").bits().means("state that the CPU may not take from its cache"),
    i64("vcpu->eptgen").host().means("generation of the nested page table that was used last"),
    u64("vcpu->asid.gen").host().means("generation of the ASID"),
    u32("vcpu->asid.num").host().means("the ASID"),
];

const NESTED: &str = "root of the nested page table";

const VMCX_2020: &[Item] = &[group(
    "vcpus",
    Repeat::Slots,
    &[
        Item::Shared(CR_2020),
        Item::Shared(SEGMENTS),
        Item::Shared(TABLES),
        Item::Shared(SYSENTER),
        val("vmcb.NPT_BASE[8]").host_address().means(NESTED),
        Item::Shared(INTERCEPTS),
        TLB_CTRL,
        Item::Shared(EXITINFO),
        VIRQ,
        val("vmcb.GUEST_PAT[8]"),
        Item::Shared(AVIC),
        val("vmcb.IO_PERM[8]").host_address().means("the map of caught I/O ports"),
        val("vmcb.MSR_PERM[8]").host_address().means("the map of caught MSRs"),
        ASID,
        val("vmcb.EXIT_REASON[8]"),
        SHADOW,
    ],
)];

const VMCX: &[Item] = &[group(
    "vcpus",
    Repeat::Slots,
    &[
        Item::Shared(CR),
        Item::Shared(SEGMENTS),
        Item::Shared(TABLES),
        Item::Shared(CONTROLS),
        Item::Shared(SWCTX),
        Item::Shared(VCPU),
        ints("vcpu->mtrr", Width::Eight, MTRR_LEN / 8)
            .bits()
            .inside(MTRR)
            .means("memory type range registers, which are emulated only"),
    ],
)];

/// What the names do not say was told from the values.
const VMCB_CTRL: &[Item] = &[
    u8("vmcb->ctrl.v_tpr"),
    u64("val").pair("val.v_tpr").bits().means("V_TPR once more"),
    u32("vmcb->ctrl.asid").host(),
    u64("val").pair("val.np_enable").bits().means("1: nested paging, it seems"),
    u64("val").pair("val.intr_shadow").bits().means("the interrupt shadow, it seems"),
    u8("vmcb->ctrl.tlb_ctrl").bits(),
];

const VMCB_STATE: &[Item] = &[
    bytes("vmcb->state.pad1", 43).means("reserved"),
    u8("vmcb->state.cpl"),
    bytes("vmcb->state.pad2", 4).means("reserved"),
    u64("vmcb->state.efer").bits(),
    bytes("vmcb->state.pad3", 112).means("reserved"),
    u64("vmcb->state.cr4").bits(),
    u64("vmcb->state.cr3").bits(),
    u64("vmcb->state.cr0").bits(),
    u64("vmcb->state.dr7").bits(),
    u64("vmcb->state.dr6").bits(),
    u64("vmcb->state.rflags").bits(),
    u64("vmcb->state.rip").bits(),
    bytes("vmcb->state.pad4", 88).means("reserved"),
    u64("vmcb->state.rsp").bits(),
    bytes("vmcb->state.pad5", 24).means("reserved"),
    u64("vmcb->state.rax").bits(),
    u64("vmcb->state.star").bits(),
    u64("vmcb->state.lstar").bits(),
    u64("vmcb->state.cstar").bits(),
    u64("vmcb->state.sfmask").bits(),
    u64("vmcb->state.kernelgsbase").bits(),
    u64("vmcb->state.sysenter_cs").bits(),
    u64("vmcb->state.sysenter_esp").bits(),
    u64("vmcb->state.sysenter_eip").bits(),
    u64("vmcb->state.cr2").bits(),
    bytes("vmcb->state.pad6", 32).means("reserved"),
    u64("vmcb->state.g_pat").bits(),
    u64("vmcb->state.dbgctl").bits(),
    u64("vmcb->state.br_from").bits(),
    u64("vmcb->state.br_to").bits(),
    u64("vmcb->state.int_from").bits(),
    u64("vmcb->state.int_to").bits(),
    bytes("vmcb->state.pad7", 2408).means("reserved"),
];

const HOST: &[Item] = &[
    u64("vcpu->swctx.host_dr0").bits().host(),
    u64("vcpu->swctx.host_dr1").bits().host(),
    u64("vcpu->swctx.host_dr2").bits().host(),
    u64("vcpu->swctx.host_dr3").bits().host(),
    u64("vcpu->swctx.host_dr6").bits().host(),
    u64("vcpu->swctx.host_dr7").bits().host(),
    u64("vcpu->swctx.host_debugctl").bits().host(),
];

const VMX: &[Item] = &[
    u64("sc->nptp").host_address().means(NESTED),
    group(
        "vcpus",
        Repeat::Slots,
        &[
            Item::Shared(VMCB_CTRL),
            Item::Shared(VMCB_STATE),
            Item::Shared(SWCTX),
            Item::Shared(HOST),
            Item::Shared(VCPU),
        ],
    ),
];

const CX: &[&str] = &["vmcx"];

pub(super) static LAYOUTS: [Layout; 3] = [
    cpu("vmx-amd-3178", &["vmx"], Amd, [A, A], [VMX, &[], &[]]),
    cpu("vmcx-amd-496", CX, Amd, [A, A], [VMCX_2020, &[], &[]]),
    cpu("vmcx-amd-1028", CX, Amd, [BOTH, B], [VMCX, &[], &[]]),
];
