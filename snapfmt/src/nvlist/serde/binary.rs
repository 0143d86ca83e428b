//! Bytes as a binary pair, for fields whose type is a sequence of numbers to serde.
//!
//! ```
//! # use snapfmt::nvlist::{to_nvlist, Type};
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Firmware<'a> {
//!     #[serde(with = "snapfmt::nvlist::serde::binary", borrow)]
//!     image: &'a [u8],
//! }
//! let list = to_nvlist(&Firmware { image: b"\x55\xaa" })?;
//! assert_eq!(list.pairs()[0].value.kind(), Type::Binary);
//! # Ok::<(), snapfmt::nvlist::serde::Error>(())
//! ```

use std::fmt;
use std::marker::PhantomData;

use ::serde::de::{self, Deserializer, Visitor};
use ::serde::ser::Serializer;

/// Writes bytes.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes.as_ref())
}

/// Reads bytes: as `&[u8]`, `Vec<u8>` or whatever else is made of a slice.
///
/// # Errors
///
/// The pair is not a binary.
pub fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: From<&'de [u8]>,
    D: Deserializer<'de>,
{
    struct Bytes<T>(PhantomData<T>);

    impl<'de, T: From<&'de [u8]>> Visitor<'de> for Bytes<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("binary")
        }

        fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<T, E> {
            Ok(bytes.into())
        }
    }

    from.deserialize_bytes(Bytes(PhantomData))
}
