//! What only a complete check can make (law 1), and the way from there to device state (law 4).

use std::collections::BTreeMap;
use std::fmt;

use crate::agreement;
use crate::bhyve::{self, Finding, Meta};
use crate::digest::Digest;
use crate::layout::header::Header;
use crate::layout::trailer::Trailer;
use crate::part::device::Record;
use crate::part::extent::DeltaExtent;
use crate::part::index::Index;
use crate::part::vm::Vm;
use crate::state::gate::{Judged, Origin};
use crate::state::rules::{GuestRam, HostFacts};

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
/// index. Intact and well formed; not therefore authentic, nor a state that a machine can be in:
/// [`judge`](Self::judge) says whether it is one that a host survives.
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
    meta_text: Vec<u8>,
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
        (meta_text, findings): (Vec<u8>, Vec<Finding>),
        trailer: &Trailer,
        unsettled: Option<Unsettled>,
    ) -> Self {
        let (root, size) = (trailer.root, trailer.size);
        Self { header, vm, index, meta_text, findings, root, size, unsettled }
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

    /// The text of `.meta`.
    #[must_use]
    pub fn meta_text(&self) -> &[u8] {
        &self.meta_text
    }

    /// Holds the records that came out of this file while it was checked, in its order, against the
    /// rules of device state, as [`Judged::of_files`] does with three files. Only what passes those
    /// may be restored; and nothing of a delta whose parents were not read
    /// ([`unsettled`](Self::unsettled)).
    ///
    /// # Errors
    /// The records, if they are not all of those that the index of this file lists.
    pub fn judge(
        &self,
        records: Vec<Record>,
        ram: Option<&dyn GuestRam>,
        host: Option<&HostFacts>,
    ) -> Result<Judged, Vec<Record>> {
        let origin = origin(&self.vm, &self.index, &self.meta_text, records)?;
        let whole = origin.whole && self.unsettled.is_none();
        Ok(Origin { whole, ..origin }.judge(self.findings.clone(), ram, host))
    }
}

/// The state in the records of a file, if they are those that its index lists. What never was three
/// files is judged by what `.meta` would say, and cannot become three: it is not whole.
pub(super) fn origin(
    vm: &Vm,
    index: &Index,
    text: &[u8],
    records: Vec<Record>,
) -> Result<Origin, Vec<Record>> {
    let listed = index.parts.iter().filter_map(|part| part.record.as_ref());
    if !listed.eq(records.iter().map(Record::id)) {
        return Err(records);
    }
    let meta = match text {
        [] => agreement::without_text(vm, records.iter().map(Record::id)),
        text => match Meta::parse(text) {
            Ok(meta) => meta,
            Err(_) => return Err(records),
        },
    };
    // Sections and names are those of `.meta`, each once.
    let mut bytes: BTreeMap<_, _> = records
        .into_iter()
        .map(|record| ((record.id().section.clone(), record.id().name.clone()), record))
        .collect();
    let mut of = |entry: &bhyve::Record| {
        let key = (meta.key(entry.section).to_owned(), entry.name.clone());
        bytes.remove(&key).map(Record::into_bytes)
    };
    let records: Vec<_> = meta.records.iter().map(&mut of).collect();
    let whole = !text.is_empty() && records.iter().all(Option::is_some);
    Ok(Origin { text: text.to_owned(), meta, records, whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_delta_leaves_open_is_said_with_its_figures() {
        let unsettled = |extents, pages| Unsettled { extents, pages }.to_string();
        assert_eq!(unsettled(0, 0), "memory_root, which takes the parent");
        let both = unsettled(2, 7);
        assert!(both.starts_with("memory_root") && both.contains("7 pages in 2 extents"), "{both}");
    }
}
