//! What states the files of a chain are of, by their frames and lists alone (§6.2.8): no page is
//! read.

use super::{Chain, ChainError, Link};
use crate::digest::Digest;
use crate::limits;
use crate::memory::area::{Area, Areas};
use crate::memory::tree::{Rest, RootBuilder, leaves_root};
use crate::part::extent::Named;
use crate::part::map::MapEntry;
use crate::read::seek::{ReadAt, ReadError};

impl<S: ReadAt> Chain<S> {
    /// `content` of each file, in the order of the chain: the leaves that all files up to it say
    /// make the memory root that it states. So a chain that does not fit is known before a page of
    /// it is read. That the pages have these leaves is for [`check`](Self::check) to see.
    ///
    /// # Errors
    /// What is wrong, and with which file.
    pub fn contents(&self) -> Result<Vec<Digest>, ChainError> {
        let tree = |link: &Link<S>| RootBuilder::new(link.quick.vm().memory.clone());
        let mut trees: Vec<_> = self.links().map(tree).collect();
        let lists = (0..self.count()).map(|link| self.entries(link));
        for area in Areas::new(lists, limits::EXTENT_MIN) {
            self.add(&area?, &mut trees)?;
        }
        let ends = self.links().zip(trees).enumerate().map(|(number, (link, tree))| {
            let index = link.seeker.index();
            let root = tree.finish();
            link.same("memory_root", &index.memory_root, &root, "§7.1.3")
                .map_err(|error| ChainError { link: number, error })?;
            // The quick check found that it follows from this root.
            Ok(index.content)
        });
        ends.collect()
    }

    /// Adds an area to the tree of each state.
    fn add(&self, area: &Area<MapEntry>, trees: &mut [RootBuilder]) -> Result<(), ChainError> {
        let count = usize::try_from(area.size / limits::PAGE as u64).unwrap_or(0);
        let mut leaves: Vec<Option<Digest>> = vec![None; count];
        let mut root: Option<Digest> = None;
        let mut pieces = area.pieces.iter().peekable();
        for (number, (link, tree)) in self.links().zip(trees).enumerate() {
            while let Some((_, entry)) = pieces.next_if(|(of, _)| *of == number) {
                let added = link.put_leaves(entry, area.gpa, &mut leaves);
                added.map_err(|error| ChainError { link: number, error })?;
                root = None;
            }
            let map = &link.quick.vm().memory;
            let root = root.get_or_insert_with(|| {
                let named = leaves.iter().enumerate();
                let named = named.filter_map(|(index, leaf)| Some((index, (*leaf)?)));
                leaves_root(map, Rest::Zero, area.gpa, area.size, named)
            });
            tree.block(area.gpa, area.size, *root);
        }
        Ok(())
    }
}

impl<S: ReadAt> Link<S> {
    fn put_leaves(
        &self,
        entry: &MapEntry,
        gpa: u64,
        leaves: &mut [Option<Digest>],
    ) -> Result<(), ReadError> {
        let head = self.seeker.head(&self.quick, entry)?;
        let first = entry.gpa.saturating_sub(gpa) / limits::PAGE as u64;
        let places = leaves.iter_mut().skip(usize::try_from(first).unwrap_or(usize::MAX));
        for (place, named) in places.zip(head.named()) {
            match named {
                Named::Data(leaf) => *place = Some(leaf),
                Named::Zero => *place = None,
                Named::Not => {}
            }
        }
        Ok(())
    }
}
