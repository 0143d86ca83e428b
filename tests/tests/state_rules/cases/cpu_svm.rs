//! Registers and controls of virtual CPUs on AMD.

use super::cpu::{both, cx};
use super::{AMD, Case, OLD_AMD, case};
use crate::fixture::{Edit, set, write};

const NON_CANONICAL: u64 = 1 << 55;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = controls();
    cases.extend(intercepts());
    cases.extend(twice());
    cases.extend(always_broken());
    cases.extend([
        case("rflags-reserved-svm", AMD, &[cx("RFLAGS", 0x200).vcpu(1)]),
        case("segment-reserved-svm", AMD, &[cx("FS.access", 0x1_0100)]),
        case("segment-base-svm", AMD, &[cx("GS.base", NON_CANONICAL)]),
        case("segment-base-32-svm", OLD_AMD, &[cx("SS.base", 1 << 32)]),
        case("cpl", AMD, &[cx("vmcb.CPL[1]", 4)]),
        case("cpl", OLD_AMD, &[set("vmx", "vmcb->state.cpl", 0x80)]),
        case("cpl-ss", AMD, &[cx("vmcb.CPL[1]", 3)]),
        case("cpl-ss", OLD_AMD, &[set("vmx", "vmcb->state.cpl", 1).vcpu(1)]),
        case("table-limit-svm", AMD, &[cx("IDTR.limit", 0x1_0000)]),
        case("table-base-svm", AMD, &[cx("GDTR.base", NON_CANONICAL)]),
        case("msr-pat-svm", AMD, &[cx("vmcb.GUEST_PAT[8]", 2)]),
        case("msr-pat-svm", OLD_AMD, &both("vmcb->state.g_pat", "vmcb.GUEST_PAT[8]", 2)),
        case("msr-address-svm", AMD, &[cx("vmcb.LSTAR[8]", NON_CANONICAL)]),
        case("msr-address-svm", AMD, &[cx("vmcb.KERNELGBASE[8]", NON_CANONICAL)]),
        case("msr-address-svm", OLD_AMD, &[set("vmx", "vmcb->state.cstar", NON_CANONICAL)]),
        case("msr-sfmask-svm", AMD, &[cx("vmcb.SFMASK[8]", 1 << 32)]),
        case("msr-sfmask-svm", OLD_AMD, &[set("vmx", "vmcb->state.sfmask", 1 << 40)]),
        case("dr6-svm", AMD, &[cx("DR6", 1 << 32)]),
        case("dr6-svm", OLD_AMD, &[set("vmx", "vmcb->state.dr6", 1 << 63)]),
    ]);
    cases
}

fn intercepts() -> Vec<Case> {
    let mut cases = Vec::new();
    for bit in [0, 1, 2, 3, 18, 27, 28, 30, 31] {
        let word = 0xdc44_000f ^ 1 << bit;
        let edit = cx("vmcb.INST1_INTERCEPT[4]", word);
        cases.push(case("svm-inst1-intercept", AMD, &[edit]));
    }
    for word in [0xd7c, 0x97d, 0x57d] {
        let edit = cx("vmcb.INST2_INTERCEPT[4]", word);
        cases.push(case("svm-inst2-intercept", AMD, &[edit]));
    }
    cases.extend([
        case("svm-inst1-intercept", OLD_AMD, &[cx("vmcb.INST1_INTERCEPT[4]", 0).vcpu(1)]),
        case("svm-inst2-intercept", OLD_AMD, &[cx("vmcb.INST2_INTERCEPT[4]", 0)]),
        case("svm-cr-intercept", AMD, &[cx("vmcb.CR_INTERCEPT[4]", 0xfee2_fee0)]),
        case("svm-exc-intercept", AMD, &[cx("vmcb.EXC_INTERCEPT[4]", 0b1010)]),
        case("svm-unknown-intercepts", AMD, &[cx("vmcb.DR_INTERCEPT[4]", 1)]),
        case("svm-unknown-intercepts", OLD_AMD, &[cx("vmcb.EXC_INTERCEPT[4]", 1 << 18 | 1)]),
        case("svm-upper-bytes", AMD, &[cx("vmcb.PAUSE_FILCNT[2]", 1 << 16)]),
        case("svm-upper-bytes", AMD, &[cx("vmcb.ASID[4]", 1 << 32 | 8)]),
    ]);
    cases
}

