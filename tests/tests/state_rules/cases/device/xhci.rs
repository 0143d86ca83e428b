//! The USB controller and its tablet.

use super::OUTSIDE;
use crate::cases::{AMD, Case, OLD_AMD, case};
use crate::fixture::{Memory, set};

const XHCI: &str = "xhci";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = controller();
    cases.extend(devices());
    cases
}

fn controller() -> Vec<Case> {
    let one = |rule, key, value| case(rule, AMD, &[set(XHCI, key, value)]);
    let next = "sc->rtsregs.er_enq_idx";
    vec![
        one("xhci-constants", "sc->dboff", 0x500),
        one("xhci-constants", "sc->rtsregs.er_enq_seg", 1),
        one("xhci-rings-in-memory", "sc->opregs.cr_p", OUTSIDE),
        one("xhci-rings-in-memory", "sc->rtsregs.erst_p", OUTSIDE),
        one("xhci-event-index", next, 0xffff_ffff),
        one("xhci-event-index", next, 0x100_0000),
        Case { ram: Some(|| Box::new(Memory::of(AMD))), ..one("xhci-event-segment", next, 5000) },
        Case {
            ram: Some(|| Box::new(Memory::of(AMD))),
            ..one("xhci-event-segment", "sc->rtsregs.erst_p", 0x63_e000)
        },
        one("xhci-event-dequeue", "sc->rtsregs.er_deq_seg", 8),
        one("xhci-reserved", "sc->opregs.usbcmd", 0x15),
        one("xhci-reserved", "sc->rtsregs.event_pcs", 2),
        one("xhci-bases", "sc->opregs.dcbaap", 0x63_b000),
    ]
}

fn devices() -> Vec<Case> {
    let one = |rule, key, value| case(rule, AMD, &[set(XHCI, key, value)]);
    let map = |rule, fixture, port| case(rule, fixture, &[set(XHCI, "maps[i]", port).nth(1)]);
    vec![
        map("xhci-slot-port", AMD, 9),
        map("xhci-slot-port", OLD_AMD, 0xffff_ffff),
        map("xhci-slots", AMD, 7),
        map("xhci-slots", OLD_AMD, 0),
        case(
            "xhci-ports",
            AMD,
            &[
                set(XHCI, "restore_idx", 0),
                set(XHCI, "maps[i]", 0),
                set(XHCI, "dev->hci.hci_port", 0),
            ],
        ),
        case("xhci-device-name", AMD, &[set(XHCI, "dname", 0x54).bytes(0, 1)]),
        case("xhci-device-name", AMD, &[set(XHCI, "dname", 0x54).bytes(127, 1)]),
        one("xhci-context-in-memory", "dev->dev_ctx", OUTSIDE),
        one("xhci-transfer", "xfer->head", 8),
        one("xhci-transfer", "xfer->tail", 0xffff_ffff),
        one("xhci-transfer", "xfer->ndata", 9),
        one("xhci-transfer-count", "xfer->ndata", 3),
        case("xhci-buffer-in-memory", AMD, &[set(XHCI, "xfer_block->buf", OUTSIDE).nth(2)]),
        case(
            "xhci-host-pointer",
            OLD_AMD,
            &[
                set(XHCI, "xfer->ndata", 1),
                set(XHCI, "xfer->tail", 1),
                set(XHCI, "xfer_block->hci_data", 0x80_1234_5000),
            ],
        ),
        one("xhci-device-port", "dev->hci.hci_port", 3),
        one("xhci-device-state", "dev->dev_slotstate", 5),
        one("xhci-device-state", "dev->hci.hci_address", 65),
        one("xhci-device-state", "sc->newdata", 2),
    ]
}
