//! Rules of the timers of local APICs.

use super::Chapter;
use super::check::Check;
use super::class::{Argued, Class};
use super::rule::{Judge, NotRule, Rule, Severity, Slots, Subject, rule};
use super::vlapic::{PAGE, VLAPIC, register};

pub(super) static CHAPTER: Chapter =
    Chapter { title: "`vlapic`: timers", rules: RULES, argued: ARGUED, not_rules: NOT_RULES };

const SEC: &str = "vlapic->timer_freq_bt.sec";
const FRAC: &str = "vlapic->timer_freq_bt.frac";

/// 2^27 Hz in units of 2^-64 s: a tick undivided.
const TICK: u64 = 1 << 37;

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Panic,
        slots: Slots::All,
        subjects: &[Subject::field(FRAC)],
        condition: "must not be 0 or 1",
        reason: "the kernel divides by it and by its half when the timer is read, and a period of \
                 0 keeps a CPU of the host busy with nothing but this timer",
        bhyve: "restores it, in slots without a virtual CPU too; once the timer is armed, the host \
                hangs, or divides by zero in the kernel",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_get_ccr, vlapic_reset_callout",
        judge: Judge::Number(|frac| frac > 1),
        ..rule("lapic-tick-zero", VLAPIC)
    },
    Rule {
        subjects: &[Subject::field(FRAC), Subject::part(PAGE, "dcr_timer").mask(0xb)],
        condition: "must be 2^37 times the divisor that the DCR register says",
        reason: "the kernel sets it whenever the guest writes DCR",
        bhyve: "restores it; the timer runs at the wrong rate",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_dcr_write_handler",
        judge: Judge::Relation(tick),
        ..rule("lapic-tick", VLAPIC)
    },
    Rule {
        subjects: &[Subject::field(SEC)],
        condition: "must be 0: a tick is far below a second",
        reason: "the kernel sets it together with the fraction",
        bhyve: "restores it; the timer runs at the wrong rate",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_dcr_write_handler",
        judge: Judge::Number(|sec| sec == 0),
        ..rule("lapic-tick-seconds", VLAPIC)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[Subject::field("ccr"), Subject::part(PAGE, "icr_timer")],
        condition: "must not be above the initial count",
        reason: "the timer counts down from there; only a guest that changes the divisor of a \
                 running timer sees another count",
        bhyve: "restores it; the timer fires late, and a kernel with INVARIANTS panics",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_get_ccr",
        judge: Judge::Relation(count),
        ..rule("lapic-count", VLAPIC)
    },
];

/// What DCR divides by: bits 3, 1 and 0.
const fn divisor(dcr: u64) -> u64 {
    match (dcr & 8) >> 1 | dcr & 3 {
        7 => 1,
        power => 2 << power,
    }
}

fn tick(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vlapic") {
        let Some((page, field)) = slot.get(PAGE).zip(slot.get(FRAC)) else { continue };
        let dcr = register(&page, "dcr_timer");
        // 0 and 1 are worse, and have a rule of their own.
        if field.u64().is_some_and(|frac| frac > 1 && frac != TICK * divisor(dcr)) {
            check.breaks(known.record, &field, &[("DCR", dcr)]);
        }
    }
}

fn count(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vlapic") {
        let Some((page, field)) = slot.get(PAGE).zip(slot.get("ccr")) else { continue };
        let initial = register(&page, "icr_timer");
        if field.u64().is_some_and(|count| count > initial) {
            check.breaks(known.record, &field, &[("initial count", initial)]);
        }
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: VLAPIC,
        subjects: &[Subject::part(PAGE, "ccr_timer")],
        class: Class::Free,
        because: "nothing reads it: the count is computed from the time",
    },
    Argued {
        records: VLAPIC,
        subjects: &[Subject::part(PAGE, "dcr_timer")],
        class: Class::Free,
        because: "the guest writes it, and the kernel keeps bits that divide nothing",
    },
];

static NOT_RULES: &[NotRule] = &[NotRule {
    about: "lapic icr_timer",
    fact: "a periodic timer has a period that the host can keep up with",
    because: "a guest can set any period, and the kernel skips what is late",
}];
