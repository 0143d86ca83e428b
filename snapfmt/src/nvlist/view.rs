//! A checked packed list, read where it lies.
//!
//! Knows how to find and step over pairs; whatever could be malformed is refused by `check` before
//! a [`View`] exists, so that looking something up fails only if it is absent or of another type.

use std::fmt;

use super::check::check;
use super::error::{Error, Found, Missing, UnknownPair};
use super::value::{self, Bools, Numbers, Strings, Value, Views};
use super::{ByteOrder, Flags, Options, Type, wire};

/// A packed list, checked as a whole. Copies nothing; a nested list is a view of the same bytes.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The whole message, for nested lists too.
    message: &'a [u8],
    /// Where the header of this list is.
    header: usize,
    order: ByteOrder,
}

/// A pair of a list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pair<'a> {
    /// The name, without its NUL; any bytes, possibly none.
    pub name: &'a [u8],
    /// The value.
    pub value: Value<'a>,
    /// Where the pair begins in the packed message.
    pub at: usize,
}

impl<'a> View<'a> {
    /// Checks that `bytes` is one packed list and nothing else.
    ///
    /// # Errors
    ///
    /// The first fault found, in the order of the bytes; see the module for what is a fault.
    pub fn parse(bytes: &'a [u8], options: &Options) -> Result<Self, Error> {
        let order = check(bytes, options)?;
        Ok(Self { message: bytes, header: 0, order })
    }

    /// The list whose header is at `header` of a checked message.
    pub(super) const fn inside(message: &'a [u8], header: usize, order: ByteOrder) -> Self {
        Self { message, header, order }
    }

    /// The flags of this list.
    #[must_use]
    pub fn flags(&self) -> Flags {
        let header = wire::list_header(self.message, self.header);
        header.ok().and_then(|header| Flags::from_bits(header.flags)).unwrap_or_default()
    }

    /// The byte order of the message.
    #[must_use]
    pub const fn byte_order(&self) -> ByteOrder {
        self.order
    }

