//! Rules of the interrupt controllers of the ISA bus: `vatpic`.

use super::Chapter;
use super::check::Check;
use super::class::{Argued, Class};
use super::rule::{Judge, Rule, Severity, Subject, rule};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`vatpic`: the two 8259 interrupt controllers",
    rules: RULES,
    argued: ARGUED,
    not_rules: &[],
};

const VATPIC: &[&str] = &["vatpic"];
const SFN: &str = "atpic->sfn";

static RULES: &[Rule] = &[
    Rule {
        subjects: &[
            Subject::field("atpic->ready"),
            Subject::field("atpic->aeoi"),
            Subject::field("atpic->poll"),
            Subject::field("atpic->rotate"),
            Subject::field(SFN),
            Subject::field("atpic->smm"),
            Subject::field("atpic->intr_raised"),
        ],
        condition: "must be 0 or 1",
        reason: "it is yes or no; of a C `bool` any other value has no meaning",
        bhyve: "restores it; what follows is up to the compiler",
        source: "sys/amd64/vmm/io/vatpic.c struct atpic, vatpic_ocw3",
        judge: Judge::Number(|flag| flag <= 1),
        ..rule("pic-bool", VATPIC)
    },
    Rule {
        subjects: &[Subject::field("atpic->icw_num")],
        condition: "must be 0 to 4",
        reason: "there are four initialisation words",
        bhyve: "restores it; the next byte that the guest writes is taken for something else",
        source: "sys/amd64/vmm/io/vatpic.c vatpic_icw1 to vatpic_icw4",
        judge: Judge::Number(|number| number <= 4),
        ..rule("pic-icw-num", VATPIC)
    },
    Rule {
        subjects: &[Subject::field("atpic->rd_cmd_reg")],
        condition: "must be 0 (request) or 1 (service)",
        reason: "it is one bit of what the guest writes",
        bhyve: "restores it; the guest reads the request register",
        source: "sys/amd64/vmm/io/vatpic.c vatpic_ocw3",
        judge: Judge::Number(|register| register <= 1),
        ..rule("pic-read-register", VATPIC)
    },
    Rule {
        subjects: &[Subject::field(SFN)],
        condition: "must be 0 in the second controller",
        reason: "the kernel sets it in the first alone",
        bhyve: "restores it; priorities of the second controller are wrong",
        source: "sys/amd64/vmm/io/vatpic.c vatpic_icw4",
        judge: Judge::Relation(slave_sfn),
        ..rule("pic-slave-sfn", VATPIC)
    },
    Rule {
        subjects: &[Subject::field("atpic->irq_base")],
        condition: "must be a multiple of 8, at most 0xf8",
        reason: "the kernel keeps the upper five bits of a byte",
        bhyve: "restores it; it becomes an interrupt vector, which a kernel with INVARIANTS finds \
                to be none and panics; without, other bits of the injected event are set",
        source: "sys/amd64/vmm/io/vatpic.c vatpic_icw2, vatpic_pending_intr",
        judge: Judge::Number(|base| base & !0xf8 == 0),
        ..rule("pic-irq-base", VATPIC)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[Subject::bits("atpic->acnt", 1 << 31)],
        condition: "must not be negative",
        reason: "it counts the devices that assert the pin",
        bhyve: "restores it; interrupts of the pin are lost until it is 0 again",
        source: "sys/amd64/vmm/io/vatpic.c vatpic_set_pinstate",
        judge: Judge::Signed(|count| count >= 0),
        ..rule("pic-acnt", VATPIC)
    },
    Rule {
        subjects: &[Subject::field("atpic->lowprio")],
        condition: "must be 0 to 7",
        reason: "it is the number of a pin",
        bhyve: "restores it and takes its low three bits",
        source: "sys/amd64/vmm/io/vatpic.c vatpic_ocw2",
        judge: Judge::Number(|pin| pin <= 7),
        ..rule("pic-lowprio", VATPIC)
    },
    Rule {
        subjects: &[Subject::field("vatpic->elc")],
        condition: "must have pins 0 to 2, 8 and 13 edge-triggered",
        reason: "the kernel clears these bits whenever the guest writes the register",
        bhyve: "restores it; interrupts of the timer, the keyboard or the clock may be repeated",
        source: "sys/amd64/vmm/io/vatpic.c vatpic_elc_handler",
        judge: Judge::Relation(edge),
        ..rule("pic-elc", VATPIC)
    },
];

fn slave_sfn(check: &mut Check<'_, '_>) {
    for known in check.records("vatpic") {
        if let Some(field) = known.fields.find(SFN, None, 1).filter(|sfn| sfn.u64() == Some(1)) {
            check.breaks(known.record, &field, &[]);
        }
    }
}

fn edge(check: &mut Check<'_, '_>) {
    for known in check.records("vatpic") {
        if let Some(field) = known.fields.find("vatpic->elc", None, 0)
            && let [master, slave] = field.bytes()
            && (master & 0x07 != 0 || slave & 0x21 != 0)
        {
            check.breaks(known.record, &field, &[]);
        }
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: VATPIC,
        subjects: &[Subject::field("atpic->acnt")],
        class: Class::Free,
        because: "any number of devices can assert a pin",
    },
    Argued {
        records: VATPIC,
        subjects: &[
            Subject::field("atpic->request"),
            Subject::field("atpic->service"),
            Subject::field("atpic->mask"),
        ],
        class: Class::Free,
        because: "a bit for each of eight pins, any of which can be set",
    },
];
