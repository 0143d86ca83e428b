//! The guest program as bytes: assembled by rustc from `program.s`, never run by this process.

#![allow(unsafe_code)]

use std::arch::global_asm;
use std::slice;

use super::layout::{
    BEAT_MICROSECONDS, CMOS_FIRST, CONSTANT_END, IDENTITY, LAPIC, MAX_BATCH, MAX_REPORTS,
    PORT_CLOCK, PORT_TIMER, PORT_WORK, STACK_TOP, field,
};

// It adds read-only data and three symbols, whose names begin with that of this package; it leaves
// the section that it found.
global_asm!(
    include_str!("program.s"),
    BASE = const field::BASE,
    BATCH = const field::BATCH,
    BEATS = const field::BEATS,
    BEAT_CLOCK = const field::BEAT_CLOCK,
    BEAT_MICROSECONDS = const BEAT_MICROSECONDS,
    CLOCK = const field::CLOCK,
    CMOS = const field::CMOS,
    CMOS_FIRST = const CMOS_FIRST,
    COM = const field::COM,
    CONSTANT_END = const CONSTANT_END,
    CONSTANT_SUM = const field::CONSTANT_SUM,
    CURSOR = const field::CURSOR,
    GAP = const field::GAP,
    GAP_MAX = const field::GAP_MAX,
    HASH = const field::HASH,
    IDENTITY = const IDENTITY,
    INDEX = const field::INDEX,
    LAPIC = const LAPIC,
    LAPIC_GIVEN = const field::LAPIC_GIVEN,
    MAX_BATCH = const MAX_BATCH,
    MAX_REPORTS = const MAX_REPORTS,
    PAGES = const field::PAGES,
    PORT_CLOCK = const PORT_CLOCK,
    PORT_TIMER = const PORT_TIMER,
    PORT_WORK = const PORT_WORK,
    POSITION = const field::POSITION,
    RING = const field::RING,
    RING_LAST = const field::RING_LAST,
    SCRATCH = const field::SCRATCH,
    SELF = const field::SELF,
    STACK_TOP = const STACK_TOP,
    STRIDE = const field::STRIDE,
    SUM_FOUND = const field::SUM_FOUND,
    SUM_WANTED = const field::SUM_WANTED,
    SUM_WRITTEN = const field::SUM_WRITTEN,
    SWEEPS = const field::SWEEPS,
    TIMER = const field::TIMER,
    VIOLATIONS = const field::VIOLATIONS,
    VISITS = const field::VISITS,
);

// SAFETY: `program.s` defines these three symbols. They are only named here, to take their
// addresses; they are never called or read as values of these types.
unsafe extern "C" {
    static testvm_guest_begin: u8;
    static testvm_guest_asked: u8;
    static testvm_guest_end: u8;
}

/// The program.
pub(super) fn bytes() -> &'static [u8] {
    let (begin, end) = (&raw const testvm_guest_begin, &raw const testvm_guest_end);
    let len = end as usize - begin as usize;
    // SAFETY: the assembler put all between the two labels into one section of read-only data, in
    // that order, so these are `len` initialised bytes that live and do not change for ever.
    unsafe { slice::from_raw_parts(begin, len) }
}

/// Where in the program the guest is while it waits for work.
pub(super) fn asked() -> u64 {
    let (begin, asked) = (&raw const testvm_guest_begin, &raw const testvm_guest_asked);
    asked as u64 - begin as u64
}
