//! What went by while a file is put together, and the tables over it.

use super::pages::{Pages, bits, leaf};
use super::tree::{Tree, node};
use super::{EXTENT, Hash, INDEX, MAP, Machine, PAGE, Part, State, Tables};
use super::{aligned, bytes, patch, put, sha, value};
use crate::packed::scan;

/// Where a part went, and its frame digest.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) at: u64,
    pub(super) length: u64,
    pub(super) digest: Hash,
}

/// An extent that went by.
pub(super) struct Entry {
    pub(super) bytes: Vec<u8>,
    pub(super) gpa: u64,
    pub(super) size: u64,
    pub(super) data: u64,
    pub(super) zero: u64,
    pub(super) root: Hash,
}

/// All that went by, and what tables say of it.
pub(super) struct Seen<'s> {
    pub(super) header: Hash,
    pub(super) machine: Machine,
    /// Parts that INDEX lists by themselves.
    pub(super) parts: Vec<(u32, Placed, Vec<u8>)>,
    pub(super) extents: Vec<Entry>,
    /// Extents that a MAP part listed.
    pub(super) mapped: usize,
    pub(super) maps: Vec<(Placed, u64, u64)>,
    pub(super) stored: u64,
    pub(super) index: Option<Placed>,
    /// That of the file alone.
    pub(super) tree: Tree,
    pub(super) delta: bool,
    below: Option<&'s State>,
    /// The state as far as extents went by, where it does not take a parent that is not there.
    pub(super) state: Option<State>,
}

impl<'s> Seen<'s> {
    pub(super) fn new(
        header: Hash,
        machine: Machine,
        delta: bool,
        below: Option<&'s State>,
    ) -> Self {
        let (parts, extents, maps) = (Vec::new(), Vec::new(), Vec::new());
        let tree = Tree::new(&machine.segments, delta);
        let state = match (delta, below) {
            (false, _) => Some(State::new()),
            (true, below) => below.cloned(),
        };
        Self {
            header,
            machine,
            parts,
            extents,
            mapped: 0,
            maps,
            stored: 0,
            index: None,
            tree,
            delta,
            below,
            state,
        }
    }

    pub(super) fn append(&mut self, part: &Part, out: &mut Vec<u8>) {
        let at = out.len();
        let tree = part.flags & 1 != 0;
        let payload =
            if tree { self.root(part).unwrap_or_default() } else { sha(&[&part.payload]) };
        out.extend(b"BHYVPART");
        out.extend(part.kind.to_le_bytes());
        out.extend(part.flags.to_le_bytes());
        out.extend((part.nvlist.len() as u32).to_le_bytes());
        out.extend(part.alignment.to_le_bytes());
        out.extend((part.payload.len() as u64).to_le_bytes());
        out.extend(sha(&[&part.nvlist]));
        out.extend(payload);
        let digest = sha(&[&out[at..]]);
        out.extend(digest);
        out.extend(&part.nvlist);
        out.resize(aligned(out.len(), part.alignment), 0);
        out.extend(&part.payload);
        out.resize(out.len().next_multiple_of(64), 0);
        let placed = Placed { at: at as u64, length: (out.len() - at) as u64, digest };
        match part.kind {
            EXTENT => self.extent(part, &placed, tree.then_some(payload)),
            MAP => {
                let first = self.extents.get(self.mapped).map_or(0, |entry| entry.gpa);
                let count = (self.extents.len() - self.mapped) as u64;
                self.mapped = self.extents.len();
                self.maps.push((placed, first, count));
            }
            INDEX => self.index = Some(placed),
            kind => self.parts.push((kind, placed, part.nvlist.clone())),
        }
    }

