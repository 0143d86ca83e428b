//! An area of the state of a chain, read only as far as it is asked for.

use super::{Chain, ChainError};
use crate::delta::{Leaves, Read, Side};
use crate::digest::Digest;
use crate::limits;
use crate::memory::bitmap::Bitmap;
use crate::memory::block::Block;
use crate::memory::canvas::Canvas;
use crate::memory::tree::{cover_root, zero_leaf};
use crate::part::extent::Named;
use crate::part::map::MapEntry;
use crate::read::seek::ReadAt;

/// An area of the newest state of a chain, to be compared with the same area of another state.
///
/// What it gives has matched the digests of maps, heads and pages that it comes from. That all of
/// the state was read, and makes its memory root, is for [`Chain::check`] to say: nothing is
/// restored or joined from here.
pub struct StoredArea<'a, S> {
    chain: &'a Chain<S>,
    gpa: u64,
    size: u64,
    pieces: Vec<(usize, MapEntry)>,
}

impl<S: ReadAt> Chain<S> {
    /// The area of `size` bytes at `gpa` in which the files list `pieces`: all of them, each with
    /// the number of its file, in the order of the files.
    pub fn area(&self, gpa: u64, size: u64, pieces: Vec<(usize, MapEntry)>) -> StoredArea<'_, S> {
        StoredArea { chain: self, gpa, size, pieces }
    }
}

impl<S: ReadAt> StoredArea<'_, S> {
    fn wrong(link: usize) -> impl Fn(crate::read::ReadError) -> ChainError {
        move |error| ChainError { link, error }
    }
}

impl<S: ReadAt> Side for StoredArea<'_, S> {
    type Error = ChainError;

    fn root(&mut self) -> Result<Option<Digest>, ChainError> {
        let full = self.pieces.iter().all(|(link, _)| *link == 0);
        let blocks = self.pieces.iter().map(|(_, e)| (e.gpa, u64::from(e.size), e.root));
        Ok(full.then(|| cover_root(&self.chain.vm().memory, self.gpa, self.size, blocks)))
    }

    fn leaves(&mut self) -> Result<Leaves, ChainError> {
        let count = usize::try_from(self.size / limits::PAGE as u64).unwrap_or(0);
        // What a newer file says stands.
        let mut known: Vec<Option<Option<Digest>>> = vec![None; count];
        for (link, entry) in self.pieces.iter().rev() {
            let first = (entry.gpa.saturating_sub(self.gpa)) / limits::PAGE as u64;
            let first = usize::try_from(first).unwrap_or(usize::MAX);
            let of_entry = usize::try_from(entry.size).unwrap_or(0) / limits::PAGE;
            let range = first..first.saturating_add(of_entry);
            let Some(places) = known.get_mut(range) else { continue };
            let Some(file) = self.chain.link(*link) else { continue };
            if places.iter().all(Option::is_some) {
                continue;
            }
            let head = file.seeker.head(&file.quick, entry).map_err(Self::wrong(*link))?;
            for (place, named) in places.iter_mut().zip(head.named()) {
                match (&place, named) {
                    (Some(_), _) | (None, Named::Not) => {}
                    (None, Named::Zero) => *place = Some(None),
                    (None, Named::Data(leaf)) => {
                        *place = Some(Some(leaf).filter(|leaf| *leaf != zero_leaf()));
                    }
                }
            }
        }
        // In the full file, pages in no extent are zero.
        Ok(known.into_iter().map(Option::flatten).collect())
    }

    fn pages(&mut self, wanted: &[usize]) -> Result<Read, ChainError> {
        if let Some(block) = self.single(wanted)? {
            return Ok(Read::new(block));
        }
        let mut canvas = Canvas::new();
        canvas.clear(self.gpa, self.size);
        for (link, entry) in &self.pieces {
            let Some(file) = self.chain.link(*link) else { continue };
            file.put(entry, &mut canvas).map_err(Self::wrong(*link))?;
        }
        Ok(Read::new(canvas.block()))
    }
}

impl<S: ReadAt> StoredArea<'_, S> {
    /// Only the wanted pages, each checked against its leaf; nothing if that cannot be done,
    /// because a delta changed some.
    fn single(&self, wanted: &[usize]) -> Result<Option<Block>, ChainError> {
        let mut data = Bitmap::new(usize::try_from(self.size / limits::PAGE as u64).unwrap_or(0));
        let mut pages = Vec::new();
        for (link, entry) in &self.pieces {
            let Some(file) = self.chain.link(*link).filter(|_| *link == 0) else { return Ok(None) };
            let first = entry.gpa.saturating_sub(self.gpa) / limits::PAGE as u64;
            let first = usize::try_from(first).unwrap_or(usize::MAX);
            let last = usize::try_from(entry.size).unwrap_or(0) / limits::PAGE;
            let inside = wanted.iter().filter_map(|index| index.checked_sub(first));
            let inside: Vec<_> = inside.filter(|index| *index < last).collect();
            if inside.is_empty() {
                continue;
            }
            let read =
                file.seeker.pages(&file.quick, entry, &inside).map_err(Self::wrong(*link))?;
            for (index, page) in read {
                data.set(first.saturating_add(index));
                pages.extend(page);
            }
        }
        Ok(Some(Block { gpa: self.gpa, size: self.size, data, pages }))
    }
}
