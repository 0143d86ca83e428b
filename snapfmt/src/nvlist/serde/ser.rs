//! Values into a list.

use ::serde::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct,
    SerializeStructVariant, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    Serializer,
};

use super::error::{Error, ErrorKind};
use crate::limits;
use crate::nvlist::{self, Nvlist, OwnedValue};

/// Writes one value; nothing for what stands for no pair.
pub(super) struct Writer {
    /// The lists that the value is in.
    depth: usize,
}

type Written = Result<Option<OwnedValue>, Error>;

impl Writer {
    pub(super) const fn new() -> Self {
        Self { depth: 0 }
    }

    /// For what is in one more list. It is checked here, not only where that list is complete, so
    /// that a value too deep for a list is not walked to its end.
    fn inside(self) -> Result<Self, Error> {
        let (depth, limit) = (self.depth + 1, limits::NVLIST_DEPTH);
        if depth <= limit {
            return Ok(Self { depth });
        }
        let (found, limit) = (depth as u64, limit as u64);
        let kind = nvlist::ErrorKind::OverLimit { what: "lists inside each other", found, limit };
        Err(kind.at(0).into())
    }

    fn fields(self) -> Result<Fields, Error> {
        let depth = self.inside()?.depth;
        Ok(Fields { depth, list: Nvlist::new(), name: None, variant: None })
    }

    const fn elements(self) -> Elements {
        Elements { depth: self.depth, array: None, count: 0, variant: None }
    }
}

/// The list that stands for a variant that holds `value`.
fn variant(name: &'static str, value: Option<OwnedValue>) -> Written {
    let value = value.ok_or_else(|| Error::from(ErrorKind::Nothing).within(name.as_bytes()))?;
    let mut list = Nvlist::new();
    list.add(name, value)?;
    Ok(Some(OwnedValue::Nvlist(list)))
}

fn number(value: i64) -> Written {
    match u64::try_from(value) {
        Ok(value) => Ok(Some(OwnedValue::Number(value))),
        Err(_) => Err(ErrorKind::Negative(value).into()),
    }
}

macro_rules! numbers {
    ($($method:ident($value:ident: $kind:ty) => $number:expr;)*) => {$(
        fn $method(self, $value: $kind) -> Written {
            $number
        }
    )*};
}

macro_rules! unsupported {
    ($($method:ident: $kind:ident;)*) => {$(
        fn $method(self, _: $kind) -> Written {
            Err(ErrorKind::Unsupported(stringify!($kind)).into())
        }
    )*};
}

impl Serializer for Writer {
    type Ok = Option<OwnedValue>;
    type Error = Error;
    type SerializeSeq = Elements;
    type SerializeTuple = Elements;
    type SerializeTupleStruct = Elements;
    type SerializeTupleVariant = Elements;
    type SerializeMap = Fields;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    numbers! {
        serialize_u8(value: u8) => Ok(Some(OwnedValue::Number(value.into())));
        serialize_u16(value: u16) => Ok(Some(OwnedValue::Number(value.into())));
        serialize_u32(value: u32) => Ok(Some(OwnedValue::Number(value.into())));
        serialize_u64(value: u64) => Ok(Some(OwnedValue::Number(value)));
        serialize_i8(value: i8) => number(value.into());
        serialize_i16(value: i16) => number(value.into());
        serialize_i32(value: i32) => number(value.into());
        serialize_i64(value: i64) => number(value);
    }

    unsupported! {
        serialize_u128: u128;
        serialize_i128: i128;
        serialize_f32: f32;
        serialize_f64: f64;
        serialize_char: char;
    }

    fn serialize_bool(self, value: bool) -> Written {
        Ok(Some(OwnedValue::Bool(value)))
    }

