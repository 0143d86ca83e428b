//! A list that owns what it holds: built pair by pair, or copied from a view.
//!
//! Every list that exists can be packed and read back: what the reader refuses cannot be added.

use std::borrow::Cow;
use std::collections::HashMap;

use super::error::{Error, ErrorKind};
use super::value::Value;
use super::view::View;
use super::wire::{LIST_HEADER, MARKER, PAIR_HEADER};
use super::{Builder, Flags, Options, Type};
use crate::limits;

/// A name/value list.
#[derive(Debug, Clone)]
pub struct Nvlist {
    flags: Flags,
    pairs: Vec<OwnedPair>,
    /// Where the first pair of each name is; names in lower case where the list ignores case.
    index: HashMap<Box<[u8]>, usize>,
    totals: Totals,
}

/// What a list amounts to with all that is nested in it, kept so that no bound needs a walk.
#[derive(Debug, Clone, Copy)]
struct Totals {
    /// Bytes of the packed pairs.
    body: usize,
    /// Lists inside each other, this one counted.
    depth: usize,
    /// What counts against [`limits::NVLIST_PAIRS`].
    counted: usize,
    /// Descriptors.
    descriptors: usize,
}

/// A pair of an [`Nvlist`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnedPair {
    /// The name without NUL.
    pub name: Vec<u8>,
    /// The value.
    pub value: OwnedValue,
}

/// The value of a pair, owned. See [`Value`] for what each is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum OwnedValue {
    Null,
    Bool(bool),
    Number(u64),
    String(Vec<u8>),
    Nvlist(Nvlist),
    Descriptor(u64),
    Binary(Vec<u8>),
    BoolArray(Vec<bool>),
    NumberArray(Vec<u64>),
    StringArray(Vec<Vec<u8>>),
    NvlistArray(Vec<Nvlist>),
    DescriptorArray(Vec<u64>),
}

impl OwnedValue {
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

    /// What is wrong with the value in any list.
    fn fault(&self) -> Option<ErrorKind> {
        let kind = self.kind();
        let empty = |empty: bool| empty.then_some(ErrorKind::Items { kind, found: 0 });
        let index = |index: &u64| {
            let received = i64::MAX.unsigned_abs();
            (*index >= received).then_some(ErrorKind::DescriptorIndex { found: *index, received })
        };
        match self {
            Self::String(bytes) => bytes.contains(&0).then_some(ErrorKind::StringNul),
            Self::Binary(bytes) => {
                bytes.is_empty().then_some(ErrorKind::DataSize { kind, found: 0 })
            }
            Self::BoolArray(items) => empty(items.is_empty()),
            Self::NumberArray(items) => empty(items.is_empty()),
            Self::StringArray(items) => empty(items.is_empty())
                .or_else(|| items.iter().any(|s| s.contains(&0)).then_some(ErrorKind::StringNul)),
            Self::NvlistArray(items) => empty(items.is_empty()),
            Self::Descriptor(found) => index(found),
            Self::DescriptorArray(items) => {
                empty(items.is_empty()).or_else(|| items.iter().find_map(index))
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Nvlist(_) => None,
        }
    }

    /// What a pair of this value adds to its list, the name left out.
    fn totals(&self) -> Totals {
        let (mut body, mut counted, mut descriptors, mut depth) = (PAIR_HEADER, 1_usize, 0, 0);
        let mut nested = |list: &Nvlist, elements: usize| {
            let inner = list.totals;
            body = body.saturating_add(LIST_HEADER + MARKER).saturating_add(inner.body);
            counted = counted.saturating_add(elements).saturating_add(inner.counted);
            descriptors += inner.descriptors;
            depth = depth.max(inner.depth);
        };
        match self {
            Self::Null => {}
            Self::Bool(_) => body += 1,
            Self::Number(_) => body += 8,
            Self::Descriptor(_) => (body, descriptors) = (body + 8, 1),
            Self::String(bytes) => body = body.saturating_add(bytes.len() + 1),
            Self::Binary(bytes) => body = body.saturating_add(bytes.len()),
            Self::BoolArray(items) => body = body.saturating_add(items.len()),
            Self::NumberArray(items) => body = body.saturating_add(items.len().saturating_mul(8)),
            Self::DescriptorArray(items) => {
                body = body.saturating_add(items.len().saturating_mul(8));
                descriptors = items.len();
            }
            Self::StringArray(items) => {
                counted += items.len();
                body = items.iter().fold(body, |sum, item| sum.saturating_add(item.len() + 1));
            }
            Self::Nvlist(list) => nested(list, 0),
            Self::NvlistArray(items) => items.iter().for_each(|list| nested(list, 1)),
        }
        Totals { body, depth, counted, descriptors }
    }
}

impl Nvlist {
    /// An empty list without flags.
    #[must_use]
    pub fn new() -> Self {
        Self::with_flags(Flags::default())
    }

