//! The devices of the ISA bus that the kernel keeps: timer, interrupt controllers, clock.

use super::super::dsl::*;
use super::super::schema::{Item, Layout, Repeat, Width};

const CHANNEL: &[Item] = &[
    i32("channel->mode")
        .bits()
        .means("control byte & 0x0f: 0 INTTC, 4 RATEGEN, 6 SQWAVE, 8 SWSTROBE"),
    u16("channel->initial").means("count that it starts from; 0 is 65536, or never set"),
    i64("channel->now_bt.sec").host().means("uptime of the host at which it was loaded"),
    u64("channel->now_bt.frac").host(),
    ints("channel->cr", Width::One, 2).means("bytes of the count that is being written"),
    ints("channel->ol", Width::One, 2).means("bytes of the latched count"),
    bool("channel->slatched").means("whether `status` is latched"),
    u8("channel->status").bits().means("latched status"),
    i32("channel->crbyte").means("which byte of `cr` is written next"),
    i32("channel->frbyte").means("which byte of the running count is read next"),
    i64("channel->callout_bt.sec").host().means("uptime of the host at which it expires"),
    u64("channel->callout_bt.frac").host(),
];

const VATPIT: &[Item] = &[
    i64("vatpit->freq_bt.sec").means("time of one tick, whole seconds"),
    u64("vatpit->freq_bt.frac").means("time of one tick in 2^-64 s: 1193182 Hz"),
    group("channels", Repeat::Times(3), CHANNEL),
];

const PIC: &[Item] = &[
    bool("atpic->ready").means("initialised by the guest"),
    i32("atpic->icw_num").means("initialisation word that comes next; 0 none"),
    i32("atpic->rd_cmd_reg").means("what a read gives: 0 the request, 1 the service register"),
    bool("atpic->aeoi").means("automatic end of interrupt"),
    bool("atpic->poll").means("poll mode"),
    bool("atpic->rotate").means("priorities rotate"),
    bool("atpic->sfn").means("special fully nested mode"),
    i32("atpic->irq_base").means("vector of the first pin"),
    u8("atpic->request").bits().means("interrupts requested"),
    u8("atpic->service").bits().means("interrupts in service"),
    u8("atpic->mask").bits().means("pins masked"),
    u8("atpic->smm").means("special mask mode"),
    ints("atpic->acnt", Width::Four, 8).signed().means("how many devices assert each pin"),
    i32("atpic->lowprio").means("pin of the lowest priority"),
    bool("atpic->intr_raised").means("whether it asserts its output"),
];

const VATPIC: &[Item] = &[
    group("pics", Repeat::Times(2), PIC),
    ints("vatpic->elc", Width::One, 2).bits().means("pins that are level-triggered"),
];

const VPMTMR: &[Item] = &[u32("vpmtmr->baseval").means("ACPI timer at the time it was created")];

const VRTC: &[Item] = &[
    u32("vrtc->addr").means("register selected"),
    i64("vrtc->base_rtctime").means("date and time in seconds since 1970; -1 if it was no date"),
    u8("vrtc->rtcdev.sec").bits(),
    u8("vrtc->rtcdev.alarm_sec").bits(),
    u8("vrtc->rtcdev.min").bits(),
    u8("vrtc->rtcdev.alarm_min").bits(),
    u8("vrtc->rtcdev.hour").bits(),
    u8("vrtc->rtcdev.alarm_hour").bits(),
    u8("vrtc->rtcdev.day_of_week").bits(),
    u8("vrtc->rtcdev.day_of_month").bits(),
    u8("vrtc->rtcdev.month").bits(),
    u8("vrtc->rtcdev.year").bits(),
    u8("vrtc->rtcdev.reg_a").bits().means("3:0 rate, 6:4 divider, 7 update in progress"),
    u8("vrtc->rtcdev.reg_b").bits().means("1 24 hours, 2 binary, 4 to 6 interrupts, 7 halted"),
    u8("vrtc->rtcdev.reg_c").bits().means("7:4 interrupts pending"),
    u8("vrtc->rtcdev.reg_d").bits().means("7 memory and time are valid"),
    bytes("vrtc->rtcdev.nvram", 36).means("CMOS memory 0x0e to 0x31"),
    u8("vrtc->rtcdev.century").bits(),
    bytes("vrtc->rtcdev.nvram2", 77).means("CMOS memory 0x33 to 0x7f"),
];

pub(super) static LAYOUTS: [Layout; 4] = [
    kernel("vatpit", &["vatpit"], BOTH, BOTH, [VATPIT, &[], &[]]),
    kernel("vatpic", &["vatpic"], BOTH, BOTH, [VATPIC, &[], &[]]),
    kernel("vpmtmr", &["vpmtmr"], BOTH, BOTH, [VPMTMR, &[], &[]]),
    kernel("vrtc", &["vrtc"], BOTH, BOTH, [VRTC, &[], &[]]),
];
