//! Rules of the I/O APIC: `vioapic`.

use super::Chapter;
use super::class::{Argued, Class};
use super::rule::{Judge, NotRule, Rule, Severity, Subject, rule};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`vioapic`: the I/O APIC",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

const VIOAPIC: &[&str] = &["vioapic"];
const REG: &str = "vioapic->rtbl[i].reg";
const ACNT: &str = "vioapic->rtbl[i].acnt";

const VECTOR: u64 = 0xff;
const DELIVERY: u64 = 7 << 8;
const STATUS: u64 = 1 << 12;
const MASKED: u64 = 1 << 16;

static RULES: &[Rule] = &[
    Rule {
        subjects: &[Subject::bits(REG, STATUS)],
        condition: "must have the delivery status (bit 12) clear",
        reason: "the guest cannot write it and the kernel never sets it",
        bhyve: "restores it; the guest may wait for ever until its interrupt is delivered",
        source: "sys/amd64/vmm/io/vioapic.c RTBL_RO_BITS",
        judge: Judge::Number(|reg| reg & STATUS == 0),
        ..rule("ioapic-delivery-status", VIOAPIC)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[Subject::bits(REG, VECTOR | DELIVERY | MASKED)],
        condition: "must have a vector of 16 or above if it is not masked and is delivered as such",
        reason: "there are no interrupts with lower vectors",
        bhyve: "restores it; interrupts of the pin are lost",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_set_intr_ready",
        judge: Judge::Number(|reg| {
            reg & MASKED != 0 || reg & DELIVERY > 1 << 8 || reg & VECTOR >= 16
        }),
        ..rule("ioapic-vector", VIOAPIC)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[Subject::bits(ACNT, 1 << 31)],
        condition: "must not be negative",
        reason: "it counts the devices that assert the pin",
        bhyve: "restores it; interrupts of the pin are lost until it is 0 again",
        source: "sys/amd64/vmm/io/vioapic.c vioapic_set_pinstate",
        judge: Judge::Signed(|count| count >= 0),
        ..rule("ioapic-acnt", VIOAPIC)
    },
];

static ARGUED: &[Argued] = &[
    Argued {
        records: VIOAPIC,
        subjects: &[Subject::field(ACNT)],
        class: Class::Free,
        because: "any number of devices can assert a pin",
    },
    Argued {
        records: VIOAPIC,
        subjects: &[Subject::field("vioapic->ioregsel")],
        class: Class::Free,
        because: "only its low byte is used, and registers that do not exist are read as 0",
    },
    Argued {
        records: VIOAPIC,
        subjects: &[Subject::field(REG)],
        class: Class::Free,
        because: "the guest writes it, reserved bits too; a destination that is no local APIC gets \
                  no interrupt",
    },
];

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "vioapic->rtbl[i].reg",
        fact: "remote IRR (bit 14) is set for level-triggered pins only",
        because: "the kernel keeps it when a guest makes the pin edge-triggered",
    },
    NotRule {
        about: "vioapic->rtbl[i].acnt",
        fact: "as many devices assert the pin as their records say",
        because: "which pin a device is routed to is not saved, and ISA devices assert pins too",
    },
];