    /// An empty list.
    #[must_use]
    pub fn with_flags(flags: Flags) -> Self {
        let totals = Totals { body: 0, depth: 1, counted: 0, descriptors: 0 };
        Self { flags, pairs: Vec::new(), index: HashMap::new(), totals }
    }

    /// A list built by a chain of calls.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Reads a packed list into a list of its own.
    ///
    /// # Errors
    ///
    /// As [`View::parse`].
    pub fn unpack(bytes: &[u8], options: &Options) -> Result<Self, Error> {
        View::parse(bytes, options).map(|view| view.to_nvlist())
    }

    /// The flags of the list.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        self.flags
    }

    /// The pairs in their order.
    #[must_use]
    pub fn pairs(&self) -> &[OwnedPair] {
        &self.pairs
    }

    /// How many pairs the list has, nested ones not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether the list has no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The value of the first pair of that name.
    #[must_use]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&OwnedValue> {
        let at = self.index.get(&*self.folded(name.as_ref()))?;
        self.pairs.get(*at).map(|pair| &pair.value)
    }

    /// Bytes of the packed list.
    #[must_use]
    pub const fn packed_len(&self) -> usize {
        LIST_HEADER + self.totals.body
    }

    /// How many descriptors the list and those nested in it use.
    #[must_use]
    pub const fn descriptors(&self) -> usize {
        self.totals.descriptors
    }

    /// Bytes of the packed pairs.
    pub(super) const fn body_len(&self) -> usize {
        self.totals.body
    }

    fn folded<'n>(&self, name: &'n [u8]) -> Cow<'n, [u8]> {
        if self.flags.ignore_case { name.to_ascii_lowercase().into() } else { name.into() }
    }

    /// Pairs, elements of list arrays and elements of string arrays, those inside counted.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.totals.counted
    }

    /// Appends a pair. Nothing is added if it fails.
    ///
    /// # Errors
    ///
    /// The name is too long, has a NUL or is used already; the value is one that cannot be packed
    /// (an empty binary or array, a string with a NUL); or a bound of [`limits`] is exceeded.
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: OwnedValue) -> Result<(), Error> {
        let name = name.as_ref();
        let at = self.packed_len();
        let fault = |kind: ErrorKind| Err(kind.at(at));
        if name.len() > limits::NVLIST_NAME {
            return fault(ErrorKind::NameTooLong { found: name.len() as u64 });
        }
        if name.contains(&0) {
            return fault(ErrorKind::NameNul);
        }
        if let Some(kind) = value.fault() {
            return fault(kind);
        }
        if !self.flags.no_unique && self.index.contains_key(&*self.folded(name)) {
            return fault(ErrorKind::Duplicate);
        }
        let totals = self.totals.with(name, &value);
        let bounds = [
            ("list size", totals.body.saturating_add(LIST_HEADER), limits::NVLIST_SIZE),
            ("lists inside each other", totals.depth, limits::NVLIST_DEPTH),
            ("pairs and elements", totals.counted, limits::NVLIST_PAIRS),
        ];
        for (what, found, limit) in bounds {
            if found > limit {
                let (found, limit) = (found as u64, limit as u64);
                return fault(ErrorKind::OverLimit { what, found, limit });
            }
        }
        self.push(name, value);
        Ok(())
    }

    /// Appends a pair that is known to be good.
    fn push(&mut self, name: &[u8], value: OwnedValue) {
        self.totals = self.totals.with(name, &value);
        let key = self.folded(name).into();
        self.index.entry(key).or_insert(self.pairs.len());
        self.pairs.push(OwnedPair { name: name.to_vec(), value });
    }
}

