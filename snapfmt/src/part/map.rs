//! MAP parts: where extents lie and what they must hash to, in bounded tables (§6.5).

use serde::{Deserialize, Serialize};

use crate::cursor::Cursor;
use crate::digest::Digest;
use crate::error::{Error, Fault, Located};
use crate::layout::PART_ALIGN;
use crate::layout::kind::Kind;
use crate::limits;
use crate::memory::area::Placed;
use crate::memory::tree::Rest;
use crate::part::extent::check_block;
use crate::part::pairs;
use crate::part::{Encoded, Intact};

/// The length of an entry in bytes.
pub const ENTRY_LEN: usize = 96;
const _: () = assert!(limits::MAP_ENTRIES as u64 * ENTRY_LEN as u64 == limits::MAP_PAYLOAD);

/// One extent, as a MAP part lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapEntry {
    /// The first guest-physical address of its block.
    pub gpa: u64,
    /// The offset of its EXTENT part.
    pub offset: u64,
    /// The length of that part.
    pub length: u64,
    /// Bytes of guest-physical space.
    pub size: u32,
    /// Number of data pages.
    pub data_pages: u16,
    /// Number of pages that are zero now; 0 but in a delta.
    pub zero_pages: u16,
    /// The frame digest of the part.
    pub digest: Digest,
    /// The subtree root of the block.
    pub root: Digest,
}

impl MapEntry {
    /// The entry of the EXTENT part at `offset` that holds the block of `size` bytes at `gpa` with
    /// these numbers of data and of zero pages.
    pub(crate) fn of(
        (gpa, size): (u64, u64),
        (data, zero): (usize, usize),
        root: Digest,
        (offset, length, digest): (u64, u64, Digest),
    ) -> Self {
        let pages = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        Self {
            gpa,
            offset,
            length,
            size: u32::try_from(size).unwrap_or(u32::MAX),
            data_pages: pages(data),
            zero_pages: pages(zero),
            digest,
            root,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.gpa.to_le_bytes());
        out.extend(self.offset.to_le_bytes());
        out.extend(self.length.to_le_bytes());
        out.extend(self.size.to_le_bytes());
        out.extend(self.data_pages.to_le_bytes());
        out.extend(self.zero_pages.to_le_bytes());
        out.extend(self.digest.as_bytes());
        out.extend(self.root.as_bytes());
    }

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Located> {
        let at = cursor.offset();
        let entry = Self {
            gpa: cursor.u64()?,
            offset: cursor.u64()?,
            length: cursor.u64()?,
            size: cursor.u32()?,
            data_pages: cursor.u16()?,
            zero_pages: cursor.u16()?,
            digest: cursor.digest()?,
            root: cursor.digest()?,
        };
        entry.bounds().map_err(|fault| fault.at(at))?;
        Ok(entry)
    }

    fn bounds(&self) -> Result<(), Fault> {
        check_block(self.gpa, self.size.into())?;
        let pages = u64::from(self.size) / limits::PAGE as u64;
        if !(1..=pages).contains(&self.named()) {
            let (what, found) = ("the number of data and zero pages", self.named().to_string());
            let must = "it is at least 1 and at most that of the block";
            return Err(Fault::Value { what, found, must, rule: "§6.2.3" });
        }
        let end = self.offset.checked_add(self.length).filter(|&end| end <= limits::FILE);
        let aligned =
            self.offset.is_multiple_of(PART_ALIGN) && self.length.is_multiple_of(PART_ALIGN);
        if end.is_none() || !aligned {
            let found = format!("{:#x} and {} bytes", self.offset, self.length);
            let must = "parts begin and end at multiples of 64, within the file";
            return Err(Fault::Value { what: "the extent's place", found, must, rule: "§2.3" });
        }
        Ok(())
    }

    /// Checks what depends on the kind of file: a full one has no pages in `zero`.
    pub(crate) fn fits(&self, rest: Rest) -> Result<(), Fault> {
        if rest == Rest::Zero && self.zero_pages != 0 {
            let (what, found) = ("the number of zero pages", self.zero_pages.to_string());
            let must = "it is 0 but in a delta";
            return Err(Fault::Value { what, found, must, rule: "§6.5" });
        }
        Ok(())
    }

    /// Number of pages that the extent names.
    pub(crate) fn named(&self) -> u64 {
        u64::from(self.data_pages) + u64::from(self.zero_pages)
    }

    /// The first address after the block.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.gpa.saturating_add(self.size.into())
    }
}

impl Placed for MapEntry {
    fn gpa(&self) -> u64 {
        self.gpa
    }

    fn size(&self) -> u64 {
        self.size.into()
    }
}

/// The table of a MAP part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapTable {
    /// The ordinal of its first extent in the file.
    pub first: u64,
    /// Its extents, ascending.
    pub entries: Vec<MapEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairs {
    first: u64,
    count: u64,
}

impl MapTable {
    /// The part for this table.
    ///
    /// # Errors
    /// A table that is longer than its limit.
    pub fn encode(&self) -> Result<Encoded<'static>, Fault> {
        let pairs = Pairs { first: self.first, count: self.entries.len() as u64 };
        let mut payload = Vec::with_capacity(self.entries.len() * ENTRY_LEN);
        for entry in &self.entries {
            entry.encode(&mut payload);
        }
        Encoded::new(Kind::Map, &pairs, payload)
    }

    /// Reads the part.
    ///
    /// # Errors
    /// A breach of §6.5, and entries that break §6.2.
    pub fn open(part: &Intact) -> Result<Self, Error> {
        let (first, count) = head(part.nvlist()).map_err(|fault| part.wrong(fault))?;
        let payload = part.payload();
        if payload.len() as u64 != count.saturating_mul(ENTRY_LEN as u64) {
            let found = format!("{} bytes for {count} entries", payload.len());
            let must = "it is 96 bytes for each";
            let what = "the size of the payload";
            return Err(part.wrong_payload(Fault::Value { what, found, must, rule: "§6.5" }));
        }
        let mut cursor = Cursor::new(payload, part.spans().payload_at);
        let mut entries = Vec::new();
        let mut free = 0;
        for _ in 0..count {
            let at = cursor.offset();
            let entry =
                MapEntry::decode(&mut cursor).map_err(|error| error.within(part.section()))?;
            if entry.gpa < free {
                return Err(unordered(entry.gpa, free).at(at).within(part.section()));
            }
            free = entry.end();
            entries.push(entry);
        }
        Ok(Self { first, entries })
    }
}

/// The fault of an extent that does not lie above the ones before it.
pub(crate) fn unordered(gpa: u64, free: u64) -> Fault {
    Fault::Value {
        what: "the block's address",
        found: format!("{gpa:#x} after a block that ends at {free:#x}"),
        must: "extents ascend and do not overlap",
        rule: "§6.2.7",
    }
}

fn head(list: &[u8]) -> Result<(u64, u64), Fault> {
    let Pairs { first, count } = pairs::read(list)?;
    if !(1..=limits::MAP_ENTRIES as u64).contains(&count) {
        let (what, found) = ("the number of entries", count.to_string());
        return Err(Fault::Value { what, found, must: "it is 1 to 4096", rule: "§6.5" });
    }
    Ok((first, count))
}
