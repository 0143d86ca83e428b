//! Segments on SVM: VMRUN checks next to nothing of them.

use super::super::Chapter;
use super::super::canonical;
use super::super::check::Check;
use super::super::rule::{Basis, Judge, Needs, Rule, Severity, Slots, Subject};
use super::regs::Access;
use super::segments::{ALL, segments};
use super::{BOTH, SIGN, VMCX, invalid_svm};

pub(in super::super) static CHAPTER: Chapter =
    Chapter { title: "`vmcx`: segments, on AMD", rules: RULES, argued: &[], not_rules: &[] };

/// What a VMCB has no room for.
const RESERVED: &[Subject] = &[
    Subject::bits("ES.access", Access::RESERVED),
    Subject::bits("CS.access", Access::RESERVED),
    Subject::bits("SS.access", Access::RESERVED),
    Subject::bits("DS.access", Access::RESERVED),
    Subject::bits("FS.access", Access::RESERVED),
    Subject::bits("GS.access", Access::RESERVED),
    Subject::bits("TR.access", Access::RESERVED),
    Subject::bits("LDTR.access", Access::RESERVED),
];

static RULES: &[Rule] = &[
    Rule {
        subjects: RESERVED,
        condition: "must have none of the bits 8 to 11 and 17 to 31",
        reason: "the VMCB has no such bits: they are made up of its 12 bits of attributes",
        bhyve: "leaves them out",
        source: "sys/amd64/vmm/amd/vmcb.c vmcb_getdesc",
        judge: Judge::Relation(|check| {
            segments(
                check,
                &ALL,
                |keys| keys.access,
                |_, segment, _| segment.access.reserved() == 0,
            );
        }),
        ..invalid_svm("segment-reserved-svm", VMCX)
    },
    Rule {
        subjects: &[
            Subject::bits("FS.base", SIGN),
            Subject::bits("GS.base", SIGN),
            Subject::bits("TR.base", SIGN),
            Subject::bits("LDTR.base", SIGN),
        ],
        condition: "must be a canonical address",
        reason: "a guest cannot load any other: VMLOAD makes it canonical",
        source: "AMD APM vol. 3, VMLOAD",
        judge: Judge::Number(canonical),
        ..invalid_svm("segment-base-svm", VMCX)
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[
            Subject::bits("ES.base", 0xffff_ffff << 32),
            Subject::bits("CS.base", 0xffff_ffff << 32),
            Subject::bits("SS.base", 0xffff_ffff << 32),
            Subject::bits("DS.base", 0xffff_ffff << 32),
        ],
        condition: "must be below 4 GiB",
        reason: "a guest cannot load any other",
        source: "AMD APM vol. 2, \"Segment Registers in 64-Bit Mode\"",
        judge: Judge::Number(|base| base >> 32 == 0),
        ..invalid_svm("segment-base-32-svm", VMCX)
    },
    Rule {
        subjects: &[Subject::field("vmcb.CPL[1]"), Subject::field("vmcb->state.cpl")],
        condition: "must be 0, 1, 2 or 3",
        reason: "there are no other levels of privilege",
        judge: Judge::Number(|cpl| cpl <= 3),
        ..invalid_svm("cpl", BOTH)
    },
    Rule {
        severity: Severity::Guest,
        basis: Basis::Unverified,
        needs: Needs::Records,
        slots: Slots::Running,
        subjects: &[
            Subject::field("vmcb.CPL[1]"),
            Subject::field("vmcb->state.cpl"),
            Subject::bits("SS.access", 0b11 << 5),
        ],
        condition: "must be the DPL of SS (bits 6:5 of its access rights)",
        reason: "the two are the same, but for what SYSRET leaves behind",
        source: "AMD APM vol. 2, \"Layout of VMCB\"",
        judge: Judge::Relation(cpl_of_ss),
        ..invalid_svm("cpl-ss", BOTH)
    },
];

fn cpl_of_ss(check: &mut Check<'_, '_>) {
    for family in BOTH {
        for (known, slot) in check.slots(family) {
            let field = slot.get("vmcb.CPL[1]").or_else(|| slot.get("vmcb->state.cpl"));
            let registers = check.machine().slot("vmcx", slot.index());
            let access = registers.and_then(|registers| registers.u64("SS.access"));
            let Some((field, access)) = field.zip(access) else { continue };
            // What is no level at all has a rule of its own.
            if field.u64().is_some_and(|cpl| cpl <= 3 && cpl != access >> 5 & 3) {
                check.breaks(known.record, &field, &[("SS.access", access)]);
            }
        }
    }
}