    /// The pairs in their order.
    #[must_use]
    pub const fn pairs(&self) -> Pairs<'a> {
        Pairs { view: *self, next: Next::Pair(self.header + wire::LIST_HEADER) }
    }

    /// Whether the list has no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs().next().is_none()
    }

    /// The value of the first pair of that name.
    #[must_use]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<Value<'a>> {
        self.named(name.as_ref()).next()
    }

    /// Whether there is a pair of that name.
    #[must_use]
    pub fn has(&self, name: impl AsRef<[u8]>) -> bool {
        self.get(name).is_some()
    }

    /// Checks that there are no pairs but those of these names.
    ///
    /// # Errors
    ///
    /// The first pair whose name is not among them.
    pub fn only(&self, names: &[&str]) -> Result<(), UnknownPair> {
        let flags = self.flags();
        let known = |pair: &Pair<'_>| names.iter().any(|n| flags.same(n.as_bytes(), pair.name));
        match self.pairs().find(|pair| !known(pair)) {
            None => Ok(()),
            Some(Pair { name, value, at }) => {
                Err(UnknownPair { name: name.to_vec(), kind: value.kind(), at })
            }
        }
    }

    fn named(&self, name: &[u8]) -> impl Iterator<Item = Value<'a>> {
        let flags = self.flags();
        self.pairs().filter(move |pair| flags.same(pair.name, name)).map(|pair| pair.value)
    }

    /// The first value of that name that `pick` takes. Like libnv, a lookup by type passes over
    /// pairs of the name and of other types, which a list without unique names can have.
    fn typed<T>(
        &self,
        name: &[u8],
        wanted: Type,
        pick: impl Fn(Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, Missing> {
        let mut other = None;
        for value in self.named(name) {
            let kind = value.kind();
            match pick(value) {
                Some(value) => return Ok(Some(value)),
                None => other = other.or(Some(kind)),
            }
        }
        match other {
            None => Ok(None),
            Some(kind) => Err(missing(name, wanted, Found::Other(kind))),
        }
    }
}

fn missing(name: &[u8], wanted: Type, found: Found) -> Missing {
    Missing { name: name.to_vec(), wanted, found }
}

macro_rules! getters {
    ($($what:literal: $get:ident, $find:ident, $kind:ident -> $value:ty;)*) => {
        /// Lookups by name and type. `find_*` tells absence from another type; the others take
        /// both for an error.
        impl<'a> View<'a> {
            $(
                #[doc = concat!("The ", $what, " of that name.")]
                ///
                /// # Errors
                ///
                /// There is no such pair, or only of another type.
                pub fn $get(&self, name: impl AsRef<[u8]>) -> Result<$value, Missing> {
                    let name = name.as_ref();
                    self.$find(name)?.ok_or_else(|| missing(name, Type::$kind, Found::Absent))
                }

                #[doc = concat!("The ", $what, " of that name, if there is one.")]
                ///
                /// # Errors
                ///
                /// There are only pairs of another type.
                pub fn $find(&self, name: impl AsRef<[u8]>) -> Result<Option<$value>, Missing> {
                    self.typed(name.as_ref(), Type::$kind, |value| match value {
                        Value::$kind(value) => Some(value),
                        _ => None,
                    })
                }
            )*
        }
    };
}

getters! {
    "bool": boolean, find_boolean, Bool -> bool;
    "number": number, find_number, Number -> u64;
    "string": string, find_string, String -> &'a [u8];
    "nested list": nvlist, find_nvlist, Nvlist -> View<'a>;
    "descriptor index": descriptor, find_descriptor, Descriptor -> u64;
    "binary": binary, find_binary, Binary -> &'a [u8];
    "bool array": bool_array, find_bool_array, BoolArray -> Bools<'a>;
    "number array": number_array, find_number_array, NumberArray -> Numbers<'a>;
    "string array": string_array, find_string_array, StringArray -> Strings<'a>;
    "list array": nvlist_array, find_nvlist_array, NvlistArray -> Views<'a>;
    "descriptor array": descriptor_array, find_descriptor_array, DescriptorArray -> Numbers<'a>;
}

impl<'a> View<'a> {
    /// The string of that name as text.
    ///
    /// # Errors
    ///
    /// There is no such pair, it is of another type, or it is not UTF-8.
    pub fn text(&self, name: impl AsRef<[u8]>) -> Result<&'a str, Missing> {
        let name = name.as_ref();
        self.find_text(name)?.ok_or_else(|| missing(name, Type::String, Found::Absent))
    }

    /// The string of that name as text, if there is one.
    ///
    /// # Errors
    ///
    /// The pair is of another type, or it is not UTF-8.
    pub fn find_text(&self, name: impl AsRef<[u8]>) -> Result<Option<&'a str>, Missing> {
        let name = name.as_ref();
        let text = self.find_string(name)?.map(std::str::from_utf8).transpose();
        text.map_err(|_| missing(name, Type::String, Found::NotUtf8))
    }
}

impl PartialEq for View<'_> {
    /// The same flags and the same pairs in the same order, whatever the bytes.
    fn eq(&self, other: &Self) -> bool {
        let pairs = |view: &Self| view.pairs().map(|pair| (pair.name, pair.value));
        self.flags() == other.flags() && pairs(self).eq(pairs(other))
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.pairs().map(|pair| (pair.name.escape_ascii().to_string(), pair.value));
        f.debug_map().entries(pairs).finish()
    }
}

/// The pairs of a list. Stepping over a nested list walks it.
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    view: View<'a>,
    next: Next<'a>,
}

#[derive(Debug, Clone)]
enum Next<'a> {
    /// A pair, or the end of the list, at this offset.
    Pair(usize),
    /// Whatever follows this pair.
    After(wire::RawPair<'a>),
    /// Nothing.
    End,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        let View { message, order, .. } = self.view;
        let at = match std::mem::replace(&mut self.next, Next::End) {
            Next::Pair(at) => at,
            Next::After(pair) => value::skip_pair(message, &pair, order)?,
            Next::End => return None,
        };
        // Fails at the end of the message; a marker has no value.
        let raw = wire::pair(message, at, order).ok()?;
        let value = Value::of(message, &raw, order)?;
        self.next = Next::After(raw);
        Some(Pair { name: raw.name, value, at })
    }
}

impl std::iter::FusedIterator for Pairs<'_> {}
