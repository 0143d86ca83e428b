//! What snapshots of 2020 hold twice on AMD, in `vmx` and in `vmcx`, and what they hold of reserved
//! fields.

use super::super::Chapter;
use super::super::check::Check;
use super::super::rule::{Basis, Judge, Needs, Rule, Subject};
use super::{BOTH, VMX, invalid_svm};

/// A register by its keys in `vmx` and in `vmcx`.
const TWICE: [(&str, &str); 14] = [
    ("vmcb->state.efer", "EFER"),
    ("vmcb->state.cr4", "CR4"),
    ("vmcb->state.cr3", "CR3"),
    ("vmcb->state.cr0", "CR0"),
    ("vmcb->state.dr7", "DR7"),
    ("vmcb->state.rflags", "RFLAGS"),
    ("vmcb->state.rip", "RIP"),
    ("vmcb->state.rsp", "RSP"),
    ("vmcb->state.rax", "RAX"),
    ("vmcb->state.sysenter_cs", "vmcb.SYSENTER_CS[8]"),
    ("vmcb->state.sysenter_esp", "vmcb.SYSENTER_ESP[8]"),
    ("vmcb->state.sysenter_eip", "vmcb.SYSENTER_EIP[8]"),
    ("vmcb->state.cr2", "CR2"),
    ("vmcb->state.g_pat", "vmcb.GUEST_PAT[8]"),
];

/// The layout of `vmcx` that has a `vmx` beside it.
const OLD: &str = "vmcx-amd-496";

const PADS: [&str; 7] = [
    "vmcb->state.pad1",
    "vmcb->state.pad2",
    "vmcb->state.pad3",
    "vmcb->state.pad4",
    "vmcb->state.pad5",
    "vmcb->state.pad6",
    "vmcb->state.pad7",
];

const SVM_C: &str = "sys/amd64/vmm/amd/svm.c svm_snapshot_vmi, svm_snapshot_vmcx (2020)";

pub(in super::super) static CHAPTER: Chapter = Chapter {
    title: "`vmx`: what is there twice, on AMD",
    rules: RULES,
    argued: &[],
    not_rules: &[],
};

static RULES: &[Rule] = &[
    Rule {
        needs: Needs::Records,
        subjects: &[
            Subject::field("vmcb->state.efer"),
            Subject::field("vmcb->state.cr4"),
            Subject::field("vmcb->state.cr3"),
            Subject::field("vmcb->state.cr0"),
            Subject::field("vmcb->state.dr7"),
            Subject::field("vmcb->state.rflags"),
            Subject::field("vmcb->state.rip"),
            Subject::field("vmcb->state.rsp"),
            Subject::field("vmcb->state.rax"),
            Subject::field("vmcb->state.sysenter_cs"),
            Subject::field("vmcb->state.sysenter_esp"),
            Subject::field("vmcb->state.sysenter_eip"),
            Subject::field("vmcb->state.cr2"),
            Subject::field("vmcb->state.g_pat"),
            Subject::field("EFER").only(OLD),
            Subject::field("CR4").only(OLD),
            Subject::field("CR3").only(OLD),
            Subject::field("CR0").only(OLD),
            Subject::field("DR7").only(OLD),
            Subject::field("RFLAGS").only(OLD),
            Subject::field("RIP").only(OLD),
            Subject::field("RSP").only(OLD),
            Subject::field("RAX").only(OLD),
            Subject::field("vmcb.SYSENTER_CS[8]").only(OLD),
            Subject::field("vmcb.SYSENTER_ESP[8]").only(OLD),
            Subject::field("vmcb.SYSENTER_EIP[8]").only(OLD),
            Subject::field("CR2").only(OLD),
            Subject::field("vmcb.GUEST_PAT[8]").only(OLD),
        ],
        condition: "must be what `vmcx` has of the same register",
        reason: "both were copied from the same VMCB while the virtual machine stood still",
        bhyve: "restores `vmx` first, and then what `vmcx` has",
        source: SVM_C,
        judge: Judge::Relation(twice),
        ..invalid_svm("svm-twice", BOTH)
    },
    Rule {
        needs: Needs::Records,
        subjects: &[
            Subject::field("vmcb->ctrl.v_tpr"),
            Subject::field("val").nth(0),
            Subject::bits("vmcb.VIRQ[8]", 0xff).only(OLD),
        ],
        condition: "must be the V_TPR that `vmcx` has (bits 7:0 of VIRQ)",
        reason: "both were copied from the same VMCB while the virtual machine stood still",
        bhyve: "restores `vmx` first, and then what `vmcx` has",
        source: SVM_C,
        judge: Judge::Relation(v_tpr),
        ..invalid_svm("svm-twice-tpr", BOTH)
    },
    Rule {
        basis: Basis::Unverified,
        needs: Needs::Records,
        subjects: &[Subject::field("val").nth(2), Subject::field("INTR_SHADOW").only(OLD)],
        condition: "must be INTR_SHADOW of `vmcx`: it seems to be the same",
        reason: "both were copied from the same VMCB while the virtual machine stood still",
        bhyve: "restores `vmx` first, and then what `vmcx` has",
        source: SVM_C,
        judge: Judge::Relation(|check| third(check, 2, "INTR_SHADOW")),
        ..invalid_svm("svm-twice-shadow", BOTH)
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[
            Subject::field("vmcb->state.pad1"),
            Subject::field("vmcb->state.pad2"),
            Subject::field("vmcb->state.pad3"),
            Subject::field("vmcb->state.pad4"),
            Subject::field("vmcb->state.pad5"),
            Subject::field("vmcb->state.pad6"),
            Subject::field("vmcb->state.pad7"),
        ],
        condition: "must be 0: it is reserved",
        reason: "newer CPUs keep state there that bhyve of 2020 knew nothing of, and would take up \
                 what they find",
        bhyve: "writes it to the VMCB as it is",
        source: "sys/amd64/vmm/amd/vmcb.h (2020); AMD APM vol. 2, \"Layout of VMCB\"",
        judge: Judge::Relation(pads),
        ..invalid_svm("svm-reserved", VMX)
    },
];

fn twice(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vmx") {
        let Some(other) = check.machine().slot("vmcx", slot.index()) else { continue };
        for (old, key) in TWICE {
            let Some((field, other)) = slot.get(old).zip(other.u64(key)) else { continue };
            if field.u64() != Some(other) {
                check.breaks(known.record, &field, &[("vmcx", other)]);
            }
        }
    }
}

fn v_tpr(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vmx") {
        let other = check.machine().slot("vmcx", slot.index());
        let Some(virq) = other.and_then(|other| other.u64("vmcb.VIRQ[8]")) else { continue };
        for key in ["vmcb->ctrl.v_tpr", "val"] {
            let Some(field) = slot.get(key) else { continue };
            if field.u64() != Some(virq & 0xff) {
                check.breaks(known.record, &field, &[("VIRQ", virq)]);
            }
        }
    }
}

/// Holds a field without a name, of which there are several, against one of `vmcx`.
fn third(check: &mut Check<'_, '_>, occurrence: usize, key: &'static str) {
    for (known, slot) in check.slots("vmx") {
        let other = check.machine().slot("vmcx", slot.index()).and_then(|other| other.u64(key));
        let Some((field, other)) = slot.all("val").nth(occurrence).zip(other) else { continue };
        if field.u64() != Some(other) {
            check.breaks(known.record, &field, &[(key, other)]);
        }
    }
}

fn pads(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vmx") {
        for key in PADS {
            let Some(field) = slot.get(key) else { continue };
            if field.bytes().iter().any(|byte| *byte != 0) {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}
