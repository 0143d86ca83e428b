//! What every PCI device has: who it is, its BARs, its interrupts.

use snapfmt::state::Scope;

use super::super::table::Table;
use super::View;
use super::bits::{PCI_COMMAND, PCI_STATUS, register};
use super::caps;
use super::page::Page;
use super::words::{count, number_at, ranges};
use crate::text::size;

/// What bhyve's own devices say that they are.
const DEVICES: [(u64, u64, &str); 16] = [
    (0x1275, 0x1275, "bhyve host bridge"),
    (0x1022, 0x7432, "AMD host bridge"),
    (0x8086, 0x1237, "Intel 82441 host bridge"),
    (0x8086, 0x7000, "Intel PIIX3 LPC bridge"),
    (0x8086, 0x7113, "Intel PIIX4 ACPI"),
    (0x8086, 0x2821, "Intel ICH8 AHCI"),
    (0x8086, 0x100f, "Intel 82545EM Gigabit Ethernet"),
    (0x8086, 0x1e31, "Intel Panther Point xHCI"),
    (0xfb5d, 0x40fb, "bhyve framebuffer"),
    (0x1af4, 0x1000, "virtio network"),
    (0x1af4, 0x1001, "virtio block"),
    (0x1af4, 0x1003, "virtio console"),
    (0x1af4, 0x1004, "virtio SCSI"),
    (0x1af4, 0x1005, "virtio entropy"),
    (0x1af4, 0x1009, "virtio 9P"),
    (0x1af4, 0x1052, "virtio input"),
];

const CLASSES: [(u64, &str); 15] = [
    (0x01_0000, "SCSI storage"),
    (0x01_0601, "AHCI storage"),
    (0x01_0802, "NVMe storage"),
    (0x02_0000, "Ethernet"),
    (0x03_0000, "VGA display"),
    (0x03_8000, "display"),
    (0x04_0300, "HD audio"),
    (0x06_0000, "host bridge"),
    (0x06_0100, "ISA bridge"),
    (0x06_0400, "PCI bridge"),
    (0x07_8000, "communication"),
    (0x09_8000, "input"),
    (0x0c_0330, "xHCI"),
    (0x10_0000, "encryption"),
    (0xff_0000, "other"),
];

/// Shows the header, BARs, capabilities and interrupts.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    let Some(space) = view.root.bytes("pi->pi_cfgdata") else { return };
    let at = |at, len| number_at(space, at, len).unwrap_or_default();
    page.head("PCI");
    page.pair("device", identity(at(0, 2), at(2, 2)));
    let (class, revision) = (at(9, 3), at(8, 1));
    let name = CLASSES.iter().find(|(known, _)| *known == class).map_or("", |(_, name)| name);
    page.pair("class", format!("{class:#08x} {name}, revision {revision:#x}").replace(" ,", ","));
    page.pair("subsystem", format!("{:04x}:{:04x}", at(0x2c, 2), at(0x2e, 2)));
    page.pair("command", register(at(4, 2), PCI_COMMAND));
    page.pair("status", register(at(6, 2), PCI_STATUS));
    let (line, pin) = (at(0x3c, 1), at(0x3d, 1));
    let pin = match pin {
        0 => "no INTx pin".to_owned(),
        pin @ 1..=4 => format!(
            "INT{}, line {line}",
            ["A", "B", "C", "D"].get(usize::try_from(pin - 1).unwrap_or(0)).unwrap_or(&"?")
        ),
        other => format!("pin of no known number: {other}"),
    };
    page.pair("interrupt", pin);
    bars(view.root, space, page);
    caps::render(space, page);
    messages(view.root, page);
}

/// Vendor and device, with the name where it is one that bhyve has.
fn identity(vendor: u64, device: u64) -> String {
    let found = DEVICES.iter().find(|(v, d, _)| (*v, *d) == (vendor, device));
    let name = found.map_or("none of bhyve's own", |(_, _, name)| name);
    format!("{vendor:04x}:{device:04x} {name}")
}

