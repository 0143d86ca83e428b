//! The state of a machine with what the rules say of it.

use std::ptr;

use super::device_state::{DeviceRecord, DeviceState};
use super::{Judgement, Policy};
use crate::bhyve::{self, Finding, Meta, MetaError, Record};
use crate::limits;
use crate::state::rules::{GuestRam, HostFacts, Machine};

/// A `.meta` and its records that were held against all rules: all of the state that a restore of
/// devices and virtual CPUs takes. [`clear`](Self::clear) says whether it may.
#[derive(Debug, Clone)]
pub struct Judged {
    origin: Origin,
    judgement: Judgement,
}

/// State that was read and is to be judged.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) text: Vec<u8>,
    pub(crate) meta: Meta,
    /// In the order of `.meta`; none for one that could not be read.
    pub(crate) records: Vec<Option<Vec<u8>>>,
    /// Whether nothing stands against it but what rules may say.
    pub(crate) whole: bool,
}

impl Origin {
    /// The machine, with its fields.
    pub(crate) fn machine(&self) -> Machine<'_> {
        let records = self.meta.records.iter().zip(&self.records);
        Machine::new(&self.meta, |entry| {
            let (_, bytes) = records.clone().find(|(own, _)| ptr::eq(*own, entry))?;
            bytes.as_deref()
        })
    }

    /// Holds it against all rules. `structure` is what the structure rules say.
    pub(crate) fn judge(
        self,
        structure: Vec<Finding>,
        ram: Option<&dyn GuestRam>,
        host: Option<&HostFacts>,
    ) -> Judged {
        let judgement = Judgement::of(&self.machine(), structure, ram, host);
        Judged { origin: self, judgement }
    }
}

impl Judged {
    /// Judges the three files of bhyve, of which nothing else vouches: the text of `.meta`, the
    /// lengths of `.kern` and of the file with guest memory, and the bytes of each record, for
    /// which `bytes` is asked once. Rules that look at guest memory are not checked if there is no
    /// `ram`, and those that need facts of the restoring host not without `host`.
    ///
    /// # Errors
    /// A text that bhyve cannot have written.
    pub fn of_files(
        text: &[u8],
        (kern_len, ram_len): (u64, u64),
        mut bytes: impl FnMut(&Record) -> Option<Vec<u8>>,
        ram: Option<&dyn GuestRam>,
        host: Option<&HostFacts>,
    ) -> Result<Self, MetaError> {
        let meta = Meta::parse(text)?;
        let structure = bhyve::check(&meta, kern_len, ram_len);
        let mut left = limits::RECORDS_TOTAL;
        let mut read = |entry: &Record| {
            let end = entry.offset.checked_add(entry.size)?;
            left = left.checked_sub(entry.size).filter(|_| entry.size <= limits::RECORD)?;
            let bytes = if end <= kern_len { bytes(entry)? } else { return None };
            (bytes.len() as u64 == entry.size).then_some(bytes)
        };
        let records: Vec<_> = meta.records.iter().map(&mut read).collect();
        let whole = records.iter().all(Option::is_some);
        let origin = Origin { text: text.to_owned(), meta, records, whole };
        Ok(origin.judge(structure, ram, host))
    }

    /// What the rules say.
    #[must_use]
    pub fn judgement(&self) -> &Judgement {
        &self.judgement
    }

    /// What `.meta` says.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.origin.meta
    }

    /// The records in the order of `.kern`, as they were read; none for one that could not be. To
    /// be kept and looked at: what restores a machine takes no bytes, but a [`DeviceState`].
    pub fn records(&self) -> impl Iterator<Item = (&Record, Option<&[u8]>)> {
        let Origin { meta, records, .. } = &self.origin;
        meta.in_order().into_iter().map(|entry| {
            let at = meta.records.iter().position(|own| ptr::eq(own, entry));
            (entry, at.and_then(|at| records.get(at)?.as_deref()))
        })
    }

    /// Lets the state pass if the policy does.
    ///
    /// # Errors
    /// The same as it was: something fails, or is not whole. Of a delta that was read without its
    /// parents, nothing passes.
    pub fn clear(self, policy: &Policy) -> Result<DeviceState, Box<Self>> {
        if !self.origin.whole || !self.judgement.passes(policy) {
            return Err(Box::new(self));
        }
        let accepted = self.judgement.accepted(policy).cloned().collect();
        let Origin { text, meta, mut records, .. } = self.origin;
        let place = |entry: &Record| meta.records.iter().position(|own| ptr::eq(own, entry));
        let order = meta.in_order();
        let mut bytes = |entry: &Record| records.get_mut(place(entry)?)?.take();
        let records = order.into_iter().map(|entry| {
            let (section, name) = (entry.section, entry.name.clone());
            DeviceRecord { section, name, bytes: bytes(entry).unwrap_or_default() }
        });
        let records = records.collect();
        Ok(DeviceState { text, meta, records, accepted })
    }
}
