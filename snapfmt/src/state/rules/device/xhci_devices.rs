//! Rules of the USB controller's ports, slots and transfers, and of the tablet.

use super::super::class::{Argued, Class};
use super::super::rule::{ANOTHER, Basis, Judge, NotRule, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check, Known};
use super::{NONE, WITHOUT, XHCI, in_memory};

pub(super) static CHAPTER: Chapter =
    Chapter { title: "`xhci`: USB devices", rules: RULES, argued: ARGUED, not_rules: NOT_RULES };

const MAP: &str = "maps[i]";
const PORT: &str = "restore_idx";
const NAME: &str = "dname";
const CONTEXT: &str = "dev->dev_ctx";
const BUFFER: &str = "xfer_block->buf";
const POINTER: &str = "xfer_block->hci_data";
const QUEUED: &str = "xfer->ndata";
const HEAD: &str = "xfer->head";
const TAIL: &str = "xfer->tail";
const HCI_PORT: &str = "dev->hci.hci_port";

/// Ports of the controller.
const PORTS: u64 = 8;
/// Blocks of a transfer.
const BLOCKS: u64 = 8;
/// Bytes of a device context.
const CONTEXT_LEN: u64 = 1024;

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(MAP)],
        condition: "must be 0 to 8",
        reason: "bhyve takes it for an index of its eight ports",
        bhyve: "takes other memory for a device, and crashes or runs what it finds",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_snapshot",
        judge: Judge::Signed(|port| matches!(port, 0..=8)),
        ..rule("xhci-slot-port", XHCI)
    },
    Rule {
        subjects: &[Subject::field(MAP), Subject::field(PORT)],
        condition: "must be the port of the slot's device, each once, and in a slot without a \
                    device the last port that has none",
        reason: "bhyve gives each device one slot, and finds the port of a slot so",
        bhyve: "restores it; devices are lost, or several slots have the same one",
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_map_devs_slots",
        judge: Judge::Relation(slots),
        ..rule("xhci-slots", XHCI)
    },
    Rule {
        subjects: &[Subject::field(PORT)],
        condition: "must be ports 1 to 8 in order",
        reason: "bhyve writes them so, and compares them with its own",
        bhyve: "refuses the snapshot",
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_snapshot",
        judge: Judge::Relation(ports),
        ..rule("xhci-ports", XHCI)
    },
    Rule {
        subjects: &[Subject::field(NAME)],
        condition: "must be \"tablet\"",
        reason: "bhyve has no other USB device, and compares the name with its own",
        bhyve: "refuses the snapshot",
        source: "usr.sbin/bhyve/usb_mouse.c; pci_xhci.c pci_xhci_snapshot",
        judge: Judge::Relation(names),
        ..rule("xhci-device-name", XHCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(CONTEXT)],
        condition: "must lie in guest memory, with 1024 bytes, or be none",
        reason: "bhyve looks the address up in guest memory and reads the endpoints there",
        bhyve: "reads from NULL and dies",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_init_ep",
        judge: Judge::Relation(contexts),
        ..rule("xhci-context-in-memory", XHCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(HEAD), Subject::field(TAIL), Subject::field(QUEUED)],
        condition: "must be indices of 8 blocks, and at most 8 in use",
        reason: "bhyve takes them for indices of an array of 8",
        bhyve: "takes other memory for blocks of the transfer, and crashes or overwrites it",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/usb_emul.h; pci_xhci.c pci_xhci_xfer_complete",
        judge: Judge::Relation(transfers),
        ..rule("xhci-transfer", XHCI)
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[Subject::field(HEAD), Subject::field(TAIL), Subject::field(QUEUED)],
        condition: "must be as many blocks as from head to tail",
        reason: "blocks are appended at the tail and taken at the head",
        bhyve: "restores it; a transfer stalls or is done twice",
        advice: ANOTHER,
        source: "usr.sbin/bhyve/usb_emul.c usb_data_xfer_append",
        judge: Judge::Relation(queued),
        ..rule("xhci-transfer-count", XHCI)
    },
    Rule {
        subjects: &[Subject::field(BUFFER)],
        condition: "must lie in guest memory, or be none",
        reason: "bhyve saves addresses in guest memory only",
        bhyve: "restores NULL; a transfer that uses it crashes bhyve",
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_snapshot_ep",
        judge: Judge::Relation(buffers),
        ..rule("xhci-buffer-in-memory", XHCI)
    },
    Rule {
        severity: Severity::HostSpecific,
        subjects: &[Subject::field(POINTER)],
        condition: "must be 0 in blocks in use",
        reason: "it is an address in the process that wrote it, and is restored as it is",
        bhyve: "restores it, and uses it when the transfer is done, which may crash it",
        advice: "take the snapshot while the guest's USB devices are idle",
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_snapshot_ep, pci_xhci_xfer_complete",
        judge: Judge::Relation(pointers),
        ..rule("xhci-host-pointer", XHCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(HCI_PORT)],
        condition: "must be the port that the slot names",
        reason: "bhyve takes it for an index of its ports",
        bhyve: "reads and writes beyond its ports when the device next interrupts",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_xhci.c pci_xhci_dev_intr",
        judge: Judge::Relation(hci_ports),
        ..rule("xhci-device-port", XHCI)
    },
    Rule {
        subjects: &[
            Subject::field("dev->dev_slotstate"),
            Subject::field("dev->hci.hci_address"),
            Subject::field("sc->newdata"),
            Subject::field("sc->polling"),
        ],
        condition: "must be a state of 0 to 4, an address of 0 to 64, and yes or no",
        reason: "there is nothing else",
        bhyve: "restores it; the guest's driver may lose the device",
        source: "usr.sbin/bhyve/pci_xhci.c; usb_mouse.c",
        judge: Judge::Relation(states),
        ..rule("xhci-device-state", XHCI)
    },
];

