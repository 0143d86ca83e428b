//! The INDEX part: totals, every part but extents and maps, and a table of the maps (§7.1).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::cursor::Cursor;
use crate::digest::Digest;
use crate::error::{Error, Fault, Located};
use crate::layout::PART_ALIGN;
use crate::layout::kind::Kind;
use crate::limits;
use crate::part::device::RecordId;
use crate::part::pairs;
use crate::part::{Encoded, Intact};

/// The length of an entry of the table of maps in bytes.
pub const MAP_REF_LEN: usize = 64;

/// A part that is neither EXTENT, MAP nor INDEX, as INDEX lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRef {
    /// Its type.
    pub kind: Kind,
    /// Where it begins.
    pub offset: u64,
    /// Bytes to the next part.
    pub length: u64,
    /// Its frame digest.
    pub digest: Digest,
    /// The record that it holds; exactly in DEVICE parts.
    pub record: Option<RecordId>,
}

/// A MAP part, as INDEX lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapRef {
    /// Where it begins.
    pub offset: u64,
    /// Bytes to the next part.
    pub length: u64,
    /// The address of its first extent.
    pub gpa: u64,
    /// The number of its extents.
    pub extents: u64,
    /// Its frame digest.
    pub digest: Digest,
}

/// Sums over all extents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Pages that are stored.
    pub pages_data: u64,
    /// Pages of RAM that are zero and not stored; in a delta, those that its extents call zero.
    pub pages_zero: u64,
    /// EXTENT parts.
    pub extents: u64,
    /// Bytes of their payloads.
    pub stored: u64,
}

/// What only the index of a delta has (§13.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeltaTotals {
    /// The root of the memory tree of the file alone, in which inherited pages have their own leaf.
    pub delta_root: Digest,
    /// Pages that are those of the parent.
    pub pages_inherited: u64,
}

/// The top index of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The digest of the header block.
    pub header: Digest,
    /// The identity of the machine state (§8.2).
    pub content: Digest,
    /// The root of the memory tree of the state (§6.4). In a delta it takes the parent to check.
    pub memory_root: Digest,
    /// Sums over all extents.
    pub totals: Totals,
    /// Exactly in a delta.
    pub delta: Option<DeltaTotals>,
    /// All parts but EXTENT, MAP and INDEX, in file order.
    pub parts: Vec<PartRef>,
    /// All MAP parts, in file order.
    pub maps: Vec<MapRef>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairs<'a> {
    header: Digest,
    content: Digest,
    memory_root: Digest,
    pages_data: u64,
    pages_zero: u64,
    delta_root: Option<Digest>,
    pages_inherited: Option<u64>,
    extents: u64,
    stored: u64,
    #[serde(borrow)]
    parts: Vec<PartPairs<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartPairs<'a> {
    #[serde(rename = "type")]
    number: u64,
    offset: u64,
    length: u64,
    digest: Digest,
    section: Option<&'a str>,
    name: Option<&'a str>,
    size: Option<u64>,
    sha256: Option<Digest>,
}

