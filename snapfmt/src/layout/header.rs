//! The header block: 4096 bytes that name producer, VM, time and features, readable for ever (§3).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::cursor::Cursor;
use crate::digest::{self, Digest};
use crate::error::{Error, Fault, Located, Section, quoted};
use crate::limits;
use crate::memory::tree::Rest;
use crate::part::pairs;

/// The length of the header block in bytes.
pub const LEN: usize = 4096;
/// The first bytes of a snapshot file (§3.1), before their padding.
pub const MAGIC: &[u8; 22] = b"BHYVE CHECKPOINT IMAGE";
/// The version that this library writes and reads.
pub const VERSION: u32 = 1;
/// The feature of files that have a parent (§13). This library knows no other.
pub const DELTA: &str = "delta";
const MAGIC_FIELD: usize = 56;
const NVLIST_AT: usize = 68;
const COVERED: usize = LEN - digest::LEN;
const NVLIST_LIMIT: usize = COVERED - NVLIST_AT;
const _: () = assert!(MAGIC_FIELD + 4 + 4 + 4 == NVLIST_AT && NVLIST_LIMIT == 3996);

/// What a delta says of the state that it builds on (§13.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// `content` of the parent's state.
    pub content: Digest,
    /// The file that was the parent, for people.
    pub uuid: Option<String>,
}

/// What the header block says: the pairs of its nvlist. Those that this library does not know are
/// passed over (§3.7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The parent; exactly in a delta, which lists the feature [`DELTA`], too.
    pub parent: Option<Parent>,
    /// Features without which the file cannot be read (§9.3). This library knows [`DELTA`].
    #[serde(default)]
    pub incompatible: Vec<String>,
    /// Features that a reader may ignore. Version 1 knows none: a tool that writes another file
    /// from this one leaves them out (§3.7).
    #[serde(default)]
    pub compatible: Vec<String>,
}

impl Header {
    /// The header block as stored, and its digest.
    ///
    /// # Errors
    /// Texts that do not fit into 4096 bytes, or with a NUL in them, and everything else that
    /// [`check`](Self::check) refuses.
    pub fn encode(&self) -> Result<(Vec<u8>, Digest), Error> {
        let encoded = self.bytes().map_err(|fault| fault.at(0).within(Section::Header))?;
        Self::check(&encoded.0)?;
        Ok(encoded)
    }

    fn bytes(&self) -> Result<(Vec<u8>, Digest), Fault> {
        let list = pairs::pack(self)?;
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
        } else {
            let unknown = header.incompatible.iter().filter(|name| *name != DELTA);
            let names: Vec<_> = unknown.cloned().collect();
            if names.is_empty() {
                return Ok((header, digest));
            }
            Fault::MissingFeatures { names }
        };
        Err(fault.at(0).within(Section::Header))
    }

    /// What pages of RAM are that no extent of the file names.
    pub(crate) fn rest(&self) -> Rest {
        if self.parent.is_some() { Rest::Inherited } else { Rest::Zero }
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
        let header: Self = pairs::read(list)?;
        uuid("the file's UUID", &header.uuid)?;
        header.vm_uuid.as_deref().map_or(Ok(()), |text| uuid("the VM's UUID", text))?;
        vm_name(&header.vm_name)?;
        features("incompatible", &header.incompatible)?;
        features("compatible", &header.compatible)?;
        let delta = header.incompatible.iter().any(|feature| feature == DELTA);
        if header.parent.is_some() != delta {
            let found = if delta { "absent" } else { "there" }.to_owned();
            let must = "it is there exactly in a file with the feature delta";
            return Err(Fault::Value { what: "`parent`", found, must, rule: "§13.1" });
        }
        let parent = header.parent.as_ref().and_then(|parent| parent.uuid.as_deref());
        parent.map_or(Ok(()), |text| uuid("the parent's UUID", text))?;
        Ok(header)
    }
}

/// Checks the limits of a VM's name (§5.1.1).
pub(crate) fn vm_name(name: &str) -> Result<(), Fault> {
    if name.len() > limits::VM_NAME {
        return Err(Fault::Value {
            what: "the VM's name",
            found: format!("{} bytes long", name.len()),
            must: "it has up to 255 bytes",
            rule: "§5.1.1",
        });
    }
    Ok(())
}

fn uuid(what: &'static str, text: &str) -> Result<(), Fault> {
    let shaped = text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if shaped {
        return Ok(());
    }
    let must = "a UUID has 36 characters, of which 32 are hexadecimal digits";
    Err(Fault::Value { what, found: quoted(text), must, rule: "§3" })
}

/// Whether a feature or a layout can be called so (§9.3).
#[must_use]
pub fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let word = |word: &str| !word.is_empty() && word.bytes().all(legal);
    name.len() <= limits::FEATURE_NAME && name.split('-').all(word)
}

/// Checks a feature list (§9.3). One without names is absent: libnv has no empty arrays.
fn features(what: &'static str, found: &[String]) -> Result<(), Fault> {
    let once = found.iter().collect::<BTreeSet<_>>().len() == found.len();
    if once && found.iter().all(|name| is_name(name)) {
        return Ok(());
    }
    Err(Fault::Value {
        what,
        found: quoted(&found.join(", ")),
        must: "a feature is up to 63 bytes of lower-case words joined by -, and is listed once",
        rule: "§9.3",
    })
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
