//! What should be where, as far as trailer, INDEX and MAP parts are intact.

use crate::digest::Digest;
use crate::error::Section;
use crate::layout::kind::Kind;
use crate::layout::trailer::Trailer;
use crate::part::index::{Index, MapRef};
use crate::part::map::{MapEntry, MapTable};

/// A part that is listed.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) end: u64,
    pub(super) section: Section,
    pub(super) digest: Digest,
}

/// All that is listed. Nothing in it was compared with what it lists.
#[derive(Default)]
pub(super) struct Plan {
    trailer: Option<(u64, Trailer)>,
    parts: Vec<Place>,
    maps: Vec<MapRef>,
    /// The table of the MAP part at an offset; nothing if that part is damaged.
    table: Option<(u64, Option<MapTable>)>,
}

impl Plan {
    /// Takes note of the trailer at `at`.
    pub(super) fn trailer(&mut self, at: u64, trailer: Trailer) {
        let section = Section::Part(Kind::Index);
        self.parts.push(Place { at: trailer.index_at, end: at, section, digest: trailer.root });
        self.trailer = Some((at, trailer));
    }

    pub(super) fn index(&mut self, index: &Index) {
        self.parts.extend(index.parts.iter().map(|part| Place {
            at: part.offset,
            end: part.offset.saturating_add(part.length),
            section: part.record.as_ref().map_or(Section::Part(part.kind), |id| id.place()),
            digest: part.digest,
        }));
        self.parts.extend(index.maps.iter().map(|map| Place {
            at: map.offset,
            end: map.offset.saturating_add(map.length),
            section: Section::Part(Kind::Map),
            digest: map.digest,
        }));
        self.parts.sort_by_key(|place| place.at);
        self.maps.clone_from(&index.maps);
        self.maps.sort_by_key(|map| map.offset);
    }

    pub(super) fn trailer_at(&self) -> Option<u64> {
        self.trailer.as_ref().map(|(at, _)| *at)
    }

    /// The MAP part that lists the extents at `at`, if it has not been loaded.
    pub(super) fn map_to_load(&self, at: u64) -> Option<u64> {
        let index = self.maps.partition_point(|map| map.offset <= at);
        let offset = self.maps.get(index)?.offset;
        (self.table.as_ref().map(|(loaded, _)| *loaded) != Some(offset)).then_some(offset)
    }

    pub(super) fn load(&mut self, offset: u64, table: Option<MapTable>) {
        self.table = Some((offset, table));
    }

    /// What is listed at exactly `at`.
    pub(super) fn at(&self, at: u64) -> Option<Place> {
        let index = self.parts.partition_point(|place| place.at < at);
        let part = self.parts.get(index).filter(|place| place.at == at).cloned();
        part.or_else(|| {
            let entries = self.entries();
            let index = entries.partition_point(|entry| entry.offset < at);
            entries.get(index).filter(|entry| entry.offset == at).map(place)
        })
    }

    /// Where the first thing begins that is listed above `at`.
    pub(super) fn next(&self, at: u64) -> Option<u64> {
        let part = self.parts.get(self.parts.partition_point(|place| place.at <= at));
        let entries = self.entries();
        let entry = entries.get(entries.partition_point(|entry| entry.offset <= at));
        [part.map(|place| place.at), entry.map(|entry| entry.offset), self.trailer_at()]
            .into_iter()
            .flatten()
            .filter(|&next| next > at)
            .min()
    }

    /// Ascending by address; by offset too, or the file is not one that a writer wrote.
    fn entries(&self) -> &[MapEntry] {
        match &self.table {
            Some((_, Some(table))) => &table.entries,
            _ => &[],
        }
    }
}

fn place(entry: &MapEntry) -> Place {
    Place {
        at: entry.offset,
        end: entry.offset.saturating_add(entry.length),
        section: Section::Extent { gpa: entry.gpa },
        digest: entry.digest,
    }
}
