//! CR0, CR3, CR4, EFER.

use super::super::Chapter;
use super::super::canonical;
use super::super::check::Check;
use super::super::rule::{ANOTHER, Judge, Rule, Severity, Subject, rule};
use super::regs::{CD, CET, LMA, LME, NW, PAE, PCIDE, PE, PG, SVME, WP};
use super::{SIGN, VMCX, entry, entry_svm, entry_vmx, registers};
use crate::bhyve::records::Vendor;

const UPPER: u64 = 0xffff_ffff << 32;

/// Bits of CR4 that no CPU has: 15, and those above FRED.
const CR4_NONE: u64 = 1 << 15 | !0 << 33;

/// VMXE and SMXE, which are Intel's.
const CR4_INTEL: u64 = 0b11 << 13;

/// SCE, LME, LMA, NXE.
const EFER_VMX: u64 = 1 | LME | LMA | 1 << 11;

/// Besides: SVME, LMSLE, FFXSR, TCE, MCOMMIT, INTWB, UAIE, AIBRSE.
const EFER_SVM: u64 = EFER_VMX | 0b1111 << 12 | 0b11 << 17 | 0b11 << 20;

/// Above what any CPU has of physical addresses.
const CR3_UPPER: u64 = !0 << 52;

/// LAM_U48 and LAM_U57, which are Intel's.
const CR3_LAM: u64 = 0b11 << 61;

pub(in super::super) static CHAPTER: Chapter = Chapter {
    title: "`vmcx`: control registers, EFER and RIP",
    rules: RULES,
    argued: &[],
    not_rules: &[],
};

