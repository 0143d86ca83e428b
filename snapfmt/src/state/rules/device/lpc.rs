//! Rules of the serial ports of the LPC bridge.

use super::super::class::{Argued, Class};
use super::super::rule::{Judge, NotRule, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check};
use super::WITHOUT;

pub(super) static CHAPTER: Chapter =
    Chapter { title: "`lpc`: serial ports", rules: RULES, argued: ARGUED, not_rules: NOT_RULES };

const LPC: &[&str] = &["lpc"];
const READ: &str = "sc->rxfifo.rindex";
const WRITE: &str = "sc->rxfifo.windex";
const COUNT: &str = "sc->rxfifo.num";
const SIZE: &str = "sc->rxfifo.size";
const FCR: &str = "sc->fcr";

/// Registers, and the bits of each that bhyve clears.
const RESERVED: &[(&str, u64)] =
    &[("sc->ier", 0xf0), ("sc->mcr", 0xe0), (FCR, 0x36), ("sc->lsr", 0x9c)];

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Ucrash,
        subjects: &[
            Subject::field(READ),
            Subject::field(WRITE),
            Subject::field(COUNT),
            Subject::field(SIZE),
        ],
        condition: "must be a FIFO of 1 to 16 characters, with both indices inside and no more \
                    characters than it holds",
        reason: "bhyve takes them for indices of an array of 16, and divides by the size",
        bhyve: "restores it; the next character goes to, or comes from, other memory of bhyve",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/uart_emul.c rxfifo_getchar, rxfifo_putchar",
        judge: Judge::Relation(inside),
        ..rule("uart-fifo", LPC)
    },
    Rule {
        subjects: &[
            Subject::field(READ),
            Subject::field(WRITE),
            Subject::field(COUNT),
            Subject::field(SIZE),
        ],
        condition: "must be 16 characters if the FIFO is enabled (bit 0 of FCR), else 1, with as \
                    many characters from where the guest reads to where the next one goes",
        reason: "bhyve counts them so",
        bhyve: "restores it; characters are lost or read twice",
        source: "usr.sbin/bhyve/uart_emul.c rxfifo_reset, uart_write",
        judge: Judge::Relation(counted),
        ..rule("uart-fifo-count", LPC)
    },
    Rule {
        subjects: &[
            Subject::bits("sc->ier", 0xf0),
            Subject::bits("sc->mcr", 0xe0),
            Subject::bits(FCR, 0x36),
            Subject::bits("sc->lsr", 0x9c),
        ],
        condition: "must have the reserved bits clear, and FCR no bits without bit 0",
        reason: "bhyve clears them when the guest writes the register, and sets no others",
        bhyve: "restores it; the guest reads bits that bhyve does not know",
        source: "usr.sbin/bhyve/uart_emul.c uart_write",
        judge: Judge::Relation(reserved),
        ..rule("uart-reserved", LPC)
    },
];

fn inside(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for uart in known.fields.root().groups("uarts") {
            let Some(size) = uart.i64(SIZE) else { continue };
            if !(1..=16).contains(&size) {
                if let Some(field) = uart.get(SIZE) {
                    check.breaks(known.record, &field, &[]);
                }
                continue;
            }
            for (key, most) in [(READ, size - 1), (WRITE, size - 1), (COUNT, size)] {
                if let Some(field) = uart.get(key)
                    && field.i64().is_some_and(|index| !(0..=most).contains(&index))
                {
                    check.breaks(known.record, &field, &[("size", size.unsigned_abs())]);
                }
            }
        }
    }
}

fn counted(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for uart in known.fields.root().groups("uarts") {
            let (Some(fcr), Some(size), Some(read), Some(write), Some(count)) =
                (uart.u64(FCR), uart.get(SIZE), uart.u64(READ), uart.get(WRITE), uart.u64(COUNT))
            else {
                continue;
            };
            let length = size.u64().unwrap_or_default();
            if !(1..=16).contains(&length) || read >= length || count > length {
                continue;
            }
            let wanted = if fcr & 1 == 1 { 16 } else { 1 };
            if length != wanted {
                check.breaks(known.record, &size, &[("FCR", fcr)]);
            } else if write.u64().is_some_and(|at| at < length && at != (read + count) % length) {
                check.breaks(known.record, &write, &[("read", read), ("characters", count)]);
            }
        }
    }
}

fn reserved(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for uart in known.fields.root().groups("uarts") {
            for (key, mask) in RESERVED {
                if let Some(field) = uart.get(key)
                    && let Some(value) = field.u64()
                    && (value & mask != 0 || *key == FCR && value != 0 && value & 1 == 0)
                {
                    check.breaks(known.record, &field, &[("reserved", *mask)]);
                }
            }
        }
    }
}

static ARGUED: &[Argued] = &[Argued {
    records: LPC,
    subjects: &[
        Subject::field("sc->data"),
        Subject::field("sc->ier"),
        Subject::field("sc->lcr"),
        Subject::field("sc->mcr"),
        Subject::field("sc->lsr"),
        Subject::field("sc->msr"),
        Subject::field(FCR),
        Subject::field("sc->scr"),
        Subject::field("sc->dll"),
        Subject::field("sc->dlh"),
        Subject::field("sc->rxfifo.buf"),
    ],
    class: Class::Free,
    because: "registers that the guest writes, and characters",
}];

static NOT_RULES: &[NotRule] = &[NotRule {
    about: "lpc",
    fact: "a pending interrupt of a serial port is restored",
    because: "bhyve saves and restores it as pending, whatever it was",
}];
