//! Rules of the USB controller: registers, command ring and event ring.

use super::super::class::{Argued, Class};
use super::super::rule::{ANOTHER, Judge, Needs, NotRule, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check, Missing, RamError};
use super::{NONE, WITHOUT, XHCI, in_memory};
use crate::state::value::little_endian;

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`xhci`: the USB controller",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

const COMMANDS: &str = "sc->opregs.cr_p";
const CONTEXTS: &str = "sc->opregs.dcbaa_p";
const TABLE: &str = "sc->rtsregs.erstba_p";
const EVENTS: &str = "sc->rtsregs.erst_p";
const NEXT: &str = "sc->rtsregs.er_enq_idx";
const SEGMENT: &str = "sc->rtsregs.er_deq_seg";
const ENQ_SEGMENT: &str = "sc->rtsregs.er_enq_seg";
const PARAMETERS: &str = "sc->hccparams1";
const CYCLE: &str = "sc->rtsregs.event_pcs";

/// Bytes of an event.
const EVENT: u64 = 16;

/// What never changes, and bits of it in which versions differ.
const CONSTANTS: &[(&str, u64, u64)] = &[
    ("sc->caplength", 0x0100_0020, 0),
    ("sc->hcsparams1", 0x0800_0140, 0),
    ("sc->hcsparams2", 4, 0),
    ("sc->hcsparams3", 0, 0),
    (PARAMETERS, 0x0340_1280, 1),
    ("sc->dboff", 0x4a0, 0),
    ("sc->rtsoff", 0xcc0, 0),
    ("sc->hccparams2", 0x11, 0),
    ("sc->regsend", 0xd00, 0),
    ("sc->opregs.pgsz", 1, 0),
    ("sc->usb2_port_start", 5, 0),
    ("sc->usb3_port_start", 1, 0),
    (ENQ_SEGMENT, 0, 0),
];

static RULES: &[Rule] = &[
    Rule {
        subjects: &[
            Subject::field("sc->caplength"),
            Subject::field("sc->hcsparams1"),
            Subject::field("sc->hcsparams2"),
            Subject::field("sc->hcsparams3"),
            Subject::field(PARAMETERS),
            Subject::field("sc->dboff"),
            Subject::field("sc->rtsoff"),
            Subject::field("sc->hccparams2"),
            Subject::field("sc->regsend"),
            Subject::field("sc->opregs.pgsz"),
            Subject::field("sc->usb2_port_start"),
            Subject::field("sc->usb3_port_start"),
            Subject::field(ENQ_SEGMENT),
        ],
        condition: "must be what bhyve's controller has",
        reason: "they are constants that no guest can write; bhyve tells its registers apart by \
                 them",
        bhyve: "restores it; the guest finds registers elsewhere than it thinks, and bhyve may \
                abort",
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_init",
        judge: Judge::Relation(constants),
        ..rule("xhci-constants", XHCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[
            Subject::field(COMMANDS),
            Subject::field(CONTEXTS),
            Subject::field(TABLE),
            Subject::field(EVENTS),
        ],
        condition: "must lie in guest memory, or be none",
        reason: "bhyve looks the address up in guest memory and uses what it finds, which is NULL \
                 for others",
        bhyve: "restores NULL; the next command or event crashes it",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_snapshot, pci_xhci_insert_event",
        judge: Judge::Relation(in_ram),
        ..rule("xhci-rings-in-memory", XHCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(NEXT)],
        condition: "must be the index of an event in guest memory; 0 without an event ring",
        reason: "bhyve writes the next event there",
        bhyve: "writes to other memory of bhyve, or crashes",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_insert_event",
        judge: Judge::Relation(next),
        ..rule("xhci-event-index", XHCI)
    },
    Rule {
        severity: Severity::Guest,
        needs: Needs::Ram,
        subjects: &[Subject::field(NEXT), Subject::field(EVENTS)],
        condition: "must be inside the segment that the table in guest memory names",
        reason: "bhyve takes both from there, and nothing changes them while the ring is in use",
        bhyve: "restores it and writes events elsewhere in guest memory",
        advice: ANOTHER,
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_rtsregs_write, pci_xhci_insert_event",
        judge: Judge::Relation(segment),
        ..rule("xhci-event-segment", XHCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(SEGMENT)],
        condition: "must be 0 to 7",
        reason: "it is three bits of a register, and bhyve takes it for an index",
        bhyve: "reads other memory, which may crash it",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_rtsregs_write, pci_xhci_insert_event",
        judge: Judge::Signed(|segment| matches!(segment, 0..=7)),
        ..rule("xhci-event-dequeue", XHCI)
    },
    Rule {
        subjects: &[
            Subject::field(CYCLE),
            Subject::bits("sc->opregs.usbcmd", 0xffff_c0f0),
            Subject::bits("sc->opregs.dnctrl", 0xffff_0000),
            Subject::bits("sc->opregs.config", 0xffff_fc00),
        ],
        condition: "must have the reserved bits clear",
        reason: "bhyve clears them when the guest writes the register",
        bhyve: "restores it and shows it to the guest",
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_hostop_write",
        judge: Judge::Relation(reserved),
        ..rule("xhci-reserved", XHCI)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[
            Subject::field("sc->opregs.dcbaap"),
            Subject::field("sc->rtsregs.intrreg.erstba"),
            Subject::field(CONTEXTS),
            Subject::field(TABLE),
        ],
        condition: "must be the same address, without its low six bits, once it is in use",
        reason: "bhyve looks it up when the guest writes the upper half of the register",
        bhyve: "restores both; controller and driver look at different tables",
        advice: ANOTHER,
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_hostop_write, pci_xhci_rtsregs_write",
        judge: Judge::Relation(bases),
        ..rule("xhci-bases", XHCI)
    },
];

fn constants(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for (key, wanted, free) in CONSTANTS {
            if let Some(field) = known.fields.find(key, None, 0)
                && field.u64().is_some_and(|value| value & !free != *wanted)
            {
                check.breaks(known.record, &field, &[("expected", *wanted)]);
            }
        }
    }
}

