//! Rules of AHCI controllers and their ports.

use super::super::class::{Argued, Class};
use super::super::rule::{ANOTHER, Basis, Judge, NotRule, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check};
use super::{AHCI, NONE, WITHOUT, flag, in_memory};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`ahci`: controllers and ports",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

const PORTS: &str = "sc->ports";
const CAP: &str = "sc->cap";
const GHC: &str = "sc->ghc";
const IMPLEMENTED: &str = "sc->pi";
const NUMBER: &str = "port->port";
const LIST: &str = "port->cmd_lst";
const FIS: &str = "port->rfis";
const CCS: &str = "port->ccs";
const CMD: &str = "port->cmd";
const IOQSZ: &str = "port->ioqsz";

/// What bhyve's controllers can, without the number of ports.
const CAPABILITIES: u64 = 0xff30_ff20;
/// Bytes of a command list and of received FISes.
const LIST_LEN: u64 = 1024;
const FIS_LEN: u64 = 256;
/// Requests that bhyve has for a disk.
const REQUESTS: u64 = 135;

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(PORTS)],
        condition: "must be 1 to 32",
        reason: "bhyve looks at as many ports, and has 32",
        bhyve: "restores it; the next interrupt reads and writes beyond the ports",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_ahci.c ahci_generate_intr",
        judge: Judge::Signed(|ports| matches!(ports, 1..=32)),
        ..rule("ahci-ports", AHCI)
    },
    Rule {
        subjects: &[
            Subject::field(CAP),
            Subject::field("sc->vs"),
            Subject::field("sc->ccc_ctl"),
            Subject::field("sc->ccc_pts"),
            Subject::field("sc->em_loc"),
            Subject::field("sc->em_ctl"),
            Subject::field("sc->cap2"),
            Subject::field("sc->bohc"),
            Subject::field(GHC),
        ],
        condition: "must be what bhyve's controllers are: version 1.3, their capabilities with the \
                    number of ports less one, AHCI mode, with or without interrupts; else 0",
        reason: "bhyve sets it once, and the guest can change no more than the interrupt enable",
        bhyve: "restores it and shows it to the guest, whose driver expects what is not there",
        source: "usr.sbin/bhyve/pci_ahci.c pci_ahci_init, pci_ahci_host_write",
        judge: Judge::Relation(controller),
        ..rule("ahci-controller", AHCI)
    },
    Rule {
        subjects: &[Subject::field(IMPLEMENTED), Subject::field("bctx"), Subject::field(NUMBER)],
        condition: "must agree: a bit for each port that has a disk or drive, and the port's own \
                    number, or 0 in a port that has none",
        reason: "bhyve sets them together",
        bhyve: "refuses the snapshot if its own ports are others; a wrong bit it shows to the \
                guest",
        source: "usr.sbin/bhyve/pci_ahci.c pci_ahci_init, pci_ahci_snapshot",
        judge: Judge::Relation(implemented),
        ..rule("ahci-implemented", AHCI)
    },
    Rule {
        subjects: &[
            Subject::field("sc->lintr"),
            Subject::field("port->atapi"),
            Subject::field("port->reset"),
            Subject::field("port->waitforclear"),
        ],
        condition: "must be 0 or 1",
        reason: "it says yes or no",
        bhyve: "restores it and takes any value but 0 for yes",
        source: "usr.sbin/bhyve/pci_ahci.c",
        judge: Judge::Number(flag),
        ..rule("ahci-flags", AHCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(LIST), Subject::field(FIS)],
        condition: "must lie in guest memory, with 1024 bytes of commands and 256 of FISes, or be \
                    none",
        reason: "bhyve looks the address up in guest memory and uses what it finds, which is NULL \
                 for others",
        bhyve: "restores NULL; the next command crashes it",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_ahci.c pci_ahci_snapshot",
        judge: Judge::Relation(in_ram),
        ..rule("ahci-lists-in-memory", AHCI)
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[Subject::field(LIST), Subject::field(FIS)],
        condition: "must not be none",
        reason: "bhyve fails to save a port that the guest has not set up; newer versions may not",
        bhyve: "refuses the snapshot",
        advice: ANOTHER,
        source: "usr.sbin/bhyve/pci_ahci.c pci_ahci_snapshot",
        judge: Judge::Number(|gpa| gpa != NONE),
        ..rule("ahci-lists-none", AHCI)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[
            Subject::field("port->clb"),
            Subject::field("port->clbu"),
            Subject::field("port->fb"),
            Subject::field("port->fbu"),
        ],
        condition: "must be the address in use while the port runs (bits 0 and 4 of PxCMD)",
        reason: "bhyve looks them up when the guest starts the port; AHCI forbids to write them \
                 then",
        bhyve: "restores both; the guest may look at other lists than the device",
        advice: ANOTHER,
        source: "usr.sbin/bhyve/pci_ahci.c pci_ahci_port_write",
        judge: Judge::Relation(bases),
        ..rule("ahci-lists-base", AHCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(CCS)],
        condition: "must be 0 to 31",
        reason: "it is the command slot that bhyve looks at next, as an index",
        bhyve: "restores it; the next command is read beyond the command list, which may crash it",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_ahci.c ahci_handle_port",
        judge: Judge::Signed(|slot| matches!(slot, 0..=31)),
        ..rule("ahci-slot", AHCI)
    },
    Rule {
        subjects: &[
            Subject::field("port->mult_sectors"),
            Subject::bits("port->ie", 0x023f_ff00),
            Subject::bits(CMD, 0xf000_0008),
        ],
        condition: "must be a number of sectors of one byte; PxIE without reserved bits; PxCMD \
                    without CLO and ICC, which bhyve clears at once",
        reason: "bhyve keeps nothing else",
        bhyve: "restores it and shows it to the guest",
        source: "usr.sbin/bhyve/pci_ahci.c pci_ahci_port_write",
        judge: Judge::Relation(registers),
        ..rule("ahci-port-registers", AHCI)
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[Subject::field(IOQSZ)],
        condition: "must be 135",
        reason: "it is how many requests bhyve has for a disk",
        bhyve: "restores it and does not look at it, unless the record has requests",
        advice: ANOTHER,
        source: "usr.sbin/bhyve/block_if.c blockif_queuesz",
        judge: Judge::Number(|size| size == REQUESTS),
        ..rule("ahci-queue-size", AHCI)
    },
];

