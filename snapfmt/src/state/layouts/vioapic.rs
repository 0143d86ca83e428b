//! The I/O APIC: `vioapic`.

use super::super::dsl::*;
use super::super::schema::{Item, Layout, Repeat};

const PIN: &[Item] = &[
    u64("vioapic->rtbl[i].reg").bits().means(
        "7:0 vector, 10:8 delivery mode, 11 logical, 12 delivery status, 13 active low, \
         14 remote IRR, 15 level, 16 masked, 63:56 destination",
    ),
    i32("vioapic->rtbl[i].acnt").means("how many devices assert the pin"),
];

const VIOAPIC: &[Item] = &[
    u32("vioapic->ioregsel").bits().means("7:0 the register that the window shows"),
    group("pins", Repeat::Times(32), PIN),
];

pub(super) static LAYOUTS: [Layout; 1] =
    [kernel("vioapic", &["vioapic"], BOTH, BOTH, [VIOAPIC, &[], &[]])];
