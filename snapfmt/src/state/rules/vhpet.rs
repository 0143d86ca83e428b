//! Rules of the HPET: `vhpet`.

use super::Chapter;
use super::check::Check;
use super::class::{Argued, Class};
use super::finding::Spot;
use super::rule::{Judge, NotRule, Rule, Severity, Subject, rule};
use crate::state::Scope;

pub(super) static CHAPTER: Chapter =
    Chapter { title: "`vhpet`: the HPET", rules: RULES, argued: ARGUED, not_rules: NOT_RULES };

const VHPET: &[&str] = &["vhpet"];
const FREQ: &str = "vhpet->freq_sbt";
const CONFIG: &str = "vhpet->config";
const ISR: &str = "vhpet->isr";
const CAP: &str = "vhpet->timer[i].cap_config";
const RATE: &str = "vhpet->timer[i].comprate";

/// 2^24 Hz in units of 2^-32 s.
const TICK: i64 = 256;
const TIMERS: u32 = 8;

const LEVEL: u64 = 1 << 1;
const PERIODIC: u64 = 1 << 3;
const MSI: u64 = 1 << 14 | 1 << 15;
const ROUTE: u64 = 0x1f << 9;
/// Routable pins, MSI capability, 64-bit counter, 32-bit mode, periodic capability.
const FIXED: u64 = 0xffff_ffff << 32 | 1 << 15 | 1 << 8 | 1 << 5 | 1 << 4;
/// The upper eight of 32 pins; MSI and periodic interrupts are offered.
const OFFERED: u64 = 0xff00_0000 << 32 | 1 << 15 | 1 << 4;

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Panic,
        subjects: &[Subject::field(FREQ)],
        condition: "must not be 0",
        reason: "the kernel divides by it when the counter runs and is read",
        bhyve: "restores it; once the guest enables the counter, a read of it or the next snapshot \
                is a division by zero in the kernel",
        source: "sys/amd64/vmm/io/vhpet.c vhpet_counter",
        judge: Judge::Signed(|tick| tick != 0),
        ..rule("hpet-tick-zero", VHPET)
    },
    Rule {
        subjects: &[Subject::field(FREQ)],
        condition: "must be 256, which is 2^24 Hz",
        reason: "the rate is a constant, which the guest reads from a register of its own",
        bhyve: "restores it; the counter and all timers run at the wrong rate, or backwards",
        source: "sys/amd64/vmm/io/vhpet.c vhpet_init",
        judge: Judge::Signed(|tick| tick == TICK || tick == 0),
        ..rule("hpet-tick", VHPET)
    },
    Rule {
        subjects: &[Subject::bits(CONFIG, 2)],
        condition: "must have LEG_RT (bit 1) clear",
        reason: "the kernel clears it whenever the guest writes the register",
        bhyve: "restores it; the guest reads it as set, and nothing follows it",
        source: "sys/amd64/vmm/io/vhpet.c vhpet_mmio_write",
        judge: Judge::Number(|config| config & 2 == 0),
        ..rule("hpet-legacy-routing", VHPET)
    },
    Rule {
        subjects: &[Subject::bits(ISR, !0xff)],
        condition: "must have bits of the eight timers only",
        reason: "no other bit is ever set",
        bhyve: "restores it; the guest reads interrupts of timers that do not exist",
        source: "sys/amd64/vmm/io/vhpet.c vhpet_timer_interrupt",
        judge: Judge::Number(|isr| isr >> TIMERS == 0),
        ..rule("hpet-isr-timers", VHPET)
    },
    Rule {
        severity: Severity::Panic,
        subjects: &[Subject::bits(ISR, 0xff), Subject::bits(CAP, LEVEL | MSI)],
        condition: "must be asserted by timers only that are level-triggered and not by MSI",
        reason: "the kernel takes it for granted",
        bhyve: "restores it; when the guest writes the configuration of the timer, the kernel \
                panics with \"isr should not be asserted\"",
        source: "sys/amd64/vmm/io/vhpet.c vhpet_timer_update_config",
        judge: Judge::Relation(|check| asserted(check, |cap| level(cap) && !msi(cap))),
        ..rule("hpet-isr-edge", VHPET)
    },
    Rule {
        subjects: &[Subject::bits(ISR, 0xff), Subject::bits(CAP, ROUTE)],
        condition: "must be asserted by timers only that are routed to a pin",
        reason: "a timer that is routed nowhere asserts nothing",
        bhyve: "restores it; a kernel with INVARIANTS panics when the guest clears the bit",
        source: "sys/amd64/vmm/io/vhpet.c vhpet_timer_clear_isr",
        judge: Judge::Relation(|check| {
            asserted(check, |cap| msi(cap) || !level(cap) || cap & ROUTE != 0);
        }),
        ..rule("hpet-isr-route", VHPET)
    },
    Rule {
        subjects: &[Subject::bits(CAP, FIXED)],
        condition: "must offer periodic interrupts, MSI and pins 24 to 31, and have a counter of \
                    32 bits",
        reason: "these bits are read-only and the same for every timer",
        bhyve: "restores it; the guest may route interrupts to other pins",
        source: "sys/amd64/vmm/io/vhpet.c vhpet_init, HPET_TCAP_RO_MASK",
        judge: Judge::Number(|cap| cap & FIXED == OFFERED),
        ..rule("hpet-timer-capabilities", VHPET)
    },
    Rule {
        subjects: &[Subject::bits(CAP, ROUTE)],
        condition: "must be routed to no pin (0) or to one of pins 24 to 31 (bits 13:9)",
        reason: "the kernel puts 0 in place of any other pin",
        bhyve: "restores it; the timer interrupts on a pin of another device",
        source: "sys/amd64/vmm/io/vhpet.c vhpet_timer_update_config",
        judge: Judge::Number(|cap| matches!((cap & ROUTE) >> 9, 0 | 24..=31) || msi(cap)),
        ..rule("hpet-timer-route", VHPET)
    },
    Rule {
        subjects: &[Subject::field(RATE), Subject::bits(CAP, PERIODIC)],
        condition: "must be 0 unless the timer is periodic",
        reason: "the kernel clears it when the timer becomes a one-shot timer",
        bhyve: "restores it; the timer fires again and again, and a kernel with INVARIANTS panics",
        source: "sys/amd64/vmm/io/vhpet.c vhpet_timer_update_config, vhpet_mmio_write",
        judge: Judge::Relation(rate),
        ..rule("hpet-timer-rate", VHPET)
    },
];