impl Index {
    /// The part for this index.
    ///
    /// # Errors
    /// An index that is longer than its limits.
    pub fn encode(&self) -> Result<Encoded<'static>, Fault> {
        let pairs = Pairs {
            header: self.header,
            content: self.content,
            memory_root: self.memory_root,
            pages_data: self.totals.pages_data,
            pages_zero: self.totals.pages_zero,
            delta_root: self.delta.map(|delta| delta.delta_root),
            pages_inherited: self.delta.map(|delta| delta.pages_inherited),
            extents: self.totals.extents,
            stored: self.totals.stored,
            parts: self.parts.iter().map(PartRef::pairs).collect(),
        };
        let mut payload = Vec::with_capacity(self.maps.len() * MAP_REF_LEN);
        for map in &self.maps {
            map.encode(&mut payload);
        }
        Encoded::new(Kind::Index, &pairs, payload)
    }

    /// Whether what lies at `at` stands after memory, or where memory would be: on that side a tool
    /// keeps it that writes another file of the same state (§4.12).
    #[must_use]
    pub fn is_behind_memory(&self, at: u64) -> bool {
        let record = |part: &PartRef| part.kind == Kind::Device && part.offset < at;
        self.maps.first().is_some_and(|map| map.offset < at) || self.parts.iter().any(record)
    }

    /// Reads the part. Whether it agrees with what it lists is for the readers to see.
    ///
    /// # Errors
    /// A breach of §7.1.
    pub fn open(part: &Intact) -> Result<Self, Error> {
        let index = Self::from_nvlist(part.nvlist()).map_err(|fault| part.wrong(fault))?;
        let payload = part.payload();
        if !payload.len().is_multiple_of(MAP_REF_LEN) {
            let found = payload.len().to_string();
            let (what, must) = ("the size of the payload", "it is 64 bytes for each MAP part");
            return Err(part.wrong_payload(Fault::Value { what, found, must, rule: "§7.1.7" }));
        }
        let mut cursor = Cursor::new(payload, part.spans().payload_at);
        let maps = (0..payload.len() / MAP_REF_LEN)
            .map(|_| MapRef::decode(&mut cursor))
            .collect::<Result<_, _>>()
            .map_err(|error| error.within(part.section()))?;
        Ok(Self { maps, ..index })
    }

    fn from_nvlist(list: &[u8]) -> Result<Self, Fault> {
        let pairs: Pairs<'_> = pairs::read(list)?;
        let (found, limit) =
            (pairs.parts.len() as u64, (limits::DEVICES + limits::OPTIONAL_PARTS + 2) as u64);
        if found > limit {
            return Err(Fault::OverLimit { what: "the number of parts", found, limit });
        }
        let Pairs { pages_data, pages_zero, extents, stored, .. } = pairs;
        let parts: Vec<_> =
            (0..).zip(pairs.parts).map(PartRef::from_pairs).collect::<Result<_, _>>()?;
        check_unique(&parts)?;
        let delta = match (pairs.delta_root, pairs.pages_inherited) {
            (Some(delta_root), Some(pages_inherited)) => {
                Some(DeltaTotals { delta_root, pages_inherited })
            }
            (None, None) => None,
            (root, _) => {
                let found = if root.is_some() { "the first" } else { "the second" }.to_owned();
                let what = "what there is of `delta_root` and `pages_inherited`";
                let must = "both are there in a delta, and none elsewhere";
                return Err(Fault::Value { what, found, must, rule: "§7.1.8" });
            }
        };
        Ok(Self {
            header: pairs.header,
            content: pairs.content,
            memory_root: pairs.memory_root,
            totals: Totals { pages_data, pages_zero, extents, stored },
            delta,
            parts,
            maps: Vec::new(),
        })
    }
}

/// A record has one part, so that there is no choice when it is looked up (§5.4.2).
fn check_unique(parts: &[PartRef]) -> Result<(), Fault> {
    let mut names = BTreeSet::new();
    for id in parts.iter().filter_map(|part| part.record.as_ref()) {
        if !names.insert((&id.section, &id.name)) {
            let (what, found) = ("the record", id.to_string());
            let must = "each record has one part";
            return Err(Fault::Value { what, found, must, rule: "§5.4.2" });
        }
    }
    Ok(())
}

impl PartRef {
    fn pairs(&self) -> PartPairs<'_> {
        let record = self.record.as_ref();
        PartPairs {
            number: self.kind.number().into(),
            offset: self.offset,
            length: self.length,
            digest: self.digest,
            section: record.map(|record| record.section.as_str()),
            name: record.map(|record| record.name.as_str()),
            size: record.map(|record| record.size),
            sha256: record.map(|record| record.sha256),
        }
    }

    /// The part that is element `at` of the list.
    fn from_pairs((at, pairs): (usize, PartPairs<'_>)) -> Result<Self, Fault> {
        let PartPairs { number, offset, length, digest, section, name, size, sha256 } = pairs;
        let kind = u32::try_from(number).ok().and_then(Kind::from_number);
        let Some(kind) = kind.filter(|k| !matches!(k, Kind::Extent | Kind::Map | Kind::Index))
        else {
            let (what, found) = ("the type of a part", format!("{number:#x}"));
            let must = "it is that of a part other than EXTENT, MAP and INDEX";
            return Err(Fault::Value { what, found, must, rule: "§7.1.6" });
        };
        place(offset, length)?;
        let record = match (kind, section, name, size, sha256) {
            (Kind::Device, Some(section), Some(name), Some(size), Some(sha256)) => {
                let (section, name) = (section.to_owned(), name.to_owned());
                let id = RecordId { section, name, size, sha256 };
                id.bounds()?;
                Some(id)
            }
            (kind, None, None, None, None) if kind != Kind::Device => None,
            _ => {
                return Err(Fault::Pair(format!(
                    "\"parts[{at}]\" is of type {kind}: section, name, size and sha256 are all \
                     there in DEVICE parts, and none elsewhere"
                )));
            }
        };
        Ok(Self { kind, offset, length, digest, record })
    }
}

