//! What a way to move a VM costs its guest.

use std::num::NonZeroU64;
use std::time::Duration;

/// The costs of a source, stated before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// What the guest pays while it runs.
    pub running: Running,
    /// What it pays at the end.
    pub pause: Pause,
}

/// What a round costs a running guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// It stands still while all of its memory is written to files, every round.
    Stopped,
    /// It shares processors and memory with whoever reads all of its memory.
    Scanned,
    /// Its first write to each page after a mark is slower.
    Logged,
}

/// How long the guest stands still at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Whatever the guest's size: stopping it, its device state, starting it.
    pub fixed: Duration,
    /// Where all of memory is gone through while it stands still: bytes of it in a second. None
    /// where only what has changed is.
    pub whole: Option<NonZeroU64>,
}

impl Pause {
    /// The shortest pause of a guest with so much memory: if nothing at all had changed.
    #[must_use]
    pub fn floor(self, memory: u64) -> Duration {
        let Some(rate) = self.whole else { return self.fixed };
        let nanoseconds = u128::from(memory) * 1_000_000_000 / u128::from(rate.get());
        let whole = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        self.fixed.saturating_add(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED: Duration = Duration::from_millis(20);
    const GIB: u64 = 1 << 30;

    fn floor(rate: u64, memory: u64) -> Duration {
        Pause { fixed: FIXED, whole: NonZeroU64::new(rate) }.floor(memory)
    }

    #[test]
    fn the_floor_grows_with_memory_only_where_all_of_it_is_gone_through() {
        assert_eq!(floor(0, 64 * GIB), FIXED);
        assert_eq!(floor(2 * GIB, GIB), FIXED + Duration::from_millis(500));
        assert_eq!(floor(2 * GIB, 64 * GIB), FIXED + Duration::from_secs(32));
    }

    #[test]
    fn no_size_is_too_large_for_a_floor() {
        assert!(floor(1, u64::MAX) > Duration::from_secs(1 << 30));
    }
}
