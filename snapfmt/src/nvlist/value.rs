//! Values where they lie: what a pair of a checked list holds, without copying it.

use super::view::View;
use super::wire::{self, RawPair};
use super::{ByteOrder, Type};

/// The value of a pair. It borrows from the packed list.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(u64),
    /// A string without its NUL; its encoding is not known.
    String(&'a [u8]),
    /// A nested list.
    Nvlist(View<'a>),
    /// An index into the descriptors received.
    Descriptor(u64),
    /// Bytes.
    Binary(&'a [u8]),
    /// Bools.
    BoolArray(Bools<'a>),
    /// Numbers.
    NumberArray(Numbers<'a>),
    /// Strings.
    StringArray(Strings<'a>),
    /// Lists.
    NvlistArray(Views<'a>),
    /// Indexes into the descriptors received.
    DescriptorArray(Numbers<'a>),
}

impl<'a> Value<'a> {
    /// The type of the value.
    #[must_use]
    pub const fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Number(_) => Type::Number,
            Self::String(_) => Type::String,
            Self::Nvlist(_) => Type::Nvlist,
            Self::Descriptor(_) => Type::Descriptor,
            Self::Binary(_) => Type::Binary,
            Self::BoolArray(_) => Type::BoolArray,
            Self::NumberArray(_) => Type::NumberArray,
            Self::StringArray(_) => Type::StringArray,
            Self::NvlistArray(_) => Type::NvlistArray,
            Self::DescriptorArray(_) => Type::DescriptorArray,
        }
    }

    /// The value of a pair; `None` only for a marker, since the message is checked.
    pub(super) fn of(message: &'a [u8], pair: &RawPair<'a>, order: ByteOrder) -> Option<Self> {
        let data = pair.data;
        let number = || data.first_chunk().map(|bytes| order.u64(*bytes));
        let numbers = Numbers { bytes: data, order };
        Some(match Type::from_code(pair.code)? {
            Type::Null => Self::Null,
            Type::Bool => Self::Bool(data != [0]),
            Type::Number => Self::Number(number()?),
            Type::String => Self::String(data.split_last()?.1),
            Type::Nvlist => Self::Nvlist(View::inside(message, pair.data_at, order)),
            Type::Descriptor => Self::Descriptor(number()?),
            Type::Binary => Self::Binary(data),
            Type::BoolArray => Self::BoolArray(Bools { bytes: data }),
            Type::NumberArray => Self::NumberArray(numbers),
            Type::StringArray => Self::StringArray(Strings { bytes: data, left: pair.items }),
            Type::NvlistArray => {
                Self::NvlistArray(Views { message, next: pair.data_at, order, left: pair.items })
            }
            Type::DescriptorArray => Self::DescriptorArray(numbers),
        })
    }
}

fn exactly(left: usize) -> (usize, Option<usize>) {
    (left, Some(left))
}

/// The elements of a bool array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bools<'a> {
    bytes: &'a [u8],
}

impl Iterator for Bools<'_> {
    type Item = bool;

    fn next(&mut self) -> Option<bool> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first != 0)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        exactly(self.bytes.len())
    }
}

impl ExactSizeIterator for Bools<'_> {}

/// The elements of a number array, or the indexes of a descriptor array.
#[derive(Debug, Clone)]
pub struct Numbers<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let (first, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(self.order.u64(*first))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        exactly(self.bytes.len() / 8)
    }
}

impl ExactSizeIterator for Numbers<'_> {}

impl PartialEq for Numbers<'_> {
    /// The same numbers, whatever their byte order.
    fn eq(&self, other: &Self) -> bool {
        self.clone().eq(other.clone())
    }
}

/// The elements of a string array, without their NULs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strings<'a> {
    bytes: &'a [u8],
    left: u64,
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let nul = self.bytes.iter().position(|byte| *byte == 0)?;
        let (first, rest) = self.bytes.split_at_checked(nul)?;
        self.bytes = rest.get(1..).unwrap_or_default();
        self.left = self.left.saturating_sub(1);
        Some(first)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        exactly(usize::try_from(self.left).unwrap_or(self.bytes.len()))
    }
}

impl ExactSizeIterator for Strings<'_> {}

/// The elements of a list array. Stepping over an element walks it.
#[derive(Debug, Clone)]
pub struct Views<'a> {
    message: &'a [u8],
    /// The list header of the next element.
    next: usize,
    order: ByteOrder,
    left: u64,
}

impl<'a> Iterator for Views<'a> {
    type Item = View<'a>;

    fn next(&mut self) -> Option<View<'a>> {
        self.left = self.left.checked_sub(1)?;
        let view = View::inside(self.message, self.next, self.order);
        if self.left > 0 {
            self.next = skip_element(self.message, self.next, self.order)?;
        }
        Some(view)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        exactly(usize::try_from(self.left).unwrap_or(usize::MAX))
    }
}

impl ExactSizeIterator for Views<'_> {}

impl PartialEq for Views<'_> {
    /// The same lists, whatever their bytes.
    fn eq(&self, other: &Self) -> bool {
        self.clone().eq(other.clone())
    }
}

/// Steps over an element of a list array, from its header to behind its marker.
fn skip_element(message: &[u8], header: usize, order: ByteOrder) -> Option<usize> {
    let mut at = header + wire::LIST_HEADER;
    loop {
        let pair = wire::pair(message, at, order).ok()?;
        if pair.code == wire::NEXT {
            return Some(pair.data_at);
        }
        at = skip_pair(message, &pair, order)?;
    }
}

/// Steps over a pair, with all that is nested in it.
///
/// A nested list is walked, since older versions of libnv write a data size that says nothing about
/// its end. Elements of an array are not counted: the byte behind an element's marker is a list
/// header's magic if another follows, and a pair's type otherwise.
pub(super) fn skip_pair(message: &[u8], pair: &RawPair<'_>, order: ByteOrder) -> Option<usize> {
    let mut open = 0_usize;
    let mut pair = *pair;
    loop {
        let at = match (Type::from_code(pair.code), pair.code) {
            (Some(Type::Nvlist | Type::NvlistArray), _) => {
                open += 1;
                pair.data_at + wire::LIST_HEADER
            }
            (None, wire::NEXT) if message.get(pair.data_at) == Some(&wire::MAGIC) => {
                pair.data_at + wire::LIST_HEADER
            }
            (None, _) => {
                open = open.checked_sub(1)?;
                pair.data_at
            }
            _ => pair.data_at + pair.data.len(),
        };
        if open == 0 {
            return Some(at);
        }
        pair = wire::pair(message, at, order).ok()?;
    }
}