static RULES: &[Rule] = &[
    Rule {
        subjects: &[Subject::bits("CR0", PE | PG)],
        condition: "must have PE (bit 0) if it has PG (bit 31)",
        reason: "there is no paging without protection",
        judge: Judge::Relation(|check| {
            registers(check, "CR0", &[], |cr0, _| cr0 & PG == 0 || cr0 & PE != 0);
        }),
        ..entry("cr0-paging")
    },
    Rule {
        subjects: &[Subject::bits("CR0", UPPER)],
        condition: "must have no bit above 31",
        reason: "VMRUN refuses a guest with any of them",
        judge: Judge::Number(|cr0| cr0 & UPPER == 0),
        ..entry_svm("cr0-upper-svm")
    },
    Rule {
        vendor: Some(Vendor::Intel),
        subjects: &[Subject::bits("CR0", UPPER)],
        condition: "must have no bit above 31",
        reason: "the CPU has none of them",
        bhyve: "clears them before it writes the VMCS",
        source: "sys/amd64/vmm/intel/vmx.c vmx_fix_cr0",
        judge: Judge::Number(|cr0| cr0 & UPPER == 0),
        ..rule("cr0-upper-vmx", VMCX)
    },
    Rule {
        subjects: &[Subject::bits("CR0", NW | CD)],
        condition: "must have CD (bit 30) if it has NW (bit 29)",
        reason: "VMRUN refuses a guest with NW alone",
        judge: Judge::Number(|cr0| cr0 & NW == 0 || cr0 & CD != 0),
        ..entry_svm("cr0-cache")
    },
    Rule {
        subjects: &[Subject::bits("CR3", CR3_UPPER)],
        condition: "must have no bit above 51, but for 61 and 62 (LAM) on Intel",
        reason: "no CPU has longer physical addresses",
        judge: Judge::Relation(cr3_upper),
        ..entry("cr3-upper")
    },
    Rule {
        severity: Severity::Invalid,
        subjects: &[Subject::bits("CR3", !CR3_UPPER & !0xfff)],
        condition: "must be in guest memory, or in the gap below 4 GiB, if paging is on",
        reason: "without page tables a guest cannot go on: it dies of a triple fault",
        bhyve: "resumes; the guest dies of a triple fault at once",
        source: "Intel SDM vol. 3, \"Hierarchical Paging Structures\"; \
                 AMD APM vol. 2, \"Page Translation and Protection\"",
        judge: Judge::Relation(cr3_memory),
        ..entry("cr3-memory")
    },
    Rule {
        vendor: Some(Vendor::Intel),
        subjects: &[Subject::bits("CR4", CR4_NONE)],
        condition: "must have neither bit 15 nor any above 32",
        reason: "no CPU has them",
        bhyve: "clears them before it writes the VMCS",
        source: "sys/amd64/vmm/intel/vmx.c vmx_fix_cr4; Intel SDM vol. 3, \"Control Registers\"",
        judge: Judge::Number(|cr4| cr4 & CR4_NONE == 0),
        ..rule("cr4-reserved-vmx", VMCX)
    },
    Rule {
        subjects: &[Subject::bits("CR4", CR4_NONE | CR4_INTEL)],
        condition: "must have none of the bits 13 to 15, nor any above 32",
        reason: "no CPU of AMD has them, and VMRUN refuses a guest that does",
        judge: Judge::Number(|cr4| cr4 & (CR4_NONE | CR4_INTEL) == 0),
        ..entry_svm("cr4-reserved-svm")
    },
    Rule {
        subjects: &[
            Subject::bits("CR4", PAE),
            Subject::bits("CR0", PG),
            Subject::bits("EFER", LME | LMA),
        ],
        condition: "must have PAE (bit 5) in long mode",
        reason: "long mode has no other paging",
        judge: Judge::Relation(|check| {
            registers(check, "CR4", &["CR0", "EFER"], |cr4, regs| {
                let long = regs.paging() && regs.efer & LME != 0 || regs.long();
                !long || cr4 & PAE != 0
            });
        }),
        ..entry("cr4-pae")
    },
    Rule {
        subjects: &[Subject::bits("CR4", PCIDE), Subject::bits("EFER", LMA)],
        condition: "must have PCIDE (bit 17) in long mode only",
        reason: "process-context identifiers belong to long mode; no CPU can leave it with them on",
        source: "Intel SDM vol. 3, \"Checks on Guest Control Registers, Debug Registers, and \
                 MSRs\"; AMD APM vol. 2, \"CR4 Register\"",
        judge: Judge::Relation(|check| {
            registers(check, "CR4", &["EFER"], |cr4, regs| cr4 & PCIDE == 0 || regs.long());
        }),
        ..entry("cr4-pcid")
    },
    Rule {
        subjects: &[Subject::bits("CR4", CET), Subject::bits("CR0", WP)],
        condition: "must have CET (bit 23) only with CR0.WP (bit 16)",
        reason: "shadow stacks rely on write protection, and the CPU checks it",
        judge: Judge::Relation(|check| {
            registers(check, "CR4", &["CR0"], |cr4, regs| cr4 & CET == 0 || regs.cr0 & WP != 0);
        }),
        ..entry("cr4-cet")
    },
    Rule {
        subjects: &[Subject::bits("EFER", !EFER_VMX)],
        condition: "must have SCE (bit 0), LME (8), LMA (10) and NXE (11) at most",
        reason: "the CPU loads it at VM entry, and has no other bits",
        judge: Judge::Number(|efer| efer & !EFER_VMX == 0),
        ..entry_vmx("efer-reserved-vmx")
    },
    Rule {
        subjects: &[Subject::bits("EFER", !EFER_SVM)],
        condition: "must have none but the bits 0, 8, 10 to 15, 17, 18, 20 and 21",
        reason: "no CPU has others, and VMRUN refuses a guest that does",
        judge: Judge::Number(|efer| efer & !EFER_SVM == 0),
        ..entry_svm("efer-reserved-svm")
    },
    Rule {
        severity: Severity::Invalid,
        subjects: &[Subject::bits("EFER", SVME)],
        condition: "must have SVME (bit 12)",
        reason: "VMRUN refuses a guest without, and the kernel never leaves it out",
        bhyve: "adds it",
        source: "sys/amd64/vmm/amd/vmcb.c vmcb_write; \
                 AMD APM vol. 2, \"Canonicalization and Consistency Checks\"",
        judge: Judge::Number(|efer| efer & SVME != 0),
        ..entry_svm("efer-svme")
    },
    Rule {
        subjects: &[Subject::bits("EFER", LME | LMA), Subject::bits("CR0", PG)],
        condition: "must have LMA (bit 10) if, and only if, it has LME (8) and CR0 has PG (31)",
        reason: "that is what long mode is, and the CPU refuses a guest that is half in it",
        advice: ANOTHER,
        judge: Judge::Relation(|check| {
            registers(check, "EFER", &["CR0"], |efer, regs| {
                (efer & LMA != 0) == (efer & LME != 0 && regs.paging())
            });
        }),
        ..entry("efer-long-mode")
    },
    Rule {
        subjects: &[Subject::bits("RIP", SIGN)],
        condition: "must be a canonical address",
        reason: "no CPU gets beyond them",
        bhyve: "restores it, and goes on at nextrip instead",
        source: "sys/amd64/vmm/vmm.c vm_run",
        judge: Judge::Number(canonical),
        ..rule("rip-canonical", VMCX)
    },
];

fn cr3_upper(check: &mut Check<'_, '_>) {
    let lam = check.machine().vendor == Some(Vendor::Intel);
    let upper = CR3_UPPER & if lam { !CR3_LAM } else { !0 };
    registers(check, "CR3", &[], |cr3, _| cr3 & upper == 0);
}

fn cr3_memory(check: &mut Check<'_, '_>) {
    let memory = check.machine().memory;
    // The boot ROM ends at 4 GiB, and early firmware has page tables there.
    let gap = 3 << 30..4 << 30;
    registers(check, "CR3", &[], |cr3, regs| {
        let address = cr3 & !CR3_UPPER & !0xfff;
        !regs.paging() || gap.contains(&address) || memory.offset(address).is_some()
    });
}
