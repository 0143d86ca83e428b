//! FreeBSD libnv's packed name/value lists, in pure Rust.
//!
//! ```text
//! bytes --View::parse--> View (borrows, checked) --to_nvlist--> Nvlist (owned) --pack--> bytes
//!                          |                          ^    ^
//!                          |            Builder --build    |
//!                          +--from_view--> Rust type --to_nvlist
//! ```
//!
//! This module knows the packed format: all types, both byte orders on reading, little-endian on
//! writing, byte for byte what libnv writes. It refuses to know what a list means, sockets and
//! descriptors (a descriptor is an index into those that came with the message), and snapshots.
//!
//! [`View::parse`] checks everything once, so nothing after it can find malformed data. It is
//! iterative, its time is linear in the input, and it allocates only for the names of the lists
//! open at the moment; no allocation follows a number in the input. The bounds are in
//! [`crate::limits`]; lists deeper than [`crate::limits::NVLIST_DEPTH`] do not exist here, which
//! bounds every recursion over a list. A lookup scans its list from the start, nested lists
//! included, so a loop of lookups over names from the input would be quadratic: take
//! [`View::pairs`] or an [`Nvlist`], which finds names by hash. Walking a list level by level reads
//! its bytes once for each level; the bounds keep the worst of that below a second.
//!
//! # Strictness
//!
//! What libnv refuses is refused, with the same errno ([`Error::errno`]). Some of what libnv
//! accepts but never writes is refused too, since two readers could take it for different lists:
//!
//! | refused here, accepted by libnv | reason |
//! | --- | --- |
//! | a version byte other than 0 | another version may mean anything |
//! | lists left open at the end | a cut message would pass as a shorter list |
//! | a list closed by the element marker, an array closed by the list marker | lists change shape |
//! | a marker with a name, data size or item count | what it would mean is undefined |
//! | headers of different byte orders in one message | the readers of libnv disagree |
//! | a bool array element other than 0 and 1 | undefined in C |
//! | a descriptor used twice | it would be closed twice |
//! | a list above the bounds of this crate | time, memory and stack |
//!
//! Accepted as libnv does, because older versions write it or it changes nothing: any data size of
//! a nested list from 1 to the bytes left, any data size of a list array that fits, an item count
//! on a type that is no array, received descriptors that are not used, a header whose descriptor
//! count is below those used. None of these is kept: [`Nvlist::pack`] writes what current libnv
//! writes. There is no lenient mode.
//!
//! An empty descriptor array can be built by libnv but never read; here it cannot be built.

mod announced;
mod builder;
mod check;
mod error;
mod owned;
mod pack;
pub mod serde;
mod value;
mod view;
mod wire;

use std::fmt;

pub use self::serde::{from_nvlist, from_view, to_nvlist};
pub use announced::Announced;
pub use builder::Builder;
pub use error::{Errno, Error, ErrorKind, Found, Missing, UnknownPair};
pub use owned::{Nvlist, OwnedPair, OwnedValue};
pub use value::{Bools, Numbers, Strings, Value, Views};
pub use view::{Pair, Pairs, View};

/// The type of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Type {
    /// No value.
    Null = 1,
    /// True or false.
    Bool = 2,
    /// An unsigned 64-bit number.
    Number = 3,
    /// Bytes without NUL.
    String = 4,
    /// A list.
    Nvlist = 5,
    /// An index into the descriptors that came with the message.
    Descriptor = 6,
    /// Bytes, at least one.
    Binary = 7,
    /// Bools, at least one.
    BoolArray = 8,
    /// Numbers, at least one.
    NumberArray = 9,
    /// Strings, at least one.
    StringArray = 10,
    /// Lists, at least one.
    NvlistArray = 11,
    /// Descriptor indexes, at least one.
    DescriptorArray = 12,
}

impl Type {
    /// All types, in the order of their codes.
    pub const ALL: [Self; 12] = [
        Self::Null,
        Self::Bool,
        Self::Number,
        Self::String,
        Self::Nvlist,
        Self::Descriptor,
        Self::Binary,
        Self::BoolArray,
        Self::NumberArray,
        Self::StringArray,
        Self::NvlistArray,
        Self::DescriptorArray,
    ];

