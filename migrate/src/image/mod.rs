//! What a target holds of a VM: a directory with its RAM and, at the end, its device state.
//!
//! ```text
//! dir      names of files, and what each means
//! ram      the RAM file
//! table    the leaf of each page that is held
//! workers  threads: check an extent, write its pages
//! state    device state: gathered, judged, cleared
//! again    all of it, read and judged again by another process
//! ```
//! No page is written before its extent was checked, and nothing of the state before every rule
//! was asked. What is held is known by reading it: [`Image::open`] hashes what an earlier process
//! left, and believes no note about it (§6.3).
//!
//! It does not know who owns the VM. Its driver does what the machines of [`crate::core`] say.

mod again;
mod dir;
mod ram;
mod state;
mod table;
mod workers;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use snapfmt::Digest;
use snapfmt::bhyve::RamLayout;
use snapfmt::limits::PAGE;
use snapfmt::memory::block::Block;
use snapfmt::memory::tree::leaf;
use snapfmt::part::device::RecordId;
use snapfmt::part::extent::Head;
use snapfmt::part::vm::Vm;
use snapfmt::state::gate::Policy;
use snapfmt::state::rules::HostFacts;
use snaptool::input::Input;
use snaptool::pipeline;
use snaptool::ram::{Holes, places};
use snaptool::signal::Stop;

pub use self::again::verify;
pub use self::dir::Dir;
use self::dir::cannot;
use self::ram::Ram;
use self::state::{Gathered, Kept};
use self::table::Table;
use self::workers::{Shared, Workers, Written};
use crate::core::{Blocks, Code, hinted, trouble};
use crate::identity::{Epoch, Session};
use crate::note::Note;
use crate::regular;
use crate::stream::message::Trouble;
use crate::stream::part::Arrived;

/// Bytes of the blocks whose roots are told to the source. A block that was on its way when a
/// connection was cut is sent again whole.
pub const BLOCK: u64 = 1 << 20;

/// How a target keeps what it is given.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that check and write.
    pub threads: usize,
    /// Throw away what another session has left unfinished.
    pub discard: bool,
    /// What a person takes responsibility for.
    pub policy: Policy,
    /// The facts of this host, for rules that need them.
    pub host: Option<HostFacts>,
    /// Asked by long work.
    pub stop: Stop,
}

/// A VM on its way in.
#[derive(Debug)]
pub struct Image {
    dir: Dir,
    note: Note,
    vm: Vm,
    options: Options,
    shared: Arc<Shared>,
    workers: Workers,
    table: Table,
    /// Where the next extent of this round may begin.
    next: u64,
    applied: (u64, u64),
    /// The first thing that went wrong: what is held is not known any more.
    failed: Option<Trouble>,
    gathered: Gathered,
    kept: Option<Kept>,
}

