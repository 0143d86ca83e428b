//! The framebuffer, serial ports, and the keyboard controller.

use crate::cases::{AMD, Case, INTEL, INTEL_4, OLD_AMD, OLD_INTEL, case};
use crate::fixture::{Edit, set};

const KBD: &str = "atkbdc_sc->kbd";

/// Sets what the keyboard controller's record has twice.
fn both(part: &'static str, key: &'static str, value: u64) -> [Edit; 2] {
    [set("atkbdc", key, value), set("atkbdc", KBD, value).part(part)]
}

pub(crate) fn cases() -> Vec<Case> {
    let uart = |rule, fixture, key, value| case(rule, fixture, &[set("lpc", key, value)]);
    let kbd = |rule, fixture, key, value| case(rule, fixture, &[set("atkbdc", key, value)]);
    vec![
        case("fbuf-size", INTEL_4, &[set("fbuf", "pi->pi_bar[i].size", 0x100_0000).nth(1)]),
        uart("uart-fifo", INTEL, "sc->rxfifo.rindex", 16),
        uart("uart-fifo", OLD_AMD, "sc->rxfifo.windex", 0x7fff_ffff),
        uart("uart-fifo", AMD, "sc->rxfifo.num", 0xffff_ffff),
        uart("uart-fifo", OLD_INTEL, "sc->rxfifo.size", 0),
        uart("uart-fifo", OLD_INTEL, "sc->rxfifo.size", 17),
        uart("uart-fifo-count", INTEL, "sc->rxfifo.num", 3),
        uart("uart-fifo-count", OLD_AMD, "sc->rxfifo.size", 8),
        uart("uart-reserved", INTEL, "sc->ier", 0xf5),
        uart("uart-reserved", OLD_INTEL, "sc->lsr", 0x80),
        uart("uart-reserved", AMD, "sc->mcr", 0x2b),
        case("uart-reserved", AMD, &[set("lpc", "sc->fcr", 0xc0).nth(1)]),
        case("atkbdc-buffer", INTEL, &both("brd", "atkbdc_sc->kbd.brd", 15)),
        case("atkbdc-buffer", OLD_AMD, &both("bwr", "atkbdc_sc->kbd.bwr", 0xffff_ffff)),
        case("atkbdc-buffer", AMD, &both("bcnt", "atkbdc_sc->kbd.bcnt", 16)),
        case("atkbdc-count", INTEL, &both("bcnt", "atkbdc_sc->kbd.bcnt", 3)),
        case("atkbdc-twice", INTEL, &[set("atkbdc", KBD, 5).part("bwr")]),
        case("atkbdc-twice", OLD_AMD, &[set("atkbdc", KBD, 5).bytes(9, 1)]),
        case("atkbdc-irq", INTEL, &both("irq", "atkbdc_sc->kbd.irq", 2)),
        kbd("atkbdc-irq", OLD_INTEL, "atkbdc_sc->aux.irq", 1),
        kbd("atkbdc-flags", INTEL, "sc->enabled", 2),
        kbd("atkbdc-flags", INTEL, "sc->ctrlenable", 2),
        kbd("atkbdc-registers", INTEL, "atkbdc_sc->status", 0x80),
        kbd("atkbdc-registers", INTEL, "atkbdc_sc->curcmd", 1),
        kbd("atkbdc-registers", INTEL, "atkbdc_sc->ctrlbyte", 0x100),
    ]
}
