//! From a journal's bytes to its records: which end is torn, and what is damage (§5.4).
//!
//! Knows nothing of files. A record is written alone and synced before the next one, so a crash can
//! leave at most one record unfinished, at the end; everything else that does not fit is damage,
//! and is never skipped: what comes after a skipped record could contradict it.

use super::record::{END, Flaw, LEN, Record};

/// Records of one journal: far more than the attempts and claims of a VM's life.
pub const RECORDS: usize = 4096;

/// The longest journal that is read, in bytes.
pub const BYTES: usize = RECORDS * LEN;

/// What is wrong with a journal, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A record that was complete is not what was written.
    #[error("damaged at offset {at:#x}: {flaw}")]
    Record {
        /// Where the record begins.
        at: u64,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// More bytes stand after the last good record than one write can have left.
    #[error("damaged at offset {at:#x}: more than one unfinished record stands here (§5.4.3)")]
    Leftover {
        /// Where the first of them begins.
        at: u64,
    },
    /// Longer than any journal of ours.
    #[error("the journal is longer than {BYTES} bytes (§5.1.3)")]
    TooLong,
}

/// What a journal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The records that are whole, in order.
    pub records: Vec<Record>,
    /// How many bytes of a record that was never finished stand after them.
    pub torn: usize,
}

/// Reads a whole journal.
///
/// # Errors
/// If anything but the end of the last write is wrong.
pub fn read(bytes: &[u8]) -> Result<Contents, Damage> {
    if bytes.len() > BYTES {
        return Err(Damage::TooLong);
    }
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk::<LEN>() {
        let at = (records.len() * LEN) as u64;
        match Record::decode(block, records.len() as u64) {
            Ok(record) => records.push(record),
            Err(_) if is_unfinished(block) && after.is_empty() => break,
            Err(_) if is_unfinished(block) => return Err(Damage::Leftover { at }),
            Err(flaw) => return Err(Damage::Record { at, flaw }),
        }
        rest = after;
    }
    Ok(Contents { records, torn: rest.len() })
}

/// A write that did not reach the last byte leaves zeros there. One that did was complete, and what
/// is wrong with it happened later: to take that for unfinished would forget what was promised.
fn is_unfinished(block: &[u8; LEN]) -> bool {
    const { assert!(END != 0) };
    block.last() == Some(&0)
}
