//! A disk in memory: what is written is in the system's cache, what is synced is on the disk, and a
//! crash or a failed sync does to the rest what real ones do.

use std::io;

use migrate::journal::Storage;

/// What the journal asked for, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Write,
    Sync,
    SyncDir,
}

/// What a crash leaves of bytes that were written and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    /// So many of them reached the disk.
    pub(crate) reached: usize,
    /// The file already has its new length, with zeros where nothing reached it.
    pub(crate) grown: bool,
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    durable: Vec<u8>,
    cache: Vec<u8>,
    /// What was written and not synced since: where, and how much.
    dirty: Vec<(usize, usize)>,
    pub(crate) calls: Vec<Call>,
    /// The call with this number fails, and all after it: the process is as good as dead. A write
    /// that fails has put its bytes into the cache all the same.
    pub(crate) dies_at: Option<usize>,
    /// After so many good syncs, one fails.
    pub(crate) fails_sync_in: Option<usize>,
    /// Every sync of the directory fails.
    pub(crate) fails_sync_dir: bool,
}

impl Disk {
    pub(crate) fn with(bytes: &[u8]) -> Self {
        Self { durable: bytes.to_vec(), cache: bytes.to_vec(), ..Self::default() }
    }

    /// What a process that begins now would read.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.cache
    }

    /// The process is gone; the system and its cache are not.
    pub(crate) fn process_died(&mut self) {
        self.dies_at = None;
        self.calls.clear();
    }

    /// The host is gone.
    pub(crate) fn host_died(&mut self, torn: Torn) {
        let mut left = torn.reached;
        for (at, len) in std::mem::take(&mut self.dirty) {
            let reached = len.min(left);
            left -= reached;
            let wanted = at + if torn.grown { len } else { reached };
            if self.durable.len() < wanted {
                self.durable.resize(wanted, 0);
            }
            self.durable[at..at + reached].copy_from_slice(&self.cache[at..at + reached]);
        }
        self.cache = self.durable.clone();
        self.process_died();
    }

    fn call(&mut self, call: Call) -> io::Result<()> {
        self.calls.push(call);
        match self.dies_at {
            Some(at) if self.calls.len() > at => Err(io::Error::other("the process died")),
            _ => Ok(()),
        }
    }
}

impl Storage for Disk {
    fn read(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        self.call(Call::Read)?;
        Ok(self.cache.iter().copied().take(limit.saturating_add(1)).collect())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let alive = self.calls.len() < self.dies_at.unwrap_or(usize::MAX);
        let called = self.call(Call::Write);
        let dying = called.is_err() && self.dies_at == Some(self.calls.len() - 1);
        if alive || dying {
            let at = usize::try_from(at).unwrap();
            if self.cache.len() < at + bytes.len() {
                self.cache.resize(at + bytes.len(), 0);
            }
            self.cache[at..at + bytes.len()].copy_from_slice(bytes);
            self.dirty.push((at, bytes.len()));
        }
        called
    }

    fn sync(&mut self) -> io::Result<()> {
        self.call(Call::Sync)?;
        let dirty = std::mem::take(&mut self.dirty);
        let fails = self.fails_sync_in == Some(0);
        self.fails_sync_in = self.fails_sync_in.and_then(|left| left.checked_sub(1));
        if fails {
            // As Linux and others do: the bytes stay in the cache and count as written.
            return Err(io::Error::other("the disk refused a block"));
        }
        for (at, len) in dirty {
            if self.durable.len() < at + len {
                self.durable.resize(at + len, 0);
            }
            self.durable[at..at + len].copy_from_slice(&self.cache[at..at + len]);
        }
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.call(Call::SyncDir)?;
        if self.fails_sync_dir {
            return Err(io::Error::other("the disk refused a block"));
        }
        Ok(())
    }
}
