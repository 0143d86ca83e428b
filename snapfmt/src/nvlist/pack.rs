//! An owned list as the bytes current libnv packs it into: little-endian, every size exact.
//!
//! Recursion as deep as the list, which is bounded.

use std::collections::HashSet;

use super::error::{Error, ErrorKind};
use super::owned::{Nvlist, OwnedValue};
use super::wire::{self, LIST_HEADER};

impl Nvlist {
    /// The packed list.
    ///
    /// # Errors
    ///
    /// The list holds descriptors, which bytes alone cannot carry.
    pub fn pack(&self) -> Result<Vec<u8>, Error> {
        if self.descriptors() > 0 {
            return Err(ErrorKind::HasDescriptors.at(0));
        }
        self.pack_to_send()
    }

    /// The packed list, to be sent along with the descriptors it refers to. Indexes are written as
    /// they are in the list.
    ///
    /// # Errors
    ///
    /// A descriptor is used twice.
    pub fn pack_to_send(&self) -> Result<Vec<u8>, Error> {
        let total = self.packed_len();
        let bytes = Vec::with_capacity(total);
        let descriptors = self.descriptors();
        let mut packer = Packer { bytes, total, descriptors, taken: HashSet::new() };
        packer.list(self)?;
        Ok(packer.bytes)
    }
}

struct Packer {
    bytes: Vec<u8>,
    /// Bytes of the whole message: a header says how many are left of it.
    total: usize,
    /// Descriptors from here to the end of the message.
    descriptors: usize,
    taken: HashSet<u64>,
}

impl Packer {
    fn number(&mut self, value: usize) {
        self.bytes.extend_from_slice(&(value as u64).to_le_bytes());
    }

    fn list(&mut self, list: &Nvlist) -> Result<(), Error> {
        let left = self.total.saturating_sub(self.bytes.len() + LIST_HEADER);
        self.bytes.extend_from_slice(&[wire::MAGIC, wire::VERSION, list.flags().bits()]);
        self.number(self.descriptors);
        self.number(left);
        for pair in list.pairs() {
            self.pair(&pair.name, &pair.value)?;
        }
        Ok(())
    }

    fn header(&mut self, code: u8, name: &[u8], size: usize, items: usize) {
        // No name in a list is longer than the format can say.
        let name_size = u16::try_from(name.len() + 1).unwrap_or(u16::MAX);
        self.bytes.push(code);
        self.bytes.extend_from_slice(&name_size.to_le_bytes());
        self.number(size);
        self.number(items);
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
    }

    fn pair(&mut self, name: &[u8], value: &OwnedValue) -> Result<(), Error> {
        let (size, items) = match value {
            OwnedValue::Null => (0, 0),
            OwnedValue::Bool(_) => (1, 0),
            OwnedValue::Number(_) | OwnedValue::Descriptor(_) => (8, 0),
            OwnedValue::String(bytes) => (bytes.len() + 1, 0),
            OwnedValue::Nvlist(list) => (LIST_HEADER + list.body_len(), 0),
            OwnedValue::Binary(bytes) => (bytes.len(), 0),
            OwnedValue::BoolArray(items) => (items.len(), items.len()),
            OwnedValue::NumberArray(items) | OwnedValue::DescriptorArray(items) => {
                (8 * items.len(), items.len())
            }
            OwnedValue::StringArray(items) => {
                (items.iter().map(|item| item.len() + 1).sum(), items.len())
            }
            OwnedValue::NvlistArray(items) => (0, items.len()),
        };
        self.header(value.kind().code(), name, size, items);
        match value {
            OwnedValue::Null => {}
            OwnedValue::Bool(value) => self.bytes.push(u8::from(*value)),
            OwnedValue::Number(value) => self.bytes.extend_from_slice(&value.to_le_bytes()),
            OwnedValue::String(bytes) => self.string(bytes),
            OwnedValue::Binary(bytes) => self.bytes.extend_from_slice(bytes),
            OwnedValue::BoolArray(items) => self.bytes.extend(items.iter().map(|b| u8::from(*b))),
            OwnedValue::NumberArray(items) => {
                items.iter().for_each(|item| self.bytes.extend_from_slice(&item.to_le_bytes()));
            }
            OwnedValue::StringArray(items) => items.iter().for_each(|item| self.string(item)),
            OwnedValue::Descriptor(index) => self.descriptor(*index)?,
            OwnedValue::DescriptorArray(items) => {
                items.iter().try_for_each(|index| self.descriptor(*index))?;
            }
            OwnedValue::Nvlist(list) => {
                self.list(list)?;
                self.header(wire::UP, b"", 0, 0);
            }
            OwnedValue::NvlistArray(items) => {
                for list in items {
                    self.list(list)?;
                    self.header(wire::NEXT, b"", 0, 0);
                }
            }
        }
        Ok(())
    }

    fn string(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.bytes.push(0);
    }

    fn descriptor(&mut self, index: u64) -> Result<(), Error> {
        if !self.taken.insert(index) {
            return Err(ErrorKind::DescriptorTwice { index }.at(self.bytes.len()));
        }
        self.descriptors = self.descriptors.saturating_sub(1);
        self.bytes.extend_from_slice(&index.to_le_bytes());
        Ok(())
    }
}
