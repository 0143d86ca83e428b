//! The USB controller with its tablet: `xhci`.

use snapfmt::state::Scope;

use super::View;
use super::bits::{PORTSC, USBCMD, USBSTS, register, set};
use super::page::Page;
use super::words::{bits, hex, ranges, text};

/// Shows the controller, its rings, ports and slots.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    let root = view.root;
    let number = |key: &str| root.u64(key).unwrap_or_default();
    page.head("xHCI");
    page.pair("command", register(number("sc->opregs.usbcmd"), USBCMD));
    page.pair("status", register(number("sc->opregs.usbsts"), USBSTS));
    let (ring, contexts) = (number("sc->opregs.crcr"), number("sc->opregs.dcbaap"));
    page.pair("memory", format!("command ring {ring:#x}, device contexts {contexts:#x}"));
    let (segment, next) = (number("sc->rtsregs.er_enq_seg"), number("sc->rtsregs.er_enq_idx"));
    let (events, cycle) = (number("sc->rtsregs.er_events_cnt"), number("sc->rtsregs.event_pcs"));
    let at = number("sc->rtsregs.intrreg.erdp");
    page.pair(
        "events",
        format!(
            "{events} in the ring, next at segment {segment} index {next}, cycle {cycle}, \
             dequeued at {at:#x}"
        ),
    );
    let iman = number("sc->rtsregs.intrreg.iman");
    let (enabled, asserted) = (iman >> 1 & 1 == 1, iman & 1 == 1);
    let words = |set: bool, yes: &str, no: &str| (if set { yes } else { no }).to_owned();
    page.pair(
        "interrupts",
        format!(
            "{}, {}",
            words(enabled, "enabled", "disabled"),
            words(asserted, "pending", "none pending")
        ),
    );
    for device in root.groups("devices") {
        let port = device.u64("restore_idx").unwrap_or_default();
        let name = device.bytes("dname").map(text).unwrap_or_default();
        page.pair(&format!("at port {port}"), name);
    }
    for (port, device) in root.groups("ports").zip(root.groups("devices")) {
        let Some(status) = port.u64("port->portsc") else { continue };
        let (state, speed) = (status >> 5 & 15, status >> 10 & 15);
        let named = set(status & !0x3de0, PORTSC);
        let name = format!("port {}", device.u64("restore_idx").unwrap_or_default());
        page.pair(&name, format!("{status:#x}  {named}, link state {state}, speed {speed}"));
    }
    for slot in root.groups("slots").filter(|slot| slot.groups("device").next().is_some()) {
        self::slot(slot, page);
    }
}

fn slot(slot: Scope<'_, '_>, page: &mut Page) {
    let number = |key: &str| slot.u64(key).unwrap_or_default();
    page.head(&format!("slot {}", u64::from(slot.index()) + 1));
    let state = match number("dev->dev_slotstate") {
        0 => "disabled".to_owned(),
        1 => "enabled".to_owned(),
        2 => "default".to_owned(),
        3 => "addressed".to_owned(),
        4 => "configured".to_owned(),
        other => format!("state {other}"),
    };
    let (port, address) = (number("maps[i]"), number("dev->hci.hci_address"));
    page.pair("device", format!("of port {port}, {state}, address {address}"));
    page.pair("context", hex(number("dev->dev_ctx")));
    let endpoints = slot.groups("endpoint");
    let set_up = endpoints.filter(|one| one.u64("xfer").is_some_and(|xfer| xfer != 0));
    let set_up = ranges(set_up.map(|one| u64::from(one.index()) + 1));
    page.pair("endpoints", if set_up.is_empty() { "none set up" } else { &set_up });
    let blocks: u64 = slot.all("xfer->ndata").filter_map(|field| field.u64()).sum();
    page.pair("in flight", format!("{blocks} blocks of data"));
    if let Some(report) = slot.get("sc->um_report") {
        let part = |name| report.part(name).and_then(|part| part.i64()).unwrap_or_default();
        let buttons = part("buttons").unsigned_abs();
        let pressed = ranges(bits(buttons).map(|bit| bit + 1));
        let pressed = if pressed.is_empty() { "none" } else { &pressed };
        page.pair("tablet", format!("at {}, {}; buttons pressed: {pressed}", part("x"), part("y")));
    }
}
