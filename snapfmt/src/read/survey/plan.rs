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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::index::{PartRef, Totals};

    fn digest(byte: u8) -> Digest {
        Digest::from_bytes([byte; 32])
    }

    fn part(kind: Kind, offset: u64) -> PartRef {
        PartRef { kind, offset, length: 64, digest: digest(1), record: None }
    }

    fn map(offset: u64) -> MapRef {
        MapRef { offset, length: 64, gpa: 0, extents: 1, digest: digest(2) }
    }

    fn table(offsets: &[u64]) -> MapTable {
        let entry = |&offset: &u64| MapEntry {
            gpa: offset,
            offset,
            length: 64,
            size: 64 << 10,
            data_pages: 1,
            zero_pages: 0,
            digest: digest(3),
            root: digest(4),
        };
        MapTable { first: 0, entries: offsets.iter().map(entry).collect() }
    }

    /// VM and META, extents from 1000 on, MAP at 1200 and 1400, INDEX at 1600, trailer at 1700.
    fn plan() -> Plan {
        let mut plan = Plan::default();
        let root = digest(5);
        plan.trailer(1700, Trailer { index_at: 1600, index_len: 100, size: 1828, root });
        plan.index(&Index {
            header: digest(0),
            content: digest(0),
            memory_root: digest(0),
            delta: None,
            totals: Totals::default(),
            parts: vec![part(Kind::Vm, 500), part(Kind::Meta, 564)],
            // Whatever order they are listed in.
            maps: vec![map(1400), map(1200)],
        });
        plan
    }

    fn at(plan: &Plan, offset: u64) -> Option<(u64, u64, Section, Digest)> {
        plan.at(offset).map(|place| (place.at, place.end, place.section, place.digest))
    }

    #[test]
    fn what_is_listed_is_known_at_its_first_byte_and_at_no_other() {
        let mut plan = plan();
        plan.load(1200, Some(table(&[1000, 1064])));
        let listed = |at, kind, byte| Some((at, at + 64, Section::Part(kind), digest(byte)));
        assert_eq!(at(&plan, 500), listed(500, Kind::Vm, 1));
        assert_eq!(at(&plan, 564), listed(564, Kind::Meta, 1));
        assert_eq!(at(&plan, 1200), listed(1200, Kind::Map, 2));
        assert_eq!(at(&plan, 1400), listed(1400, Kind::Map, 2));
        assert_eq!(at(&plan, 1600), Some((1600, 1700, Section::Part(Kind::Index), digest(5))));
        for gpa in [1000, 1064] {
            assert_eq!(at(&plan, gpa), Some((gpa, gpa + 64, Section::Extent { gpa }, digest(3))));
        }
        for between in [0, 499, 501, 563, 565, 999, 1001, 1063, 1065, 1128, 1700, 9999] {
            assert_eq!(at(&plan, between), None, "{between}");
        }
    }

    #[test]
    fn the_next_thing_is_the_nearest_of_all_that_is_listed() {
        let mut plan = plan();
        let next = |plan: &Plan, all: &[(u64, u64)]| {
            for &(at, next) in all {
                assert_eq!(plan.next(at), Some(next), "{at}");
            }
        };
        next(&plan, &[(0, 500), (499, 500), (500, 564), (564, 1200), (1200, 1400), (1400, 1600)]);
        next(&plan, &[(1600, 1700), (1699, 1700)]);
        assert_eq!(plan.next(1700), None);
        plan.load(1200, Some(table(&[1000, 1064])));
        next(&plan, &[(564, 1000), (999, 1000), (1000, 1064), (1064, 1200)]);
        plan.load(1400, None);
        next(&plan, &[(564, 1200)]);
        assert_eq!(Plan::default().next(0), None);
    }

    #[test]
    fn a_table_is_wanted_once_by_what_lies_before_it() {
        let mut plan = plan();
        assert_eq!(plan.trailer_at(), Some(1700));
        assert_eq!((plan.map_to_load(0), plan.map_to_load(1199)), (Some(1200), Some(1200)));
        assert_eq!((plan.map_to_load(1200), plan.map_to_load(1399)), (Some(1400), Some(1400)));
        assert_eq!((plan.map_to_load(1400), plan.map_to_load(9999)), (None, None));
        // A damaged one is not read again.
        plan.load(1200, None);
        assert_eq!((plan.map_to_load(1000), plan.map_to_load(1200)), (None, Some(1400)));
        plan.load(1400, Some(table(&[1264])));
        assert_eq!((plan.map_to_load(1264), plan.map_to_load(1000)), (None, Some(1200)));
    }
}
