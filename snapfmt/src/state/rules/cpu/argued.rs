//! Bytes of virtual CPUs that no rule restricts, and what looks like a rule and is none.

use super::super::Chapter;
use super::super::class::{Argued, Class};
use super::super::rule::{NotRule, Subject};
use super::{BOTH, VMCX, VMX};

/// Whole fields.
macro_rules! fields {
    ($($key:literal),* $(,)?) => {
        &[$(Subject::field($key)),*]
    };
}

pub(in super::super) static CHAPTER: Chapter =
    Chapter { title: "`vmcx`, `vmx`: the rest", rules: &[], argued: ARGUED, not_rules: NOT_RULES };

static ARGUED: &[Argued] = &[
    Argued {
        records: VMCX,
        subjects: fields!["CR0"],
        class: Class::Free,
        because: "bits that no CPU has and none looks at",
    },
    Argued {
        records: VMCX,
        subjects: fields!["CR3", "PDPTE0", "PDPTE1", "PDPTE2", "PDPTE3"],
        class: Class::Free,
        because: "flags of a page table, or bits of an address that any memory has",
    },
    Argued {
        records: BOTH,
        subjects: fields![
            "ES.base",
            "CS.base",
            "SS.base",
            "DS.base",
            "FS.base",
            "GS.base",
            "TR.base",
            "LDTR.base",
            "GDTR.base",
            "IDTR.base",
            "VMCS_GUEST_IA32_SYSENTER_ESP",
            "VMCS_GUEST_IA32_SYSENTER_EIP",
            "vmcb.LSTAR[8]",
            "vmcb.CSTAR[8]",
            "vmcb.KERNELGBASE[8]",
            "vmcb->state.lstar",
            "vmcb->state.cstar",
            "vmcb->state.kernelgsbase",
            "vcpu->guest_msrs",
            "vmx->guest_msrs[i]",
        ],
        class: Class::Free,
        because: "bits of an address, or of a mask or number, of which any is legal",
    },
    Argued {
        records: BOTH,
        subjects: fields![
            "ES",
            "CS",
            "SS",
            "DS",
            "FS",
            "GS",
            "TR",
            "LDTR",
            "GDTR.limit",
            "IDTR.limit",
            "VMCS_GUEST_IA32_SYSENTER_CS",
            "vmcb.SFMASK[8]",
            "vmcb->state.sfmask",
        ],
        class: Class::Free,
        because: "a guest can load any selector, limit or mask that has the right number of bits",
    },
    Argued {
        records: VMCX,
        subjects: fields![
            "ES.access",
            "CS.access",
            "DS.access",
            "FS.access",
            "GS.access",
            "TR.access",
            "LDTR.access",
        ],
        class: Class::Free,
        because: "on AMD: VMRUN does not look at types, S, DPL and P, and a segment that was \
                  loaded as null keeps what it had",
    },
    Argued {
        records: BOTH,
        subjects: fields!["DR6", "DR7", "vmxctx->guest_dr6", "vmcb->state.dr6"],
        class: Class::Free,
        because: "the CPU sets reserved bits right when it loads the register, and takes any \
                  others",
    },
    Argued {
        records: VMCX,
        subjects: fields!["vmcb.VIRQ[8]"],
        class: Class::Free,
        because: "V_TPR and the vector of a virtual interrupt: the guest's own",
    },
    Argued {
        records: VMCX,
        subjects: fields!["mtrr", "vcpu->mtrr"],
        class: Class::Free,
        because: "bits of an address, which nothing follows: the registers are emulated only",
    },
    Argued {
        records: BOTH,
        subjects: fields![
            "RSP",
            "RAX",
            "CR2",
            "vmxctx->guest_rdi",
            "vmxctx->guest_rsi",
            "vmxctx->guest_rdx",
            "vmxctx->guest_rcx",
            "vmxctx->guest_r8",
            "vmxctx->guest_r9",
            "vmxctx->guest_rax",
            "vmxctx->guest_rbx",
            "vmxctx->guest_rbp",
            "vmxctx->guest_r10",
            "vmxctx->guest_r11",
            "vmxctx->guest_r12",
            "vmxctx->guest_r13",
            "vmxctx->guest_r14",
            "vmxctx->guest_r15",
            "vmxctx->guest_cr2",
            "vcpu->swctx.sctx_rbp",
            "vcpu->swctx.sctx_rbx",
            "vcpu->swctx.sctx_rcx",
            "vcpu->swctx.sctx_rdx",
            "vcpu->swctx.sctx_rdi",
            "vcpu->swctx.sctx_rsi",
            "vcpu->swctx.sctx_r8",
            "vcpu->swctx.sctx_r9",
            "vcpu->swctx.sctx_r10",
            "vcpu->swctx.sctx_r11",
            "vcpu->swctx.sctx_r12",
            "vcpu->swctx.sctx_r13",
            "vcpu->swctx.sctx_r14",
            "vcpu->swctx.sctx_r15",
        ],
        class: Class::Free,
        because: "a register that a guest can set to anything, and that no CPU looks at when it \
                  enters the guest",
    },
    Argued {
        records: BOTH,
        subjects: fields![
            "vmxctx->guest_dr0",
            "vmxctx->guest_dr1",
            "vmxctx->guest_dr2",
            "vmxctx->guest_dr3",
            "vcpu->swctx.sctx_dr0",
            "vcpu->swctx.sctx_dr1",
            "vcpu->swctx.sctx_dr2",
            "vcpu->swctx.sctx_dr3",
        ],
        class: Class::Free,
        because: "an address to break at: MOV to DR0 to DR3 takes any, and the host's breakpoints \
                  are off while it runs the guest",
    },
    Argued {
        records: BOTH,
        subjects: &[
            Subject::part("vcpu->guest_msrs", "STAR"),
            Subject::part("vmx->guest_msrs[i]", "STAR"),
            Subject::field("vmcb.STAR[8]"),
            Subject::field("vmcb->state.star"),
        ],
        class: Class::Free,
        because: "selectors for SYSCALL and SYSRET: WRMSR takes any",
    },
    Argued {
        records: VMCX,
        subjects: fields!["GDTR.access", "IDTR.access"],
        class: Class::Opaque,
        because: "tables have no access rights: on Intel it is what the stack of the kernel held, \
                  on AMD 0, and nothing restores it",
    },
    Argued {
        records: VMCX,
        subjects: fields![
            "ES.limit",
            "CS.limit",
            "SS.limit",
            "DS.limit",
            "FS.limit",
            "GS.limit",
            "TR.limit",
            "LDTR.limit",
        ],
        class: Class::Free,
        because: "on AMD: VMRUN does not look at limits, and a guest can have any",
    },
    Argued {
        records: VMCX,
        subjects: &[Subject::range("pir_desc", 2, 30)],
        class: Class::Free,
        because: "an interrupt can be posted with any of these vectors",
    },
    Argued {
        records: VMCX,
        subjects: fields![
            "vmcb.SYSENTER_CS[8]",
            "vmcb.SYSENTER_ESP[8]",
            "vmcb.SYSENTER_EIP[8]",
            "vmcb.PAUSE_FILTHRESH[2]",
            "vmcb.PAUSE_FILCNT[2]",
        ],
        class: Class::Free,
        because: "on AMD: neither VMRUN nor VMLOAD refuses a value, and it means something to the \
                  guest alone",
    },
    Argued {
        records: BOTH,
        subjects: fields![
            "vmcb.DBGCTL[8]",
            "vmcb.BR_FROM[8]",
            "vmcb.BR_TO[8]",
            "vmcb.INT_FROM[8]",
            "vmcb.INT_TO[8]",
            "vmcb->state.dbgctl",
            "vmcb->state.br_from",
            "vmcb->state.br_to",
            "vmcb->state.int_from",
            "vmcb->state.int_to",
        ],
        class: Class::Free,
        because: "last branches and what records them: the guest's own, and VMRUN does not look at \
                  them",
    },
    Argued {
        records: VMCX,
        subjects: fields![
            "vmcb.EXIT_REASON[8]",
            "vmcb.EXITINFO1[8]",
            "vmcb.EXITINFO2[8]",
            "vmcb.EXITINTINFO[8]",
        ],
        class: Class::Opaque,
        because: "what the last exit was about: the CPU writes it at the next before it is read",
    },
    Argued {
        records: BOTH,
        subjects: fields!["vcpu->nextrip"],
        class: Class::Free,
        because: "on AMD: compared with RIP to tell whether an interrupt shadow is over, and no \
                  more",
    },
    Argued {
        records: BOTH,
        subjects: fields!["vcpu->dirty"],
        class: Class::Free,
        because: "what the CPU may not take from its cache: after a restore that is everything",
    },
    Argued {
        records: BOTH,
        subjects: fields!["vcpu->eptgen"],
        class: Class::HostSpecific,
        because: "which change of the nested page table the virtual CPU has seen: if it is another \
                  than the host's, the TLB is flushed",
    },
    Argued {
        records: VMX,
        subjects: fields![
            "vcpu->swctx.host_dr0",
            "vcpu->swctx.host_dr1",
            "vcpu->swctx.host_dr2",
            "vcpu->swctx.host_dr3",
            "vcpu->swctx.host_dr6",
            "vcpu->swctx.host_dr7",
            "vcpu->swctx.host_debugctl",
        ],
        class: Class::HostSpecific,
        because: "registers of the host, which are stored there anew before each entry",
    },
];

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "vmcx CS, SS, DS, ES, FS, GS",
        fact: "the requested privilege level of a selector goes with the DPL of its segment",
        because: "a guest that is \"unrestricted\" need not keep to it, and whether it is, is not \
                  saved",
    },
    NotRule {
        about: "vmcx CR0",
        fact: "CR0.PE and CR0.PG are set unless the guest is \"unrestricted\"",
        because: "real mode and paging that is off are legal states, and whether the guest is \
                  \"unrestricted\" is not saved",
    },
    NotRule {
        about: "vmcx CR0 on Intel",
        fact: "NE is set, NW and CD are clear, and reserved bits below 32 are clear",
        because: "the kernel sets and clears them before it writes the VMCS, and VM entry leaves \
                  the rest alone",
    },
    NotRule {
        about: "vmcx CR4",
        fact: "has only bits that CPUs of today have",
        because: "CPUs of tomorrow will have more; `--host` holds it against the CPU that counts",
    },
    NotRule {
        about: "vmcx DR7",
        fact: "has bit 10, and none of 11, 12, 14 and 15",
        because: "neither VM entry nor VMRUN looks at them, and the CPU sets them right",
    },
    NotRule {
        about: "vmcx segments on AMD",
        fact: "types, S, DPL, P and limits go together as on Intel",
        because: "VMRUN does not look at them, and a segment that was loaded as null keeps what it \
                  had",
    },
    NotRule {
        about: "vmcx PDPTE0 to PDPTE3",
        fact: "are what is in memory at CR3",
        because: "a guest may change its tables without loading CR3 again",
    },
    NotRule {
        about: "vmcx pir_desc",
        fact: "pending is set if, and only if, a vector is",
        because: "the two are written one after the other, and a vector that is not announced is \
                  taken with the next",
    },
    NotRule {
        about: "vmcx VMCS_GUEST_ACTIVITY",
        fact: "is 0: a virtual CPU that halts is stopped by the kernel",
        because: "without `-H` the CPU itself stays in HLT, and an exit from there leaves 1",
    },
    NotRule {
        about: "vmx and vmcx of slots that the machine does not have",
        fact: "are those of a virtual CPU that was just created",
        because: "nothing ever enters them",
    },
];
