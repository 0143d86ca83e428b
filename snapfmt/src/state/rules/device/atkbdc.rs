//! Rules of the keyboard controller, keyboard and mouse.

use super::super::class::{Argued, Class};
use super::super::finding::Spot;
use super::super::rule::{Judge, NotRule, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check, Known};
use super::{WITHOUT, flag};
use crate::state::FieldRef;

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`atkbdc`: keyboard controller, keyboard and mouse",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

const ATKBDC: &[&str] = &["atkbdc"];
const BOTH: &str = "atkbdc_sc->kbd";
const READ: &str = "atkbdc_sc->kbd.brd";
const WRITE: &str = "atkbdc_sc->kbd.bwr";
const COUNT: &str = "atkbdc_sc->kbd.bcnt";
/// The length of the buffer.
const LEN: u64 = 15;

/// What is written twice: the part, and the field.
const TWICE: [(&str, &str); 6] = [
    ("irq_active", "atkbdc_sc->kbd.irq_active"),
    ("irq", "atkbdc_sc->kbd.irq"),
    ("buffer", "atkbdc_sc->kbd.buffer"),
    ("brd", READ),
    ("bwr", WRITE),
    ("bcnt", COUNT),
];

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(READ), Subject::field(WRITE), Subject::field(COUNT)],
        condition: "must be indices below 15, and at most 15 characters",
        reason: "bhyve takes them for indices of an array of 15",
        bhyve: "restores it; the next character goes to, or comes from, other memory of bhyve",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/atkbdc.c atkbdc_kbd_queue_data, atkbdc_dequeue_data",
        judge: Judge::Relation(inside),
        ..rule("atkbdc-buffer", ATKBDC)
    },
    Rule {
        subjects: &[Subject::field(READ), Subject::field(WRITE), Subject::field(COUNT)],
        condition: "must be as many characters as from where the guest reads to where the next one \
                    goes",
        reason: "bhyve counts them so",
        bhyve: "restores it; characters are lost or read twice",
        source: "usr.sbin/bhyve/atkbdc.c atkbdc_kbd_queue_data, atkbdc_dequeue_data",
        judge: Judge::Relation(counted),
        ..rule("atkbdc-count", ATKBDC)
    },
    Rule {
        subjects: &[
            Subject::part(BOTH, "irq_active"),
            Subject::part(BOTH, "irq"),
            Subject::part(BOTH, "buffer"),
            Subject::part(BOTH, "brd"),
            Subject::part(BOTH, "bwr"),
            Subject::part(BOTH, "bcnt"),
            Subject::field("atkbdc_sc->kbd.irq_active"),
            Subject::field("atkbdc_sc->kbd.irq"),
            Subject::field("atkbdc_sc->kbd.buffer"),
            Subject::field(READ),
            Subject::field(WRITE),
            Subject::field(COUNT),
        ],
        condition: "must be the same in the structure and in the fields that follow",
        reason: "bhyve writes the same variables twice, first all of them at once",
        bhyve: "restores the second copy over the first",
        source: "usr.sbin/bhyve/atkbdc.c atkbdc_snapshot",
        judge: Judge::Relation(twice),
        ..rule("atkbdc-twice", ATKBDC)
    },
    Rule {
        subjects: &[Subject::field("atkbdc_sc->kbd.irq"), Subject::field("atkbdc_sc->aux.irq")],
        condition: "must be 1 for the keyboard and 12 for the mouse",
        reason: "bhyve sets them once",
        bhyve: "restores it; interrupts go to another device's driver, or are lost",
        source: "usr.sbin/bhyve/atkbdc.c atkbdc_init",
        judge: Judge::Relation(lines),
        ..rule("atkbdc-irq", ATKBDC)
    },
    Rule {
        subjects: &[
            Subject::field("atkbdc_sc->kbd.irq_active"),
            Subject::field("atkbdc_sc->aux.irq_active"),
            Subject::field("sc->enabled"),
            Subject::field("sc->ctrlenable"),
        ],
        condition: "must be 0 or 1",
        reason: "it says yes or no",
        bhyve: "restores it and takes any value but 0 for yes",
        source: "usr.sbin/bhyve/atkbdc.c, ps2kbd.c, ps2mouse.c",
        judge: Judge::Number(flag),
        ..rule("atkbdc-flags", ATKBDC)
    },
    Rule {
        subjects: &[
            Subject::field("atkbdc_sc->status"),
            Subject::field("atkbdc_sc->curcmd"),
            Subject::field("atkbdc_sc->ctrlbyte"),
        ],
        condition: "must be a status of bits 0, 2, 3 and 5 only, a command that bhyve keeps for \
                    its argument (0 for none), and an answer of 0 or 0x8000 with a byte",
        reason: "bhyve sets nothing else",
        bhyve: "restores it; the guest's driver may wait for ever",
        source: "usr.sbin/bhyve/atkbdc.c atkbdc_sts_ctl_handler",
        judge: Judge::Relation(registers),
        ..rule("atkbdc-registers", ATKBDC)
    },
];

