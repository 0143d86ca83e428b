//! The journal of one side: what it promised, kept so that a crash cannot forget it (§5).
//!
//! Appends records and gives them back after a restart. It does not know which record may follow
//! which. A record counts only once [`Journal::append`] has returned; an error of a write or a sync
//! ends this journal for good, since a later sync that succeeds says nothing about what an earlier
//! one lost.

mod file;
mod read;
mod record;
mod storage;

use std::io;

pub use self::file::File;
pub use self::read::{BYTES, Contents, Damage, RECORDS, read};
pub use self::record::{Entry, Evidence, Flaw, Kind, LEN, Record, Role};
pub use self::storage::Storage;

/// What went wrong with a journal. Whoever opened it adds its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[source] io::Error),
    /// It is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A record could not be written.
    #[error("a record could not be written: {0} (§5.5.2)")]
    Write(#[source] io::Error),
    /// A record may not be durable.
    #[error("a record could not be made durable: {0} (§5.5.2)")]
    Sync(#[source] io::Error),
    /// An earlier write or sync failed.
    #[error("an earlier write failed; what is on the disk is known only after a restart (§5.5.2)")]
    Ended,
    /// It is as long as a journal may be.
    #[error("the journal has {RECORDS} records and takes no more (§5.1.3)")]
    Full,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal<S> {
    storage: S,
    count: usize,
    ended: bool,
}

impl<S: Storage> Journal<S> {
    /// Opens a journal and gives its records, all of which are durable by then.
    ///
    /// The last record is written and synced again: after a failed sync, the system's cache may
    /// show bytes that no disk has, and believes them to be written (§5.5.3).
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or its last record cannot be made durable.
    pub fn open(mut storage: S) -> Result<(Self, Contents), Error> {
        let bytes = storage.read(BYTES).map_err(Error::Read)?;
        let contents = read(&bytes)?;
        let count = contents.records.len();
        let mut journal = Self { storage, count, ended: false };
        if let Some(last) = contents.records.last() {
            journal.put(last)?;
        }
        journal.storage.sync_dir().map_err(Error::Sync)?;
        Ok((journal, contents))
    }

    /// Writes one record after the others and makes it durable.
    ///
    /// # Errors
    /// If that failed. The record may or may not be found after a restart; nothing that depends on
    /// it may be done, and this journal takes no other record.
    pub fn append(&mut self, entry: Entry) -> Result<Record, Error> {
        if self.ended {
            return Err(Error::Ended);
        }
        if self.count >= RECORDS {
            return Err(Error::Full);
        }
        let record = Record { sequence: self.count as u64, entry };
        let put = self.put(&record);
        self.ended = put.is_err();
        put?;
        self.count += 1;
        Ok(record)
    }

    fn put(&mut self, record: &Record) -> Result<(), Error> {
        let at = record.sequence.saturating_mul(LEN as u64);
        self.storage.write(at, &record.encode()).map_err(Error::Write)?;
        self.storage.sync().map_err(Error::Sync)
    }
}
