//! The LPC bridge with its serial ports: `lpc`.

use super::super::dsl::*;
use super::super::schema::{Item, Layout, Repeat};
use super::pci::pci;

const UART: &[Item] = &[
    u8("sc->data").bits(),
    u8("sc->ier").bits().means("interrupts enabled"),
    u8("sc->lcr").bits().means("line control"),
    u8("sc->mcr").bits().means("modem control"),
    u8("sc->lsr").bits().means("line status"),
    u8("sc->msr").bits().means("modem status"),
    u8("sc->fcr").bits().means("FIFO control"),
    u8("sc->scr").bits().means("scratch"),
    u8("sc->dll").bits().means("divisor, low"),
    u8("sc->dlh").bits().means("divisor, high"),
    i32("sc->rxfifo.rindex").means("where in `buf` the guest reads next"),
    i32("sc->rxfifo.windex").means("where in `buf` the next character goes"),
    i32("sc->rxfifo.num").means("characters in `buf`"),
    i32("sc->rxfifo.size").means("characters that `buf` may hold: 16, or 1 with the FIFO off"),
    bytes("sc->rxfifo.buf", 16),
];

/// Two in what was seen, four in later sources.
const LPC: &[Item] = &[group("uarts", Repeat::Fill(4), UART)];

pub(super) static LAYOUTS: [Layout; 4] = pci!("lpc", &["lpc"], [LPC, &[]]);
