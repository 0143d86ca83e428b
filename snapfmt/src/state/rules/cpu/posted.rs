//! Posted interrupts: `pir_desc`.

use super::super::Chapter;
use super::super::rule::{Basis, Judge, Rule, Subject, rule};
use super::{TAKES, VMCX};
use crate::bhyve::records::Vendor;

const DESC: &str = "pir_desc";
const VMX_C: &str = "sys/amd64/vmm/intel/vmx.c struct pir_desc, vmx_set_intr_ready";

pub(in super::super) static CHAPTER: Chapter =
    Chapter { title: "`vmcx`: posted interrupts", rules: RULES, argued: &[], not_rules: &[] };

static RULES: &[Rule] = &[
    Rule {
        vendor: Some(Vendor::Intel),
        subjects: &[Subject::part(DESC, "pending")],
        condition: "must be 0 or 1",
        reason: "it says whether interrupts are posted",
        bhyve: TAKES,
        source: VMX_C,
        judge: Judge::Number(|pending| pending <= 1),
        ..rule("posted-pending", VMCX)
    },
    Rule {
        vendor: Some(Vendor::Intel),
        subjects: &[
            Subject::range(DESC, 40, 8),
            Subject::range(DESC, 48, 8),
            Subject::range(DESC, 56, 8),
        ],
        condition: "must be 0",
        reason: "nothing is ever there",
        bhyve: TAKES,
        source: VMX_C,
        judge: Judge::Number(|unused| unused == 0),
        ..rule("posted-unused", VMCX)
    },
    Rule {
        basis: Basis::Unverified,
        vendor: Some(Vendor::Intel),
        subjects: &[Subject::range(DESC, 0, 2)],
        condition: "must have none of the vectors 0 to 15",
        reason: "a local APIC takes no interrupts with such vectors",
        bhyve: TAKES,
        source: "Intel SDM vol. 3, \"Valid Interrupt Vectors\"",
        judge: Judge::Number(|vectors| vectors == 0),
        ..rule("posted-vectors", VMCX)
    },
];
