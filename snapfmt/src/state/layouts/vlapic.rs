//! The local APICs: `vlapic`.

use super::super::dsl::*;
use super::super::schema::{Item, Layout, Part, Repeat, Width};

const fn register(name: &'static str, at: u32) -> Part {
    part(name, at, Width::Four)
}

/// `struct LAPIC`: a register of 32 bits every 16 bytes.
const PAGE: &[Part] = &[
    register("id", 0x20),
    register("version", 0x30),
    register("tpr", 0x80),
    register("apr", 0x90),
    register("ppr", 0xa0),
    register("eoi", 0xb0),
    register("ldr", 0xd0),
    register("dfr", 0xe0),
    register("svr", 0xf0),
    register("isr0", 0x100),
    register("isr1", 0x110),
    register("isr2", 0x120),
    register("isr3", 0x130),
    register("isr4", 0x140),
    register("isr5", 0x150),
    register("isr6", 0x160),
    register("isr7", 0x170),
    register("tmr0", 0x180),
    register("tmr1", 0x190),
    register("tmr2", 0x1a0),
    register("tmr3", 0x1b0),
    register("tmr4", 0x1c0),
    register("tmr5", 0x1d0),
    register("tmr6", 0x1e0),
    register("tmr7", 0x1f0),
    register("irr0", 0x200),
    register("irr1", 0x210),
    register("irr2", 0x220),
    register("irr3", 0x230),
    register("irr4", 0x240),
    register("irr5", 0x250),
    register("irr6", 0x260),
    register("irr7", 0x270),
    register("esr", 0x280),
    register("lvt_cmci", 0x2f0),
    register("icr_lo", 0x300),
    register("icr_hi", 0x310),
    register("lvt_timer", 0x320),
    register("lvt_thermal", 0x330),
    register("lvt_pcint", 0x340),
    register("lvt_lint0", 0x350),
    register("lvt_lint1", 0x360),
    register("lvt_error", 0x370),
    register("icr_timer", 0x380),
    register("ccr_timer", 0x390),
    register("dcr_timer", 0x3e0),
    register("self_ipi", 0x3f0),
];

const LVT: &[Part] = &[
    register("LINT0", 0),
    register("LINT1", 4),
    register("TIMER", 8),
    register("ERROR", 12),
    register("PMC", 16),
    register("THERMAL", 20),
    register("CMCI", 24),
];

const HEAD: &[Item] = &[
    bytes("lapic", 4096).inside(PAGE).means("the page of registers"),
    u32("vlapic->esr_pending").bits().means("errors not yet latched into the ESR"),
    i64("vlapic->timer_freq_bt.sec").means("time of one timer tick, whole seconds"),
    u64("vlapic->timer_freq_bt.frac")
        .bits()
        .means("time of one timer tick in 2^-64 s: 2^-27 s times the divisor"),
    bytes("vlapic->isrvec_stk", 17).means("vectors in service, the first a 0 that stays"),
    i32("vlapic->isrvec_stk_top").means("index of the last vector in service"),
];

const TAIL: &[Item] = &[
    ints("vlapic->lvt_last", Width::Four, 7)
        .bits()
        .inside(LVT)
        .means("LVT entries as last written: LINT0 LINT1 TIMER ERROR PMC THERMAL CMCI"),
    u32("ccr").means("current count of the timer"),
];

const WITH_BOOT_STATE: &[Item] = &[group(
    "vcpus",
    Repeat::Slots,
    &[
        Item::Shared(HEAD),
        i32("vlapic->boot_state").means("0 INIT, 1 SIPI, 2 RUNNING"),
        Item::Shared(TAIL),
    ],
)];

const WITHOUT: &[Item] =
    &[group("vcpus", Repeat::Slots, &[Item::Shared(HEAD), Item::Shared(TAIL)])];

const VLAPIC: &[&str] = &["vlapic"];

pub(super) static LAYOUTS: [Layout; 2] = [
    kernel("vlapic-4173", VLAPIC, A, A, [WITH_BOOT_STATE, &[], &[]]),
    kernel("vlapic-4169", VLAPIC, BOTH, B, [WITHOUT, &[], &[]]),
];