/// The ports that have a device.
fn taken(known: Known<'_, '_>) -> Vec<u64> {
    known.fields.root().all(PORT).filter_map(|field| field.u64()).collect()
}

fn slots(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let taken = taken(known);
        let free = (1..=PORTS).rev().find(|port| !taken.contains(port));
        let mut seen = Vec::new();
        for map in known.fields.root().all(MAP) {
            let Some(port) = map.u64().filter(|port| *port <= PORTS) else { continue };
            let good = if taken.contains(&port) {
                !seen.contains(&port)
            } else {
                // The last slot is not written if all ports have devices.
                free.is_none_or(|free| port == free)
            };
            seen.push(port);
            if !good {
                check.breaks(known.record, &map, &[("port without device", free.unwrap_or(0))]);
            }
        }
        for port in known.fields.root().all(PORT) {
            if port.u64().is_some_and(|port| (1..=PORTS).contains(&port) && !seen.contains(&port)) {
                check.breaks(known.record, &port, &[]);
            }
        }
    }
}

fn ports(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let mut last = 0;
        for field in known.fields.root().all(PORT) {
            let port = field.u64().unwrap_or_default();
            if port <= last || port > PORTS {
                check.breaks(known.record, &field, &[("the one before", last)]);
            }
            last = port;
        }
    }
}

