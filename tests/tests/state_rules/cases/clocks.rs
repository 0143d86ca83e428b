//! Timers, interrupt controllers and the clock: HPET, PIT, PIC, RTC, I/O APIC.

use super::{AMD, Case, INTEL, OLD_AMD, OLD_INTEL, case};
use crate::fixture::set;

const CAP: &str = "vhpet->timer[i].cap_config";
const CAPABLE: u64 = 0xff00_0000_0000_8010;
const REG: &str = "vioapic->rtbl[i].reg";

pub(crate) fn cases() -> Vec<Case> {
    [hpet(), pit(), pic(), rtc(), ioapic()].into_iter().flatten().collect()
}

fn hpet() -> Vec<Case> {
    let freq = |rule, freq| case(rule, INTEL, &[set("vhpet", "vhpet->freq_sbt", freq)]);
    let isr = |isr| set("vhpet", "vhpet->isr", isr);
    let cap = |timer, cap| set("vhpet", CAP, cap).nth(timer);
    let rate = set("vhpet", "vhpet->timer[i].comprate", 7).nth(5);
    vec![
        freq("hpet-tick-zero", 0),
        freq("hpet-tick", u64::MAX),
        freq("hpet-tick", 255),
        case("hpet-legacy-routing", AMD, &[set("vhpet", "vhpet->config", 2)]),
        case("hpet-isr-timers", OLD_AMD, &[isr(0x100)]),
        case("hpet-isr-edge", INTEL, &[isr(0x20), cap(5, CAPABLE | 24 << 9)]),
        case("hpet-isr-edge", INTEL, &[isr(1), cap(0, CAPABLE | 2 | 1 << 14)]),
        case("hpet-isr-route", INTEL, &[isr(0x80), cap(7, CAPABLE | 2)]),
        case("hpet-timer-capabilities", OLD_INTEL, &[cap(3, CAPABLE & !0x10)]),
        case("hpet-timer-capabilities", INTEL, &[cap(3, CAPABLE ^ 1 << 63)]),
        case("hpet-timer-capabilities", INTEL, &[cap(3, CAPABLE | 1 << 8)]),
        case("hpet-timer-route", AMD, &[cap(2, CAPABLE | 23 << 9)]),
        case("hpet-timer-rate", AMD, &[cap(5, CAPABLE), rate]),
    ]
}

fn pit() -> Vec<Case> {
    let frac = |rule, frac| case(rule, INTEL, &[set("vatpit", "vatpit->freq_bt.frac", frac)]);
    let mode = |mode| set("vatpit", "channel->mode", mode).nth(1);
    let index = |key, index| case("pit-byte-index", AMD, &[set("vatpit", key, index).nth(2)]);
    vec![
        frac("pit-tick-zero", 0),
        frac("pit-tick", 1),
        case("pit-tick-seconds", OLD_INTEL, &[set("vatpit", "vatpit->freq_bt.sec", 1)]),
        case("pit-mode", INTEL, &[mode(5)]),
        case("pit-square-wave", OLD_AMD, &[mode(6)]),
        index("channel->crbyte", 2),
        index("channel->frbyte", u64::MAX),
        case("pit-bool", INTEL, &[set("vatpit", "channel->slatched", 2)]),
    ]
}

fn pic() -> Vec<Case> {
    let one = |rule, key, value| case(rule, AMD, &[set("vatpic", key, value)]);
    let second = |rule, key, value| case(rule, OLD_INTEL, &[set("vatpic", key, value).nth(1)]);
    let count = set("vatpic", "atpic->acnt", 0xffff_ffff).bytes(12, 4);
    vec![
        one("pic-bool", "atpic->ready", 2),
        one("pic-bool", "atpic->aeoi", 0x80),
        second("pic-bool", "atpic->poll", 3),
        second("pic-bool", "atpic->rotate", 3),
        second("pic-bool", "atpic->sfn", 3),
        one("pic-bool", "atpic->smm", 0x20),
        second("pic-bool", "atpic->intr_raised", 0xff),
        one("pic-icw-num", "atpic->icw_num", 5),
        second("pic-icw-num", "atpic->icw_num", u64::MAX),
        one("pic-read-register", "atpic->rd_cmd_reg", 3),
        second("pic-slave-sfn", "atpic->sfn", 1),
        one("pic-irq-base", "atpic->irq_base", 0x21),
        second("pic-irq-base", "atpic->irq_base", 0x100),
        case("pic-acnt", INTEL, &[count]),
        one("pic-lowprio", "atpic->lowprio", 0xff),
        case("pic-elc", INTEL, &[set("vatpic", "vatpic->elc", 1)]),
        case("pic-elc", INTEL, &[set("vatpic", "vatpic->elc", 0x20).bytes(1, 1)]),
    ]
}

fn rtc() -> Vec<Case> {
    let one = |rule, key, value| case(rule, INTEL, &[set("vrtc", key, value)]);
    vec![
        one("rtc-far-date", "vrtc->base_rtctime", 0x7fff_ffff_ffff_ffff),
        one("rtc-far-date", "vrtc->base_rtctime", 253_402_300_800),
        one("rtc-early-date", "vrtc->base_rtctime", -2_i64 as u64),
        one("rtc-addr", "vrtc->addr", 128),
        one("rtc-update-in-progress", "vrtc->rtcdev.reg_a", 0xa6),
        one("rtc-flags", "vrtc->rtcdev.reg_c", 1),
        one("rtc-valid", "vrtc->rtcdev.reg_d", 0),
    ]
}

fn ioapic() -> Vec<Case> {
    let reg = |rule, fixture, value| case(rule, fixture, &[set("vioapic", REG, value).nth(31)]);
    let count = |count| set("vioapic", "vioapic->rtbl[i].acnt", count).nth(17);
    vec![
        reg("ioapic-delivery-status", INTEL, 0x1_1000),
        reg("ioapic-vector", OLD_AMD, 15),
        reg("ioapic-vector", AMD, 1 << 8),
        case("ioapic-acnt", INTEL, &[count(u64::MAX)]),
    ]
}
