//! The keyboard controller with keyboard and mouse: `atkbdc`.

use snapfmt::state::Scope;

use super::View;
use super::bits::{KBD_CTRL, KBD_STATUS, register};
use super::page::Page;

/// Shows the controller, the keyboard and the mouse.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    let root = view.root;
    let number = |key: &str| root.u64(key).unwrap_or_default();
    page.head("keyboard controller");
    page.pair("status", register(number("atkbdc_sc->status"), KBD_STATUS));
    page.pair("control", register(number("atkbdc_sc->ctrlbyte"), KBD_CTRL));
    page.pair("command", waiting(number("atkbdc_sc->curcmd")));
    let irq = |active: &str, irq: &str| match number(active) {
        0 => format!("IRQ {}", number(irq)),
        _ => format!("IRQ {}, asserted", number(irq)),
    };
    page.pair(
        "interrupts",
        format!(
            "keyboard {}; mouse {}",
            irq("atkbdc_sc->kbd.irq_active", "atkbdc_sc->kbd.irq"),
            irq("atkbdc_sc->aux.irq_active", "atkbdc_sc->aux.irq")
        ),
    );
    page.pair("buffer", format!("{} characters for the guest", number("atkbdc_sc->kbd.bcnt")));
    if let Some(keyboard) = root.groups("ps2kbd").next() {
        let on = on(keyboard, "sc->enabled");
        let command = waiting(keyboard.u64("sc->curcmd").unwrap_or_default());
        page.pair("keyboard", format!("{on}, {command}"));
    }
    if let Some(mouse) = root.groups("ps2mouse").next() {
        let number = |key: &str| mouse.u64(key).unwrap_or_default();
        let signed = |key: &str| mouse.i64(key).unwrap_or_default();
        let (rate, resolution) = (number("sc->sampling_rate"), number("sc->resolution"));
        let on = on(mouse, "sc->ctrlenable");
        let (x, y) = (signed("sc->cur_x"), signed("sc->cur_y"));
        page.pair(
            "mouse",
            format!("{on}, {rate} samples a second, resolution {resolution}, at {x}, {y}"),
        );
    }
}

fn on(scope: Scope<'_, '_>, key: &str) -> &'static str {
    if scope.u64(key).unwrap_or_default() == 0 { "off" } else { "on" }
}

fn waiting(command: u64) -> String {
    match command {
        0 => "waits for no argument".to_owned(),
        command => format!("waits for the argument of {command:#x}"),
    }
}