    /// The code of the type in a packed list.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The type of a code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The name in lower case, as in `bool_array`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Number => "number",
            Self::String => "string",
            Self::Nvlist => "nvlist",
            Self::Descriptor => "descriptor",
            Self::Binary => "binary",
            Self::BoolArray => "bool_array",
            Self::NumberArray => "number_array",
            Self::StringArray => "string_array",
            Self::NvlistArray => "nvlist_array",
            Self::DescriptorArray => "descriptor_array",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The flags of a list, which it keeps when packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags {
    /// Names are compared without regard to the case of ASCII letters (`NV_FLAG_IGNORE_CASE`).
    pub ignore_case: bool,
    /// A name may be used by several pairs (`NV_FLAG_NO_UNIQUE`).
    pub no_unique: bool,
}

impl Flags {
    const IGNORE_CASE: u8 = 1;
    const NO_UNIQUE: u8 = 2;

    /// The flags as libnv's bits, 0 to 3.
    #[must_use]
    pub const fn bits(self) -> u8 {
        (if self.ignore_case { Self::IGNORE_CASE } else { 0 })
            | (if self.no_unique { Self::NO_UNIQUE } else { 0 })
    }

    /// The flags of libnv's bits; `None` if there are bits other than those two.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits > Self::IGNORE_CASE | Self::NO_UNIQUE {
            return None;
        }
        Some(Self {
            ignore_case: bits & Self::IGNORE_CASE != 0,
            no_unique: bits & Self::NO_UNIQUE != 0,
        })
    }

    /// Whether a list with these flags takes two names for the same.
    fn same(self, a: &[u8], b: &[u8]) -> bool {
        if self.ignore_case { a.eq_ignore_ascii_case(b) } else { a == b }
    }
}

/// The byte order of a packed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first; the only order written here.
    Little,
    /// Most significant byte first.
    Big,
}

/// What the reader of a packed list expects of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    flags: Option<Flags>,
    /// Flags of all lists inside.
    inside: Option<Flags>,
    descriptors: u64,
    /// What pairs and elements may come to.
    pairs: usize,
}

impl Options {
    /// No flags and no descriptors.
    #[must_use]
    pub const fn new() -> Self {
        let flags = Flags { ignore_case: false, no_unique: false };
        let pairs = crate::limits::NVLIST_PAIRS;
        Self { flags: Some(flags), inside: None, descriptors: 0, pairs }
    }

    /// The outermost list must have exactly these flags, as libnv demands of its callers.
    #[must_use]
    pub const fn flags(self, flags: Flags) -> Self {
        Self { flags: Some(flags), ..self }
    }

    /// Every list, those inside too, must have exactly these flags. libnv lets each have its own.
    #[must_use]
    pub const fn flags_throughout(self, flags: Flags) -> Self {
        Self { flags: Some(flags), inside: Some(flags), ..self }
    }

    /// The outermost list may have any flags; for tools that show what they are given.
    #[must_use]
    pub const fn any_flags(self) -> Self {
        Self { flags: None, ..self }
    }

    /// Pairs, elements of list arrays and elements of string arrays, those inside counted, may come
    /// to this many, if that is less than [`crate::limits::NVLIST_PAIRS`].
    #[must_use]
    pub const fn pairs(self, limit: usize) -> Self {
        let most = crate::limits::NVLIST_PAIRS;
        Self { pairs: if limit < most { limit } else { most }, ..self }
    }