fn fields<'c, 'a, const N: usize>(
    check: &Check<'c, 'a>,
    keys: [&'static str; N],
) -> impl Iterator<Item = (Known<'c, 'a>, [FieldRef<'c, 'a>; N])> + use<'c, 'a, N> {
    check.own().filter_map(move |known| {
        let found: Vec<_> = keys.iter().filter_map(|key| known.fields.find(key, None, 0)).collect();
        Some((known, found.try_into().ok()?))
    })
}

fn inside(check: &mut Check<'_, '_>) {
    for (known, [read, write, count]) in fields(check, [READ, WRITE, COUNT]) {
        for (field, most) in [(read, LEN - 1), (write, LEN - 1), (count, LEN)] {
            if field.u64().is_none_or(|index| index > most) {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

fn counted(check: &mut Check<'_, '_>) {
    for (known, [read, write, count]) in fields(check, [READ, WRITE, COUNT]) {
        let (Some(from), Some(to), Some(number)) = (read.u64(), write.u64(), count.u64()) else {
            continue;
        };
        if from < LEN && to < LEN && number <= LEN && (from + number) % LEN != to {
            check.breaks(known.record, &count, &[("read", from), ("write", to)]);
        }
    }
}

fn twice(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let Some(both) = known.fields.find(BOTH, None, 0) else { continue };
        for (name, key) in TWICE {
            if let (Some(part), Some(field)) = (both.part(name), known.fields.find(key, None, 0))
                && part.bytes != field.bytes()
            {
                check.breaks_at(known.record, &both, Spot::part(&both, name), &[]);
            }
        }
    }
}

fn lines(check: &mut Check<'_, '_>) {
    for (known, found) in fields(check, ["atkbdc_sc->kbd.irq", "atkbdc_sc->aux.irq"]) {
        for (field, wanted) in found.into_iter().zip([1, 12]) {
            if field.u64() != Some(wanted) {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

fn registers(check: &mut Check<'_, '_>) {
    let keys = ["atkbdc_sc->status", "atkbdc_sc->curcmd", "atkbdc_sc->ctrlbyte"];
    for (known, [status, command, answer]) in fields(check, keys) {
        let kept = |command| matches!(command, 0 | 0x60..=0x7f | 0xd1..=0xd4);
        for (field, good) in [
            (status, status.u64().is_some_and(|status| status & !0x2d == 0)),
            (command, command.u64().is_some_and(kept)),
            (answer, answer.u64().is_some_and(|byte| byte == 0 || byte & !0xff == 0x8000)),
        ] {
            if !good {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: ATKBDC,
        subjects: &[
            Subject::field("atkbdc_sc->outport"),
            Subject::field("atkbdc_sc->ram"),
            Subject::field("sc->curcmd"),
            Subject::field("sc->status"),
            Subject::field("sc->resolution"),
            Subject::field("sc->sampling_rate"),
            Subject::field("sc->cur_x"),
            Subject::field("sc->cur_y"),
            Subject::field("sc->delta_x"),
            Subject::field("sc->delta_y"),
        ],
        class: Class::Free,
        because: "the guest writes it, or it comes from keyboard and mouse",
    },
    Argued {
        records: ATKBDC,
        subjects: &[Subject::rest(BOTH)],
        class: Class::Opaque,
        because: "gaps in a structure that is copied as a whole",
    },
];

static NOT_RULES: &[NotRule] = &[NotRule {
    about: "atkbdc",
    fact: "what keyboard and mouse had not yet given to the controller is restored",
    because: "bhyve does not save it: keys that were pressed in that moment are lost",
}];
