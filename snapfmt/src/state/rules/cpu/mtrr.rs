//! Memory type range registers, which vmm emulates and nothing follows.

use super::super::Chapter;
use super::super::rule::{Basis, Judge, Rule, Severity, Subject, rule};
use super::{TAKES, VMCX};

/// Where they are on Intel, and on AMD.
const INTEL: &str = "mtrr";
const AMD: &str = "vcpu->mtrr";

macro_rules! parts {
    ($mask:expr; $($name:literal),* $(,)?) => {
        &[$(Subject::part(INTEL, $name).mask($mask), Subject::part(AMD, $name).mask($mask)),*]
    };
}

/// What must be 0 in the base of a range besides its type, and in a mask.
const BASE_RESERVED: u64 = 0xf << 8 | !0 << 52;
const MASK_RESERVED: u64 = 0x7ff | !0 << 52;

/// Types, one for each byte.
const FIXED: &[Subject] = parts![
    !0;
    "fixed4k[0]",
    "fixed4k[1]",
    "fixed4k[2]",
    "fixed4k[3]",
    "fixed4k[4]",
    "fixed4k[5]",
    "fixed4k[6]",
    "fixed4k[7]",
    "fixed16k[0]",
    "fixed16k[1]",
    "fixed64k",
];

const BASES: &[Subject] = parts![
    0xff | BASE_RESERVED;
    "var[0].base",
    "var[1].base",
    "var[2].base",
    "var[3].base",
    "var[4].base",
    "var[5].base",
    "var[6].base",
    "var[7].base",
    "var[8].base",
    "var[9].base",
];

const MASKS: &[Subject] = parts![
    MASK_RESERVED;
    "var[0].mask",
    "var[1].mask",
    "var[2].mask",
    "var[3].mask",
    "var[4].mask",
    "var[5].mask",
    "var[6].mask",
    "var[7].mask",
    "var[8].mask",
    "var[9].mask",
];

/// A rule about what a CPU would not take. Nobody has looked what vmm takes.
const fn ranges(id: &'static str) -> Rule {
    Rule {
        severity: Severity::Guest,
        basis: Basis::Unverified,
        reason: "a CPU would not take it; vmm keeps it for the guest to read, and no more",
        bhyve: TAKES,
        source: "sys/amd64/vmm/x86.c vm_wrmtrr; Intel SDM vol. 3, \"MTRR Feature Identification\"",
        ..rule(id, VMCX)
    }
}

pub(in super::super) static CHAPTER: Chapter = Chapter {
    title: "`vmcx`: memory type range registers",
    rules: RULES,
    argued: &[],
    not_rules: &[],
};

static RULES: &[Rule] = &[
    Rule {
        subjects: parts![!0; "def_type"],
        condition: "must have a memory type (0, 1, 4, 5 or 6) and the bits 10 and 11 at most",
        judge: Judge::Number(|value| memory_type(value & 0xff) && value & !0xcff == 0),
        ..ranges("mtrr-default")
    },
    Rule {
        subjects: FIXED,
        condition: "must have memory types in its 8 bytes: 0, 1, 4, 5 or 6",
        judge: Judge::Number(|value| {
            value.to_le_bytes().iter().all(|byte| memory_type(u64::from(*byte)))
        }),
        ..ranges("mtrr-fixed")
    },
    Rule {
        subjects: BASES,
        condition: "must have a memory type (0, 1, 4, 5 or 6), and none of the bits 8 to 11 and \
                    above 51",
        judge: Judge::Number(|value| memory_type(value & 0xff) && value & BASE_RESERVED == 0),
        ..ranges("mtrr-base")
    },
    Rule {
        subjects: MASKS,
        condition: "must have none of the bits 0 to 10 and above 51",
        judge: Judge::Number(|value| value & MASK_RESERVED == 0),
        ..ranges("mtrr-mask")
    },
];

const fn memory_type(value: u64) -> bool {
    matches!(value, 0 | 1 | 4 | 5 | 6)
}