fn bars(root: Scope<'_, '_>, space: &[u8], page: &mut Page) {
    let mut table =
        Table::new(&["BAR", "type", "address", "size", ""], &[false, false, true, true, false]);
    for bar in root.groups("bars") {
        let keys = ["pi->pi_bar[i].type", "pi->pi_bar[i].size", "pi->pi_bar[i].addr"];
        let [Some(kind), Some(bytes), Some(address)] = keys.map(|key| bar.u64(key)) else {
            continue;
        };
        let name = match kind {
            0 => continue,
            1 => "I/O",
            2 => "memory 32",
            3 => "memory 64",
            4 => continue,
            5 => "ROM",
            _ => "of no known type",
        };
        let index = bar.index();
        let place = if index == 6 { 0x30 } else { 0x10 + 4 * index as usize };
        let width = if kind == 3 { 8 } else { 4 };
        let mask = match kind {
            1 => !3,
            5 => !0x7ff,
            _ => !15,
        };
        let written = number_at(space, place, width).unwrap_or_default() & mask;
        let differs =
            if written == address { String::new() } else { format!("config space: {written:#x}") };
        table.row([
            index.to_string(),
            name.to_owned(),
            format!("{address:#x}"),
            size(bytes),
            differs,
        ]);
    }
    page.table(&table);
}

fn messages(root: Scope<'_, '_>, page: &mut Page) {
    let number = |key: &str| root.u64(key).unwrap_or_default();
    if number("pi->pi_msi.enabled") != 0 {
        let (address, data) = (number("pi->pi_msi.addr"), number("pi->pi_msi.msg_data"));
        let most = number("pi->pi_msi.maxmsgnum");
        page.pair("MSI", format!("on, {}, {}", message(address, data), count(most, "message")));
    }
    let entries: Vec<_> = root.groups("msix_table").collect();
    if entries.is_empty() {
        return;
    }
    let on = if number("pi->pi_msix.enabled") == 0 { "off" } else { "on" };
    let masked = if number("pi->pi_msix.function_mask") == 0 { "" } else { ", all masked" };
    let (table, pending) = (number("pi->pi_msix.table_bar"), number("pi->pi_msix.pba_bar"));
    let (at, pending_at) = (number("pi->pi_msix.table_offset"), number("pi->pi_msix.pba_offset"));
    page.pair(
        "MSI-X",
        format!(
            "{on}{masked}, {} entries in BAR {table} at {at:#x}, pending bits in BAR {pending} at \
             {pending_at:#x}",
            entries.len()
        ),
    );
    let mut unset = Vec::new();
    for entry in entries {
        let [address, data, control] = [
            "pi->pi_msix.table[i].addr",
            "pi->pi_msix.table[i].msg_data",
            "pi->pi_msix.table[i].vector_control",
        ]
        .map(|key| entry.u64(key).unwrap_or_default());
        if address == 0 && data == 0 {
            unset.push(u64::from(entry.index()));
            continue;
        }
        let masked = if control & 1 == 1 { ", masked" } else { "" };
        page.pair(
            &format!("  entry {}", entry.index()),
            format!("{}{masked}", message(address, data)),
        );
    }
    if !unset.is_empty() {
        page.pair("  not set", format!("entries {}", ranges(unset)));
    }
}

/// A message-signalled interrupt.
pub(super) fn message(address: u64, data: u64) -> String {
    if address >> 20 != 0xfee {
        return format!("address {address:#x} data {data:#x}, no address of a local APIC");
    }
    let dest = address >> 12 & 0xff;
    let logical = if address >> 2 & 1 == 1 { "logical" } else { "physical" };
    let mode = match data >> 8 & 7 {
        0 => "fixed",
        1 => "lowest priority",
        2 => "SMI",
        4 => "NMI",
        5 => "INIT",
        7 => "ExtINT",
        _ => "of no known mode",
    };
    format!("vector {:#x}, {mode}, {logical} dest {dest}", data & 0xff)
}

#[cfg(test)]
mod tests {
    use super::{identity, message};

    #[test]
    fn devices_of_bhyve_have_names() {
        assert_eq!(identity(0x1af4, 0x1001), "1af4:1001 virtio block");
        assert_eq!(identity(0x10de, 1), "10de:0001 none of bhyve's own");
    }

    #[test]
    fn a_message_is_a_sentence() {
        assert_eq!(message(0xfee0_3000, 0x41), "vector 0x41, fixed, physical dest 3");
        assert!(message(0x1000, 1).ends_with("no address of a local APIC"));
    }
}
