//! Nested paging, address spaces, virtual interrupts: the controls of a VMCB besides intercepts.

use super::super::Chapter;
use super::super::check::Check;
use super::super::rule::{Basis, Judge, Needs, Rule, Severity, Slots, Subject, rule};
use super::{BOTH, FAILS, VMCX, VMX, entry_svm, invalid_svm};
use crate::bhyve::records::Vendor;

const ASID: &str = "vmcb.ASID[4]";
const VIRQ: &str = "vmcb.VIRQ[8]";
const ASID_NUMBER: &str = "vcpu->asid.num";

const V_INTR_MASKING: u64 = 1 << 24;
const AVIC_ENABLE: u64 = 1 << 31;

/// V_TPR, V_IRQ, V_INTR_PRIO, V_IGN_TPR, V_INTR_MASKING, AVIC, V_INTR_VECTOR.
const VIRQ_KNOWN: u64 =
    0xff | 1 << 8 | 0xf << 16 | 1 << 20 | V_INTR_MASKING | AVIC_ENABLE | 0xff << 32;

/// A rule about what keeps the guest in. To be completed.
const fn isolation(id: &'static str) -> Rule {
    Rule {
        severity: Severity::Corrupt,
        vendor: Some(Vendor::Amd),
        bhyve: "writes it to the VMCB as it is",
        source: "sys/amd64/vmm/amd/svm.c vmcb_init; AMD APM vol. 2, \"Layout of VMCB\"",
        ..rule(id, VMCX)
    }
}

pub(in super::super) static CHAPTER: Chapter = Chapter {
    title: "`vmcx`, `vmx`: other controls, on AMD",
    rules: RULES,
    argued: &[],
    not_rules: &[],
};

static RULES: &[Rule] = &[
    Rule {
        subjects: &[Subject::field("vmcb.NP_ENABLE[1]")],
        condition: "must be 1",
        reason: "without nested paging the page tables of the guest address physical memory of the \
                 host",
        judge: Judge::Number(|enable| enable == 1),
        ..isolation("svm-nested-paging")
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[Subject::field("val").nth(1)],
        condition: "must be 1: it seems to be what enables nested paging",
        reason: "without nested paging the page tables of the guest address physical memory of the \
                 host",
        judge: Judge::Number(|enable| enable == 1),
        records: VMX,
        ..isolation("svm-nested-paging-2020")
    },
    Rule {
        subjects: &[Subject::bits(VIRQ, V_INTR_MASKING)],
        condition: "must have V_INTR_MASKING (bit 24)",
        reason: "without, RFLAGS.IF of the guest masks interrupts of the host",
        judge: Judge::Number(|word| word & V_INTR_MASKING != 0),
        ..isolation("svm-interrupt-masking")
    },
    Rule {
        subjects: &[Subject::bits(VIRQ, AVIC_ENABLE)],
        condition: "must not have AVIC enabled (bit 31)",
        reason: "bhyve does not use it: the CPU would write to pages that bhyve never gave it",
        judge: Judge::Number(|word| word & AVIC_ENABLE == 0),
        ..isolation("svm-avic-enable")
    },
    Rule {
        subjects: &[
            Subject::field("vmcb.AVIC_BAR[8]"),
            Subject::field("vmcb.AVIC_PAGE[8]"),
            Subject::field("vmcb.AVIC_LT[8]"),
            Subject::field("vmcb.AVIC_PT[8]"),
        ],
        condition: "must be 0",
        reason: "bhyve does not use AVIC; these are physical addresses of the host",
        judge: Judge::Number(|address| address == 0),
        ..isolation("svm-avic")
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[Subject::bits(VIRQ, !VIRQ_KNOWN)],
        condition: "must have none but V_TPR, V_IRQ, its priority and vector, V_IGN_TPR and \
                    V_INTR_MASKING",
        reason: "bhyve sets nothing else",
        judge: Judge::Number(|word| word & !VIRQ_KNOWN == 0),
        ..invalid_svm("svm-virq", VMCX)
    },
    Rule {
        needs: Needs::Records,
        slots: Slots::Running,
        records: BOTH,
        subjects: &[Subject::bits(ASID, 0xffff_ffff)],
        condition: "must not be 0 once the virtual CPU has run",
        reason: "0 is the host's, and VMRUN refuses it",
        bhyve: FAILS,
        judge: Judge::Relation(asid),
        ..entry_svm("svm-asid")
    },
    Rule {
        needs: Needs::Records,
        subjects: &[
            Subject::bits(ASID, 0xffff_ffff),
            Subject::field(ASID_NUMBER),
            Subject::field("vmcb->ctrl.asid"),
        ],
        condition: "must be the same wherever it stands: in the VMCB and in asid.num",
        reason: "the kernel keeps the two equal, and relies on it",
        source: "sys/amd64/vmm/amd/svm.c svm_pmap_activate",
        judge: Judge::Relation(asid_number),
        ..invalid_svm("svm-asid-number", BOTH)
    },
    Rule {
        slots: Slots::Used,
        subjects: &[Subject::field("vmcb.TLB_CTRL[4]"), Subject::field("vmcb->ctrl.tlb_ctrl")],
        condition: "must be 0, 1, 3 or 7",
        reason: "VMRUN refuses a guest with any other",
        judge: Judge::Number(|control| matches!(control, 0 | 1 | 3 | 7)),
        records: BOTH,
        ..entry_svm("svm-tlb-control")
    },
    Rule {
        subjects: &[Subject::field("INTR_SHADOW")],
        condition: "must be 0 or 1",
        reason: "it is yes or no",
        source: "sys/amd64/vmm/amd/svm.c svm_get_intr_shadow",
        judge: Judge::Number(|shadow| shadow <= 1),
        ..invalid_svm("svm-interrupt-shadow", VMCX)
    },
];

/// The other record of registers, where that is apart: `vmx` for `vmcx`.
fn beside(check: &Check<'_, '_>, vcpu: u32, key: &str) -> Option<u64> {
    BOTH.iter().find_map(|family| check.machine().slot(family, vcpu)?.u64(key))
}

fn asid(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vmcx") {
        let Some(field) = slot.get(ASID) else { continue };
        let last = beside(check, slot.index(), "vcpu->lastcpu").unwrap_or_default();
        let never = last == u64::from(u32::MAX);
        let number = field.u64().unwrap_or_default() & u64::from(u32::MAX);
        if !never && number == 0 {
            check.breaks(known.record, &field, &[("lastcpu", last)]);
        }
    }
}

fn asid_number(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vmcx") {
        let Some(field) = slot.get(ASID) else { continue };
        let value = field.u64().map(|asid| asid & u64::from(u32::MAX));
        for key in [ASID_NUMBER, "vmcb->ctrl.asid"] {
            let other = beside(check, slot.index(), key);
            if other.is_some() && other != value {
                check.breaks(known.record, &field, &[(key, other.unwrap_or_default())]);
                break;
            }
        }
    }
}
