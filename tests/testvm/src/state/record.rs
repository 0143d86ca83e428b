//! One record, by the fields that snapfmt knows it to have.

use std::collections::HashMap;

use snapfmt::bhyve::records::Vendor;
use snapfmt::bhyve::{Generation, Section};
use snapfmt::state::{Evidence, Fields};

use super::error::StateError;

/// Which of the fields of one key: of which virtual CPU, and the how manieth.
pub(super) type Which = (Option<u32>, u32);

/// The first field of a key that belongs to no virtual CPU.
pub(super) const ONLY: Which = (None, 0);

/// What tells the layouts of this machine.
fn evidence(ncpus: u32) -> Evidence {
    Evidence { generation: Generation::B, slots: vec![ncpus], vendor: Some(Vendor::Intel) }
}

/// A record that is being written.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) section: Section,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    places: HashMap<(&'static str, Which), (usize, usize)>,
}

impl Record {
    /// A record of `len` bytes that are all zero.
    pub(super) fn new(
        section: Section,
        name: &str,
        len: usize,
        ncpus: u32,
    ) -> Result<Self, StateError> {
        let bytes = vec![0; len];
        let fields = choose(section, name, &bytes, ncpus)?;
        let mut places = HashMap::new();
        for field in fields.iter() {
            let which = (field.vcpu(), field.occurrence());
            let place = (field.offset() as usize, field.len() as usize);
            places.insert((field.key(), which), place);
        }
        drop(fields);
        Ok(Self { section, name: name.to_owned(), bytes, places })
    }

    /// A record of which nobody knows fields.
    pub(super) fn opaque(section: Section, name: &str, bytes: Vec<u8>) -> Self {
        Self { section, name: name.to_owned(), bytes, places: HashMap::new() }
    }

    /// The bytes of a field.
    pub(super) fn field(
        &mut self,
        key: &'static str,
        which: Which,
    ) -> Result<&mut [u8], StateError> {
        let place = self.places.get(&(key, which)).copied();
        let bytes = place.and_then(|(at, len)| self.bytes.get_mut(at..at + len));
        bytes.ok_or_else(|| StateError::NoField { record: self.name.clone(), key: key.to_owned() })
    }

    /// Sets a field to a number; of a longer number the low bytes.
    pub(super) fn set(
        &mut self,
        key: &'static str,
        which: Which,
        value: u64,
    ) -> Result<(), StateError> {
        let field = self.field(key, which)?;
        for (byte, value) in field.iter_mut().zip(value.to_le_bytes()) {
            *byte = value;
        }
        Ok(())
    }

    /// Sets a field to bytes, from its first on.
    pub(super) fn copy(
        &mut self,
        key: &'static str,
        which: Which,
        bytes: &[u8],
    ) -> Result<(), StateError> {
        let field = self.field(key, which)?;
        for (byte, value) in field.iter_mut().zip(bytes) {
            *byte = *value;
        }
        Ok(())
    }
}

/// The fields of a record.
fn choose<'a>(
    section: Section,
    name: &str,
    bytes: &'a [u8],
    ncpus: u32,
) -> Result<Fields<'a>, StateError> {
    let fields = evidence(ncpus).choose(section, name, bytes);
    fields.map_err(|why| StateError::Unknown { record: name.to_owned(), why })
}

/// A record that is being read.
#[derive(Debug)]
pub(super) struct Read<'a> {
    name: &'a str,
    fields: Fields<'a>,
}

impl<'a> Read<'a> {
    pub(super) fn new(
        section: Section,
        name: &'a str,
        bytes: &'a [u8],
        ncpus: u32,
    ) -> Result<Self, StateError> {
        Ok(Self { name, fields: choose(section, name, bytes, ncpus)? })
    }

    /// A field as a number.
    pub(super) fn get(&self, key: &str, (vcpu, occurrence): Which) -> Result<u64, StateError> {
        let value = self.fields.find(key, vcpu, occurrence).and_then(|field| field.u64());
        value.ok_or_else(|| self.missing(key))
    }

    /// The bytes of a field.
    pub(super) fn bytes(
        &self,
        key: &str,
        (vcpu, occurrence): Which,
    ) -> Result<&'a [u8], StateError> {
        let field = self.fields.find(key, vcpu, occurrence);
        field.map(|field| field.bytes()).ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &str) -> StateError {
        StateError::NoField { record: self.name.to_owned(), key: key.to_owned() }
    }
}
