//! The USB controller with its tablet: `xhci`.

use super::super::dsl::*;
use super::super::schema::{Item, Kind, Layout, Part, Repeat, Sign, Test};
use super::pci::pci;

const CAPABILITIES: &[Item] = &[
    u32("sc->caplength").bits().sign(Sign::Is(0x0100_0020)).means("length and version"),
    u32("sc->hcsparams1").bits(),
    u32("sc->hcsparams2").bits(),
    u32("sc->hcsparams3").bits(),
    u32("sc->hccparams1").bits(),
    u32("sc->dboff").bits(),
    u32("sc->rtsoff").bits(),
    u32("sc->hccparams2").bits(),
    u32("sc->regsend").bits(),
];

const OPERATION: &[Item] = &[
    u32("sc->opregs.usbcmd").bits(),
    u32("sc->opregs.usbsts").bits(),
    u32("sc->opregs.pgsz").bits(),
    u32("sc->opregs.dnctrl").bits(),
    u64("sc->opregs.crcr").bits(),
    u64("sc->opregs.dcbaap").bits(),
    u32("sc->opregs.config").bits(),
    gpa("sc->opregs.cr_p").means("command ring"),
    gpa("sc->opregs.dcbaa_p").means("device contexts"),
];

const RUNTIME: &[Item] = &[
    u32("sc->rtsregs.mfindex").bits(),
    u32("sc->rtsregs.intrreg.iman").bits(),
    u32("sc->rtsregs.intrreg.imod").bits(),
    u32("sc->rtsregs.intrreg.erstsz").bits(),
    u32("sc->rtsregs.intrreg.rsvd").bits(),
    u64("sc->rtsregs.intrreg.erstba").bits(),
    u64("sc->rtsregs.intrreg.erdp").bits(),
    gpa("sc->rtsregs.erstba_p").means("table of event ring segments"),
    gpa("sc->rtsregs.erst_p").means("event ring segment"),
    i32("sc->rtsregs.er_deq_seg"),
    i32("sc->rtsregs.er_enq_idx").means("where in the segment the next event goes"),
    i32("sc->rtsregs.er_enq_seg"),
    u32("sc->rtsregs.er_events_cnt").means("events in the ring"),
    u32("sc->rtsregs.event_pcs").bits().means("cycle bit"),
];

const DEVICE_NAME: &[Item] = &[
    i32("restore_idx").sign(Sign::Most(8)).means("port that it is at, from 1"),
    text("dname", 128).means("emulation"),
];

const PORT: &[Item] = &[
    u32("port->portsc").bits(),
    u32("port->portpmsc").bits(),
    u32("port->portli").bits(),
    u32("port->porthlpmc").bits(),
];

const BLOCK: &[Item] = &[
    gpa("xfer_block->buf"),
    i32("xfer_block->blen"),
    i32("xfer_block->bdone"),
    u32("xfer_block->processed"),
    pointer("xfer_block->hci_data"),
    i32("xfer_block->ccs"),
    u32("xfer_block->streamid"),
    u64("xfer_block->trbnext").bits(),
];

const TRANSFER: &[Item] = &[
    // `USB_MAX_XFER_BLOCKS`.
    group("blocks", Repeat::Times(8), BLOCK),
    pointer("xfer->ureq").means("whether a control request is in work"),
    group(
        "request",
        Repeat::If(Test::Not("xfer->ureq", 0)),
        &[bytes("xfer->ureq", 8).pair("ureq").means("`struct usb_device_request`")],
    ),
    i32("xfer->ndata").means("blocks in use"),
    i32("xfer->head"),
    i32("xfer->tail"),
];

/// `struct umouse_report`.
const REPORT: &[Part] = &[
    piece("buttons", 0, 1, Kind::Bits),
    piece("x", 1, 2, Kind::Signed),
    piece("y", 3, 2, Kind::Signed),
    piece("z", 5, 1, Kind::Signed),
];

const TABLET: &[Item] = &[
    bytes("sc->um_report", 6).inside(REPORT).means("position and buttons"),
    i32("sc->newdata").flag(),
    u8("sc->hid.idle"),
    u8("sc->hid.protocol"),
    u8("sc->hid.feature"),
    i32("sc->polling").flag(),
    i64("sc->prev_evt.tv_sec").host().means("when the last event was, by the host's clock"),
    i64("sc->prev_evt.tv_usec").host(),
];

const NULL: u64 = u64::MAX;

const SLOT: &[Item] = &[
    i32("maps[i]").means("port of the device in this slot; 8 in slots without"),
    group(
        "device",
        Repeat::If(Test::Among("maps[i]", "restore_idx")),
        &[
            gpa("dev->dev_ctx").means("device context"),
            group(
                "endpoints",
                Repeat::If(Test::Not("dev->dev_ctx", NULL)),
                &[
                    // Endpoints 1 to 31: `XHCI_MAX_ENDPOINTS` is one more.
                    group(
                        "endpoint",
                        Repeat::Times(31),
                        &[
                            pointer("xfer").means("whether the endpoint is set up"),
                            group("transfer", Repeat::If(Test::Not("xfer", 0)), TRANSFER),
                        ],
                    ),
                ],
            ),
            i32("dev->dev_slotstate"),
            group("tablet", Repeat::Times(1), TABLET),
            i32("dev->hci.hci_address"),
            i32("dev->hci.hci_port"),
        ],
    ),
];

const DEVICES: Repeat = Repeat::Told("sc->ndevices", 8);

const REGISTERS: &[Item] =
    &[Item::Shared(CAPABILITIES), Item::Shared(OPERATION), Item::Shared(RUNTIME)];

const STARTS: &[Item] =
    &[i32("sc->usb2_port_start").sign(Sign::Is(5)), i32("sc->usb3_port_start").sign(Sign::Is(1))];

const XHCI: &[Item] = &[
    group("devices", DEVICES, DEVICE_NAME),
    group("ports", DEVICES, PORT),
    // `XHCI_MAX_SLOTS`.
    group("slots", Repeat::Times(64), SLOT),
    i32("sc->ndevices").means("devices configured"),
    Item::Shared(STARTS),
];

/// Later sources do not say how many devices there are: a layout for each number.
macro_rules! devices {
    ($count:literal) => {
        &[
            group("devices", Repeat::Times($count), DEVICE_NAME),
            group("ports", Repeat::Times($count), PORT),
            group("slots", Repeat::Times(64), SLOT),
            Item::Shared(STARTS),
        ]
    };
}
const NONE: &[Item] =
    &[group("slots", Repeat::Times(64), &[i32("maps[i]").sign(Sign::Is(8))]), Item::Shared(STARTS)];
const ONE: &[Item] = devices!(1);
const TWO: &[Item] = devices!(2);

pub(super) static LAYOUTS: [Layout; 4] = pci!("xhci", &["xhci"], [REGISTERS, XHCI]);
pub(super) static NONES: [Layout; 4] = pci!("xhci", "-none", &["xhci"], [REGISTERS, NONE], unseen);
pub(super) static ONES: [Layout; 4] = pci!("xhci", "-one", &["xhci"], [REGISTERS, ONE], unseen);
pub(super) static TWOS: [Layout; 4] = pci!("xhci", "-two", &["xhci"], [REGISTERS, TWO], unseen);
