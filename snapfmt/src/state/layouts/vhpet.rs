//! The HPET: `vhpet`.

use super::super::dsl::*;
use super::super::schema::{Item, Layout, Repeat};

const TIMER: &[Item] = &[
    u64("vhpet->timer[i].cap_config").bits().means(
        "31:0 configuration and capabilities; 63:32 the IOAPIC pins that it may be routed to",
    ),
    u64("vhpet->timer[i].msireg").bits().means("63:32 address of its MSI, 31:0 data"),
    u32("vhpet->timer[i].compval").means("comparator"),
    u32("vhpet->timer[i].comprate").means("period in ticks; 0 unless periodic"),
    i64("vhpet->timer[i].callout_sbt").host().means("uptime of the host at which it expires"),
];

const VHPET: &[Item] = &[
    i64("vhpet->freq_sbt").means("time of one tick, 2^-32 s: 256 is 2^24 Hz"),
    u64("vhpet->config").bits().means("bit 0 ENABLE, bit 1 LEG_RT"),
    u64("vhpet->isr").bits().means("level-triggered interrupts that are asserted, a bit a timer"),
    u32("countbase").means("main counter"),
    group("timers", Repeat::Times(8), TIMER),
];

pub(super) static LAYOUTS: [Layout; 1] =
    [kernel("vhpet", &["vhpet"], BOTH, BOTH, [VHPET, &[], &[]])];