    fn extent(&mut self, part: &Part, placed: &Placed, root: Option<Hash>) {
        let list = &part.nvlist;
        let (gpa, size) = (value(list, "gpa"), value(list, "size"));
        let stated = || bytes(list, "root").try_into().unwrap_or_default();
        let root = root.unwrap_or_else(stated);
        let (data, zero) = (bits(list, "data"), bits(list, "zero"));
        let mut entry = Vec::new();
        for number in [gpa, placed.at, placed.length] {
            entry.extend(number.to_le_bytes());
        }
        entry.extend((size as u32).to_le_bytes());
        entry.extend((data as u16).to_le_bytes());
        entry.extend((zero as u16).to_le_bytes());
        entry.extend(placed.digest);
        entry.extend(root);
        self.stored += part.payload.len() as u64;
        self.extents.push(Entry { bytes: entry, gpa, size, data, zero, root });
        match (Pages::of(part, self.below), &mut self.state) {
            (Some(pages), Some(state)) => state.apply(pages),
            _ => self.state = None,
        }
    }

    /// The subtree root of the pages of an extent (§6.4.1), if they make sense.
    fn root(&self, part: &Part) -> Option<Hash> {
        let pages = Pages::of(part, self.below)?;
        let uniform = |number| self.tree.uniform(pages.first + number, 0);
        let mut level: Vec<_> = (0..pages.count).map(uniform).collect();
        pages.zero.iter().for_each(|number| level[*number as usize] = leaf(&[0; PAGE]));
        pages.data.iter().for_each(|(number, _, leaf)| level[*number as usize] = *leaf);
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| node(&pair[0], &pair[1])).collect();
        }
        level.first().copied()
    }

    pub(super) fn fix_extent(&self, part: &mut Part) {
        let Some(pages) = Pages::of(part, self.below) else { return };
        patch(&mut part.nvlist, "leaves", &pages.leaves());
        if let Some(root) = self.root(part).filter(|_| part.flags & 1 == 0) {
            patch(&mut part.nvlist, "root", &root);
        }
    }

    pub(super) fn fix_map(&self, part: &mut Part, tables: Tables) {
        let entries = self.extents.iter().skip(self.mapped);
        if tables == Tables::Rebuilt {
            part.payload = entries.clone().flat_map(|entry| entry.bytes.clone()).collect();
            patch(&mut part.nvlist, "first", &(self.mapped as u64).to_le_bytes());
            patch(&mut part.nvlist, "count", &(entries.count() as u64).to_le_bytes());
        } else {
            for (place, entry) in part.payload.chunks_exact_mut(96).zip(entries) {
                place[32..].copy_from_slice(&entry.bytes[32..]);
            }
        }
    }

    pub(super) fn fix_index(&self, part: &mut Part, tables: Tables) {
        if tables == Tables::Rebuilt {
            part.nvlist = self.index_list(&part.nvlist);
            let entry = |(map, gpa, count): &(Placed, u64, u64)| {
                let numbers = [map.at, map.length, *gpa, *count];
                numbers.into_iter().flat_map(u64::to_le_bytes).chain(map.digest).collect::<Vec<_>>()
            };
            part.payload = self.maps.iter().flat_map(entry).collect();
            return;
        }
        for (place, (map, ..)) in part.payload.chunks_exact_mut(64).zip(&self.maps) {
            place[32..].copy_from_slice(&map.digest);
        }
        patch(&mut part.nvlist, "header", &self.header);
        for pair in scan(&part.nvlist) {
            if let ([element], b"digest" | b"sha256") = (&pair.path[..], &pair.name[..])
                && let Some((_, placed, list)) = self.parts.get(*element)
            {
                let record = bytes(list, "sha256");
                let digest = if pair.name == b"digest" { &placed.digest[..] } else { record };
                put(&mut part.nvlist, &pair, digest);
            }
        }
        if tables == Tables::Identities {
            let root = self.memory_root(&part.nvlist);
            patch(&mut part.nvlist, "memory_root", &root);
            patch(&mut part.nvlist, "content", &self.content(&root));
            if self.delta {
                patch(&mut part.nvlist, "delta_root", &self.tree_root());
            }
        }
    }
}
