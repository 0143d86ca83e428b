//! Rules of the rings of the Intel network card, while the guest has them enabled.

use super::super::rule::{Judge, NotRule, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check, Known};
use super::{E1000, NONE, WITHOUT, in_memory};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`e1000`: rings of the network card",
    rules: RULES,
    argued: &[],
    not_rules: NOT_RULES,
};

const TX_ENABLED: &str = "sc->esc_tx_enabled";
const RX_ENABLED: &str = "sc->esc_rx_enabled";
const TDLEN: &str = "sc->esc_TDLEN";
const RDLEN: &str = "sc->esc_RDLEN";
const TX_RING: &str = "sc->esc_txdesc";
const RX_RING: &str = "sc->esc_rxdesc";
const TDH: &str = "sc->esc_TDH";
const TDT: &str = "sc->esc_TDT";
const TDH_READ: &str = "sc->esc_TDHr";
const RDH: &str = "sc->esc_RDH";
const RDT: &str = "sc->esc_RDT";

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Ucrash,
        subjects: &[
            Subject::field(TDLEN),
            Subject::field(RDLEN),
            Subject::field(TDH),
            Subject::field(TDH_READ),
            Subject::field(TDT),
            Subject::field(RDH),
            Subject::field(RDT),
        ],
        condition: "must be below the number of descriptors of the ring, 16 bytes each, which must \
                    not be 0: for receiving if it is enabled, for sending if something is to be \
                    sent",
        reason: "bhyve takes heads and tails for indices, and divides by the number",
        bhyve: "restores it; the next packet ends in an access outside the ring, a division by 0, \
                or a loop",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_e82545.c e82545_rx_callback, e82545_tx_run",
        judge: Judge::Relation(indices),
        ..rule("e1000-ring-index", E1000)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(TX_RING), Subject::field(RX_RING)],
        condition: "must lie in guest memory, with TDLEN bytes (and RDLEN for receiving), if the \
                    ring is enabled",
        reason: "bhyve looks the address up in guest memory, for receiving too with the length for \
                 sending, and uses what it finds, which is NULL for others",
        bhyve: "restores NULL; the next packet crashes it",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_e82545.c e82545_snapshot",
        judge: Judge::Relation(in_ram),
        ..rule("e1000-ring-in-memory", E1000)
    },
    Rule {
        subjects: &[
            Subject::field("sc->esc_tdba"),
            Subject::field("sc->esc_rdba"),
            Subject::field("sc->esc_TDBAL"),
            Subject::field("sc->esc_TDBAH"),
            Subject::field("sc->esc_RDBAL"),
            Subject::field("sc->esc_RDBAH"),
            Subject::field(TX_RING),
            Subject::field(RX_RING),
        ],
        condition: "must be what the base registers say, if the ring is enabled",
        reason: "bhyve works them out when the guest enables a ring or writes its base",
        bhyve: "restores them; device and driver look at different rings",
        source: "usr.sbin/bhyve/pci_e82545.c e82545_tx_update_tdba, e82545_rx_update_rdba",
        judge: Judge::Relation(bases),
        ..rule("e1000-ring-base", E1000)
    },
    Rule {
        subjects: &[
            Subject::field(TX_ENABLED),
            Subject::field(RX_ENABLED),
            Subject::bits("sc->esc_TCTL", 2),
            Subject::bits("sc->esc_RCTL", 2),
        ],
        condition: "must be bit 1 of the control register (TCTL, RCTL)",
        reason: "bhyve sets both together",
        bhyve: "restores both; the guest thinks that a ring is on which is off, or the reverse",
        source: "usr.sbin/bhyve/pci_e82545.c e82545_tx_ctl, e82545_rx_ctl",
        judge: Judge::Relation(enabled),
        ..rule("e1000-ring-enabled", E1000)
    },
];

/// A ring: whether it is enabled, where it is, and what says so.
struct Ring {
    enabled: &'static str,
    control: &'static str,
    gpa: &'static str,
    len: &'static str,
    base: &'static str,
    low: &'static str,
    high: &'static str,
}

const RINGS: [Ring; 2] = [
    Ring {
        enabled: TX_ENABLED,
        control: "sc->esc_TCTL",
        gpa: TX_RING,
        len: TDLEN,
        base: "sc->esc_tdba",
        low: "sc->esc_TDBAL",
        high: "sc->esc_TDBAH",
    },
    Ring {
        enabled: RX_ENABLED,
        control: "sc->esc_RCTL",
        gpa: RX_RING,
        len: RDLEN,
        base: "sc->esc_rdba",
        low: "sc->esc_RDBAL",
        high: "sc->esc_RDBAH",
    },
];

fn number(known: Known<'_, '_>, key: &str) -> u64 {
    known.fields.root().u64(key).unwrap_or_default()
}

fn indices(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let sending = number(known, TX_ENABLED) != 0 && number(known, TDH) != number(known, TDT);
        let receiving = number(known, RX_ENABLED) != 0;
        let keys: [(bool, &str, &[&str]); 2] =
            [(sending, TDLEN, &[TDH, TDH_READ, TDT]), (receiving, RDLEN, &[RDH, RDT])];
        for (used, len, keys) in keys {
            let descriptors = number(known, len) / 16;
            if !used {
                continue;
            }
            if descriptors == 0
                && let Some(field) = known.fields.find(len, None, 0)
            {
                check.breaks(known.record, &field, &[]);
                continue;
            }
            for key in keys {
                if let Some(field) = known.fields.find(key, None, 0)
                    && field.u64().is_some_and(|index| index >= descriptors)
                {
                    check.breaks(known.record, &field, &[("descriptors", descriptors)]);
                }
            }
        }
    }
}

fn in_ram(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for ring in &RINGS {
            let len = number(known, TDLEN).max(number(known, ring.len));
            if number(known, ring.enabled) != 0
                && let Some(field) = known.fields.find(ring.gpa, None, 0)
                && field.u64().is_some_and(|gpa| !in_memory(check, gpa, len))
            {
                check.breaks(known.record, &field, &[("bytes", len)]);
            }
        }
    }
}

fn bases(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for ring in RINGS.iter().filter(|ring| number(known, ring.enabled) != 0) {
            let said = number(known, ring.high) << 32 | number(known, ring.low);
            for key in [ring.base, ring.gpa] {
                if let Some(field) = known.fields.find(key, None, 0)
                    && field
                        .u64()
                        .is_some_and(|base| base != said && (key == ring.base || base != NONE))
                {
                    check.breaks(known.record, &field, &[("registers", said)]);
                }
            }
        }
    }
}

fn enabled(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for ring in &RINGS {
            let control = number(known, ring.control);
            if let Some(field) = known.fields.find(ring.enabled, None, 0)
                && field.u64().is_some_and(|on| on <= 1 && on != control >> 1 & 1)
            {
                check.breaks(known.record, &field, &[("control", control)]);
            }
        }
    }
}

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "e1000 rings",
        fact: "addresses, lengths and indices of a ring that is not enabled are good",
        because: "the guest sets them up before it enables the ring, one by one",
    },
    NotRule {
        about: "e1000 nvm_mode",
        fact: "the EEPROM goes on where the guest was",
        because: "bhyve writes another field in its place: no value is right",
    },
];