fn in_ram(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for key in [COMMANDS, CONTEXTS, TABLE, EVENTS] {
            if let Some(field) = known.fields.find(key, None, 0)
                && field.u64().is_some_and(|gpa| gpa != NONE && !in_memory(check, gpa, EVENT))
            {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

fn next(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let (Some(field), Some(events)) = (root.get(NEXT), root.u64(EVENTS)) else { continue };
        let index = field.i64().unwrap_or_default();
        let good = match u64::try_from(index) {
            Err(_) => false,
            Ok(index) if events == NONE => index == 0,
            Ok(index) => {
                // An address outside is another rule's.
                let place = events.checked_add(EVENT * index);
                !in_memory(check, events, EVENT)
                    || place.is_some_and(|gpa| in_memory(check, gpa, EVENT))
            }
        };
        if !good {
            check.breaks(known.record, &field, &[("ring", events)]);
        }
    }
}

fn segment(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let (Some(ram), Some(table), Some(next), Some(events)) =
            (check.ram(), root.u64(TABLE), root.get(NEXT), root.get(EVENTS))
        else {
            continue;
        };
        let mut entry = [0; 16];
        if !in_memory(check, table, 16) {
            continue;
        }
        if let Err(RamError::Unreadable { gpa } | RamError::Outside { gpa }) =
            ram.read(table, &mut entry)
        {
            check.lacks(Missing::RamAt(gpa));
            continue;
        }
        let [start, size] = [(0, 8), (8, 12)]
            .map(|(from, to)| entry.get(from..to).and_then(little_endian).unwrap_or_default());
        if events.u64().is_some_and(|gpa| gpa != NONE && gpa != start & !0x3f) {
            check.breaks(known.record, &events, &[("the table has", start)]);
        } else if next.u64().is_some_and(|index| index > 0 && index >= size) {
            check.breaks(known.record, &next, &[("events", size)]);
        }
    }
}

fn reserved(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for (key, mask) in [
            (CYCLE, !1),
            ("sc->opregs.usbcmd", !0x3f0f),
            ("sc->opregs.dnctrl", !0xffff),
            ("sc->opregs.config", !0x3ff),
        ] {
            if let Some(field) = known.fields.find(key, None, 0)
                && field.u64().is_some_and(|value| value & mask != 0)
            {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

fn bases(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        for (register, used) in
            [("sc->opregs.dcbaap", CONTEXTS), ("sc->rtsregs.intrreg.erstba", TABLE)]
        {
            if let (Some(field), Some(used)) = (root.get(register), root.u64(used))
                && used != NONE
                && field.u64().is_some_and(|base| base & !0x3f != used)
            {
                check.breaks(known.record, &field, &[("in use", used)]);
            }
        }
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: XHCI,
        subjects: &[
            Subject::field("sc->opregs.usbcmd"),
            Subject::field("sc->opregs.usbsts"),
            Subject::field("sc->opregs.dnctrl"),
            Subject::field("sc->opregs.crcr"),
            Subject::field("sc->opregs.config"),
            Subject::field("sc->rtsregs.mfindex"),
            Subject::field("sc->rtsregs.intrreg.iman"),
            Subject::field("sc->rtsregs.intrreg.imod"),
            Subject::field("sc->rtsregs.intrreg.erstsz"),
            Subject::field("sc->rtsregs.intrreg.rsvd"),
            Subject::field("sc->rtsregs.intrreg.erdp"),
        ],
        class: Class::Free,
        because: "registers that the guest writes, or that follow from what it does",
    },
    Argued {
        records: XHCI,
        subjects: &[Subject::field("sc->rtsregs.er_events_cnt")],
        class: Class::Free,
        because: "bhyve compares it with the size of the ring: one that is too large means that \
                  the ring is full until the guest has read it",
    },
];

static NOT_RULES: &[NotRule] = &[NotRule {
    about: "xhci opregs.crcr",
    fact: "is the address of the command ring in use",
    because: "the guest may have written one half of it",
}];