impl Image {
    /// Opens what `dir` holds of this machine, or begins with all zero, and notes the session. All
    /// that is held is read and hashed.
    ///
    /// # Errors
    /// `session` if it holds something else that is unfinished, or is not ours; `room`; trouble
    /// with files.
    pub fn open(
        dir: &Path,
        vm: &Vm,
        session: Option<(Session, Epoch)>,
        options: Options,
    ) -> Result<Self, Trouble> {
        let dir = Dir::open(dir)?;
        let layout = RamLayout::new(vm.memory.size());
        let segments = layout.segments().map(|segment| (segment.gpa, segment.len));
        let memory = vm.memory.segments().iter().map(|s| (s.gpa, s.len));
        if !segments.eq(memory) {
            let words = "the machine's memory does not lie as bhyve lays it out";
            return Err(trouble(Code::State, words));
        }
        let note = Note { session, vm: vm.clone(), peer: None, doubtful: false };
        let note = make_way(&dir, note, options.discard)?;
        let mut options_of_file = File::options();
        options_of_file.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = regular::open(&mut options_of_file, &dir.ram());
        let file = file.map_err(|error| cannot("open", &dir.ram(), &error))?;
        let is_new = file.metadata().is_ok_and(|data| data.len() == 0);
        let sized = file.set_len(vm.memory.size());
        sized.map_err(|error| cannot("make room in", &dir.ram(), &error))?;
        dir.sync()?;
        let shared = Shared { ram: Ram { file, layout }, map: vm.memory.clone() };
        let rewritten = note.doubtful.then_some(&shared.ram);
        let table = if is_new { empty(vm)? } else { held(&dir, vm, &options, rewritten)? };
        let shared = Arc::new(shared);
        let workers = Workers::start(options.threads, &shared)?;
        let (vm, gathered) = (vm.clone(), Gathered::default());
        let (failed, kept, applied) = (None, None, (0, 0));
        Ok(Self {
            dir,
            note,
            vm,
            options,
            shared,
            workers,
            table,
            next: 0,
            applied,
            failed,
            gathered,
            kept,
        })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The root of all memory that is held, and its blocks, if it is not all zero.
    pub fn held(&mut self) -> (Digest, Option<Blocks>) {
        (self.table.root(), self.table.blocks(BLOCK))
    }

    /// Has an extent checked, and its pages written. Errors come later: from
    /// [`end_round`](Self::end_round) at the latest.
    ///
    /// # Errors
    /// What went wrong with this or an earlier one.
    pub fn apply(&mut self, part: Arrived) -> Result<(), Trouble> {
        self.intact()?;
        let stored = part.stored();
        let mut written = Vec::new();
        self.workers.give(part, &mut written);
        self.applied.1 = self.applied.1.saturating_add(stored);
        self.take(written)
    }

    /// Parts of this round that are checked and written, and bytes of all that were given.
    #[must_use]
    pub fn applied(&self) -> (u64, u64) {
        self.applied
    }

    /// Waits for all extents, and gives the root of the memory. Another round can follow.
    ///
    /// # Errors
    /// What went wrong.
    pub fn end_round(&mut self) -> Result<Digest, Trouble> {
        self.intact()?;
        let mut written = Vec::new();
        self.workers.rest(&mut written);
        self.take(written)?;
        (self.next, self.applied) = (0, (0, 0));
        Ok(self.table.root())
    }

    /// Takes in what is written by now, also of a round that will not end: the connection is gone,
    /// and what is held is still known.
    ///
    /// # Errors
    /// What went wrong; then what is held has to be read again.
    pub fn settle(&mut self) -> Result<(), Trouble> {
        self.end_round().map(drop)
    }

    fn intact(&self) -> Result<(), Trouble> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn take(&mut self, written: Vec<Written>) -> Result<(), Trouble> {
        for one in written {
            let taken = one.and_then(|head| self.enter(&head));
            if let Err(error) = taken {
                self.failed.get_or_insert(error);
            }
        }
        self.intact()
    }

    fn enter(&mut self, head: &Head) -> Result<(), Trouble> {
        if head.gpa() < self.next {
            let words = format!("an extent at {:#x} comes after the end of it", head.gpa());
            return Err(trouble(Code::Order, words));
        }
        self.next = head.gpa().saturating_add(head.size());
        self.applied.0 += 1;
        for gpa in self.table.take(head) {
            let cleared = self.shared.ram.clear(gpa);
            cleared.map_err(|error| cannot("write", &self.dir.ram(), &error))?;
        }
        Ok(())
    }

    /// Takes a part of the state.
    ///
    /// # Errors
    /// If it is not what its digests say, or has no place in a state.
    pub fn keep(&mut self, part: Arrived) -> Result<(), Trouble> {
        let wrong = |error: snapfmt::Error| trouble(Code::Item, error.to_string());
        let part = part.check().map_err(wrong)?;
        self.gathered.take(part)
    }

    /// Holds the state that has come against itself and all rules that need no memory. It replaces
    /// an earlier one. Gives its records, and what rules warn of.
    ///
    /// # Errors
    /// `state`: what is wrong with it.
    pub fn end_state(&mut self) -> Result<(Vec<RecordId>, Vec<String>), Trouble> {
        let gathered = std::mem::take(&mut self.gathered);
        let Options { host, policy, .. } = &self.options;
        let (kept, warnings) = gathered.finish(&self.vm, host.as_ref(), policy)?;
        Ok((self.kept.insert(kept).ids(), warnings))
    }

    /// Holds the state against all rules, those about memory too, writes `.kern` and `.meta`, and
    /// makes everything durable. `.meta` does not have its name yet.
    ///
    /// # Errors
    /// `state`, `room`, and trouble with files.
    pub fn sync(&mut self) -> Result<(), Trouble> {
        self.intact()?;
        let kept = self.kept.as_ref();
        let kept = kept.ok_or_else(|| trouble(Code::Order, "there is no device state"))?;
        let Options { host, policy, .. } = &self.options;
        let state = kept.clear(&self.shared.ram, &self.vm, host.as_ref(), policy)?;
        let kern = state.records().iter().map(|record| record.bytes());
        write(&self.dir.kern(), kern)?;
        write(&self.dir.held(), [state.meta_text()])?;
        match &kept.config {
            Some(config) => write(&self.dir.config(), [config.text.as_slice()])?,
            None => self.dir.remove(&self.dir.config())?,
        }
        // After a failed sync, memory that reads as written may be on no disk: whoever comes next
        // has to know, and writes it again.
        self.doubt(true)?;
        let synced = self.shared.ram.file.sync_all();
        synced.map_err(|error| cannot("make durable", &self.dir.ram(), &error))?;
        self.dir.sync()?;
        self.doubt(false)
    }

    fn doubt(&mut self, doubtful: bool) -> Result<(), Trouble> {
        self.note.doubtful = doubtful;
        let path = self.dir.session();
        let words = |error| format!("{}: {error}", path.display());
        self.note.write(&path).map_err(|error| trouble(Code::Internal, words(error)))
    }
}

/// Writes a small file anew, durable.
fn write<'a>(path: &Path, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Trouble> {
    let result = || {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = regular::open(&mut options, path)?;
        pieces.into_iter().try_for_each(|piece| file.write_all(piece))?;
        file.sync_all()
    };
    result().map_err(|error| cannot("write", path, &error))
}