    fn serialize_str(self, text: &str) -> Written {
        Ok(Some(OwnedValue::String(text.as_bytes().to_vec())))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Written {
        Ok((!bytes.is_empty()).then(|| OwnedValue::Binary(bytes.to_vec())))
    }

    fn serialize_none(self) -> Written {
        Ok(None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        Ok(Some(OwnedValue::Null))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Written {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, v: &T) -> Written {
        v.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Written {
        let value = value.serialize(self.inside()?);
        variant(name, value.map_err(|error| error.within(name.as_bytes()))?)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements, Error> {
        Ok(self.elements())
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements, Error> {
        Ok(self.elements())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements, Error> {
        Ok(self.elements())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Elements, Error> {
        Ok(Elements { variant: Some(name), ..self.inside()?.elements() })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Fields, Error> {
        self.fields()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields, Error> {
        self.fields()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Fields, Error> {
        Ok(Fields { variant: Some(name), ..self.inside()?.fields()? })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// An array in the making.
pub(super) struct Elements {
    depth: usize,
    /// Nothing before the first element, which decides the type.
    array: Option<OwnedValue>,
    count: usize,
    variant: Option<&'static str>,
}

impl Elements {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let (depth, index) = (self.depth, self.count);
        self.count += 1;
        let added = value.serialize(Writer { depth }).and_then(|value| self.push(value));
        added.map_err(|error| {
            let error = error.element(index);
            match self.variant {
                Some(name) => error.within(name.as_bytes()),
                None => error,
            }
        })
    }

    fn push(&mut self, value: Option<OwnedValue>) -> Result<(), Error> {
        use OwnedValue as V;

        let value = value.ok_or(ErrorKind::Nothing)?;
        match (&mut self.array, value) {
            (Some(V::BoolArray(items)), V::Bool(value)) => items.push(value),
            (Some(V::NumberArray(items)), V::Number(value)) => items.push(value),
            (Some(V::StringArray(items)), V::String(text)) => items.push(text),
            (Some(V::NvlistArray(items)), V::Nvlist(list)) => items.push(list),
            (Some(array), value) => {
                let (array, found) = (array.kind(), value.kind());
                return Err(ErrorKind::Mixed { array, found }.into());
            }
            (array @ None, V::Bool(value)) => *array = Some(V::BoolArray(vec![value])),
            (array @ None, V::Number(value)) => *array = Some(V::NumberArray(vec![value])),
            (array @ None, V::String(text)) => *array = Some(V::StringArray(vec![text])),
            (array @ None, V::Nvlist(list)) => *array = Some(V::NvlistArray(vec![list])),
            (None, other) => return Err(ErrorKind::Element(other.kind()).into()),
        }
        Ok(())
    }

    fn finish(self) -> Written {
        match self.variant {
            Some(name) => variant(name, self.array),
            None => Ok(self.array),
        }
    }
}

macro_rules! sequences {
    ($($kind:ident::$method:ident)*) => {$(
        impl $kind for Elements {
            type Ok = Option<OwnedValue>;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.add(value)
            }

            fn end(self) -> Written {
                self.finish()
            }
        }
    )*};
}

sequences! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

/// A list in the making.
pub(super) struct Fields {
    /// Lists inside each other, this one counted.
    depth: usize,
    list: Nvlist,
    /// The map key whose value is to come.
    name: Option<Vec<u8>>,
    variant: Option<&'static str>,
}

impl Fields {
    fn add<T: Serialize + ?Sized>(&mut self, name: &[u8], value: &T) -> Result<(), Error> {
        let value = value.serialize(Writer { depth: self.depth });
        let added = value.and_then(|value| match value {
            Some(value) => Ok(self.list.add(name, value)?),
            None => Ok(()),
        });
        added.map_err(|error| {
            let error = error.within(name);
            match self.variant {
                Some(variant) => error.within(variant.as_bytes()),
                None => error,
            }
        })
    }

    fn finish(self) -> Written {
        let list = Some(OwnedValue::Nvlist(self.list));
        match self.variant {
            Some(name) => variant(name, list),
            None => Ok(list),
        }
    }
}

impl SerializeMap for Fields {
    type Ok = Option<OwnedValue>;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.name = Some(key.serialize(Name)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let name = self.name.take().ok_or_else(|| Error::custom("a value without a name"))?;
        self.add(&name, value)
    }

    fn end(self) -> Written {
        self.finish()
    }
}

macro_rules! structs {
    ($($kind:ident)*) => {$(
        impl $kind for Fields {
            type Ok = Option<OwnedValue>;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.add(name.as_bytes(), value)
            }

            fn end(self) -> Written {
                self.finish()
            }
        }
    )*};
}

structs! { SerializeStruct SerializeStructVariant }

/// Writes a map key as the name of a pair.
struct Name;

type Refused = Impossible<Vec<u8>, Error>;

fn no_name<T>(what: &'static str) -> Result<T, Error> {
    Err(ErrorKind::Key(what).into())
}

macro_rules! no_names {
    ($($method:ident: $kind:ident;)*) => {$(
        fn $method(self, _: $kind) -> Result<Vec<u8>, Error> {
            no_name(stringify!($kind))
        }
    )*};
}

impl Serializer for Name {
    type Ok = Vec<u8>;
    type Error = Error;
    type SerializeSeq = Refused;
    type SerializeTuple = Refused;
    type SerializeTupleStruct = Refused;
    type SerializeTupleVariant = Refused;
    type SerializeMap = Refused;
    type SerializeStruct = Refused;
    type SerializeStructVariant = Refused;

    no_names! {
        serialize_bool: bool;
        serialize_u8: u8;
        serialize_u16: u16;
        serialize_u32: u32;
        serialize_u64: u64;
        serialize_u128: u128;
        serialize_i8: i8;
        serialize_i16: i16;
        serialize_i32: i32;
        serialize_i64: i64;
        serialize_i128: i128;
        serialize_f32: f32;
        serialize_f64: f64;
        serialize_char: char;
    }

    fn serialize_str(self, text: &str) -> Result<Vec<u8>, Error> {
        Ok(text.as_bytes().to_vec())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(bytes.to_vec())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<Vec<u8>, Error> {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Vec<u8>, Error> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, Error> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<Vec<u8>, Error> {
        no_name("none")
    }

    fn serialize_unit(self) -> Result<Vec<u8>, Error> {
        no_name("unit")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Vec<u8>, Error> {
        no_name("unit")
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Vec<u8>, Error> {
        no_name("variant with a value")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Refused, Error> {
        no_name("sequence")
    }

    fn serialize_tuple(self, _: usize) -> Result<Refused, Error> {
        no_name("tuple")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Refused, Error> {
        no_name("tuple")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Refused, Error> {
        no_name("variant with a value")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Refused, Error> {
        no_name("map")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Refused, Error> {
        no_name("struct")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Refused, Error> {
        no_name("variant with a value")
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