fn controls() -> Vec<Case> {
    vec![
        case("svm-nested-paging", AMD, &[cx("vmcb.NP_ENABLE[1]", 0)]),
        case("svm-nested-paging", AMD, &[cx("vmcb.NP_ENABLE[1]", 3).vcpu(1)]),
        case("svm-nested-paging-2020", OLD_AMD, &[set("vmx", "val", 0).nth(1)]),
        case("svm-interrupt-masking", AMD, &[cx("vmcb.VIRQ[8]", 0)]),
        case("svm-interrupt-masking", OLD_AMD, &[cx("vmcb.VIRQ[8]", 0)]),
        case("svm-avic-enable", AMD, &[cx("vmcb.VIRQ[8]", 0x8100_0000)]),
        case("svm-avic", AMD, &[cx("vmcb.AVIC_PAGE[8]", 0x1000)]),
        case("svm-virq", AMD, &[cx("vmcb.VIRQ[8]", 1 << 63 | 1 << 24)]),
        case("svm-asid", AMD, &[cx("vmcb.ASID[4]", 0), cx("vcpu->asid.num", 0)]),
        case(
            "svm-asid",
            OLD_AMD,
            &[
                cx("vmcb.ASID[4]", 0),
                set("vmx", "vcpu->asid.num", 0),
                set("vmx", "vmcb->ctrl.asid", 0),
            ],
        ),
        case("svm-asid-number", AMD, &[cx("vmcb.ASID[4]", 12)]),
        case("svm-asid-number", OLD_AMD, &[set("vmx", "vmcb->ctrl.asid", 1).vcpu(1)]),
        case("svm-tlb-control", AMD, &[cx("vmcb.TLB_CTRL[4]", 2)]),
        case("svm-tlb-control", OLD_AMD, &[set("vmx", "vmcb->ctrl.tlb_ctrl", 255)]),
        case("svm-interrupt-shadow", AMD, &[cx("INTR_SHADOW", 2)]),
        case("svm-host-addresses", OLD_AMD, &[cx("vmcb.NPT_BASE[8]", 0x1000)]),
        case("svm-host-addresses", OLD_AMD, &[cx("vmcb.IO_PERM[8]", 0x1000).vcpu(1)]),
        case("svm-host-addresses", OLD_AMD, &[cx("vmcb.MSR_PERM[8]", 0)]),
        case("svm-lastcpu", AMD, &[cx("vcpu->lastcpu", 0xffff_fffe), cx("vcpu->asid.gen", 0)]),
    ]
}

fn twice() -> Vec<Case> {
    vec![
        case("svm-twice", OLD_AMD, &[set("vmx", "vmcb->state.cr3", 0x1000)]),
        case("svm-twice", OLD_AMD, &[cx("RSP", 0x1000)]),
        case("svm-twice-tpr", OLD_AMD, &[set("vmx", "val", 1).nth(0)]),
        case("svm-twice-tpr", OLD_AMD, &[cx("vmcb.VIRQ[8]", 1 << 24 | 3)]),
        case("svm-twice-shadow", OLD_AMD, &[set("vmx", "val", 1).nth(2)]),
        case("svm-reserved", OLD_AMD, &[write("vmx", "vmcb->state.pad7", &[0, 1]).vcpu(1)]),
    ]
}

/// What every snapshot breaks that has such fields; it only warns.
fn always_broken() -> Vec<Case> {
    let mended = |fixture, first: &[Edit], rule, edit| Case {
        first: first.to_vec(),
        ..case(rule, fixture, &[edit])
    };
    let all = [cx("vmcb.INST1_INTERCEPT[4]", 0xdc44_000f), cx("vmcb.INST2_INTERCEPT[4]", 0xd7d)];
    let newer = "svm-newer-intercepts";
    let stale = "svm-stale-asid";
    vec![
        mended(AMD, &all, newer, cx("vmcb.INST1_INTERCEPT[4]", 0xd804_000f)),
        mended(AMD, &all, newer, cx("vmcb.INST2_INTERCEPT[4]", 0xd7d ^ 1 << 2)),
        mended(AMD, &[cx("vcpu->lastcpu", 0xffff_ffff)], stale, cx("vcpu->lastcpu", 5)),
        mended(AMD, &[cx("vcpu->asid.gen", 0)], stale, cx("vcpu->asid.gen", 3)),
        mended(
            OLD_AMD,
            &[set("vmx", "vcpu->lastcpu", 0xffff_ffff)],
            stale,
            set("vmx", "vcpu->lastcpu", 0),
        ),
        mended(
            OLD_AMD,
            &[set("vmx", "sc->nptp", 0)],
            "svm-host-address",
            set("vmx", "sc->nptp", 0x1_4000_0000),
        ),
    ]
}
