//! The header block: 4096 bytes that name producer, VM, time and features, readable for ever (§3).

use crate::cursor::Cursor;
use crate::digest::{self, Digest};
use crate::error::{Error, Fault, Located, Section, quoted};
use crate::limits;
use crate::nvlist::{self, Nvlist};
use crate::part::pairs::Pairs;

/// The length of the header block in bytes.
pub const LEN: usize = 4096;
/// The first bytes of a snapshot file (§3.1), before their padding.
pub const MAGIC: &[u8; 22] = b"BHYVE CHECKPOINT IMAGE";
/// The version that this library writes and reads: the draft.
pub const VERSION: u32 = 0;
const MAGIC_FIELD: usize = 56;
const NVLIST_AT: usize = 68;
const COVERED: usize = LEN - digest::LEN;
const NVLIST_LIMIT: usize = COVERED - NVLIST_AT;
const _: () = assert!(MAGIC_FIELD + 4 + 4 + 4 == NVLIST_AT && NVLIST_LIMIT == 3996);

/// What the header block says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Program and version that wrote the file.
    pub producer: String,
    /// Random UUID of the file, in the 36-character form.
    pub uuid: String,
    /// The VM's name, as given to bhyve.
    pub vm_name: String,
    /// The VM's own UUID, where known.
    pub vm_uuid: Option<String>,
    /// Unix time in seconds.
    pub created: u64,
    /// Features without which the file cannot be read (§9.3). This library knows none.
    pub incompatible: Vec<String>,
    /// Features that a reader may ignore.
    pub compatible: Vec<String>,
}

impl Header {
    /// The header block as stored, and its digest.
    ///
    /// # Errors
    /// Any breach of §3, and texts that do not fit into 4096 bytes.
    pub fn encode(&self) -> Result<(Vec<u8>, Digest), Error> {
        self.bytes().map_err(|fault| fault.at(0).within(Section::Header))
    }

    fn bytes(&self) -> Result<(Vec<u8>, Digest), Fault> {
        let mut list = Nvlist::builder()
            .string("producer", &self.producer)
            .string("uuid", &self.uuid)
            .string("vm_name", &self.vm_name);
        if let Some(uuid) = &self.vm_uuid {
            list = list.string("vm_uuid", uuid);
        }
        list = list.number("created", self.created);
        for (name, features) in
            [("incompatible", &self.incompatible), ("compatible", &self.compatible)]
        {
            if !features.is_empty() {
                list = list.string_array(name, features.iter().map(String::as_str));
            }
        }
        let list = list.build()?.pack()?;
        // What a reader would refuse is not written.
        Self::from_nvlist(&list)?;
        if list.len() > NVLIST_LIMIT {
            return Err(Fault::OverLimit {
                what: "the size of the header's nvlist",
                found: list.len() as u64,
                limit: NVLIST_LIMIT as u64,
            });
        }
        let mut block = Vec::with_capacity(LEN);
        block.extend(MAGIC);
        block.resize(MAGIC_FIELD, 0);
        block.extend(VERSION.to_le_bytes());
        block.extend([0; 4]);
        block.extend(u32::try_from(list.len()).unwrap_or(u32::MAX).to_le_bytes());
        block.extend(list);
        block.resize(COVERED, 0);
        let digest = Digest::of(&block);
        block.extend(digest.as_bytes());
        Ok((block, digest))
    }

    /// Reads a header block. Also gives its digest.
    ///
    /// # Errors
    /// Any breach of §3, an unknown version, and incompatible features that this library lacks.
    pub fn check(bytes: &[u8]) -> Result<(Self, Digest), Error> {
        let digest = intact(bytes).map_err(|error| error.within(Section::Header))?;
        let (header, version) = Self::fields(bytes).map_err(|e| e.within(Section::Header))?;
        let fault = if version != VERSION {
            Fault::Version { found: version, known: VERSION }
        } else if !header.incompatible.is_empty() {
            Fault::MissingFeatures { names: header.incompatible }
        } else {
            return Ok((header, digest));
        };
        Err(fault.at(0).within(Section::Header))
    }

