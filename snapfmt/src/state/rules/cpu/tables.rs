//! GDTR, IDTR, and the table of page directories.

use super::super::Chapter;
use super::super::canonical;
use super::super::rule::{Judge, Rule, Subject};
use super::regs::PAE;
use super::{SIGN, VMCX, entry_vmx, invalid_svm, registers};

const LIMITS: &[Subject] =
    &[Subject::bits("GDTR.limit", 0xffff_0000), Subject::bits("IDTR.limit", 0xffff_0000)];
const BASES: &[Subject] = &[Subject::bits("GDTR.base", SIGN), Subject::bits("IDTR.base", SIGN)];

/// Bits that an entry must not have if it is present: 1, 2, 5 to 8, and those above 51.
const RESERVED: u64 = 0b11 << 1 | 0b1111 << 5 | !0 << 52;

const ENTRIES: [&str; 4] = ["PDPTE0", "PDPTE1", "PDPTE2", "PDPTE3"];

pub(in super::super) static CHAPTER: Chapter = Chapter {
    title: "`vmcx`: descriptor tables and PDPTEs",
    rules: RULES,
    argued: &[],
    not_rules: &[],
};

static RULES: &[Rule] = &[
    Rule {
        subjects: LIMITS,
        condition: "must have 16 bits",
        reason: "VM entry checks it",
        source: "Intel SDM vol. 3, \"Checks on Guest Descriptor-Table Registers\"",
        judge: Judge::Number(|limit| limit <= 0xffff),
        ..entry_vmx("table-limit-vmx")
    },
    Rule {
        subjects: BASES,
        condition: "must be a canonical address",
        reason: "VM entry checks it",
        source: "Intel SDM vol. 3, \"Checks on Guest Descriptor-Table Registers\"",
        judge: Judge::Number(canonical),
        ..entry_vmx("table-base-vmx")
    },
    Rule {
        subjects: LIMITS,
        condition: "must have 16 bits",
        reason: "a guest cannot load a longer one",
        judge: Judge::Number(|limit| limit <= 0xffff),
        ..invalid_svm("table-limit-svm", VMCX)
    },
    Rule {
        subjects: BASES,
        condition: "must be a canonical address",
        reason: "a guest cannot load any other",
        judge: Judge::Number(canonical),
        ..invalid_svm("table-base-svm", VMCX)
    },
    Rule {
        subjects: &[
            Subject::bits("PDPTE0", 1 | RESERVED),
            Subject::bits("PDPTE1", 1 | RESERVED),
            Subject::bits("PDPTE2", 1 | RESERVED),
            Subject::bits("PDPTE3", 1 | RESERVED),
        ],
        condition: "must have none of the bits 1, 2, 5 to 8 and 52 to 63 if present (bit 0), with \
                    PAE paging",
        reason: "VM entry loads the four with PAE paging, and checks the reserved bits",
        source: "Intel SDM vol. 3, \"Checks on Guest Page-Directory-Pointer-Table Entries\"",
        judge: Judge::Relation(|check| {
            for key in ENTRIES {
                registers(check, key, &["CR0", "CR4", "EFER"], |entry, regs| {
                    let used = regs.paging() && regs.cr4 & PAE != 0 && !regs.long();
                    !used || entry & 1 == 0 || entry & RESERVED == 0
                });
            }
        }),
        ..entry_vmx("pdpte")
    },
];
