//! Lists as Rust types, through [`serde`].
//!
//! ```
//! # use snapfmt::nvlist::{from_view, to_nvlist, Options, View};
//! #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
//! #[serde(deny_unknown_fields)]
//! struct Disk<'a> {
//!     path: &'a str,
//!     size: u64,
//!     serial: Option<String>,
//! }
//!
//! let disk = Disk { path: "/dev/nda0", size: 1 << 40, serial: None };
//! let bytes = to_nvlist(&disk)?.pack()?;
//! let view = View::parse(&bytes, &Options::new())?;
//! assert_eq!(from_view::<Disk<'_>>(view)?, disk);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This module knows how serde's data model and the types of pairs correspond. It refuses what has
//! no counterpart, and what would not come back as it was.
//!
//! | serde | pair |
//! | --- | --- |
//! | struct, or map whose keys are strings, bytes or unit variants | list, pairs in that order |
//! | `u8` to `u64`; `i8` to `i64`, not negative | number |
//! | `bool`, string, bytes, unit | bool, string, binary, null |
//! | `None` | no pair |
//! | `Some(value)`, newtype | as the value |
//! | sequence or tuple of numbers, bools, strings or lists | array |
//! | sequence or bytes with nothing in them | no pair, since libnv has no such value |
//! | unit variant | string: the variant's name |
//! | newtype, tuple or struct variant | list of one pair: the variant's name and its value |
//! | floats, `char`, 128-bit numbers | refused |
//! | elements of different types; sequences, bytes, unit or `None` as elements | refused |
//! | a variant that holds `None` or nothing | refused: without its pair the name would be lost |
//!
//! A field that may be an empty sequence therefore wants `#[serde(default)]`, and `Some` of an
//! empty one comes back as `None`. `Vec<u8>` is a sequence of numbers to serde; [`binary`] makes it
//! bytes.
//!
//! Reading is strict: the type of a pair must be the one above, and text must be UTF-8. It borrows:
//! `&str` and `&[u8]` lie in the packed message. Lists with flags and descriptors are refused where
//! they would be read: serde compares names exactly and knows each once, and a descriptor is not a
//! number. Recursion is as deep as the list, which [`crate::limits::NVLIST_DEPTH`] bounds, here as
//! well as for values to be written.

pub mod binary;
mod de;
mod error;
mod ser;

use ::serde::de::{Deserialize, DeserializeOwned};
use ::serde::ser::Serialize;

use super::{Nvlist, Options, OwnedValue, Value, View};

pub use error::{Error, ErrorKind, Path, Step};

/// The list that stands for `value`: a struct, a map, or a variant that holds something.
///
/// # Errors
///
/// The value, or something in it, has no counterpart in a list; or a list cannot hold it, such as
/// text with a NUL in it.
pub fn to_nvlist<T: Serialize + ?Sized>(value: &T) -> Result<Nvlist, Error> {
    let wanted = "nvlist";
    match value.serialize(ser::Writer::new())? {
        Some(OwnedValue::Nvlist(list)) => Ok(list),
        Some(other) => Err(ErrorKind::Type { wanted, found: other.kind() }.into()),
        None => Err(ErrorKind::Nothing.into()),
    }
}

/// The value that a packed list stands for. It may borrow from the message.
///
/// # Errors
///
/// A pair is absent, unknown (where the type denies that) or of another type than its field.
pub fn from_view<'de, T: Deserialize<'de>>(view: View<'de>) -> Result<T, Error> {
    T::deserialize(de::Reader(Value::Nvlist(view)))
}

/// The value that a list stands for, by way of its packed form.
///
/// # Errors
///
/// As [`from_view`]; and the list holds descriptors.
pub fn from_nvlist<T: DeserializeOwned>(list: &Nvlist) -> Result<T, Error> {
    let bytes = list.pack()?;
    from_view(View::parse(&bytes, &Options::new().any_flags())?)
}
