//! Bounds what a survey does more than once. Bytes that were read as one part are read again where
//! another part may begin within it, and a guest decides what its RAM holds: frames by the thousand
//! that claim the same megabytes, and payloads of a few bytes that decode to megabytes.

use crate::error::Fault;
use crate::limits;

/// How often the bytes of a file may be read again, all searches together.
const AGAIN: u64 = 4;

/// How often the memory of a machine may be decoded from parts that were found by searching.
const DECODED: u64 = 2;

const READ: &str = "the number of bytes to read again in search of parts";
const DECODE: &str = "the number of bytes to decode in search of parts";

/// What was done so far.
pub(super) struct Effort {
    size: u64,
    /// Bytes that were read more than once.
    again: u64,
    /// No byte from here on was read as part of a body.
    fresh: u64,
    /// Bytes of records.
    records: u64,
    /// Bytes of extents that were found by searching.
    extents: u64,
}

impl Effort {
    /// That of a file of `size` bytes.
    pub(super) fn new(size: u64) -> Self {
        Self { size, again: 0, fresh: 0, records: 0, extents: 0 }
    }

    /// Whether the body of a part may be read. Bytes that no body had before always may.
    pub(super) fn body(&mut self, from: u64, to: u64) -> Result<(), Fault> {
        self.twice(to.min(self.fresh).saturating_sub(from))?;
        self.fresh = self.fresh.max(to);
        Ok(())
    }

    /// Whether `len` bytes may be read that are to be read once more later.
    pub(super) fn twice(&mut self, len: u64) -> Result<(), Fault> {
        let (found, limit) = (self.again.saturating_add(len), self.size.saturating_mul(AGAIN));
        if found > limit {
            return Err(Fault::OverLimit { what: READ, found, limit });
        }
        self.again = found;
        Ok(())
    }

    /// Whether one more record may be decoded.
    pub(super) fn record(&self) -> Result<(), Fault> {
        let (found, limit) = (self.records, limits::RECORDS_TOTAL);
        if found > limit {
            return Err(Fault::OverLimit { what: "the size of all records", found, limit });
        }
        Ok(())
    }

    /// Takes note of a record, or of one that is broken and may have had any size.
    pub(super) fn decoded_record(&mut self, size: Option<u64>) {
        self.records = self.records.saturating_add(size.unwrap_or(limits::RECORD));
    }

    /// Whether one more extent that was found by searching may be decoded, of a machine with so
    /// much memory.
    pub(super) fn extent(&self, memory: u64) -> Result<(), Fault> {
        let (found, limit) = (self.extents, memory.saturating_mul(DECODED));
        if found > limit {
            return Err(Fault::OverLimit { what: DECODE, found, limit });
        }
        Ok(())
    }

    /// Takes note of an extent, or of one that is broken and may have had any size.
    pub(super) fn decoded_extent(&mut self, size: Option<u64>) {
        self.extents = self.extents.saturating_add(size.unwrap_or(limits::EXTENT_MAX));
    }
}

/// Whether a part was left alone, and says nothing of itself.
pub(super) fn spared(fault: &Fault) -> bool {
    matches!(fault, Fault::OverLimit { what, .. } if [READ, DECODE].contains(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(what: &'static str, found: u64, limit: u64) -> Result<(), Fault> {
        Err(Fault::OverLimit { what, found, limit })
    }

    #[test]
    fn the_bytes_of_a_file_may_be_read_again_four_times_and_the_first_time_is_free() {
        let mut effort = Effort::new(100);
        assert_eq!(effort.body(10, 60), Ok(()));
        assert_eq!(effort.body(60, 100), Ok(()));
        // Ten of these were part of no body.
        assert_eq!(effort.body(0, 100), Ok(()));
        assert_eq!(effort.again, 100);
        assert_eq!(effort.twice(300), Ok(()));
        assert_eq!(effort.twice(0), Ok(()));
        assert_eq!(effort.twice(1), over(READ, 401, 400));
        assert_eq!(effort.body(99, 100), over(READ, 401, 400));
        // What was refused does not count, and new bytes are always free.
        assert_eq!(effort.body(100, 200), Ok(()));
        assert_eq!(effort.body(199, 300), over(READ, 401, 400));
    }

    #[test]
    fn bytes_count_as_read_up_to_the_furthest() {
        let mut effort = Effort::new(100);
        assert_eq!(effort.body(0, 80), Ok(()));
        assert_eq!(effort.body(70, 75), Ok(()));
        assert_eq!(effort.again, 5);
        assert_eq!(effort.body(70, 90), Ok(()));
        assert_eq!(effort.again, 15);
    }

    #[test]
    fn records_are_decoded_until_they_are_more_than_a_file_may_have() {
        let mut effort = Effort::new(0);
        let limit = limits::RECORDS_TOTAL;
        effort.decoded_record(Some(limit));
        assert_eq!(effort.record(), Ok(()));
        effort.decoded_record(Some(1));
        assert_eq!(effort.record(), over("the size of all records", limit + 1, limit));
        let mut effort = Effort::new(0);
        for _ in 0..limit / limits::RECORD {
            effort.decoded_record(None);
        }
        assert_eq!((effort.record(), effort.records), (Ok(()), limit));
    }

    #[test]
    fn found_extents_are_decoded_until_they_are_more_than_twice_the_memory() {
        let mut effort = Effort::new(0);
        let memory = limits::EXTENT_MAX;
        effort.decoded_extent(Some(memory));
        effort.decoded_extent(None);
        assert_eq!(effort.extent(memory), Ok(()));
        effort.decoded_extent(Some(1));
        assert_eq!(effort.extent(memory), over(DECODE, 2 * memory + 1, 2 * memory));
        assert_eq!(effort.extent(memory + 1), Ok(()));
    }

    #[test]
    fn only_what_was_left_alone_is_spared() {
        let fault = |what| Fault::OverLimit { what, found: 2, limit: 1 };
        assert!(spared(&fault(READ)) && spared(&fault(DECODE)));
        assert!(!spared(&fault("the size of all records")) && !spared(&Fault::Padding));
    }
}
