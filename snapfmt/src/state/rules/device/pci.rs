//! Rules of configuration space and BARs, which every record of a PCI device begins with.

use super::super::class::{Argued, Class};
use super::super::finding::Spot;
use super::super::rule::{ANOTHER, Judge, NotRule, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check, Known};
use super::{PCI, WITHOUT};
use crate::state::Scope;

pub(super) static CHAPTER: Chapter = Chapter {
    title: "Configuration space and BARs of PCI devices",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

const CONFIG: &str = "pi->pi_cfgdata";
const TYPE: &str = "pi->pi_bar[i].type";
const SIZE: &str = "pi->pi_bar[i].size";
const ADDR: &str = "pi->pi_bar[i].addr";

const IO: u64 = 1;
const MEM32: u64 = 2;
const MEM64: u64 = 3;
const HIGH: u64 = 4;
const ROM: u64 = 5;
/// The place of the ROM among the BARs.
const ROM_INDEX: u32 = 6;
/// The first BAR in configuration space.
const BAR_0: usize = 0x10;

/// Vendor and device of the models that have fixed ones.
const IDS: &[(&str, [u8; 4])] = &[
    ("virtio-net", [0xf4, 0x1a, 0x00, 0x10]),
    ("virtio-blk", [0xf4, 0x1a, 0x01, 0x10]),
    ("virtio-rnd", [0xf4, 0x1a, 0x05, 0x10]),
    ("e1000", [0x86, 0x80, 0x0f, 0x10]),
    ("ahci", [0x86, 0x80, 0x21, 0x28]),
    ("ahci-hd", [0x86, 0x80, 0x21, 0x28]),
    ("ahci-cd", [0x86, 0x80, 0x21, 0x28]),
    ("xhci", [0x86, 0x80, 0x31, 0x1e]),
    ("fbuf", [0x5d, 0xfb, 0xfb, 0x40]),
];

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(TYPE)],
        condition: "must be 0 to 5",
        reason: "there are no other types",
        bhyve: "restores it and aborts when the guest next enables or disables the device",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_emul.c pci_emul_cmd_changed",
        judge: Judge::Number(|kind| kind <= ROM),
        ..rule("pci-bar-type", PCI)
    },
    Rule {
        subjects: &[Subject::field(TYPE), Subject::field(SIZE)],
        condition: "must fit each other: none without a BAR or for an upper half, which follows a \
                    64-bit BAR; else a power of two, at least 4 for I/O, 16 for memory, 2048 for \
                    ROM",
        reason: "bhyve makes BARs so, and never changes them",
        bhyve: "restores it; addresses that the guest then gives to the BAR are cut off wrongly, \
                or bhyve aborts",
        source: "usr.sbin/bhyve/pci_emul.c pci_emul_alloc_bar",
        judge: Judge::Relation(shapes),
        ..rule("pci-bar-size", PCI)
    },
    Rule {
        subjects: &[Subject::field(ADDR)],
        condition: "must be a multiple of the BAR's size, and 0 without a BAR or for an upper half",
        reason: "bhyve cuts off lower bits when it gives or takes an address",
        bhyve: "restores it; the guest reaches the device at another address than it thinks",
        source: "usr.sbin/bhyve/pci_emul.c pci_cfgrw",
        judge: Judge::Relation(aligned),
        ..rule("pci-bar-aligned", PCI)
    },
    Rule {
        subjects: &[Subject::field(ADDR), Subject::range(CONFIG, 0x10, 0x18)],
        condition: "must be the address in configuration space, with bit 0 there for I/O and 0b10 \
                    in bits 2:1 for 64 bits",
        reason: "bhyve writes both together",
        bhyve: "restores both; the guest reads an address at which the device is not",
        source: "usr.sbin/bhyve/pci_emul.c pci_cfgrw",
        judge: Judge::Relation(registers),
        ..rule("pci-bar-register", PCI)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[Subject::range(CONFIG, 0, 4), Subject::range(CONFIG, 0x0e, 1)],
        condition: "must have the vendor and the device of the model, and header type 0",
        reason: "drivers go by them; a guest can write there, but none does",
        bhyve: "restores it; the guest finds another device than there is",
        advice: ANOTHER,
        source: "usr.sbin/bhyve, pe_init of each device",
        judge: Judge::Relation(ids),
        ..rule("pci-ids", PCI)
    },
];

/// A BAR, with the one before.
struct Bar<'f, 'a> {
    scope: Scope<'f, 'a>,
    index: u32,
    kind: u64,
    size: u64,
    addr: u64,
    /// Of the BAR before.
    before: u64,
}

