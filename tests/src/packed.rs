//! libnv's packed lists by hand: written in either byte order, and taken apart far enough to change
//! a value where it lies. From the description of the format alone, never through `snapfmt`'s own
//! reader or writer, so that these can be held against it.

use std::ops::Range;

use snapfmt::nvlist::{Nvlist, OwnedValue};

const LIST_HEADER: usize = 19;
const PAIR_HEADER: usize = 19;
const NEXT: u8 = 254;
const UP: u8 = 255;

/// The byte order of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// The list as a host of that byte order packs it.
#[must_use]
pub fn pack(list: &Nvlist, order: Order) -> Vec<u8> {
    let mut packer = Packer { order, bytes: Vec::new(), headers: Vec::new(), descriptors: 0 };
    packer.list(list);
    // What a header says is left of the message is known only now.
    for (at, used) in std::mem::take(&mut packer.headers) {
        let left = packer.bytes.len() - at - LIST_HEADER;
        packer.patch(at + 3, packer.descriptors - used);
        packer.patch(at + 11, left);
    }
    packer.bytes
}

struct Packer {
    order: Order,
    bytes: Vec<u8>,
    /// Where list headers are, and how many descriptors came before each.
    headers: Vec<(usize, usize)>,
    descriptors: usize,
}

impl Packer {
    fn encode(&self, number: u64) -> [u8; 8] {
        match self.order {
            Order::Little => number.to_le_bytes(),
            Order::Big => number.to_be_bytes(),
        }
    }

    fn patch(&mut self, at: usize, number: usize) {
        let bytes = self.encode(number as u64);
        self.bytes[at..at + 8].copy_from_slice(&bytes);
    }

    fn number(&mut self, number: u64) {
        let bytes = self.encode(number);
        self.bytes.extend(bytes);
    }

    fn list(&mut self, list: &Nvlist) {
        self.headers.push((self.bytes.len(), self.descriptors));
        let big = if self.order == Order::Big { 0x80 } else { 0 };
        self.bytes.extend([b'l', 0, list.flags().bits() | big]);
        self.bytes.extend([0; 16]);
        for pair in list.pairs() {
            self.pair(&pair.name, &pair.value);
        }
    }

    /// Appends a pair's header and gives its place, for the size of its data.
    fn header(&mut self, code: u8, name: &[u8], items: usize) -> usize {
        let at = self.bytes.len();
        let size = u16::try_from(name.len() + 1).expect("a short name");
        self.bytes.push(code);
        self.bytes.extend(match self.order {
            Order::Little => size.to_le_bytes(),
            Order::Big => size.to_be_bytes(),
        });
        self.bytes.extend([0; 8]);
        self.number(items as u64);
        self.bytes.extend(name);
        self.bytes.push(0);
        at
    }

    fn pair(&mut self, name: &[u8], value: &OwnedValue) {
        let items = match value {
            OwnedValue::BoolArray(items) => items.len(),
            OwnedValue::NumberArray(items) | OwnedValue::DescriptorArray(items) => items.len(),
            OwnedValue::StringArray(items) => items.len(),
            OwnedValue::NvlistArray(items) => items.len(),
            _ => 0,
        };
        let at = self.header(value.kind().code(), name, items);
        let data = self.bytes.len();
        match value {
            OwnedValue::Null => {}
            OwnedValue::Bool(value) => self.bytes.push(u8::from(*value)),
            OwnedValue::Number(value) => self.number(*value),
            OwnedValue::String(bytes) => self.string(bytes),
            OwnedValue::Binary(bytes) => self.bytes.extend(bytes),
            OwnedValue::BoolArray(items) => self.bytes.extend(items.iter().map(|b| u8::from(*b))),
            OwnedValue::NumberArray(items) => items.iter().for_each(|item| self.number(*item)),
            OwnedValue::StringArray(items) => items.iter().for_each(|item| self.string(item)),
            OwnedValue::Descriptor(index) => self.descriptor(*index),
            OwnedValue::DescriptorArray(items) => items.iter().for_each(|i| self.descriptor(*i)),
            OwnedValue::Nvlist(list) => self.list(list),
            OwnedValue::NvlistArray(items) => {
                for item in items {
                    self.list(item);
                    self.header(NEXT, b"", 0);
                }
                return;
            }
        }
        self.patch(at + 3, self.bytes.len() - data);
        if let OwnedValue::Nvlist(_) = value {
            self.header(UP, b"", 0);
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.bytes.push(0);
    }

    fn descriptor(&mut self, index: u64) {
        self.descriptors += 1;
        self.number(index);
    }
}

/// A pair of a little-endian message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The elements of the arrays that it is in, from the outside; 0 for a single list.
    pub path: Vec<usize>,
    /// Its name.
    pub name: Vec<u8>,
    /// The code of its type.
    pub code: u8,
    /// Where its data lies; of a list, or of a list array, where the first header lies.
    pub data: Range<usize>,
}

/// All pairs of a little-endian message in their order, up to the first that makes no sense.
#[must_use]
pub fn scan(list: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut path = Vec::new();
    let mut at = LIST_HEADER;
    while let Some((pair, next)) = pair(list, at, &path) {
        at = pair.data.start;
        match pair.code {
            5 | 11 => path.push(0),
            NEXT if list.get(at) == Some(&b'l') && !path.is_empty() => {
                if let Some(element) = path.last_mut() {
                    *element += 1;
                }
            }
            NEXT | UP => {
                path.pop();
                continue;
            }
            _ => {
                at = next;
                found.push(pair);
                continue;
            }
        }
        at += LIST_HEADER;
        if pair.code != NEXT {
            found.push(pair);
        }
    }
    found
}

fn pair(list: &[u8], at: usize, path: &[usize]) -> Option<(Found, usize)> {
    let header = list.get(at..at.checked_add(PAIR_HEADER)?)?;
    let name_size = usize::from(u16::from_le_bytes([header[1], header[2]]));
    let size = usize::try_from(number(list, at + 3)?).ok()?;
    let name_at = at + PAIR_HEADER;
    let name = list.get(name_at..name_at + name_size)?.split_last()?.1.to_vec();
    let data_at = name_at + name_size;
    let next = data_at.checked_add(size).filter(|next| *next <= list.len())?;
    let data = data_at..next;
    Some((Found { path: path.to_vec(), name, code: header[0], data }, next))
}

/// The little-endian number at an offset.
#[must_use]
pub fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
