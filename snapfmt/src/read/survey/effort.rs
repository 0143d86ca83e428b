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
