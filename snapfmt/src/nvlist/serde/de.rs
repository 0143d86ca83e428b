//! Values out of a checked list.

use std::str;

use ::serde::de::value::BorrowedStrDeserializer;
use ::serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use ::serde::forward_to_deserialize_any;

use super::error::{Error, ErrorKind};
use crate::nvlist::{Flags, Pair, Pairs, Type, Value, View};

/// Reads one value.
pub(super) struct Reader<'de>(pub(super) Value<'de>);

impl<'de> Reader<'de> {
    fn other<T>(&self, wanted: &'static str) -> Result<T, Error> {
        Err(ErrorKind::Type { wanted, found: self.0.kind() }.into())
    }

    fn text(bytes: &'de [u8]) -> Result<&'de str, Error> {
        str::from_utf8(bytes).map_err(|_| ErrorKind::NotUtf8.into())
    }

    fn map<V: Visitor<'de>>(view: &View<'de>, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Entries { pairs: pairs(view)?, pair: None })
    }

    fn elements<V: Visitor<'de>>(
        items: impl ExactSizeIterator<Item = Value<'de>>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut elements = Elements { items, next: 0 };
        let value = visitor.visit_seq(&mut elements)?;
        let (taken, left) = (elements.next, elements.items.len());
        if left == 0 {
            return Ok(value);
        }
        let wanted = format!("an array of {taken}").into();
        Err(ErrorKind::Length { wanted, found: taken + left }.into())
    }
}

/// The pairs of a list that has no flags.
fn pairs<'de>(view: &View<'de>) -> Result<Pairs<'de>, Error> {
    match view.flags() {
        flags if flags == Flags::default() => Ok(view.pairs()),
        flags => Err(ErrorKind::Flags(flags).into()),
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0 {
                Value::Number(value) => visitor.visit_u64(value),
                _ => self.other("number"),
            }
        }
    )*};
}

macro_rules! unsupported {
    ($($method:ident: $what:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(ErrorKind::Unsupported($what).into())
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(value) => visitor.visit_u64(value),
            Value::String(bytes) => visitor.visit_borrowed_str(Self::text(bytes)?),
            Value::Binary(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::Nvlist(view) => Self::map(&view, visitor),
            Value::BoolArray(items) => Self::elements(items.map(Value::Bool), visitor),
            Value::NumberArray(items) => Self::elements(items.map(Value::Number), visitor),
            Value::StringArray(items) => Self::elements(items.map(Value::String), visitor),
            Value::NvlistArray(items) => Self::elements(items.map(Value::Nvlist), visitor),
            Value::Descriptor(_) | Value::DescriptorArray(_) => self.other("value"),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(value),
            _ => self.other("bool"),
        }
    }

    numbers! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    }

    unsupported! {
        deserialize_u128: "u128"
        deserialize_i128: "i128"
        deserialize_f32: "f32"
        deserialize_f64: "f64"
        deserialize_char: "char"
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(bytes) => visitor.visit_borrowed_str(Self::text(bytes)?),
            _ => self.other("string"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Binary(bytes) => visitor.visit_borrowed_bytes(bytes),
            _ => self.other("binary"),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            _ => self.other("null"),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::BoolArray(_)
            | Value::NumberArray(_)
            | Value::StringArray(_)
            | Value::NvlistArray(_) => self.deserialize_any(visitor),
            _ => self.other("array"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Nvlist(view) => Self::map(&view, visitor),
            _ => self.other("nvlist"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(bytes) => {
                visitor.visit_enum(BorrowedStrDeserializer::new(Self::text(bytes)?))
            }
            Value::Nvlist(view) => {
                let mut pairs = pairs(&view)?;
                match (pairs.next(), pairs.count()) {
                    (Some(pair), 0) => visitor.visit_enum(Variant(pair)),
                    (first, more) => {
                        let (wanted, found) = ("one pair".into(), more + first.iter().count());
                        Err(ErrorKind::Length { wanted, found }.into())
                    }
                }
            }
            _ => self.other("string or nvlist"),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of an array.
struct Elements<I> {
    items: I,
    next: usize,
}

impl<'de, I: ExactSizeIterator<Item = Value<'de>>> SeqAccess<'de> for &mut Elements<I> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(value) = self.items.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(Reader(value)).map(Some).map_err(|error| error.element(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The pairs of a list.
struct Entries<'de> {
    pairs: Pairs<'de>,
    /// The one whose name was read last.
    pair: Option<Pair<'de>>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(pair) = self.pairs.next() else { return Ok(None) };
        let key = seed.deserialize(Name(pair.name)).map_err(|error| error.at_name(&pair))?;
        self.pair = Some(pair);
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let pair = self.pair.take().ok_or_else(|| Error::custom("a value without a name"))?;
        seed.deserialize(Reader(pair.value)).map_err(|error| error.within(pair.name))
    }
}

/// A list of one pair, taken for a variant that holds something.
struct Variant<'de>(Pair<'de>);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let variant = seed.deserialize(Name(self.0.name))?;
        Ok((variant, self))
    }
}

impl<'de> Variant<'de> {
    fn value<T>(self, read: impl FnOnce(Reader<'de>) -> Result<T, Error>) -> Result<T, Error> {
        let Pair { name, value, .. } = self.0;
        read(Reader(value)).map_err(|error| error.within(name))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Err(ErrorKind::Type { wanted: "string", found: Type::Nvlist }.into())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.value(|reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.value(|reader| reader.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value(|reader| reader.deserialize_map(visitor))
    }
}

/// The name of a pair.
struct Name<'de>(&'de [u8]);

impl<'de> Deserializer<'de> for Name<'de> {
    type Error = Error;

    /// Text, or bytes if it is not: a struct knows no such field, and says so or passes over it.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match str::from_utf8(self.0) {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(_) => visitor.visit_borrowed_bytes(self.0),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(Reader::text(self.0)?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_bytes(self.0)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(BorrowedStrDeserializer::new(Reader::text(self.0)?))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char option unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