fn controller(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let ports = root.u64(PORTS).unwrap_or_default();
        for (key, wanted) in [
            (CAP, CAPABILITIES | ports.wrapping_sub(1) & 0x1f),
            ("sc->vs", 0x1_0300),
            ("sc->ccc_ctl", 0),
            ("sc->ccc_pts", 0),
            ("sc->em_loc", 0),
            ("sc->em_ctl", 0),
            ("sc->cap2", 4),
            ("sc->bohc", 0),
            (GHC, 0x8000_0000),
        ] {
            // The interrupt enable is the guest's.
            let free = if key == GHC { 0b10 } else { 0 };
            let odd = key == CAP && !(1..=32).contains(&ports);
            if let Some(field) = root.get(key)
                && field.u64().is_some_and(|value| value & !free != wanted && !odd)
            {
                check.breaks(known.record, &field, &[("expected", wanted)]);
            }
        }
    }
}

fn implemented(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let mut present = 0;
        for port in root.groups("ports") {
            let has = u64::from(port.u64("bctx").is_some_and(|pointer| pointer != 0));
            present |= has << port.index();
            if let Some(field) = port.get(NUMBER)
                && field.u64() != Some(u64::from(port.index()) * has)
            {
                check.breaks(known.record, &field, &[]);
            }
        }
        if let Some(field) = root.get(IMPLEMENTED)
            && field.u64() != Some(present)
        {
            check.breaks(known.record, &field, &[("ports with a disk", present)]);
        }
    }
}

fn in_ram(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for (key, len) in [(LIST, LIST_LEN), (FIS, FIS_LEN)] {
            for field in known.fields.root().all(key) {
                if field.u64().is_some_and(|gpa| gpa != NONE && !in_memory(check, gpa, len)) {
                    check.breaks(known.record, &field, &[("bytes", len)]);
                }
            }
        }
    }
}

fn bases(check: &mut Check<'_, '_>) {
    const START: u64 = 1;
    const RECEIVE: u64 = 1 << 4;
    for known in check.own() {
        for port in known.fields.root().groups("device") {
            let Some(cmd) = port.u64(CMD) else { continue };
            for (bit, low, high, used) in
                [(START, "port->clb", "port->clbu", LIST), (RECEIVE, "port->fb", "port->fbu", FIS)]
            {
                if let (Some(field), Some(high), Some(used)) =
                    (port.get(low), port.u64(high), port.u64(used))
                    && cmd & bit != 0
                    && used != NONE
                    && field.u64().is_some_and(|low| high << 32 | low != used)
                {
                    check.breaks(known.record, &field, &[("in use", used)]);
                }
            }
        }
    }
}

fn registers(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for (key, mask) in
            [("port->mult_sectors", !0xff), ("port->ie", !0xfdc0_00ff), (CMD, 0xf000_0008)]
        {
            for field in known.fields.root().all(key) {
                if field.u64().is_some_and(|value| value & mask != 0) {
                    check.breaks(known.record, &field, &[]);
                }
            }
        }
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: AHCI,
        subjects: &[Subject::field("sc->is")],
        class: Class::Free,
        because: "a bit for each port with an interrupt, which the guest clears",
    },
    Argued {
        records: AHCI,
        subjects: &[
            Subject::field("port->ident"),
            Subject::field("port->ata_ident"),
            Subject::field("port->xfermode"),
            Subject::field("port->err_cfis"),
            Subject::field("port->sense_key"),
            Subject::field("port->asc"),
        ],
        class: Class::Free,
        because: "bhyve gives it to the guest when asked, and does not go by it",
    },
    Argued {
        records: AHCI,
        subjects: &[
            Subject::field("port->pending"),
            Subject::field("port->ie"),
            Subject::field(CMD),
            Subject::field("port->unused0"),
            Subject::field("port->tfd"),
            Subject::field("port->sig"),
            Subject::field("port->ssts"),
            Subject::field("port->sctl"),
            Subject::field("port->serr"),
            Subject::field("port->sact"),
            Subject::field("port->ci"),
            Subject::field("port->sntf"),
            Subject::field("port->fbs"),
        ],
        class: Class::Free,
        because: "registers of the port: the guest writes them, or they follow from its commands",
    },
];

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "ahci clb and fb",
        fact: "are multiples of 1024 and 256",
        because: "the guest writes them, and bhyve does not care",
    },
    NotRule {
        about: "ahci bctx",
        fact: "is a good pointer",
        because: "bhyve looks only whether it is 0",
    },
    NotRule {
        about: "ahci PxIS",
        fact: "pending interrupts of a port are restored",
        because: "bhyve does not save the register",
    },
];
