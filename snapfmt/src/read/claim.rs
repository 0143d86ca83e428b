//! What a file says without anything to vouch for it, for display only (§11.5).
//!
//! A [`Claim`] holds words and numbers. It knows no parts and becomes none: whoever wants to use
//! what a claim says has to read it again through a reader that checks.

use crate::layout::frame::Frame;
use crate::layout::header::{Header, Parent};
use crate::part::index::Index;
use crate::part::{device, extent};

/// Something that a file says and that nobody vouches for. It can be shown, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim<T>(T);

impl<T> Claim<T> {
    pub(super) fn new(facts: T) -> Self {
        Self(facts)
    }

    /// What is claimed, to be shown as a claim.
    #[must_use]
    pub fn show(&self) -> &T {
        &self.0
    }
}

/// What a header block says that is damaged, or newer than this library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderFacts {
    /// The version of the format.
    pub version: u32,
    /// Program and version that wrote the file.
    pub producer: String,
    /// The file's UUID.
    pub uuid: String,
    /// The VM's name.
    pub vm_name: String,
    /// The VM's own UUID, where known.
    pub vm_uuid: Option<String>,
    /// Unix time in seconds.
    pub created: u64,
    /// The parent, if this is a delta.
    pub parent: Option<Parent>,
    /// Features without which the file cannot be read.
    pub incompatible: Vec<String>,
    /// Features that a reader may ignore.
    pub compatible: Vec<String>,
}

impl HeaderFacts {
    /// The claim of the 4096 bytes of a header block, if they can be taken for one.
    pub(super) fn claimed(bytes: &[u8]) -> Option<Claim<Self>> {
        let (header, version) = Header::claim(bytes)?;
        let Header { producer, uuid, vm_name, vm_uuid, created, .. } = header.clone();
        let Header { parent, incompatible, compatible, .. } = header;
        Some(Claim::new(Self {
            version,
            producer,
            uuid,
            vm_name,
            vm_uuid,
            created,
            parent,
            incompatible,
            compatible,
        }))
    }
}

/// What a damaged frame, or an nvlist without an intact frame, says of its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartFacts {
    /// The kind of the part.
    pub kind: String,
    /// Which record or which address, where the nvlist can be read.
    pub label: Option<String>,
    /// The length of the part in bytes.
    pub length: u64,
}

impl PartFacts {
    /// The claim of a frame that was not checked, and of the nvlist that would follow it.
    pub(super) fn claimed(frame: &Frame, at: u64, nvlist: &[u8]) -> Claim<Self> {
        use crate::layout::kind::Kind;
        let section = match frame.kind {
            Kind::Device => device::label(nvlist),
            Kind::Extent => extent::label(nvlist),
            _ => None,
        };
        Claim::new(Self {
            kind: frame.kind.to_string(),
            label: section.map(|section| section.to_string()),
            length: frame.spans(at).end.saturating_sub(at),
        })
    }
}

/// What an intact INDEX says of a file of which not everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFacts {
    /// The root of the file as it was written.
    pub root: String,
    /// The identity of the machine state.
    pub content: String,
    /// The root of the memory tree.
    pub memory_root: String,
    /// Pages that are stored.
    pub data_pages: u64,
    /// Pages that are zero and not stored.
    pub zero_pages: u64,
    /// In a delta: pages that are the parent's, and the root of the tree of the file alone.
    pub delta: Option<(u64, String)>,
    /// EXTENT parts.
    pub extents: u64,
    /// Bytes of their payloads.
    pub stored: u64,
    /// The parts that it lists by themselves, with their offsets.
    pub parts: Vec<(String, u64)>,
}

impl IndexFacts {
    pub(super) fn claimed(index: &Index, root: String) -> Claim<Self> {
        let parts = index.parts.iter().map(|part| {
            let name =
                part.record.as_ref().map_or_else(|| part.kind.to_string(), |r| r.to_string());
            (name, part.offset)
        });
        Claim::new(Self {
            root,
            content: index.content.to_string(),
            memory_root: index.memory_root.to_string(),
            data_pages: index.totals.pages_data,
            zero_pages: index.totals.pages_zero,
            delta: index.delta.map(|delta| (delta.pages_inherited, delta.delta_root.to_string())),
            extents: index.totals.extents,
            stored: index.totals.stored,
            parts: parts.collect(),
        })
    }
}
