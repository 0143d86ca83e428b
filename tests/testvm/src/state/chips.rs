//! The devices that bhyve's kernel keeps: those that this machine has, too, and those that it has
//! not, as a reset leaves them.

use std::time::{SystemTime, UNIX_EPOCH};

use snapfmt::bhyve::Section;

use super::error::StateError;
use super::record::{ONLY, Read, Record};
use crate::device::Cmos;

/// One tick of the HPET, in 2^-32 s.
const HPET_TICK: u64 = 256;
/// What a timer of the HPET can do: periods, messages, and the pins 24 to 31 of the I/O APIC.
const HPET_TIMER: u64 = 0xff00_0000_0000_8010;
/// One tick of the PIT, in 2^-64 s.
const PIT_TICK: u64 = 15_460_126_010_708;
/// An entry of the I/O APIC that is masked.
const MASKED: u64 = 0x0001_0000;

/// The first register of the clock chip that is memory, and the first after its century.
const NVRAM: usize = 0x0e;
const CENTURY: usize = 0x32;

const RTC_CONTROL: [(&str, usize); 5] = [
    ("vrtc->rtcdev.reg_a", 0x0a),
    ("vrtc->rtcdev.reg_b", 0x0b),
    ("vrtc->rtcdev.reg_c", 0x0c),
    ("vrtc->rtcdev.reg_d", 0x0d),
    ("vrtc->rtcdev.century", CENTURY),
];

fn record(name: &str, len: usize) -> Result<Record, StateError> {
    Record::new(Section::Kern, name, len, 1)
}

pub(super) fn write_hpet() -> Result<Record, StateError> {
    let mut record = record("vhpet", 284)?;
    record.set("vhpet->freq_sbt", ONLY, HPET_TICK)?;
    for timer in 0..8 {
        record.set("vhpet->timer[i].cap_config", (None, timer), HPET_TIMER)?;
    }
    Ok(record)
}

pub(super) fn write_ioapic(table: &[u64; 24]) -> Result<Record, StateError> {
    let mut record = record("vioapic", 388)?;
    for (pin, entry) in (0..32).zip(table.iter().copied().chain([MASKED; 8])) {
        record.set("vioapic->rtbl[i].reg", (None, pin), entry)?;
    }
    Ok(record)
}

pub(super) fn read_ioapic(record: &Read<'_>) -> Result<[u64; 24], StateError> {
    let mut table = [0; 24];
    for (pin, entry) in (0..).zip(&mut table) {
        *entry = record.get("vioapic->rtbl[i].reg", (None, pin))?;
    }
    Ok(table)
}

pub(super) fn write_pit() -> Result<Record, StateError> {
    let mut record = record("vatpit", 172)?;
    record.set("vatpit->freq_bt.frac", ONLY, PIT_TICK)?;
    Ok(record)
}

pub(super) fn write_pic() -> Result<Record, StateError> {
    let mut record = record("vatpic", 118)?;
    for pic in 0..2 {
        record.set("atpic->mask", (None, pic), 0xff)?;
        record.set("atpic->lowprio", (None, pic), 7)?;
    }
    Ok(record)
}

pub(super) fn write_timer(value: u32) -> Result<Record, StateError> {
    let mut record = record("vpmtmr", 4)?;
    record.set("vpmtmr->baseval", ONLY, value.into())?;
    Ok(record)
}

pub(super) fn read_timer(record: &Read<'_>) -> Result<u32, StateError> {
    let value = record.get("vpmtmr->baseval", ONLY)?;
    Ok(u32::try_from(value).unwrap_or_default())
}

pub(super) fn write_rtc(cmos: &Cmos) -> Result<Record, StateError> {
    let mut record = record("vrtc", 140)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    record.set("vrtc->addr", ONLY, cmos.selected.into())?;
    record.set("vrtc->base_rtctime", ONLY, now.as_secs())?;
    for (key, at) in RTC_CONTROL {
        record.set(key, ONLY, cmos.bytes.get(at).copied().unwrap_or_default().into())?;
    }
    record.copy("vrtc->rtcdev.nvram", ONLY, cmos.bytes.get(NVRAM..).unwrap_or_default())?;
    record.copy("vrtc->rtcdev.nvram2", ONLY, cmos.bytes.get(CENTURY + 1..).unwrap_or_default())?;
    Ok(record)
}

pub(super) fn read_rtc(record: &Read<'_>) -> Result<Cmos, StateError> {
    let mut cmos = Cmos::default();
    let mut put = |at: usize, bytes: &[u8]| {
        for (byte, value) in cmos.bytes.iter_mut().skip(at).zip(bytes) {
            *byte = *value;
        }
    };
    for (key, at) in RTC_CONTROL {
        put(at, record.bytes(key, ONLY)?);
    }
    put(NVRAM, record.bytes("vrtc->rtcdev.nvram", ONLY)?);
    put(CENTURY + 1, record.bytes("vrtc->rtcdev.nvram2", ONLY)?);
    cmos.selected = u8::try_from(record.get("vrtc->addr", ONLY)?).unwrap_or_default() & 0x7f;
    Ok(cmos)
}