impl MapRef {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.offset.to_le_bytes());
        out.extend(self.length.to_le_bytes());
        out.extend(self.gpa.to_le_bytes());
        out.extend(self.extents.to_le_bytes());
        out.extend(self.digest.as_bytes());
    }

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Located> {
        let at = cursor.offset();
        let map = Self {
            offset: cursor.u64()?,
            length: cursor.u64()?,
            gpa: cursor.u64()?,
            extents: cursor.u64()?,
            digest: cursor.digest()?,
        };
        place(map.offset, map.length).map_err(|fault| fault.at(at))?;
        Ok(map)
    }
}

fn place(offset: u64, length: u64) -> Result<(), Fault> {
    let end = offset.checked_add(length).filter(|&end| end <= limits::FILE);
    if end.is_none() || !offset.is_multiple_of(PART_ALIGN) || !length.is_multiple_of(PART_ALIGN) {
        let found = format!("{offset:#x} and {length} bytes");
        let must = "parts begin and end at multiples of 64, within the file";
        return Err(Fault::Value { what: "the place of a part", found, must, rule: "§2.3" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: Kind, offset: u64) -> PartRef {
        let record = (kind == Kind::Device).then(|| RecordId::of("kern_structs", "vm", b""));
        PartRef { kind, offset, length: 64, digest: Digest::of(b""), record }
    }

    fn index(parts: Vec<PartRef>, maps: &[u64]) -> Index {
        let digest = Digest::of(b"");
        let map = |&offset: &u64| MapRef { offset, length: 64, gpa: 0, extents: 1, digest };
        Index {
            header: digest,
            content: digest,
            memory_root: digest,
            totals: Totals::default(),
            delta: None,
            parts,
            maps: maps.iter().map(map).collect(),
        }
    }

    #[test]
    fn what_stands_after_a_map_or_a_record_is_behind_memory() {
        let carried = || part(Kind::Config, 4096);
        for (parts, maps) in [
            (vec![carried()], &[8192, 16384][..]),
            (vec![carried(), part(Kind::Device, 8192)], &[]),
            (vec![carried(), part(Kind::Device, 8192)], &[12288]),
        ] {
            let index = index(parts, maps);
            assert!(!index.is_behind_memory(4096));
            assert!(index.is_behind_memory(20480));
        }
        assert!(!index(vec![carried()], &[]).is_behind_memory(20480));
    }

    #[test]
    fn a_record_is_listed_once_and_a_device_part_has_one() {
        let read = |parts| Index::from_nvlist(index(parts, &[]).encode().unwrap().nvlist());
        let device = || part(Kind::Device, 4096);
        assert!(read(vec![device()]).is_ok());
        let rule = |fault| matches!(fault, Fault::Value { rule: "§5.4.2", .. });
        assert!(rule(read(vec![device(), device()]).unwrap_err()));
        let without = PartRef { record: None, ..device() };
        assert!(matches!(read(vec![without]), Err(Fault::Pair(_))));
    }

    #[test]
    fn an_index_lists_up_to_1090_parts() {
        let listed = |count: usize| {
            let parts = vec![part(Kind::Config, 4096); count];
            Index::from_nvlist(index(parts, &[]).encode().unwrap().nvlist())
        };
        assert_eq!(listed(1090).map(|index| index.parts.len()), Ok(1090));
        let (what, found) = ("the number of parts", 1091);
        assert_eq!(listed(1091), Err(Fault::OverLimit { what, found, limit: 1090 }));
    }
}
