//! The disk of one host: what is written is in the system's cache, what is synced is on the disk,
//! and a crash or a failed sync does to the rest what real ones do.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use migrate::journal::Storage;

use crate::rng::Rng;

/// What a host keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    Journal,
    /// Which session, of which machine; always whole: it is written beside and renamed.
    Note,
    Ram,
    State,
}

/// One file.
#[derive(Clone, Debug, Default)]
struct Store {
    cache: Vec<u8>,
    durable: Vec<u8>,
    /// What was written and not synced since: where, and how much.
    dirty: Vec<(usize, usize)>,
}

impl Store {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.cache.len() < end {
            self.cache.resize(end, 0);
        }
        self.cache[at..end].copy_from_slice(bytes);
        self.dirty.push((at, bytes.len()));
    }

    /// The first `len` bytes of a dirty range reach the disk.
    fn reach(&mut self, at: usize, len: usize, grown: usize) {
        if self.durable.len() < at + len.max(grown) {
            self.durable.resize(at + len.max(grown), 0);
        }
        self.durable[at..at + len].copy_from_slice(&self.cache[at..at + len]);
    }

    fn sync(&mut self) {
        for (at, len) in std::mem::take(&mut self.dirty) {
            self.reach(at, len, len);
        }
    }

    /// What is dirty is lost, or not, or torn, each range by itself.
    fn tear(&mut self, rng: &mut Rng, whole: bool) {
        for (at, len) in std::mem::take(&mut self.dirty) {
            match rng.below(3) {
                0 => {}
                1 if !whole => {
                    let reached = rng.index(len + 1);
                    let grown = if rng.chance(50) { len } else { reached };
                    self.reach(at, reached, grown);
                }
                _ => self.reach(at, len, len),
            }
        }
    }
}

/// The disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    journal: Store,
    note: Store,
    ram: Store,
    state: Store,
    /// Nothing more fits, for memory and state.
    pub(crate) full: bool,
    /// After so many calls the process dies, within the call.
    pub(crate) dies_in: Option<u64>,
    /// After so many good syncs, one fails.
    pub(crate) fails_sync_in: Option<u64>,
    /// The process has died in a call.
    pub(crate) died: bool,
    /// So many calls have failed.
    pub(crate) failed: u64,
    /// Half of the calls in which a process dies have done their work.
    coin: bool,
}

/// The disk, as processes of its host share it.
pub(crate) type Shared = Rc<RefCell<Disk>>;

impl Disk {
    fn store(&mut self, file: File) -> &mut Store {
        match file {
            File::Journal => &mut self.journal,
            File::Note => &mut self.note,
            File::Ram => &mut self.ram,
            File::State => &mut self.state,
        }
    }

    /// What a process that reads now would see.
    pub(crate) fn seen(&self, file: File) -> &[u8] {
        match file {
            File::Journal => &self.journal.cache,
            File::Note => &self.note.cache,
            File::Ram => &self.ram.cache,
            File::State => &self.state.cache,
        }
    }

    /// What is left after a loss of power.
    pub(crate) fn durable(&self, file: File) -> &[u8] {
        match file {
            File::Journal => &self.journal.durable,
            File::Note => &self.note.durable,
            File::Ram => &self.ram.durable,
            File::State => &self.state.durable,
        }
    }

    /// The file is this from the beginning, durable.
    pub(crate) fn put(&mut self, file: File, bytes: &[u8]) {
        *self.store(file) =
            Store { cache: bytes.to_vec(), durable: bytes.to_vec(), dirty: Vec::new() };
    }

    /// Whether the process survives the call.
    fn call(&mut self) -> io::Result<()> {
        if self.died {
            return Err(io::Error::other("the process died"));
        }
        match &mut self.dies_in {
            Some(0) => {
                self.dies_in = None;
                self.died = true;
                self.failed += 1;
                self.coin = !self.coin;
                Err(io::Error::other("the process dies"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(crate) fn write(&mut self, file: File, at: usize, bytes: &[u8]) -> io::Result<()> {
        let was_dead = self.died;
        let called = self.call();
        if self.full && matches!(file, File::Ram | File::State) {
            self.failed += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        if called.is_ok() || !was_dead && self.coin {
            self.store(file).write(at, bytes);
        }
        called
    }

    pub(crate) fn sync(&mut self, file: File) -> io::Result<()> {
        let was_dead = self.died;
        let called = self.call();
        if called.is_err() {
            if !was_dead && self.coin {
                self.store(file).sync();
            }
            return called;
        }
        match &mut self.fails_sync_in {
            Some(0) => {
                self.fails_sync_in = None;
                self.failed += 1;
                // As Linux and others do: the bytes stay in the cache and count as written.
                self.store(file).dirty.clear();
                Err(io::Error::other("the disk refused a block"))
            }
            Some(left) => {
                *left -= 1;
                self.store(file).sync();
                Ok(())
            }
            None => {
                self.store(file).sync();
                Ok(())
            }
        }
    }

    /// The process is gone; the system and its cache are not.
    pub(crate) fn process_died(&mut self) {
        (self.died, self.dies_in) = (false, None);
    }

    /// The host is gone.
    pub(crate) fn power_off(&mut self, rng: &mut Rng) {
        self.process_died();
        // A record lies within one sector, and only one is ever dirty (§5.4.2).
        for file in [File::Journal, File::Note, File::Ram, File::State] {
            let store = self.store(file);
            store.tear(rng, file == File::Note);
            store.cache.clone_from(&store.durable);
        }
    }
}

/// The journal on the disk.
#[derive(Clone, Debug)]
pub(crate) struct JournalFile {
    pub(crate) disk: Shared,
    /// Whether a sync is one.
    pub(crate) syncs: bool,
}

impl Storage for JournalFile {
    fn read(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let disk = self.disk.borrow();
        Ok(disk.seen(File::Journal).iter().copied().take(limit.saturating_add(1)).collect())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.borrow_mut().write(File::Journal, at as usize, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.syncs { self.disk.borrow_mut().sync(File::Journal) } else { Ok(()) }
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        Ok(())
    }
}
