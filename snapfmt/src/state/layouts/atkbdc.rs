//! The keyboard controller with keyboard and mouse: `atkbdc`. It is no PCI device.

use super::super::dsl::*;
use super::super::schema::{Item, Kind, Layout, Part, Repeat};

/// `struct kbd_dev`.
const KBD: &[Part] = &[
    piece("irq_active", 0, 1, Kind::Bool),
    piece("irq", 4, 4, Kind::Signed),
    piece("buffer", 8, 15, Kind::Bytes),
    piece("brd", 24, 4, Kind::Signed),
    piece("bwr", 28, 4, Kind::Signed),
    piece("bcnt", 32, 4, Kind::Signed),
];

const KEYBOARD: &[Item] = &[
    bool("sc->enabled").means("whether it sends scan codes"),
    u8("sc->curcmd").bits().means("command whose argument it waits for"),
];

const MOUSE: &[Item] = &[
    u8("sc->status").bits(),
    u8("sc->resolution"),
    u8("sc->sampling_rate"),
    i32("sc->ctrlenable").flag().means("whether the controller passes it on"),
    u8("sc->curcmd").bits().means("command whose argument it waits for"),
    i32("sc->cur_x"),
    i32("sc->cur_y"),
    i32("sc->delta_x"),
    i32("sc->delta_y"),
];

const ATKBDC: &[Item] = &[
    u8("atkbdc_sc->status").bits(),
    u8("atkbdc_sc->outport").bits(),
    bytes("atkbdc_sc->ram", 32),
    u32("atkbdc_sc->curcmd").bits().means("command whose argument it waits for"),
    u32("atkbdc_sc->ctrlbyte").bits(),
    bytes("atkbdc_sc->kbd", 36).inside(KBD).means("what follows, once before; that counts"),
    bool("atkbdc_sc->kbd.irq_active"),
    i32("atkbdc_sc->kbd.irq"),
    bytes("atkbdc_sc->kbd.buffer", 15).means("characters for the guest"),
    i32("atkbdc_sc->kbd.brd").means("where in `buffer` the guest reads next"),
    i32("atkbdc_sc->kbd.bwr").means("where in `buffer` the next character goes"),
    i32("atkbdc_sc->kbd.bcnt").means("characters in `buffer`"),
    bool("atkbdc_sc->aux.irq_active"),
    i32("atkbdc_sc->aux.irq"),
    group("ps2kbd", Repeat::Times(1), KEYBOARD),
    group("ps2mouse", Repeat::Times(1), MOUSE),
];

pub(super) static LAYOUTS: [Layout; 1] =
    [device("atkbdc", &["atkbdc"], BOTH, BOTH, [ATKBDC, &[], &[]])];