impl Totals {
    fn with(self, name: &[u8], value: &OwnedValue) -> Self {
        let more = value.totals();
        Self {
            body: self.body.saturating_add(name.len() + 1).saturating_add(more.body),
            depth: self.depth.max(more.depth + 1),
            counted: self.counted.saturating_add(more.counted),
            descriptors: self.descriptors.saturating_add(more.descriptors),
        }
    }
}

macro_rules! adders {
    ($($what:literal: $add:ident, $kind:ident($value:ident: $taken:ty) => $owned:expr;)*) => {
        /// Appending by type, named as in libnv. The errors are those of [`Nvlist::add`].
        #[allow(clippy::missing_errors_doc)]
        impl Nvlist {
            $(
                #[doc = concat!("Appends ", $what, ".")]
                pub fn $add(
                    &mut self,
                    name: impl AsRef<[u8]>,
                    $value: $taken,
                ) -> Result<(), Error> {
                    self.add(name, OwnedValue::$kind($owned))
                }
            )*

            /// Appends a pair without value.
            pub fn add_null(&mut self, name: impl AsRef<[u8]>) -> Result<(), Error> {
                self.add(name, OwnedValue::Null)
            }
        }
    };
}

adders! {
    "a bool": add_bool, Bool(value: bool) => value;
    "a number": add_number, Number(value: u64) => value;
    "a string": add_string, String(value: impl AsRef<[u8]>) => value.as_ref().to_vec();
    "a list": add_nvlist, Nvlist(value: Self) => value;
    "a descriptor index": add_descriptor, Descriptor(index: u64) => index;
    "bytes, at least one": add_binary, Binary(value: impl Into<Vec<u8>>) => value.into();
    "bools, at least one": add_bool_array,
        BoolArray(items: impl IntoIterator<Item = bool>) => items.into_iter().collect();
    "numbers, at least one": add_number_array,
        NumberArray(items: impl IntoIterator<Item = u64>) => items.into_iter().collect();
    "strings, at least one": add_string_array,
        StringArray(items: impl IntoIterator<Item: AsRef<[u8]>>)
            => items.into_iter().map(|item| item.as_ref().to_vec()).collect();
    "lists, at least one": add_nvlist_array,
        NvlistArray(items: impl IntoIterator<Item = Self>) => items.into_iter().collect();
    "descriptor indexes, at least one": add_descriptor_array,
        DescriptorArray(items: impl IntoIterator<Item = u64>) => items.into_iter().collect();
}

impl Default for Nvlist {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Nvlist {
    /// The same flags and the same pairs in the same order.
    fn eq(&self, other: &Self) -> bool {
        self.flags == other.flags && self.pairs == other.pairs
    }
}

impl Eq for Nvlist {}

impl View<'_> {
    /// Copies the list. Recursion as deep as the list, which is bounded.
    #[must_use]
    pub fn to_nvlist(&self) -> Nvlist {
        let mut list = Nvlist::with_flags(self.flags());
        for pair in self.pairs() {
            list.push(pair.name, (&pair.value).into());
        }
        list
    }
}

impl From<View<'_>> for Nvlist {
    fn from(view: View<'_>) -> Self {
        view.to_nvlist()
    }
}

impl From<&Value<'_>> for OwnedValue {
    fn from(value: &Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(value) => Self::Number(*value),
            Value::String(bytes) => Self::String(bytes.to_vec()),
            Value::Nvlist(view) => Self::Nvlist(view.to_nvlist()),
            Value::Descriptor(index) => Self::Descriptor(*index),
            Value::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Value::BoolArray(items) => Self::BoolArray(items.clone().collect()),
            Value::NumberArray(items) => Self::NumberArray(items.clone().collect()),
            Value::StringArray(items) => {
                Self::StringArray(items.clone().map(<[u8]>::to_vec).collect())
            }
            Value::NvlistArray(items) => {
                Self::NvlistArray(items.clone().map(|view| view.to_nvlist()).collect())
            }
            Value::DescriptorArray(items) => Self::DescriptorArray(items.clone().collect()),
        }
    }
}
