//! DEVICE parts: one record of `.kern` each, as its fields or whole (§5.4).
//!
//! ```text
//! head     the pairs
//! fields   records as fields, both ways
//! kept     which way it is, and why
//! ```

mod fields;
mod head;
mod kept;

use std::fmt;

use crate::digest::Digest;
use crate::error::{Error, Fault, Section, quoted};
use crate::layout::kind::Kind;
use crate::limits;
use crate::part::codec::{self, Compression};
use crate::part::{Encoded, Intact};
use crate::state::Fields;

pub use fields::HeldFields;
use fields::{Prepared, stored};
use head::Head;
pub use kept::{Chooser, Kept, Whole};

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

    /// Checks that these are its bytes (§5.4.6).
    fn matches(&self, bytes: &[u8]) -> Result<(), Fault> {
        if bytes.len() as u64 == self.size && Digest::of(bytes) == self.sha256 {
            return Ok(());
        }
        Err(Fault::Digest { what: "record", rule: "§5.4.6" })
    }

    fn check(&self, bytes: &[u8]) -> Result<(), Fault> {
        self.bounds().and_then(|()| self.matches(bytes))
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
    fields: Option<HeldFields>,
}

impl Record {
    /// The part for the record `id`, whose bytes are `bytes`, as they are.
    ///
    /// # Errors
    /// A breach of §5.4, and bytes that are not those of `id`.
    pub fn encode<'a>(
        id: &RecordId,
        bytes: &'a [u8],
        compression: Compression,
    ) -> Result<Encoded<'a>, Fault> {
        id.check(bytes)?;
        let compressed = codec::compress(bytes, compression)?;
        let list = head::list(id, compressed.is_some())?.pack()?;
        match compressed {
            Some(compressed) => Encoded::packed(Kind::Device, list, compressed),
            None => Encoded::packed(Kind::Device, list, bytes),
        }
    }

    /// The part for the record `id` as its fields, which have to give its bytes again.
    ///
    /// # Errors
    /// A breach of §5.4, and fields that are not those of `id`. Where the record cannot be stored
    /// so, it is given whole, with the reason.
    pub fn encode_fields<'a>(
        id: &RecordId,
        fields: &Fields<'a>,
        compression: Compression,
    ) -> Result<(Encoded<'a>, Kept), Fault> {
        id.check(fields.bytes())?;
        let encoded = match stored(id, fields) {
            Ok(prepared) => prepared.encode(id, compression)?,
            Err(why) => Err(why),
        };
        match encoded {
            Ok(part) => {
                let layout = fields.layout();
                let (layout, version) = (layout.id.to_owned(), layout.version);
                Ok((part, Kept::Fields { layout, version }))
            }
            Err(why) => {
                Self::encode(id, fields.bytes(), compression).map(|part| (part, Kept::Whole(why)))
            }
        }
    }

    /// The part for this record as it was stored, whether its layout is known or not.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_again(&self, compression: Compression) -> Result<Encoded<'_>, Fault> {
        if let Some(fields) = &self.fields
            && let Ok(part) = fields.again(&self.bytes)?.encode(&self.id, compression)?
        {
            return Ok(part);
        }
        Self::encode(&self.id, &self.bytes, compression)
    }

    /// Reads the part and compares the record with its size and digest; where it is stored as
    /// fields of a layout that is known, also with these.
    ///
    /// # Errors
    /// A breach of §5.4.
    pub fn open(part: Intact) -> Result<Self, Error> {
        let Head { id, zstd, fields } =
            Head::parse(part.nvlist()).map_err(|fault| part.wrong(fault))?;
        let (at, stored) = (part.spans().payload_at, part.payload().len() as u64);
        let wrong = |fault: Fault| fault.at(at).within(id.place());
        let in_list = |fault: Fault| part.wrong(fault);
        let Some(fields) = fields else {
            let size = decoded_size(id.size, zstd, stored, &WHOLE).map_err(wrong)?;
            let bytes = if zstd {
                codec::decompress(part.payload(), size).map_err(wrong)?
            } else {
                part.into_payload()
            };
            id.matches(&bytes).map_err(|fault| fault.at(at).within(id.place()))?;
            return Ok(Self { id, bytes, stored, fields: None });
        };
        let chunks = fields.measure(id.size).map_err(in_list)?;
        let size = decoded_size(fields.bulk_len(), zstd, stored, &BULK).map_err(wrong)?;
        let unpacked =
            if zstd { Some(codec::decompress(part.payload(), size).map_err(wrong)?) } else { None };
        let bulk = unpacked.as_deref().unwrap_or_else(|| part.payload());
        let bytes = fields.rebuild(bulk, id.size).map_err(in_list)?;
        id.matches(&bytes).map_err(in_list)?;
        let known = fields.check_layout(&bytes).map_err(in_list)?;
        let held = HeldFields::new(&fields, part.nvlist(), known, chunks);
        let stored = stored.saturating_add(part.nvlist().len() as u64);
        Ok(Self { id, bytes, stored, fields: Some(held) })
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

    /// Bytes that it takes in the file: the payload, and where it is stored as fields, the list.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// The fields that it was stored as; nothing if it was stored whole.
    #[must_use]
    pub fn fields(&self) -> Option<&HeldFields> {
        self.fields.as_ref()
    }
}

impl<'a> Prepared<'a> {
    /// The part; or why the record has to be stored whole.
    fn encode(
        &self,
        id: &RecordId,
        compression: Compression,
    ) -> Result<Result<Encoded<'a>, Whole>, Fault> {
        let bulk = self.bulk();
        let compressed = codec::compress(&bulk, compression)?;
        let list = match self.pack(id, compressed.is_some()) {
            Ok(list) => list,
            Err(why) => return Ok(Err(why)),
        };
        let part = match compressed {
            Some(compressed) => Encoded::packed(Kind::Device, list, compressed),
            None => Encoded::packed(Kind::Device, list, bulk),
        };
        part.map(Ok)
    }
}

/// What a payload holds, the words of its rule, and its number.
type Holds = (&'static str, &'static str, &'static str);
const WHOLE: Holds = ("a record", "it is the record's if raw, and less if compressed", "§5.4.5");
const BULK: Holds = ("bulk", "it is the bulk's if raw, and less if compressed", "§5.4.10");

/// The size of what is stored, if a payload of `stored` bytes may hold it.
fn decoded_size(
    size: u64,
    compressed: bool,
    stored: u64,
    (holds, must, rule): &Holds,
) -> Result<usize, Fault> {
    let sized = if compressed { stored < size } else { stored == size };
    if !sized {
        let what = "the size of the payload";
        let found = format!("{stored} bytes for {holds} of {size}");
        return Err(Fault::Value { what, found, must, rule });
    }
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

/// The section that an intact nvlist names, for errors.
pub(crate) fn label(list: &[u8]) -> Option<Section> {
    Head::id(list).map(|id| id.place())
}