    /// The fields and the version of a header block that may be damaged, or newer than this
    /// library; for display only.
    pub(crate) fn claim(bytes: &[u8]) -> Option<(Self, u32)> {
        Self::fields(bytes).ok()
    }

    fn fields(bytes: &[u8]) -> Result<(Self, u32), Located> {
        let mut cursor = Cursor::new(bytes, 0);
        cursor.take(MAGIC.len())?;
        cursor.zeros(MAGIC_FIELD - MAGIC.len())?;
        let version = cursor.u32()?;
        cursor.zeros(4)?;
        let size_at = cursor.offset();
        let size = cursor.u32()? as usize;
        if size > NVLIST_LIMIT {
            return Err(Fault::OverLimit {
                what: "the size of the header's nvlist",
                found: size as u64,
                limit: NVLIST_LIMIT as u64,
            }
            .at(size_at));
        }
        let at = cursor.offset();
        let list = cursor.take(size)?;
        cursor.zeros(NVLIST_LIMIT - size)?;
        let header = Self::from_nvlist(list).map_err(|fault| fault.at(at))?;
        Ok((header, version))
    }

    fn from_nvlist(list: &[u8]) -> Result<Self, Fault> {
        let pairs = Pairs::parse_open(list)?;
        Ok(Self {
            producer: pairs.text("producer")?,
            uuid: uuid(pairs.text("uuid")?)?,
            vm_name: vm_name(pairs.text("vm_name")?)?,
            vm_uuid: pairs.find_text("vm_uuid")?,
            created: pairs.number("created")?,
            incompatible: features(&pairs, "incompatible")?,
            compatible: features(&pairs, "compatible")?,
        })
    }
}

/// A VM's name within its limits (§5.1.1).
pub(crate) fn vm_name(name: String) -> Result<String, Fault> {
    if name.len() > limits::VM_NAME {
        return Err(Fault::Value {
            what: "the VM's name",
            found: format!("{} bytes long", name.len()),
            must: "it has up to 255 bytes",
            rule: "§5.1.1",
        });
    }
    Ok(name)
}

fn uuid(text: String) -> Result<String, Fault> {
    let shaped = text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if shaped {
        return Ok(text);
    }
    let found = quoted(&text);
    let must = "a UUID has 36 characters, of which 32 are hexadecimal digits";
    Err(Fault::Value { what: "the file's UUID", found, must, rule: "§3" })
}

fn features(pairs: &Pairs<'_>, name: &'static str) -> Result<Vec<String>, Fault> {
    let Some(found) = pairs.find_texts(name)? else { return Ok(Vec::new()) };
    let named = |feature: &String| {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=limits::FEATURE_NAME).contains(&feature.len()) && feature.bytes().all(legal)
    };
    let mut sorted = found.clone();
    sorted.sort();
    sorted.dedup();
    if found.is_empty() || sorted.len() != found.len() || !found.iter().all(named) {
        return Err(Fault::Value {
            what: name,
            found: quoted(&found.join(", ")),
            must: "a feature list has names of 1 to 63 lower-case characters, each once",
            rule: "§9.3",
        });
    }
    Ok(found)
}

fn intact(bytes: &[u8]) -> Result<Digest, Located> {
    if !bytes.starts_with(MAGIC) {
        return Err(Fault::NotASnapshot.at(0));
    }
    let mut cursor = Cursor::new(bytes, 0);
    let covered = cursor.take(COVERED)?;
    let stored = cursor.digest()?;
    if Digest::of(covered) != stored {
        return Err(Fault::Digest { what: "header block", rule: "§3.6" }.at(0));
    }
    Ok(stored)
}

impl From<nvlist::Missing> for Fault {
    fn from(missing: nvlist::Missing) -> Self {
        Self::Pair(missing.to_string())
    }
}
