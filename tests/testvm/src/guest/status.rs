//! How the guest fares: read from its control pages, or from what it says at the serial port.

use super::layout::field;

/// What a control page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Visits in all.
    pub visits: u64,
    /// Sweeps that are done.
    pub sweeps: u64,
    /// Violations.
    pub violations: u64,
    /// Reports.
    pub beats: u64,
    /// The last stamp, in microseconds.
    pub clock: u64,
    /// The largest gap between two stamps since the last report, in microseconds.
    pub gap: u64,
    /// The largest gap of all, in microseconds.
    pub max: u64,
}

impl Status {
    /// Reads the words of a control page.
    #[must_use]
    pub fn of(control: &[u8]) -> Self {
        let word = |field: u64| {
            let bytes = control.get(field as usize..).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        Self {
            visits: word(field::VISITS),
            sweeps: word(field::SWEEPS),
            violations: word(field::VIOLATIONS),
            beats: word(field::BEATS),
            clock: word(field::CLOCK),
            gap: word(field::GAP),
            max: word(field::GAP_MAX),
        }
    }
}

/// A report, as in `beat 4 visits 65536 sweeps 4 gap 310 max 312 violations 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Its number.
    pub beat: u64,
    /// Visits in all.
    pub visits: u64,
    /// Sweeps that are done.
    pub sweeps: u64,
    /// The largest gap between two stamps since the report before, in microseconds.
    pub gap: u64,
    /// The largest gap of all, in microseconds.
    pub max: u64,
    /// Violations.
    pub violations: u64,
}

impl Beat {
    /// Reads a line of the serial port. Nothing if it is not a report.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let mut number = |name: &str| {
            let found = words.next()?;
            if found == name { words.next()?.parse().ok() } else { None }
        };
        Some(Self {
            beat: number("beat")?,
            visits: number("visits")?,
            sweeps: number("sweeps")?,
            gap: number("gap")?,
            max: number("max")?,
            violations: number("violations")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_and_nothing_else_is() {
        let beat = Beat { beat: 4, visits: 65, sweeps: 3, gap: 310, max: 312, violations: 0 };
        let line = "beat 4 visits 65 sweeps 3 gap 310 max 312 violations 0";
        assert_eq!(Beat::parse(line), Some(beat));
        assert_eq!(Beat::parse("violation: r14: found 0x0, wanted 0x1"), None);
        assert_eq!(Beat::parse("beat 4 visits 65 sweeps"), None);
    }
}
