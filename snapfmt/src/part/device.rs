//! DEVICE parts: one record of `.kern` each, kept whole (§5.4).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Fault, Section, quoted};
use crate::layout::kind::Kind;
use crate::limits;
use crate::part::codec::{self, Compression};
use crate::part::pairs;
use crate::part::{Encoded, Intact};

/// What identifies a record and its bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    /// The key of `.meta` that lists it: `kern_structs` (`structs` in generation A), or `devices`.
    pub section: String,
    /// Its name, as in `.meta`.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its original bytes.
    pub sha256: Digest,
}

impl RecordId {
    /// The identity of a record of these bytes.
    #[must_use]
    pub fn of(section: &str, name: &str, bytes: &[u8]) -> Self {
        Self {
            section: section.to_owned(),
            name: name.to_owned(),
            size: bytes.len() as u64,
            sha256: Digest::of(bytes),
        }
    }

    /// The section of the file that holds it, for errors.
    #[must_use]
    pub fn place(&self) -> Section {
        Section::Device { section: self.section.clone(), name: self.name.clone() }
    }

    /// Checks §5.4.1 to §5.4.3.
    pub(crate) fn bounds(&self) -> Result<(), Fault> {
        if !["kern_structs", "structs", "devices"].contains(&self.section.as_str()) {
            let found = quoted(&self.section);
            let must = "it is kern_structs, structs or devices";
            return Err(Fault::Value {
                what: "the record's section", found, must, rule: "§5.4.1"
            });
        }
        if !(1..=limits::RECORD_NAME).contains(&self.name.len()) {
            let found = format!("{} bytes long", self.name.len());
            let must = "it has 1 to 127 bytes";
            return Err(Fault::Value { what: "the record's name", found, must, rule: "§5.4.2" });
        }
        let (found, limit) = (self.size, limits::RECORD);
        if found > limit {
            return Err(Fault::OverLimit { what: "the size of the record", found, limit });
        }
        Ok(())
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.section.escape_default(), self.name.escape_default())
    }
}

/// A record whose bytes were checked against its part. Whether the file it came from is whole was
/// not, and nothing is said of its values: see [`DeviceState`](crate::state::gate::DeviceState).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    id: RecordId,
    bytes: Vec<u8>,
    stored: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairs<'a> {
    section: &'a str,
    name: &'a str,
    size: u64,
    sha256: Digest,
    encoding: &'a str,
}

impl Record {
    /// The part for the record `id`, whose bytes are `bytes`.
    ///
    /// # Errors
    /// A breach of §5.4, and bytes that are not those of `id`.
    pub fn encode<'a>(
        id: &RecordId,
        bytes: &'a [u8],
        compression: Compression,
    ) -> Result<Encoded<'a>, Fault> {
        id.bounds()?;
        if bytes.len() as u64 != id.size || Digest::of(bytes) != id.sha256 {
            return Err(Fault::Digest { what: "record", rule: "§5.4.6" });
        }
        let stored = codec::compress(bytes, compression)?;
        let encoding = if stored.is_some() { codec::ZSTD } else { codec::RAW };
        let RecordId { section, name, size, sha256 } = id;
        let pairs = Pairs { section, name, size: *size, sha256: *sha256, encoding };
        match stored {
            Some(stored) => Encoded::new(Kind::Device, &pairs, stored),
            None => Encoded::new(Kind::Device, &pairs, bytes),
        }
    }

    /// Reads the part and compares the decoded record with its size and digest.
    ///
    /// # Errors
    /// A breach of §5.4.
    pub fn open(part: Intact) -> Result<Self, Error> {
        let (id, compressed) = head(part.nvlist()).map_err(|fault| part.wrong(fault))?;
        let (at, stored) = (part.spans().payload_at, part.payload().len() as u64);
        let wrong = |fault: Fault| fault.at(at).within(id.place());
        let size = decoded_size(&id, compressed, stored).map_err(wrong)?;
        let bytes = if compressed {
            codec::decompress(part.payload(), size).map_err(wrong)?
        } else {
            part.into_payload()
        };
        if Digest::of(&bytes) != id.sha256 {
            return Err(wrong(Fault::Digest { what: "record", rule: "§5.4.6" }));
        }
        Ok(Self { id, bytes, stored })
    }

    /// What identifies it.
    #[must_use]
    pub fn id(&self) -> &RecordId {
        &self.id
    }

    /// The original bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The original bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes that it takes in the file.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored
    }
}

fn head(list: &[u8]) -> Result<(RecordId, bool), Fault> {
    let Pairs { section, name, size, sha256, encoding } = pairs::read(list)?;
    let id = RecordId { section: section.to_owned(), name: name.to_owned(), size, sha256 };
    id.bounds()?;
    match encoding {
        codec::RAW => Ok((id, false)),
        codec::ZSTD => Ok((id, true)),
        other => Err(Fault::Value {
            what: "the record's encoding",
            found: quoted(other),
            must: "it is raw or zstd",
            rule: "§5.4.5",
        }),
    }
}

/// The size of the record, if a payload of `stored` bytes may hold it.
fn decoded_size(id: &RecordId, compressed: bool, stored: u64) -> Result<usize, Fault> {
    let size = id.size;
    let sized = if compressed { stored < size } else { stored == size };
    if !sized {
        return Err(Fault::Value {
            what: "the size of the payload",
            found: format!("{stored} bytes for a record of {size}"),
            must: "it is the record's if raw, and less if compressed",
            rule: "§5.4.5",
        });
    }
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

/// The section that an intact nvlist names, for errors.
pub(crate) fn label(list: &[u8]) -> Option<Section> {
    head(list).ok().map(|(id, _)| id.place())
}