fn bars<'f, 'a>(known: Known<'f, 'a>) -> impl Iterator<Item = Bar<'f, 'a>> {
    let mut before = 0;
    known.fields.root().groups("bars").filter_map(move |scope| {
        let kind = scope.u64(TYPE)?;
        let (size, addr, index) = (scope.u64(SIZE)?, scope.u64(ADDR)?, scope.index());
        let bar = Bar { scope, index, kind, size, addr, before };
        before = kind;
        Some(bar)
    })
}

fn shapes(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for bar in bars(known) {
            let least = match bar.kind {
                IO => 4,
                MEM32 | MEM64 => 16,
                ROM => 2048,
                _ => 0,
            };
            let size = if least == 0 {
                bar.size == 0 || bar.kind > ROM
            } else {
                bar.size >= least && bar.size.is_power_of_two()
            };
            if !size && let Some(field) = bar.scope.get(SIZE) {
                check.breaks(known.record, &field, &[("type", bar.kind)]);
            }
            let place = (bar.kind == HIGH) == (bar.before == MEM64)
                && (bar.kind != ROM || bar.index == ROM_INDEX)
                && (bar.index != ROM_INDEX || matches!(bar.kind, 0 | ROM));
            if !place
                && bar.kind <= ROM
                && let Some(field) = bar.scope.get(TYPE)
            {
                check.breaks(known.record, &field, &[("type of the one before", bar.before)]);
            }
        }
    }
}

fn aligned(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for bar in bars(known) {
            let good = match bar.size {
                0 => bar.addr == 0,
                size => !size.is_power_of_two() || bar.addr & (size - 1) == 0,
            };
            if !good && let Some(field) = bar.scope.get(ADDR) {
                check.breaks(known.record, &field, &[("size", bar.size)]);
            }
        }
    }
}

/// The four bytes of BAR `index` in configuration space.
fn register(config: &[u8], index: u32) -> Option<u64> {
    let at = BAR_0 + 4 * index as usize;
    config.get(at..at + 4).and_then(crate::state::value::little_endian)
}

fn registers(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let Some(config) = known.fields.root().bytes(CONFIG) else { continue };
        for bar in bars(known) {
            if bar.index >= ROM_INDEX || bar.kind >= HIGH {
                continue;
            }
            let (Some(low), high) = (register(config, bar.index), register(config, bar.index + 1))
            else {
                continue;
            };
            let found = match bar.kind {
                0 => (low, 0),
                IO => (low & !0b11, low & 0b11),
                MEM64 if bar.index + 1 < ROM_INDEX => {
                    (high.unwrap_or_default() << 32 | low & !0xf, low & 0b111)
                }
                _ => (low & !0xf, low & 0b111),
            };
            let wanted = match bar.kind {
                0 => 0,
                IO => 0b01,
                MEM64 => 0b100,
                _ => 0,
            };
            if found != (bar.addr, wanted)
                && let Some(field) = bar.scope.get(ADDR)
            {
                check.breaks(known.record, &field, &[("in configuration space", low)]);
            }
        }
    }
}

fn ids(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let Some(config) = known.fields.find(CONFIG, None, 0) else { continue };
        let ids = IDS.iter().find(|(name, _)| *name == known.record.family);
        let Some((_, ids)) = ids else { continue };
        if !config.bytes().starts_with(ids) {
            check.breaks_at(known.record, &config, Spot::bytes(0, 4), &[]);
        }
        if config.bytes().get(0x0e).is_some_and(|kind| *kind != 0) {
            check.breaks_at(known.record, &config, Spot::bytes(0x0e, 1), &[]);
        }
    }
}

static ARGUED: &[Argued] = &[Argued {
    records: PCI,
    subjects: &[Subject::field(CONFIG)],
    class: Class::Free,
    because: "guests write all of configuration space, apart from what is ruled; bhyve looks at \
              little of it",
}];

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "pi->pi_bar[i].addr",
        fact: "is what the restoring bhyve gives to the BAR: it does not move the device, and \
               aborts when the guest moves it later",
        because: "what a new machine gives depends on its other devices and on the version, none \
                  of which is known here",
    },
    NotRule {
        about: "hostbridge and lpc pi->pi_cfgdata",
        fact: "has the vendor and device of bhyve's own",
        because: "newer bhyve takes them from its configuration",
    },
    NotRule {
        about: "lpc pi->pi_cfgdata",
        fact: "the PIRQ registers (0x60 to 0x6b) say how interrupts are routed",
        because: "bhyve restores the bytes alone; how it routes is not in a snapshot",
    },
    NotRule {
        about: "devices and vioapic->rtbl[i].acnt",
        fact: "a pin's count is that of the devices that assert their INTx on it",
        because: "neither which pin a device has nor whether it asserts INTx is saved",
    },
];