fn names(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for field in known.fields.root().all(NAME) {
            let rest = field.bytes().strip_prefix(b"tablet");
            if rest.is_none_or(|rest| rest.iter().any(|byte| *byte != 0)) {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

fn contexts(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for field in known.fields.root().all(CONTEXT) {
            if field.u64().is_some_and(|gpa| gpa != NONE && !in_memory(check, gpa, CONTEXT_LEN)) {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

fn transfers(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for (key, most) in [(HEAD, BLOCKS - 1), (TAIL, BLOCKS - 1), (QUEUED, BLOCKS)] {
            for field in known.fields.root().all(key) {
                if field.u64().is_some_and(|index| index > most) {
                    check.breaks(known.record, &field, &[]);
                }
            }
        }
    }
}

fn queued(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for transfer in known.fields.root().groups("transfer") {
            if let (Some(head), Some(tail), Some(field)) =
                (transfer.u64(HEAD), transfer.u64(TAIL), transfer.get(QUEUED))
                && let Some(blocks) = field.u64()
                && head < BLOCKS
                && tail < BLOCKS
                && blocks <= BLOCKS
                && (head + blocks) % BLOCKS != tail
            {
                check.breaks(known.record, &field, &[("head", head), ("tail", tail)]);
            }
        }
    }
}

fn buffers(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for field in known.fields.root().all(BUFFER) {
            if field.u64().is_some_and(|gpa| gpa != NONE && !in_memory(check, gpa, 1)) {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

fn pointers(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for transfer in known.fields.root().groups("transfer") {
            let (Some(head), Some(blocks)) = (transfer.u64(HEAD), transfer.u64(QUEUED)) else {
                continue;
            };
            for (index, field) in (0..).zip(transfer.all(POINTER)) {
                let place = (index + BLOCKS).wrapping_sub(head) % BLOCKS;
                if place < blocks && field.u64().is_some_and(|pointer| pointer != 0) {
                    check.breaks(known.record, &field, &[("block", index)]);
                }
            }
        }
    }
}

fn hci_ports(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for slot in known.fields.root().groups("slots") {
            if let (Some(port), Some(field)) = (slot.u64(MAP), slot.get(HCI_PORT))
                && field.u64() != Some(port)
            {
                check.breaks(known.record, &field, &[("slot", port)]);
            }
        }
    }
}

fn states(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for (key, most) in [
            ("dev->dev_slotstate", 4),
            ("dev->hci.hci_address", 64),
            ("sc->newdata", 1),
            ("sc->polling", 1),
        ] {
            for field in known.fields.root().all(key) {
                if field.u64().is_some_and(|value| value > most) {
                    check.breaks(known.record, &field, &[("most", most)]);
                }
            }
        }
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: XHCI,
        subjects: &[
            Subject::field("port->portsc"),
            Subject::field("port->portpmsc"),
            Subject::field("port->portli"),
            Subject::field("port->porthlpmc"),
        ],
        class: Class::Free,
        because: "registers of the port: the guest writes them, or they follow from what it does",
    },
    Argued {
        records: XHCI,
        subjects: &[
            Subject::field("xfer_block->blen"),
            Subject::field("xfer_block->bdone"),
            Subject::field("xfer_block->processed"),
            Subject::field("xfer_block->ccs"),
            Subject::field("xfer_block->streamid"),
            Subject::field("xfer_block->trbnext"),
        ],
        class: Class::Free,
        because: "what the guest asked for in a transfer, and how much of it is done",
    },
    Argued {
        records: XHCI,
        subjects: &[
            Subject::field("sc->um_report"),
            Subject::field("sc->hid.idle"),
            Subject::field("sc->hid.protocol"),
            Subject::field("sc->hid.feature"),
        ],
        class: Class::Free,
        because: "where the pointer is, and what the guest set",
    },
    Argued {
        records: XHCI,
        subjects: &[Subject::field("sc->prev_evt.tv_sec"), Subject::field("sc->prev_evt.tv_usec")],
        class: Class::HostSpecific,
        because: "a time by the host's clock; a wrong one delays a report by less than a second",
    },
    Argued {
        records: XHCI,
        subjects: &[Subject::field("xfer->ureq")],
        class: Class::Free,
        because: "a control request of the guest",
    },
];

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "xhci xfer",
        fact: "the endpoint is one that the device context in guest memory enables",
        because: "guests may change the context at any time",
    },
    NotRule {
        about: "xhci xfer and ureq",
        fact: "are good pointers",
        because: "bhyve looks only whether they are 0",
    },
];
