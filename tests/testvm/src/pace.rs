//! How fast the guest dirties its memory: it asks how many pages to visit, and is answered when it
//! may.

use std::time::{Duration, Instant};

use crate::guest::layout::{MAX_BATCH, PAGE};

/// The longest time that the guest waits for an answer: it stamps the time between two answers, and
/// what it measures can be no finer.
pub const PATIENCE: Duration = Duration::from_millis(1);

/// What may be made up for after a pause.
const CREDIT: Duration = Duration::from_millis(20);

/// The share of one virtual CPU.
#[derive(Debug)]
pub struct Pace {
    /// Bytes a second that it may dirty; nothing if as many as it can.
    rate: Option<u64>,
    since: Instant,
    /// Bytes that were due at `since`.
    due: u64,
}

/// The answer to a question for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Visit so many pages.
    Visit(u32),
    /// There is no work before that much time has passed.
    Wait(Duration),
}

impl Pace {
    /// A pace that begins now.
    #[must_use]
    pub fn new(rate: Option<u64>, now: Instant) -> Self {
        Self { rate, since: now, due: 0 }
    }

    /// Changes the rate from now on.
    pub fn set(&mut self, rate: Option<u64>, now: Instant) {
        *self = Self::new(rate, now);
    }

    /// The answer now.
    pub fn ask(&mut self, now: Instant) -> Answer {
        let Some(rate) = self.rate else { return Answer::Visit(MAX_BATCH) };
        let passed = now.saturating_duration_since(self.since);
        let bytes = |time: Duration| {
            u64::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).unwrap_or(u64::MAX)
        };
        let due = self.due.saturating_add(bytes(passed)).min(bytes(CREDIT).max(PAGE));
        let pages = (due / PAGE).min(MAX_BATCH.into());
        if pages == 0 {
            let missing = u128::from(PAGE.saturating_sub(due)) * 1_000_000_000;
            let wait = missing.checked_div(rate.into()).and_then(|wait| u64::try_from(wait).ok());
            return Answer::Wait(wait.map_or(PATIENCE, Duration::from_nanos).min(PATIENCE));
        }
        (self.since, self.due) = (now, due - pages * PAGE);
        Answer::Visit(u32::try_from(pages).unwrap_or(MAX_BATCH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pages_are_visited_as_the_rate_says() {
        let begin = Instant::now();
        let mut pace = Pace::new(Some(100 << 20), begin);
        let mut pages = 0;
        for step in 1..=100_000_u64 {
            if let Answer::Visit(more) = pace.ask(begin + Duration::from_micros(10 * step)) {
                pages += u64::from(more);
            }
        }
        assert!((25_590..=25_600).contains(&pages), "{pages}");
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let begin = Instant::now();
        let mut pace = Pace::new(Some(100 << 20), begin);
        let late = begin + Duration::from_secs(10);
        let mut pages = 0;
        while let Answer::Visit(more) = pace.ask(late) {
            pages += more;
        }
        assert!(pages <= 512, "{pages}");
    }

    #[test]
    fn a_rate_of_nothing_waits_and_no_rate_never_does() {
        let begin = Instant::now();
        assert_eq!(Pace::new(Some(0), begin).ask(begin), Answer::Wait(PATIENCE));
        assert_eq!(Pace::new(None, begin).ask(begin), Answer::Visit(MAX_BATCH));
    }
}
