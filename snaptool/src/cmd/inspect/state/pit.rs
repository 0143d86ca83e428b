//! The programmable interval timer: `vatpit`.

use snapfmt::state::Scope;

use super::View;
use super::page::Page;
use super::words::rate;

const RATE: u64 = 1_193_182;

/// Shows all channels.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    if let Some(tick) = view.root.u64("vatpit->freq_bt.frac") {
        page.pair("rate", format!("{}, a tick is {tick:#x} / 2^64 s", rate(u64::MAX, tick)));
    }
    for channel in view.root.groups("channels") {
        page.some(&format!("channel {}", channel.index()), words(channel));
    }
}

fn words(channel: Scope<'_, '_>) -> Option<String> {
    let [mode, initial] = ["channel->mode", "channel->initial"].map(|key| channel.u64(key));
    let (mode, initial) = (mode?, initial?);
    let name = match mode {
        0 => "interrupt on terminal count".to_owned(),
        4 => "rate generator".to_owned(),
        6 => "square wave".to_owned(),
        8 => "software strobe".to_owned(),
        other => format!("mode {other:#x}, which is none that bhyve has"),
    };
    let mut words = vec![name];
    words.push(match initial {
        0 => "initial count 0 (never set, or 65536)".to_owned(),
        _ => format!("initial count {initial} ({})", rate(RATE, initial)),
    });
    let number = |key| channel.u64(key).unwrap_or_default();
    if number("channel->slatched") != 0 {
        words.push(format!("status {:#x} latched", number("channel->status")));
    }
    let (write, read) = (number("channel->crbyte"), number("channel->frbyte"));
    if (write, read) != (0, 0) {
        words.push(format!("next byte written {write}, read {read}"));
    }
    Some(words.join(", "))
}
