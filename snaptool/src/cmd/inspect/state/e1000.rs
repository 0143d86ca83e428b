//! The Intel 82545 network card: `e1000`.

use snapfmt::state::Scope;

use super::View;
use super::bits::{E1000_CAUSES, set};
use super::page::Page;
use super::words::mac;

/// Shows the address, interrupts, both rings and the counters.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    let root = view.root;
    let number = |key: &str| root.u64(key).unwrap_or_default();
    page.head("82545");
    page.some("address", root.bytes("sc->esc_mac").map(mac));
    page.pair("control", format!("CTRL {:#x}", number("sc->esc_CTRL")));
    let (pending, enabled) = (number("sc->esc_ICR"), number("sc->esc_IMS"));
    let asserted = if number("sc->esc_irq_asserted") == 0 { "" } else { ", asserted" };
    let names = (set(pending, E1000_CAUSES), set(enabled, E1000_CAUSES));
    page.pair("interrupts", format!("pending {}; enabled {}{asserted}", names.0, names.1));
    ring(root, page, "transmit", ["tdba", "TDLEN", "TDH", "TDT", "tx_enabled", "tx_active"]);
    ring(root, page, "receive", ["rdba", "RDLEN", "RDH", "RDT", "rx_enabled", "rx_active"]);
    page.pair(
        "RCTL, TCTL",
        format!("{:#x}, {:#x}", number("sc->esc_RCTL"), number("sc->esc_TCTL")),
    );
    let packets = |good: &str, octets: &str| (number(good), number(octets));
    let (received, octets) = packets("sc->good_pkt_rx_count", "sc->good_octets_rx");
    let (sent, sent_octets) = packets("sc->good_pkt_tx_count", "sc->good_octets_tx");
    let missed = number("sc->missed_pkt_count");
    page.pair("received", format!("{received} packets, {octets} bytes, {missed} missed"));
    page.pair("sent", format!("{sent} packets, {sent_octets} bytes"));
    let filters = root.groups("unicast").filter_map(|entry| {
        let valid = entry.u64("sc->esc_uni[i].eu_valid")? != 0;
        valid.then(|| entry.bytes("sc->esc_uni[i].eu_eth").map(mac))?
    });
    let filters = filters.collect::<Vec<_>>().join(" ");
    page.pair("accepts", if filters.is_empty() { "no unicast address" } else { &filters });
}

fn ring(root: Scope<'_, '_>, page: &mut Page, name: &str, keys: [&str; 6]) {
    let [base, bytes, head, tail, enabled, active] =
        keys.map(|key| root.u64(&format!("sc->esc_{key}")).unwrap_or_default());
    let entries = bytes / 16;
    let owned = if entries == 0 { 0 } else { (tail + entries).saturating_sub(head) % entries };
    let on = if enabled == 0 { "off" } else { "on" };
    let active = if active == 0 { "idle" } else { "active" };
    let what = if name == "transmit" { "to be sent" } else { "free for packets" };
    page.pair(
        name,
        format!(
            "{on}, {active}, {entries} descriptors at {base:#x}, head {head}, tail {tail}: \
             {owned} {what}"
        ),
    );
}

/// Descriptors that are to be sent.
pub(super) fn unsent(root: Scope<'_, '_>) -> bool {
    root.u64("sc->esc_TDH") != root.u64("sc->esc_TDT")
}
