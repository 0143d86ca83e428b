//! Rules of the clock, `vrtc`, and of the ACPI timer, `vpmtmr`.

use super::Chapter;
use super::class::{Argued, Class};
use super::rule::{Judge, NotRule, Rule, Severity, Subject, rule};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`vrtc`, `vpmtmr`: the clock and the ACPI timer",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

const VRTC: &[&str] = &["vrtc"];
const TIME: &str = "vrtc->base_rtctime";

/// The last second of the year 9999, the last that has a century of two digits.
const LAST: i64 = 253_402_300_799;
/// There is no time: the guest has halted the clock, or set it to no date.
const BROKEN: i64 = -1;

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Panic,
        subjects: &[Subject::field(TIME)],
        condition: "must be before the year 10000",
        reason: "the kernel counts the years one by one while it holds a lock, and looks up the \
                 century in a table of 100",
        bhyve: "restores it; when the guest reads the clock, a CPU of the host hangs, or memory \
                after the table is read",
        source: "sys/amd64/vmm/io/vrtc.c secs_to_rtc; sys/kern/subr_clock.c clock_ts_to_ct",
        judge: Judge::Signed(|time| time <= LAST),
        ..rule("rtc-far-date", VRTC)
    },
    Rule {
        subjects: &[Subject::field(TIME)],
        condition: "must not be before 1970, except for -1, which is no date",
        reason: "no earlier time can be set",
        bhyve: "restores it; the date stands still, and a kernel with INVARIANTS panics",
        source: "sys/amd64/vmm/io/vrtc.c secs_to_rtc, rtc_to_secs",
        judge: Judge::Signed(|time| time >= BROKEN),
        ..rule("rtc-early-date", VRTC)
    },
    Rule {
        subjects: &[Subject::field("vrtc->addr")],
        condition: "must be below 128",
        reason: "the kernel keeps seven bits of what the guest writes",
        bhyve: "restores it; the next access of the guest to the clock ends bhyve",
        source: "sys/amd64/vmm/io/vrtc.c vrtc_addr_handler, vrtc_data_handler",
        judge: Judge::Number(|addr| addr < 128),
        ..rule("rtc-addr", VRTC)
    },
    Rule {
        subjects: &[Subject::bits("vrtc->rtcdev.reg_a", 0x80)],
        condition: "must have UIP (bit 7) clear",
        reason: "the kernel clears it whenever the guest writes the register",
        bhyve: "restores it; the guest may wait for ever until the update is over",
        source: "sys/amd64/vmm/io/vrtc.c vrtc_set_reg_a",
        judge: Judge::Number(|a| a & 0x80 == 0),
        ..rule("rtc-update-in-progress", VRTC)
    },
    Rule {
        subjects: &[Subject::bits("vrtc->rtcdev.reg_c", 0x0f)],
        condition: "must have bits 3:0 clear",
        reason: "only flags of interrupts are ever set",
        bhyve: "restores it; the guest reads the bits once",
        source: "sys/amd64/vmm/io/vrtc.c vrtc_set_reg_c",
        judge: Judge::Number(|c| c & 0x0f == 0),
        ..rule("rtc-flags", VRTC)
    },
    Rule {
        subjects: &[Subject::field("vrtc->rtcdev.reg_d")],
        condition: "must be 0x80: memory and time are valid",
        reason: "it is read-only",
        bhyve: "restores it; the guest takes the clock for one with an empty battery",
        source: "sys/amd64/vmm/io/vrtc.c vrtc_init, vrtc_data_handler",
        judge: Judge::Number(|d| d == 0x80),
        ..rule("rtc-valid", VRTC)
    },
];

static ARGUED: &[Argued] = &[
    Argued {
        records: VRTC,
        subjects: &[
            Subject::field("vrtc->rtcdev.sec"),
            Subject::field("vrtc->rtcdev.min"),
            Subject::field("vrtc->rtcdev.hour"),
            Subject::field("vrtc->rtcdev.day_of_week"),
            Subject::field("vrtc->rtcdev.day_of_month"),
            Subject::field("vrtc->rtcdev.month"),
            Subject::field("vrtc->rtcdev.year"),
            Subject::field("vrtc->rtcdev.century"),
        ],
        class: Class::Free,
        because: "the guest writes them, in either of two notations; the kernel checks them before \
                  it takes them for a date, and refreshes them before they are read",
    },
    Argued {
        records: VRTC,
        subjects: &[
            Subject::field("vrtc->rtcdev.alarm_sec"),
            Subject::field("vrtc->rtcdev.alarm_min"),
            Subject::field("vrtc->rtcdev.alarm_hour"),
        ],
        class: Class::Free,
        because: "the guest writes them; what is no time of day is never met, or always",
    },
    Argued {
        records: VRTC,
        subjects: &[Subject::field("vrtc->rtcdev.reg_b")],
        class: Class::Free,
        because: "the guest writes it, and each of its eight bits has a meaning",
    },
    Argued {
        records: VRTC,
        subjects: &[Subject::field("vrtc->rtcdev.nvram"), Subject::field("vrtc->rtcdev.nvram2")],
        class: Class::Free,
        because: "memory for firmware and guest, which the kernel keeps and does not read",
    },
    Argued {
        records: &["vpmtmr"],
        subjects: &[Subject::field("vpmtmr->baseval")],
        class: Class::Free,
        because: "what is added to a counter that wraps",
    },
];

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "vrtc->rtcdev",
        fact: "the calendar bytes say the same as vrtc->base_rtctime",
        because: "they are refreshed only when the guest reads them",
    },
    NotRule {
        about: "vrtc",
        fact: "the record is whole: of a shorter one the kernel keeps the lock of the clock for \
               ever",
        because: "the size is checked before any field is looked at (kern-size-short)",
    },
    NotRule {
        about: "vpmtmr->baseval",
        fact: "continues where the guest's timer was",
        because: "bhyve saves the value at creation: the timer jumps on every restore",
    },
];
