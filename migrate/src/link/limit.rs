//! How many bytes a second may be sent, as arithmetic: whoever uses it has the clock.

use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

/// What may be sent at once after a pause: this much of a second's worth.
const BURST: Duration = Duration::from_millis(50);

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(NonZeroU64);

impl Rate {
    /// A rate.
    #[must_use]
    pub const fn new(bytes_per_second: NonZeroU64) -> Self {
        Self(bytes_per_second)
    }

    /// Bytes per second.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// How much is written at once: little enough that a rate is even and messages need not wait
    /// long behind it, and much enough to be worth a call.
    #[must_use]
    pub fn piece(self) -> usize {
        usize::try_from((self.get() / 100).clamp(512, 256 << 10)).unwrap_or(512)
    }
}

/// A rate that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must be a number of bytes per second with K, M or G (powers of 1000), KiB, MiB or GiB (of \
     1024), or of bits with kbit, Mbit or Gbit"
)]
pub struct BadRate;

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(words: &str) -> Result<Self, BadRate> {
        let words = words.strip_suffix("/s").unwrap_or(words);
        let digits = words.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(words.len());
        let (number, unit) = words.split_at(digits);
        let (times, per) = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => (1, 1),
            "k" | "kb" => (1000, 1),
            "m" | "mb" => (1_000_000, 1),
            "g" | "gb" => (1_000_000_000, 1),
            "ki" | "kib" => (1 << 10, 1),
            "mi" | "mib" => (1 << 20, 1),
            "gi" | "gib" => (1 << 30, 1),
            "kbit" => (1000, 8),
            "mbit" => (1_000_000, 8),
            "gbit" => (1_000_000_000, 8),
            _ => return Err(BadRate),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let all: u128 = format!("{whole}{part}").parse().map_err(|_| BadRate)?;
        let scale = u32::try_from(part.len()).ok().and_then(|len| 10_u128.checked_pow(len));
        let bytes = all.checked_mul(times).zip(scale.and_then(|scale| scale.checked_mul(per)));
        let bytes = bytes.and_then(|(bytes, by)| u64::try_from(bytes / by).ok());
        bytes.and_then(NonZeroU64::new).map(Self).ok_or(BadRate)
    }
}

/// A bucket that tokens flow into, told by the time at which the debt is paid.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Rate,
    /// When all that was taken would have been sent at exactly this rate.
    even: Duration,
    /// What division left over, in nanoseconds times the rate: nothing is lost over any time.
    rest: u128,
}

impl Bucket {
    /// Full.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, even: Duration::ZERO, rest: 0 }
    }

    /// How long nothing may be sent.
    #[must_use]
    pub fn wait(&self, now: Duration) -> Duration {
        self.even.saturating_sub(now)
    }

    /// So many bytes are sent now.
    pub fn take(&mut self, now: Duration, bytes: u64) {
        let full = now.saturating_sub(BURST);
        if self.even < full {
            (self.even, self.rest) = (full, 0);
        }
        let rate = u128::from(self.rate.get());
        let time = u128::from(bytes) * 1_000_000_000 + self.rest;
        self.rest = time % rate;
        let time = Duration::from_nanos(u64::try_from(time / rate).unwrap_or(u64::MAX));
        self.even = self.even.saturating_add(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(words: &str) -> u64 {
        words.parse::<Rate>().unwrap().get()
    }

    #[test]
    fn rates_are_read_with_their_units() {
        for (words, bytes) in [
            ("1", 1),
            ("200M", 200_000_000),
            ("200MB/s", 200_000_000),
            ("1.5k", 1500),
            ("64KiB", 65536),
            ("2Gi", 2 << 30),
            ("100Mbit", 12_500_000),
            ("0.5Gbit/s", 62_500_000),
        ] {
            assert_eq!(rate(words), bytes, "{words}");
        }
        let endless = "9".repeat(60);
        let long = format!("0.{}1", "0".repeat(60));
        for words in ["", "0", "-1", "1T", "M", ".", "1.2.3", "0.5", "1 M", &endless, &long, "1é"]
        {
            assert_eq!(words.parse::<Rate>(), Err(BadRate), "{words}");
        }
    }

    /// Sends as fast as may be from `start` to `end`, in pieces, and counts the bytes.
    fn send(bucket: &mut Bucket, start: Duration, end: Duration, piece: u64) -> u64 {
        let (mut now, mut sent) = (start, 0);
        loop {
            now += bucket.wait(now);
            if now >= end {
                return sent;
            }
            bucket.take(now, piece);
            sent += piece;
        }
    }

    #[test]
    fn the_rate_is_kept_over_any_time_with_pieces_of_any_size() {
        for bytes in [1000, 7_777_777, 12_500_000_000] {
            let limit = Rate::new(NonZeroU64::new(bytes).unwrap());
            for piece in [1 + bytes / 999, bytes / 50, limit.piece() as u64] {
                let mut bucket = Bucket::new(limit);
                let end = Duration::from_secs(20);
                let sent = send(&mut bucket, Duration::ZERO, end, piece);
                let expected = bytes * 20;
                assert!(sent >= expected, "{bytes} {piece}: {sent}");
                assert!(sent <= expected + bytes / 20 + 2 * piece, "{bytes} {piece}: {sent}");
            }
        }
    }

    #[test]
    fn a_pause_saves_up_no_more_than_a_burst() {
        let mut bucket = Bucket::new("1M".parse().unwrap());
        let hour = Duration::from_secs(3600);
        let sent = send(&mut bucket, hour, hour + Duration::from_secs(1), 1000);
        assert!((1_000_000..=1_052_000).contains(&sent), "{sent}");
    }

    #[test]
    fn a_wait_is_as_long_as_what_was_sent_takes() {
        let mut bucket = Bucket::new("1000".parse().unwrap());
        bucket.take(Duration::ZERO, 500);
        assert_eq!(bucket.wait(Duration::ZERO), Duration::from_millis(500));
        assert_eq!(bucket.wait(Duration::from_millis(499)), Duration::from_millis(1));
        assert_eq!(bucket.wait(Duration::from_secs(9)), Duration::ZERO);
    }
}