const fn level(cap: u64) -> bool {
    cap & LEVEL != 0
}

const fn msi(cap: u64) -> bool {
    cap & MSI == MSI
}

/// Whether all timers that assert an interrupt are good.
fn asserted(check: &mut Check<'_, '_>, good: impl Fn(u64) -> bool) {
    for known in check.records("vhpet") {
        let root = known.fields.root();
        let Some(field) = root.get(ISR) else { continue };
        let isr = field.u64().unwrap_or_default();
        for timer in root.groups("timers").filter(|timer| isr >> timer.index() & 1 == 1) {
            let cap = timer.u64(CAP).unwrap_or_default();
            if !good(cap) {
                let others = [("timer", timer.index().into()), ("its cap_config", cap)];
                check.breaks_at(known.record, &field, Spot::whole(&field), &others);
            }
        }
    }
}

fn rate(check: &mut Check<'_, '_>) {
    for known in check.records("vhpet") {
        for timer in known.fields.root().groups("timers") {
            let cap = timer.u64(CAP).unwrap_or_default();
            if cap & PERIODIC == 0 {
                nonzero(check, known.record, timer, cap);
            }
        }
    }
}

fn nonzero(
    check: &mut Check<'_, '_>,
    record: &super::StateRecord<'_>,
    timer: Scope<'_, '_>,
    cap: u64,
) {
    if let Some(field) = timer.get(RATE).filter(|field| field.u64() != Some(0)) {
        check.breaks(record, &field, &[("cap_config", cap)]);
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: VHPET,
        subjects: &[Subject::field(CONFIG), Subject::field(CAP)],
        class: Class::Free,
        because: "bits that the guest writes and that the kernel keeps as they are",
    },
    Argued {
        records: VHPET,
        subjects: &[Subject::field("countbase"), Subject::field("vhpet->timer[i].compval")],
        class: Class::Free,
        because: "a counter and what it is compared with: both wrap, and the guest sets them",
    },
    Argued {
        records: VHPET,
        subjects: &[Subject::field("vhpet->timer[i].msireg")],
        class: Class::Free,
        because: "the guest writes it, and the address is checked whenever an MSI is sent",
    },
    Argued {
        records: VHPET,
        subjects: &[Subject::field("vhpet->timer[i].callout_sbt")],
        class: Class::HostSpecific,
        because: "the uptime of the host at which the timer expires; computed anew when the \
                  counter is started after a restore, and otherwise compared with the uptime only",
    },
];

static NOT_RULES: &[NotRule] = &[NotRule {
    about: "vhpet->timer[i].comprate",
    fact: "a periodic timer has a period that the host can keep up with",
    because: "a guest can set any period, and the kernel skips what is late",
}];
