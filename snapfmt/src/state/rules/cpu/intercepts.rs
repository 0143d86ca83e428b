//! What of the guest the CPU hands to the kernel on SVM: its isolation.

use super::super::Chapter;
use super::super::check::Check;
use super::super::rule::{Basis, Judge, Rule, Severity, Subject, rule};
use super::{TAKES, VMCX, invalid_svm};
use crate::bhyve::Generation;
use crate::bhyve::records::Vendor;

/// A word of intercepts.
struct Word {
    key: &'static str,
    /// What every bhyve sets.
    always: u64,
    /// What newer ones set besides.
    newer: u64,
    /// What options and pending events add.
    sometimes: u64,
}

impl Word {
    /// What no bhyve is known to set.
    const fn unknown(&self) -> u64 {
        0xffff_ffff & !(self.always | self.newer | self.sometimes)
    }
}

const CR: Word = Word { key: "vmcb.CR_INTERCEPT[4]", always: 0xfee2_fee2, newer: 0, sometimes: 0 };
const DR: Word = Word { key: "vmcb.DR_INTERCEPT[4]", always: 0, newer: 0, sometimes: 0 };
/// #MC; #DB and #BP for a debugger.
const EXC: Word =
    Word { key: "vmcb.EXC_INTERCEPT[4]", always: 1 << 18, newer: 0, sometimes: 0b1010 };
/// INTR NMI SMI INIT CPUID IO MSR FERR SHUTDOWN; INVD INVLPGA; VINTR IRET PAUSE HLT.
const INST1: Word = Word {
    key: "vmcb.INST1_INTERCEPT[4]",
    always: 0xd804_000f,
    newer: 0xdc44_000f,
    sometimes: 1 << 4 | 1 << 20 | 0b11 << 23,
};
/// VMRUN MONITOR MWAIT; VMLOAD VMSAVE STGI CLGI SKINIT ICEBP; WBINVD.
const INST2: Word =
    Word { key: "vmcb.INST2_INTERCEPT[4]", always: 0xc01, newer: 0xd7d, sometimes: 1 << 9 };

const WORDS: [&Word; 5] = [&CR, &DR, &EXC, &INST1, &INST2];

const SVM_C: &str = "sys/amd64/vmm/amd/svm.c vmcb_init; AMD APM vol. 2, \"Instruction Intercepts\"";

/// A rule about what a word must have. To be completed.
const fn word(id: &'static str) -> Rule {
    Rule {
        severity: Severity::Corrupt,
        vendor: Some(Vendor::Amd),
        bhyve: "writes it to the VMCB as it is",
        source: SVM_C,
        ..rule(id, VMCX)
    }
}

pub(in super::super) static CHAPTER: Chapter =
    Chapter { title: "`vmcx`: intercepts, on AMD", rules: RULES, argued: &[], not_rules: &[] };

static RULES: &[Rule] = &[
    Rule {
        subjects: &[Subject::bits(CR.key, CR.always)],
        condition: "must have all of 0xfee2fee2",
        reason: "control registers without a meaning are not for guests",
        judge: Judge::Number(|word| word & CR.always == CR.always),
        ..word("svm-cr-intercept")
    },
    Rule {
        subjects: &[Subject::bits(EXC.key, EXC.always)],
        condition: "must have #MC (bit 18)",
        reason: "a machine check is the host's to handle",
        judge: Judge::Number(|word| word & EXC.always == EXC.always),
        ..word("svm-exc-intercept")
    },
    Rule {
        subjects: &[Subject::bits(INST1.key, INST1.always)],
        condition: "must have all of 0xd804000f: INTR NMI SMI INIT CPUID IO MSR FERR SHUTDOWN",
        reason: "without, the guest reaches I/O ports and MSRs of the host, or keeps interrupts \
                 from it",
        judge: Judge::Number(|word| word & INST1.always == INST1.always),
        ..word("svm-inst1-intercept")
    },
    Rule {
        subjects: &[Subject::bits(INST2.key, INST2.always)],
        condition: "must have all of 0xc01: VMRUN MONITOR MWAIT",
        reason: "without VMRUN, the CPU refuses to enter the guest; the others are what bhyve \
                 always sets",
        judge: Judge::Number(|word| word & INST2.always == INST2.always),
        ..word("svm-inst2-intercept")
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[Subject::bits(INST1.key, INST1.newer), Subject::bits(INST2.key, INST2.newer)],
        condition: "must have INVD and INVLPGA (0xdc44000f), VMLOAD VMSAVE STGI CLGI SKINIT ICEBP \
                    (0xd7d), as newer bhyve sets them",
        reason: "without VMLOAD, VMSAVE and SKINIT the guest acts on physical memory of the host",
        advice: "make sure that the bhyve that took it sets no more, or do not restore it",
        judge: Judge::Relation(newer),
        ..word("svm-newer-intercepts")
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[
            Subject::bits(CR.key, CR.unknown()),
            Subject::bits(DR.key, DR.unknown()),
            Subject::bits(EXC.key, EXC.unknown()),
            Subject::bits(INST1.key, INST1.unknown()),
            Subject::bits(INST2.key, INST2.unknown()),
        ],
        condition: "must have no intercepts that no bhyve is known to set",
        reason: "the kernel does not know what to do when they come",
        source: SVM_C,
        judge: Judge::Relation(unknown),
        ..invalid_svm("svm-unknown-intercepts", VMCX)
    },
    Rule {
        subjects: UPPER,
        condition: "must be 0: the field of the VMCB is shorter",
        reason: "what is above the field is neither saved nor restored",
        bhyve: TAKES,
        source: "sys/amd64/vmm/amd/vmcb.c vmcb_read",
        judge: Judge::Number(|upper| upper == 0),
        ..invalid_svm("svm-upper-bytes", VMCX)
    },
];

const UPPER: &[Subject] = &[
    Subject::range(CR.key, 4, 4),
    Subject::range(DR.key, 4, 4),
    Subject::range(EXC.key, 4, 4),
    Subject::range(INST1.key, 4, 4),
    Subject::range(INST2.key, 4, 4),
    Subject::range("vmcb.PAUSE_FILTHRESH[2]", 2, 2),
    Subject::range("vmcb.PAUSE_FILTHRESH[2]", 4, 4),
    Subject::range("vmcb.PAUSE_FILCNT[2]", 2, 2),
    Subject::range("vmcb.PAUSE_FILCNT[2]", 4, 4),
    Subject::range("vmcb.ASID[4]", 4, 4),
];

fn newer(check: &mut Check<'_, '_>) {
    if check.machine().generation != Generation::B {
        return;
    }
    for (known, slot) in check.slots("vmcx") {
        for word in [INST1, INST2] {
            let Some(field) = slot.get(word.key) else { continue };
            let lacks = word.newer & !word.always;
            // What every bhyve sets has rules of its own.
            if field.u64().is_some_and(|value| value & lacks != lacks) {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

fn unknown(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vmcx") {
        for word in WORDS {
            let Some(field) = slot.get(word.key) else { continue };
            let unknown = field.u64().unwrap_or_default() & word.unknown();
            if unknown != 0 {
                check.breaks(known.record, &field, &[("unknown", unknown)]);
            }
        }
    }
}
