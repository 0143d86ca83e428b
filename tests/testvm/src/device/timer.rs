//! The ACPI timer: a counter of 32 bits that goes on from where it was saved.

use std::time::Instant;

/// Ticks a second.
const FREQUENCY: u128 = 3_579_545;

/// The timer.
#[derive(Debug, Clone, Copy)]
pub struct Timer {
    base: u32,
    since: Instant,
}

impl Timer {
    /// A timer that counts from `base` on, now.
    #[must_use]
    pub fn new(base: u32) -> Self {
        Self { base, since: Instant::now() }
    }

    /// What it has counted to.
    #[must_use]
    pub fn value(&self) -> u32 {
        let ticks = self.since.elapsed().as_nanos() * FREQUENCY / 1_000_000_000;
        // It counts modulo 2^32.
        self.base.wrapping_add(ticks as u32)
    }
}
