//! AHCI disks and drives.

use snapfmt::state::Scope;

use super::View;
use super::bits::{AHCI_CMD, GHC, TFD, register, set};
use super::page::Page;
use super::words::{bits, count, number_at, ranges, text};
use crate::text::{escape_bytes, size};

/// Shows the controller and the ports that have a device.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    let root = view.root;
    let number = |key: &str| root.u64(key).unwrap_or_default();
    page.head("AHCI");
    let ports = ranges(bits(number("sc->pi")));
    page.pair("ports", format!("{ports} implemented, of {}", number("sc->ports")));
    page.pair("control", register(number("sc->ghc"), GHC));
    let pending = ranges(bits(number("sc->is")));
    let pin = if number("sc->lintr") == 0 { "" } else { ", pin asserted" };
    let pending = if pending.is_empty() { "none" } else { &pending };
    page.pair("interrupts", format!("of ports: {pending}{pin}"));
    for port in root.groups("ports").filter(|port| port.groups("device").next().is_some()) {
        self::port(port, page);
    }
}

fn port(port: Scope<'_, '_>, page: &mut Page) {
    let number = |key: &str| port.u64(key).unwrap_or_default();
    let kind = if number("port->atapi") != 0 { "CD drive" } else { "disk" };
    page.head(&format!("port {}, {kind}", port.index()));
    page.some("identity", identity(port));
    let command = number("port->cmd");
    // 12:8 is the slot in work, 31:28 the state of the link that is asked for.
    let named = set(command & !0xf000_1f00, AHCI_CMD);
    page.pair("command", format!("{command:#x}  {named}, slot {}", command >> 8 & 31));
    let task = number("port->tfd");
    let error = task >> 8 & 0xff;
    page.pair(
        "task file",
        format!("{task:#x}  status {}, error {error:#x}", set(task & 0xff, TFD)),
    );
    let link = number("port->ssts");
    let speed = link >> 4 & 15;
    let present = if link & 15 == 3 { "up" } else { "down" };
    page.pair("link", format!("{present}, generation {speed}, errors {:#x}", number("port->serr")));
    let wide = |low: &str, high: &str| number(low) | number(high) << 32;
    let (list, received) = (wide("port->clb", "port->clbu"), wide("port->fb", "port->fbu"));
    page.pair("memory", format!("command list {list:#x}, received FISes {received:#x}"));
    let slots = |key: &str| {
        let slots = ranges(bits(number(key)));
        if slots.is_empty() { "none".to_owned() } else { slots }
    };
    let (issued, active) = (slots("port->ci"), slots("port->sact"));
    let pending = slots("port->pending");
    page.pair("in flight", format!("slots issued {issued}, active {active}, in work {pending}"));
    page.pair("interrupts", format!("enabled {:#x}", number("port->ie")));
    page.some("requests", requests(port));
    page.some(
        "backing",
        port.u64("bc->bc_size").map(|bytes| {
            let sector = number("bc->bc_sectsz");
            let read_only = if number("bc->bc_rdonly") != 0 { ", read-only" } else { "" };
            format!("{}, sectors of {sector}{read_only}", size(bytes))
        }),
    );
}

/// What older trees keep of requests in flight.
fn requests(port: Scope<'_, '_>) -> Option<String> {
    port.groups("ioreqs").next()?;
    let busy = port.groups("request").map(|request| {
        let number = |key: &str| request.i64(key).unwrap_or_default();
        let (offset, left) = (number("br->br_offset"), number("br->br_resid"));
        format!("at {offset:#x}, {left} bytes left, {} pieces", number("br->br_iovcnt"))
    });
    let busy: Vec<_> = busy.collect();
    let all = port.groups("ioreqs").count() as u64;
    Some(match busy.as_slice() {
        [] => format!("none of {all} in work"),
        some => format!("{} of {all} in work: {}", some.len(), some.join("; ")),
    })
}

/// Serial number and model.
fn identity(port: Scope<'_, '_>) -> Option<String> {
    if let Some(serial) = port.bytes("port->ident") {
        return Some(text(serial));
    }
    let answer = port.bytes("port->ata_ident")?;
    // `ata_params`: words of two characters, the second first.
    let words = |from: usize, to: usize| {
        let bytes = answer.get(from * 2..to * 2).unwrap_or_default();
        let swapped: Vec<u8> =
            bytes.chunks(2).flat_map(|pair| pair.iter().rev().copied()).collect();
        let all = escape_bytes(swapped.trim_ascii());
        if swapped.iter().all(|byte| *byte == 0) { String::new() } else { all }
    };
    let sectors = number_at(answer, 200, 8).unwrap_or_default();
    let capacity =
        if sectors == 0 { String::new() } else { format!(", {}", count(sectors, "sector")) };
    Some(format!("{} serial \"{}\"{capacity}", words(27, 47), words(10, 20)).trim().to_owned())
}

/// Whether a port has commands in flight.
pub(super) fn busy(root: Scope<'_, '_>) -> bool {
    let set = |key: &'static str| root.all(key).any(|field| field.u64().is_some_and(|v| v != 0));
    set("port->ci") || set("port->sact") || set("port->pending")
}
