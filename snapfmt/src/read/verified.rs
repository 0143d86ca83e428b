//! What only a complete check can make (laws 1 and 4).

use std::fmt;

use crate::bhyve::{Finding, Severity};
use crate::digest::Digest;
use crate::layout::header::Header;
use crate::layout::trailer::Trailer;
use crate::part::device::{Record, RecordId};
use crate::part::extent::DeltaExtent;
use crate::part::index::Index;
use crate::part::vm::Vm;

/// What a check of a delta alone leaves open (§13.4): `memory_root`, which `content` is then said
/// for; and these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// Extents with pages that are stored as differences from the parent's.
    pub extents: u64,
    /// These pages, which were not checked against their leaves.
    pub pages: u64,
}

impl Unsettled {
    pub(super) fn note(&mut self, extent: &DeltaExtent) {
        if let Some(xor) = extent.head().xor() {
            self.extents = self.extents.saturating_add(1);
            self.pages = self.pages.saturating_add(xor.count() as u64);
        }
    }
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory_root, which takes the parent")?;
        match (self.extents, self.pages) {
            (0, _) => Ok(()),
            (extents, pages) => write!(
                f,
                ", and {pages} pages in {extents} extents, stored as differences from the parent's"
            ),
        }
    }
}

/// A file in which every digest has matched over the bytes as read, and every part agrees with the
/// index. Intact and well formed; not therefore authentic, nor a state that a machine can be in.
/// What a delta says of its state was only checked together with its parents, see
/// [`unsettled`](Self::unsettled).
///
/// Only a walk that came to its end, or the check of a whole chain, gives one:
///
/// ```compile_fail,E0624
/// use snapfmt::read::Verified;
/// let claim = Verified::new;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    header: Header,
    vm: Vm,
    index: Index,
    findings: Vec<Finding>,
    root: Digest,
    size: u64,
    unsettled: Option<Unsettled>,
}

impl Verified {
    pub(super) fn new(
        header: Header,
        vm: Vm,
        index: Index,
        findings: Vec<Finding>,
        trailer: &Trailer,
        unsettled: Option<Unsettled>,
    ) -> Self {
        let (root, size) = (trailer.root, trailer.size);
        Self { header, vm, index, findings, root, size, unsettled }
    }

    /// What was not checked because it takes the parent; nothing of a full file, and of a delta
    /// that was checked as a link of its chain.
    #[must_use]
    pub fn unsettled(&self) -> Option<Unsettled> {
        self.unsettled
    }

    /// What the structure rules say of `.meta` and its records ([`crate::bhyve::check`]).
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Who wrote the file, when, of which VM.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The machine.
    #[must_use]
    pub fn vm(&self) -> &Vm {
        &self.vm
    }

    /// The index: `content`, `memory_root`, totals and parts.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The identity of the file's bytes (§8.1).
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Admits a record that came out of this file while it was checked. Given back is a record of
    /// another file, and any record of a file that breaks a structure rule.
    ///
    /// # Errors
    /// The record.
    pub fn admit(&self, record: Record) -> Result<DeviceState, Box<Record>> {
        admit(&self.index, &self.findings, record)
    }
}

/// The one place where a [`DeviceState`] is made.
pub(super) fn admit(
    index: &Index,
    findings: &[Finding],
    record: Record,
) -> Result<DeviceState, Box<Record>> {
    let listed = index.parts.iter().any(|part| part.record.as_ref() == Some(record.id()));
    let refused = findings.iter().any(|finding| finding.severity() == Severity::Refuse);
    if listed && !refused { Ok(DeviceState(record)) } else { Err(Box::new(record)) }
}

/// A device record that may be given to a restore: its bytes matched their digests, the index of
/// the same file lists it, and the file breaks no structure rule. There is no other way to make
/// one: no constructor, `Default`, `From` or deserialisation.
///
/// Rules about fields (what values a kernel survives) are not part of this yet.
///
/// A record alone is not enough, whatever part it came out of:
///
/// ```compile_fail,E0423
/// use snapfmt::part::device::Record;
/// use snapfmt::read::DeviceState;
/// fn unchecked(record: Record) -> DeviceState {
///     DeviceState(record)
/// }
/// ```
///
/// ```compile_fail,E0277
/// use snapfmt::part::device::Record;
/// use snapfmt::read::DeviceState;
/// fn converted(record: Record) -> DeviceState {
///     record.into()
/// }
/// ```
///
/// The same signatures compile where a verified file stands between:
///
/// ```
/// use snapfmt::part::device::Record;
/// use snapfmt::read::{DeviceState, Verified};
/// fn checked(file: &Verified, record: Record) -> Result<DeviceState, Box<Record>> {
///     file.admit(record)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState(Record);

impl DeviceState {
    /// What identifies it.
    #[must_use]
    pub fn id(&self) -> &RecordId {
        self.0.id()
    }

    /// The bytes, as bhyve wrote them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}