    /// This many descriptors came with the message.
    #[must_use]
    pub const fn descriptors(self, received: u64) -> Self {
        Self { descriptors: received, ..self }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header, number "a", nvlist "l", its header, string "s", end marker.
    const WORKED: &str = concat!(
        "6c00000000000000000000",
        "7100000000000000",
        "03020008000000000000000000000000000000",
        "6100ffffffffffffffff",
        "0502002b000000000000000000000000000000",
        "6c00",
        "6c00000000000000000000",
        "2c00000000000000",
        "04020003000000000000000000000000000000",
        "7300686900",
        "ff010000000000000000000000000000000000",
        "00",
    );

    fn worked() -> Builder {
        let inner = Nvlist::builder().string("s", "hi");
        Nvlist::builder().number("a", u64::MAX).nvlist("l", inner)
    }

    #[test]
    fn a_list_packs_to_the_bytes_of_libnv() {
        assert_eq!(hex::encode(worked().pack().unwrap()), WORKED);
    }

    #[test]
    fn a_packed_list_is_read_where_it_lies() {
        let bytes = hex::decode(WORKED).unwrap();
        let view = View::parse(&bytes, &Options::new()).unwrap();
        assert_eq!(view.number("a"), Ok(u64::MAX));
        assert_eq!(view.nvlist("l").unwrap().text("s"), Ok("hi"));
        assert_eq!(view.find_number("b"), Ok(None));
        assert_eq!(view.number("b").unwrap_err().found, Found::Absent);
        assert_eq!(view.string("a").unwrap_err().found, Found::Other(Type::Number));
        assert_eq!(view.only(&["a", "l"]), Ok(()));
        assert_eq!(view.only(&["a"]).unwrap_err().name, b"l");
        assert_eq!(view.to_nvlist(), worked().build().unwrap());
    }

    #[test]
    fn names_are_compared_as_the_flags_say() {
        let flags = Flags { ignore_case: true, no_unique: false };
        let mut list = Nvlist::with_flags(flags);
        list.add_number("Cpus", 4).unwrap();
        assert_eq!(list.add_null("cPUS").unwrap_err().kind, ErrorKind::Duplicate);
        assert_eq!(list.get("CPUS"), Some(&OwnedValue::Number(4)));
        let bytes = list.pack().unwrap();
        let view = View::parse(&bytes, &Options::new().flags(flags)).unwrap();
        assert_eq!(view.number("cpus"), Ok(4));
        assert_eq!(view.only(&["CPUS"]), Ok(()));
        let error = View::parse(&bytes, &Options::new()).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::Eilseq));
    }

    #[test]
    fn flags_can_be_asked_for_throughout() {
        let flags = Flags { ignore_case: false, no_unique: true };
        let inner = || Builder::with_flags(flags).null("x").null("x");
        let throughout = Options::new().flags_throughout(Flags::default());
        let array = Nvlist::builder().nvlist_array("l", [Nvlist::builder(), inner()]);
        for list in [Nvlist::builder().nvlist("l", inner()), array] {
            let bytes = list.pack().unwrap();
            assert!(View::parse(&bytes, &Options::new()).is_ok());
            let error = View::parse(&bytes, &throughout).unwrap_err();
            assert_eq!(
                error.kind,
                ErrorKind::CallerFlags { wanted: Flags::default(), found: flags }
            );
            assert_eq!(bytes[error.at], 2);
        }
    }

    #[test]
    fn a_lookup_by_type_passes_over_the_name_in_other_types() {
        let flags = Flags { ignore_case: false, no_unique: true };
        let list = Builder::with_flags(flags).string("x", "s").number("x", 1).number("x", 2);
        let bytes = list.pack().unwrap();
        let view = View::parse(&bytes, &Options::new().flags(flags)).unwrap();
        assert_eq!(view.get("x"), Some(Value::String(b"s")));
        assert_eq!(view.number("x"), Ok(1));
        assert_eq!(view.binary("x").unwrap_err().found, Found::Other(Type::String));
    }

    #[test]
    fn what_cannot_be_packed_cannot_be_added() {
        let mut list = Nvlist::new();
        let long = "n".repeat(2048);
        let kinds = [
            list.add_null(&long),
            list.add_null("a\0b"),
            list.add_string("s", "a\0b"),
            list.add_binary("b", []),
            list.add_number_array("n", []),
            list.add_nvlist_array("l", []),
            list.add_descriptor("d", u64::MAX),
        ]
        .map(|result| result.unwrap_err().errno());
        assert_eq!(kinds[0], Some(Errno::Enametoolong));
        assert!(kinds[1..].iter().all(|errno| *errno == Some(Errno::Einval)));
        assert_eq!(list, Nvlist::new());
    }

    #[test]
    fn a_list_cannot_be_deeper_than_its_reader_allows() {
        let mut list = Nvlist::new();
        for _ in 1..crate::limits::NVLIST_DEPTH {
            list = Nvlist::builder().nvlist("in", list).build().unwrap();
        }
        let bytes = list.pack().unwrap();
        assert_eq!(Nvlist::unpack(&bytes, &Options::new()).as_ref(), Ok(&list));
        let deeper = Nvlist::builder().nvlist("in", list).build().unwrap_err();
        assert!(matches!(deeper.kind, ErrorKind::OverLimit { limit: 128, .. }));
        assert_eq!(deeper.errno(), None);
    }

    #[test]
    fn the_first_error_of_a_chain_is_the_one_reported() {
        let inner = Nvlist::builder().null("twice").null("twice");
        let error = Nvlist::builder().nvlist("l", inner).binary("b", []).build().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Duplicate);
    }
}