/// Sees what the directory holds, and whether this session may go on with it; gives its note.
fn make_way(dir: &Dir, note: Note, discard: bool) -> Result<Note, Trouble> {
    let vm = &note.vm;
    let path = dir.session();
    let unread = |error: crate::note::Error| {
        let words = format!("{}: {error}", path.display());
        let hint = "`--discard` throws away what is held there";
        hinted(Code::Session, words, hint)
    };
    let written =
        |error: crate::note::Error| trouble(Code::Internal, format!("{}: {error}", path.display()));
    if discard {
        dir.destroy()?;
    }
    let before = Note::read(&path).map_err(unread)?;
    let shown = dir.path().display();
    match &before {
        None if dir.has(&dir.ram())? || dir.has(&dir.meta())? || dir.has(&dir.kern())? => {
            let words = format!("{shown} holds a snapshot that no migration put there");
            let hint = "name another directory, or move it away";
            return Err(hinted(Code::Session, words, hint));
        }
        Some(before) if !before.is_of(vm) => {
            let words = format!("{shown} holds another machine: {}", before.vm.name.escape_debug());
            let hint = "name another directory, or throw it away with `--discard`";
            return Err(hinted(Code::Session, words, hint));
        }
        Some(before) if before.session.is_some() && before.session != note.session => {
            let words = format!("{shown} holds an unfinished migration of another session");
            let hint = "finish that, name another directory, or throw it away with `--discard`";
            return Err(hinted(Code::Session, words, hint));
        }
        _ => {}
    }
    // What was complete is not any more, from here on.
    dir.remove(&dir.meta())?;
    dir.remove(&dir.held())?;
    dir.sync()?;
    // It is no less doubtful before all of it is synced.
    let note = Note { doubtful: before.as_ref().is_some_and(|before| before.doubtful), ..note };
    if before.as_ref() != Some(&note) {
        note.write(&path).map_err(written)?;
    }
    Ok(note)
}

/// What is known of memory that is all zero.
fn empty(vm: &Vm) -> Result<Table, Trouble> {
    let words = || trouble(Code::Room, "the machine has more memory than can be kept track of");
    Table::new(vm.memory.clone()).ok_or_else(words)
}

/// Reads and hashes what the RAM file holds, holes too: no file system is asked what it has not
/// written yet. It is written again, if that is wanted.
fn held(dir: &Dir, vm: &Vm, options: &Options, rewritten: Option<&Ram>) -> Result<Table, Trouble> {
    let mut table = empty(vm)?;
    let stop = &options.stop;
    let mut hash = || -> anyhow::Result<()> {
        let file = Input::open(&dir.ram(), stop)?.into_file()?;
        let layout = RamLayout::new(vm.memory.size());
        let work = |bytes: &mut Vec<u8>, place: snaptool::ram::Place| -> anyhow::Result<_> {
            stop.check()?;
            bytes.resize(usize::try_from(place.size)?, 0);
            place.read(&file, bytes)?;
            let block = Block::scan(place.gpa, bytes);
            if let Some(ram) = rewritten {
                // Zeros too: what is on the disk there may be older.
                let pages = (place.gpa..).step_by(PAGE).zip(bytes.chunks_exact(PAGE));
                let mut pages = pages.filter(|(gpa, _)| vm.memory.contains(*gpa));
                pages.try_for_each(|(gpa, page)| ram.write(gpa, page))?;
            }
            let leaves = block.iter().flat_map(Block::iter).map(|(gpa, page)| (gpa, leaf(page)));
            Ok(leaves.collect::<Vec<_>>())
        };
        let take = |leaves: anyhow::Result<Vec<(u64, Digest)>>| {
            for (gpa, leaf) in leaves? {
                table.set(gpa, Some(leaf));
            }
            Ok(())
        };
        let places = places(&file, layout, BLOCK, Holes::Read)?;
        pipeline::in_order(options.threads, work, take, |give| {
            places.into_iter().try_for_each(&mut *give)
        })
    };
    hash().map_err(|error| trouble(Code::Internal, format!("{error:#}")))?;
    Ok(table)
}

/// Whether `dir` holds a machine, for those who ask without opening it.
///
/// # Errors
/// If the note cannot be read.
pub fn note(dir: &Path) -> Result<Option<Note>, crate::note::Error> {
    match fs::symlink_metadata(dir) {
        Ok(_) => Note::read(&dir.join("session")),
        Err(_) => Ok(None),
    }
}
