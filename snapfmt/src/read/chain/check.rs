//! The check of a whole chain (§13.4): every byte of every file, and every state from the full one
//! up.

use super::{Chain, ChainError, Link};
use crate::digest::Digest;
use crate::limits;
use crate::memory::area::{Area, Areas};
use crate::memory::block::Block;
use crate::memory::canvas::Canvas;
use crate::memory::tree::RootBuilder;
use crate::part::map::MapEntry;
use crate::read::seek::{ReadAt, ReadError};
use crate::read::verified::Verified;

/// Why a chain was not checked to its end.
#[derive(Debug)]
pub enum CheckError<E> {
    /// A file of it is wrong, or does not belong there.
    Chain(ChainError),
    /// Whoever was given the blocks had enough.
    Taker(E),
}

impl<E> From<ChainError> for CheckError<E> {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

/// What comes together about one file while all are read.
struct Progress {
    /// The tree of its state.
    tree: RootBuilder,
    stored: u64,
}

impl<S: ReadAt> Chain<S> {
    /// Checks everything that [`open`](Self::open) did not: MAP and EXTENT parts of every file,
    /// each page that is stored as a difference against the page of the parent, and the memory root
    /// of every state. Every byte is read once.
    ///
    /// `take` is given the blocks of the newest state that are not all zero, ascending, of `least`
    /// bytes (a power of two of at least 64 KiB) or more, with the leaves and roots of their parts
    /// checked. Only the result says that they make the state that the newest file is of.
    ///
    /// The result has a [`Verified`] for each file, in the order of the chain; nothing of them is
    /// left unsettled.
    ///
    /// # Errors
    /// What is wrong, and with which file; and what `take` says.
    pub fn check<E>(
        &self,
        least: u64,
        mut take: impl FnMut(Block) -> Result<(), E>,
    ) -> Result<Vec<Verified>, CheckError<E>> {
        let start = |link: &Link<S>| {
            let map = link.quick.vm().memory.clone();
            Progress { tree: RootBuilder::new(map), stored: 0 }
        };
        let mut states: Vec<_> = self.links().map(start).collect();
        let lists = (0..self.count()).map(|link| self.entries(link));
        let mut canvas = Canvas::new();
        for area in Areas::new(lists, least.max(limits::EXTENT_MIN)) {
            self.build(&area?, &mut canvas, &mut states)?;
            let block = canvas.block();
            if block.data.count() > 0 {
                take(block).map_err(CheckError::Taker)?;
            }
        }
        let ends = self.links().zip(states).enumerate();
        let ends = ends.map(|(number, (link, state))| {
            let wrong = |error| CheckError::Chain(ChainError { link: number, error });
            let index = link.seeker.index();
            link.same("stored", &index.totals.stored, &state.stored, "§7.1.5").map_err(wrong)?;
            let root = state.tree.finish();
            link.same("memory_root", &index.memory_root, &root, "§7.1.3").map_err(wrong)?;
            Ok(link.seeker.verified(&link.quick))
        });
        ends.collect()
    }

    /// Puts an area together, file by file, and takes note of its root in each state.
    fn build(
        &self,
        area: &Area<MapEntry>,
        canvas: &mut Canvas,
        states: &mut [Progress],
    ) -> Result<(), ChainError> {
        canvas.clear(area.gpa, area.size);
        let mut root: Option<Digest> = None;
        let mut pieces = area.pieces.iter().peekable();
        for (number, (link, state)) in self.links().zip(states).enumerate() {
            while let Some((_, entry)) = pieces.next_if(|(of, _)| *of == number) {
                let stored = link.put(entry, canvas);
                let stored = stored.map_err(|error| ChainError { link: number, error })?;
                state.stored = state.stored.saturating_add(stored);
                root = None;
            }
            // A state in which nothing changed here has the root of the one before it.
            let map = &link.quick.vm().memory;
            let root = root.get_or_insert_with(|| canvas.root(map));
            state.tree.block(area.gpa, area.size, *root);
        }
        Ok(())
    }
}

impl<S: ReadAt> Link<S> {
    /// Reads an extent and puts its pages over those of the state before it, checked. Gives the
    /// bytes that it takes in the file.
    pub(super) fn put(&self, entry: &MapEntry, canvas: &mut Canvas) -> Result<u64, ReadError> {
        if self.seeker.header().parent.is_none() {
            let extent = self.seeker.extent(&self.quick, entry)?;
            for ((gpa, page), leaf) in extent.block.iter().zip(&extent.leaves) {
                canvas.data(gpa, page, *leaf);
            }
            return Ok(extent.stored);
        }
        let extent = self.seeker.delta_extent(&self.quick, entry)?;
        let stored = extent.stored();
        let settled = extent.settle(&mut &*canvas)?;
        let head = settled.head();
        let gpa = |page: usize| head.gpa().saturating_add((page * limits::PAGE) as u64);
        for page in head.zero().into_iter().flat_map(|zero| zero.pages()) {
            canvas.zero(gpa(page));
        }
        for ((page, bytes), leaf) in settled.pages().zip(settled.leaves()) {
            canvas.data(gpa(page), bytes, *leaf);
        }
        Ok(stored)
    }
}
