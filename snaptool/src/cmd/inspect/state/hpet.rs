//! The HPET: `vhpet`.

use snapfmt::state::Scope;

use super::View;
use super::page::Page;
use super::words::{hertz, ranges, span};

/// Shows the main counter and all timers.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    let root = view.root;
    let rate = rate(root);
    if let Some(config) = root.u64("vhpet->config") {
        let on = if config & 1 == 1 { "counting" } else { "stopped" };
        let legacy = if config >> 1 & 1 == 1 { ", LEGACY ROUTING" } else { "" };
        let count = root.u64("countbase").unwrap_or_default();
        page.pair("counter", format!("{count:#x}, {on} at {}{legacy}", hertz(rate)));
    }
    let asserted = root.u64("vhpet->isr").unwrap_or_default();
    let all = (0..32).filter(|timer| asserted >> timer & 1 == 1);
    let all = ranges(all);
    page.pair("asserted", if all.is_empty() { "none" } else { &all });
    for timer in root.groups("timers") {
        page.some(&format!("timer {}", timer.index()), words(timer, rate));
    }
}

fn rate(root: Scope<'_, '_>) -> u64 {
    let tick = root.u64("vhpet->freq_sbt").unwrap_or_default();
    (1_u64 << 32).checked_div(tick).unwrap_or_default()
}

/// How many timers are set to interrupt.
pub(super) fn armed(root: Scope<'_, '_>) -> usize {
    let enabled = |timer: &Scope<'_, '_>| {
        timer.u64("vhpet->timer[i].cap_config").is_some_and(|config| config >> 2 & 1 == 1)
    };
    root.groups("timers").filter(enabled).count()
}

fn words(timer: Scope<'_, '_>, rate: u64) -> Option<String> {
    let config = timer.u64("vhpet->timer[i].cap_config")?;
    let bit = |number: u32| config >> number & 1 == 1;
    let [compare, period] = ["vhpet->timer[i].compval", "vhpet->timer[i].comprate"]
        .map(|key| timer.u64(key).unwrap_or_default());
    let mut words = vec![(if bit(2) { "enabled" } else { "disabled" }).to_owned()];
    words.push(if bit(3) {
        format!("periodic, {period} ticks ({})", span(period, rate))
    } else {
        "one-shot".to_owned()
    });
    words.push(format!("comparator {compare:#x}"));
    if bit(14) {
        let message = timer.u64("vhpet->timer[i].msireg").unwrap_or_default();
        words.push(format!("MSI {:#x} data {:#x}", message >> 32, message & 0xffff_ffff));
    } else {
        let trigger = if bit(1) { "level" } else { "edge" };
        words.push(format!("IOAPIC pin {}, {trigger}", config >> 9 & 31));
    }
    Some(words.join(", "))
}
