//! The real-time clock: `vrtc`.

use snapfmt::state::Scope;

use super::View;
use super::bits::{RTC_B, RTC_C, register};
use super::page::Page;
use super::words::hertz;
use crate::text;

/// Shows the guest's time of day, alarms, and registers.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    let root = view.root;
    page.some("guest time", guest_time(root));
    let Some(control) = root.u64("vrtc->rtcdev.reg_b") else { return };
    let shown = |key| digits(root, key, control >> 2 & 1 == 1);
    let [year, month, day] =
        ["vrtc->rtcdev.year", "vrtc->rtcdev.month", "vrtc->rtcdev.day_of_month"].map(shown);
    let century = shown("vrtc->rtcdev.century");
    let time = |hour, minute, second| {
        format!("{}:{}:{}", hours(root, hour, control), shown(minute), shown(second))
    };
    let clock = time("vrtc->rtcdev.hour", "vrtc->rtcdev.min", "vrtc->rtcdev.sec");
    let weekday = root.u64("vrtc->rtcdev.day_of_week").unwrap_or_default();
    page.pair("registers", format!("{century}{year}-{month}-{day} {clock}, day of week {weekday}"));
    let alarm = time("vrtc->rtcdev.alarm_hour", "vrtc->rtcdev.alarm_min", "vrtc->rtcdev.alarm_sec");
    let on = if control >> 5 & 1 == 1 { "on" } else { "off" };
    page.pair("alarm", format!("{alarm}, {on}"));
    if let Some(rate) = root.u64("vrtc->rtcdev.reg_a") {
        let divider = rate >> 4 & 7;
        let running = if divider == 2 { "" } else { ", divider not 2: the clock stands still" };
        let update = if rate >> 7 == 1 { ", update in progress" } else { "" };
        page.pair("A", format!("{rate:#x}  periodic {}{running}{update}", periodic(rate & 15)));
    }
    page.pair("B", register(control, RTC_B));
    page.some("C", root.u64("vrtc->rtcdev.reg_c").map(|value| register(value, RTC_C)));
    let valid = |value: u64| if value >> 7 == 1 { "memory and time valid" } else { "NOT valid" };
    page.some(
        "D",
        root.u64("vrtc->rtcdev.reg_d").map(|value| format!("{value:#x}  {}", valid(value))),
    );
    page.some("address", root.u64("vrtc->addr").map(|value| format!("{value:#x}")));
}

/// The time of day that the guest goes on with.
pub(super) fn guest_time(root: Scope<'_, '_>) -> Option<String> {
    let seconds = root.i64("vrtc->base_rtctime")?;
    Some(if seconds == -1 { "no valid date".to_owned() } else { text::time(seconds) })
}

fn periodic(rate: u64) -> String {
    match rate {
        0 => "off".to_owned(),
        1 | 2 => hertz(32768 >> (rate + 6)),
        _ => hertz(32768 >> (rate - 1)),
    }
}

/// Two digits, whether they are binary or BCD; what is neither in hex.
fn digits(root: Scope<'_, '_>, key: &str, binary: bool) -> String {
    two(root.u64(key).unwrap_or_default(), binary)
}

fn two(value: u64, binary: bool) -> String {
    match (binary, value) {
        (_, 0xc0..) => "**".to_owned(),
        (true, _) => format!("{value:02}"),
        (false, _) if value & 15 > 9 || value >> 4 > 9 => format!("{value:#x}"),
        (false, _) => format!("{value:02x}"),
    }
}

fn hours(root: Scope<'_, '_>, key: &str, control: u64) -> String {
    let value = root.u64(key).unwrap_or_default();
    let binary = control >> 2 & 1 == 1;
    if control >> 1 & 1 == 1 || value >= 0xc0 {
        return two(value, binary);
    }
    let half = if value >> 7 == 1 { " pm" } else { " am" };
    format!("{}{half}", two(value & 0x7f, binary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_told_by_the_mode_of_the_clock() {
        assert_eq!([two(0x59, false), two(0x3b, true), two(0x5a, false)], ["59", "59", "0x5a"]);
        assert_eq!(two(0xff, false), "**");
    }

    #[test]
    fn rates_are_those_of_the_manual() {
        assert_eq!([periodic(0), periodic(6), periodic(15)], ["off", "1.024 kHz", "2 Hz"]);
        assert_eq!([periodic(1), periodic(2), periodic(3)], ["256 Hz", "128 Hz", "8.192 kHz"]);
    }
}
