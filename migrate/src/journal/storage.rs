//! What a journal asks of a disk, step by step, so that tests can fail and stop at each.

use std::io;

/// A place that keeps the bytes of one journal.
///
/// The steps are apart because each has its own way to fail, and a crash can come between any two.
pub trait Storage {
    /// All bytes, none if there is no journal yet. May stop after `limit` + 1 bytes.
    ///
    /// # Errors
    /// If they cannot be read.
    fn read(&mut self, limit: usize) -> io::Result<Vec<u8>>;

    /// Puts `bytes` at offset `at`; not durable yet.
    ///
    /// # Errors
    /// If not all of them could be written.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// If it may not be; what was written is then in doubt for ever, and a later success says
    /// nothing about it.
    fn sync(&mut self) -> io::Result<()>;

    /// Makes the name of the journal durable.
    ///
    /// # Errors
    /// If it may not be.
    fn sync_dir(&mut self) -> io::Result<()>;
}

impl<S: Storage + ?Sized> Storage for Box<S> {
    fn read(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        (**self).read(limit)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write(at, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        (**self).sync_dir()
    }
}

impl<S: Storage + ?Sized> Storage for &mut S {
    fn read(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        (**self).read(limit)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write(at, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        (**self).sync_dir()
    }
}
