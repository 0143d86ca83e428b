//! Each of serde's types on its way into a list and out of it: as a value, and as a name.

// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeTupleVariant as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use snapfmt::nvlist::serde::{Error, ErrorKind};
use snapfmt::nvlist::{
    Builder, Nvlist, Options, OwnedValue, Type, View, from_nvlist, from_view, to_nvlist,
};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Held<T> {
    v: T,
}

/// The value of the only pair.
fn written<T: Serialize>(v: T) -> OwnedValue {
    let list = to_nvlist(&Held { v }).unwrap();
    assert_eq!(list.len(), 1);
    list.get("v").unwrap().clone()
}

fn read<T: DeserializeOwned>(value: OwnedValue) -> Result<T, Error> {
    let mut list = Nvlist::new();
    list.add("v", value).unwrap();
    from_nvlist::<Held<T>>(&list).map(|held| held.v)
}

/// Written as that value, read as itself again, and refused where it has another type.
#[track_caller]
fn both_ways<T>(v: T, value: OwnedValue, wanted: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    assert_eq!(written(&v), value);
    assert_eq!(read::<T>(value.clone()), Ok(v));
    let other = match value {
        OwnedValue::Null => OwnedValue::Bool(true),
        _ => OwnedValue::Null,
    };
    let error = read::<T>(other.clone()).unwrap_err().to_string();
    assert_eq!(error, format!("pair \"v\": {wanted} wanted, {} found", other.kind()));
}

fn string(text: &str) -> OwnedValue {
    OwnedValue::String(text.into())
}

fn list(builder: Builder) -> OwnedValue {
    OwnedValue::Nvlist(builder.build().unwrap())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, PartialOrd, Ord, Eq, Serialize, Deserialize)]
struct Newtype<T>(T);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Two(u64, u64);

#[derive(Debug, PartialEq, PartialOrd, Ord, Eq, Serialize, Deserialize)]
enum Variant {
    Unit,
    Newtype(u64),
    Two(u64, u64),
    Struct { a: u64 },
}

#[test]
fn each_type_is_the_pair_that_the_table_says() {
    let number = OwnedValue::Number;
    both_ways(u8::MAX, number(u8::MAX.into()), "number");
    both_ways(u16::MAX, number(u16::MAX.into()), "number");
    both_ways(u32::MAX, number(u32::MAX.into()), "number");
    both_ways(u64::MAX, number(u64::MAX), "number");
    both_ways(i8::MAX, number(127), "number");
    both_ways(i16::MAX, number(32767), "number");
    both_ways(i32::MAX, number(0x7fff_ffff), "number");
    both_ways(i64::MAX, number(i64::MAX.unsigned_abs()), "number");
    both_ways(true, OwnedValue::Bool(true), "bool");
    both_ways("text".to_owned(), string("text"), "string");
    both_ways(Bytes(vec![0, 1]), OwnedValue::Binary(vec![0, 1]), "binary");
    both_ways((), OwnedValue::Null, "null");
    both_ways(Unit, OwnedValue::Null, "null");
    both_ways(Some(7_u64), number(7), "number");
    both_ways(Newtype(7_u64), number(7), "number");
    both_ways(vec![true, false], OwnedValue::BoolArray(vec![true, false]), "array");
    both_ways(vec![1_u64, 2], OwnedValue::NumberArray(vec![1, 2]), "array");
    both_ways((1_u64, 2_u64), OwnedValue::NumberArray(vec![1, 2]), "array");
    both_ways(Two(1, 2), OwnedValue::NumberArray(vec![1, 2]), "array");
    let texts = OwnedValue::StringArray(vec![b"a".to_vec(), b"b".to_vec()]);
    both_ways(vec!["a".to_owned(), "b".to_owned()], texts, "array");
    let held = || Nvlist::builder().number("v", 3);
    both_ways(Held { v: 3_u64 }, list(held()), "nvlist");
    let lists = OwnedValue::NvlistArray(vec![held().build().unwrap(); 2]);
    both_ways(vec![Held { v: 3_u64 }, Held { v: 3 }], lists, "array");
    both_ways(BTreeMap::from([("v".to_owned(), 3_u64)]), list(held()), "nvlist");
    let either = "string or nvlist";
    both_ways(Variant::Unit, string("Unit"), either);
    both_ways(Variant::Newtype(5), list(Nvlist::builder().number("Newtype", 5)), either);
    let two = Nvlist::builder().number_array("Two", [5, 6]);
    both_ways(Variant::Two(5, 6), list(two), either);
    let inner = Nvlist::builder().nvlist("Struct", Nvlist::builder().number("a", 5));
    both_ways(Variant::Struct { a: 5 }, list(inner), either);
    assert_eq!(to_nvlist(&Held { v: None::<u64> }), Ok(Nvlist::new()));
    assert_eq!(to_nvlist(&Held { v: Bytes(vec![]) }), Ok(Nvlist::new()));
    assert_eq!(to_nvlist(&Held { v: Vec::<u64>::new() }), Ok(Nvlist::new()));
}

/// Bytes, asked for as serde's two kinds of them.
#[derive(Debug, PartialEq)]
struct Bytes(Vec<u8>);

#[derive(Debug, PartialEq)]
struct Buffer(Vec<u8>);

struct Taken;

impl<'de> Visitor<'de> for Taken {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_bytes(Taken).map(Self)
    }
}

impl<'de> Deserialize<'de> for Buffer {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_byte_buf(Taken).map(Self)
    }
}

#[test]
fn bytes_are_a_binary_however_they_are_asked_for() {
    let binary = OwnedValue::Binary(vec![1, 2]);
    assert_eq!(read(binary), Ok(Buffer(vec![1, 2])));
    let error = read::<Buffer>(string("x")).unwrap_err();
    assert_eq!(error.to_string(), "pair \"v\": binary wanted, string found");

    #[derive(Debug, Serialize, Deserialize)]
    struct Image {
        #[serde(with = "snapfmt::nvlist::serde::binary")]
        bytes: Vec<u8>,
    }
    let list = to_nvlist(&Image { bytes: vec![9, 8] }).unwrap();
    assert_eq!(list.get("bytes"), Some(&OwnedValue::Binary(vec![9, 8])));
    assert_eq!(from_nvlist::<Image>(&list).unwrap().bytes, [9, 8]);
    // Out of another format.
    let value = de::value::U64Deserializer::<Error>::new(7);
    let error = snapfmt::nvlist::serde::binary::deserialize::<Vec<u8>, _>(value).unwrap_err();
    assert_eq!(error.to_string(), "binary wanted, integer `7` found");
}

#[test]
fn what_no_pair_can_hold_is_not_read() {
    let refused = |error: Error| match error.kind {
        ErrorKind::Unsupported(what) => what,
        other => panic!("{other}"),
    };
    let number = || OwnedValue::Number(1);
    assert_eq!(refused(read::<u128>(number()).unwrap_err()), "u128");
    assert_eq!(refused(read::<i128>(number()).unwrap_err()), "i128");
    assert_eq!(refused(read::<f32>(number()).unwrap_err()), "f32");
    assert_eq!(refused(read::<f64>(number()).unwrap_err()), "f64");
    assert_eq!(refused(read::<char>(string("c")).unwrap_err()), "char");
}

#[test]
fn negative_numbers_of_every_size_are_not_written() {
    let kind = |error: Error| error.kind;
    assert_eq!(kind(to_nvlist(&Held { v: -1_i8 }).unwrap_err()), ErrorKind::Negative(-1));
    assert_eq!(kind(to_nvlist(&Held { v: -2_i16 }).unwrap_err()), ErrorKind::Negative(-2));
    assert_eq!(kind(to_nvlist(&Held { v: -3_i32 }).unwrap_err()), ErrorKind::Negative(-3));
    assert_eq!(kind(to_nvlist(&Held { v: i64::MIN }).unwrap_err()), ErrorKind::Negative(i64::MIN));
    assert_eq!(written(0_i8), OwnedValue::Number(0));
}

/// Writes and reads whether the other side is for people.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Readable(String);

impl Serialize for Readable {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let people = to.is_human_readable();
        to.serialize_str(if people { "people" } else { "programs" })
    }
}

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let people = if from.is_human_readable() { "people" } else { "programs" };
        IgnoredAny::deserialize(from).map(|_| Self(people.to_owned()))
    }
}

#[test]
fn a_list_is_for_programs() {
    let readable = || Readable("programs".to_owned());
    assert_eq!(written(readable()), string("programs"));
    assert_eq!(read(OwnedValue::Null), Ok(readable()));
    let names = BTreeMap::from([(readable(), 1_u64)]);
    let list = to_nvlist(&names).unwrap();
    assert_eq!(list.get("programs"), Some(&OwnedValue::Number(1)));
    assert_eq!(from_nvlist(&list), Ok(names));
}

/// What a sequence says of its length before and after each element.
struct Lengths(Vec<Option<usize>>);

impl<'de> Deserialize<'de> for Lengths {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Asks;
        impl<'de> Visitor<'de> for Asks {
            type Value = Vec<Option<usize>>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut lengths = vec![seq.size_hint()];
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    lengths.push(seq.size_hint());
                }
                Ok(lengths)
            }
        }
        from.deserialize_any(Asks).map(Self)
    }
}

#[test]
fn an_array_says_how_many_elements_are_left() {
    let lengths = [Some(3), Some(2), Some(1), Some(0)];
    for array in [
        OwnedValue::BoolArray(vec![true; 3]),
        OwnedValue::NumberArray(vec![1; 3]),
        OwnedValue::StringArray(vec![b"s".to_vec(); 3]),
        OwnedValue::NvlistArray(vec![Nvlist::new(); 3]),
    ] {
        assert_eq!(read::<Lengths>(array).unwrap().0, lengths);
    }
}

/// A map key that serde writes and reads as `T` does.
fn name_of<K: Serialize>(key: K) -> Result<Vec<u8>, String> {
    struct Map<K>(K);
    impl<K: Serialize> Serialize for Map<K> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut map = to.serialize_map(None)?;
            map.serialize_entry(&self.0, &1_u64)?;
            map.end()
        }
    }
    match to_nvlist(&Map(key)) {
        Ok(list) => Ok(list.pairs()[0].name.clone()),
        Err(error) => Err(error.to_string()),
    }
}

/// The key of a list of one pair.
fn named<K: DeserializeOwned>(name: &[u8]) -> Result<K, String> {
    struct Key<K>(K);
    impl<'de, K: Deserialize<'de>> Deserialize<'de> for Key<K> {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct First<K>(PhantomData<K>);
            impl<'de, K: Deserialize<'de>> Visitor<'de> for First<K> {
                type Value = K;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a map")
                }
                fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<K, A::Error> {
                    let (key, _) = map.next_entry::<K, IgnoredAny>()?.unwrap();
                    assert!(map.next_key::<IgnoredAny>()?.is_none());
                    Ok(key)
                }
            }
            from.deserialize_map(First(PhantomData)).map(Self)
        }
    }
    let list = Nvlist::builder().number(name, 1).build().unwrap();
    from_nvlist::<Key<K>>(&list).map(|key| key.0).map_err(|error| error.to_string())
}

#[test]
fn names_are_strings_bytes_and_unit_variants() {
    let name = |name: &str| Ok(name.as_bytes().to_vec());
    assert_eq!(name_of("text"), name("text"));
    assert_eq!(name_of(Bytes(b"\xff".to_vec())), Ok(b"\xff".to_vec()));
    assert_eq!(name_of(Variant::Unit), name("Unit"));
    assert_eq!(name_of(Newtype("text")), name("text"));
    assert_eq!(name_of(Some("text")), name("text"));

    assert_eq!(named::<String>(b"text"), Ok("text".to_owned()));
    assert_eq!(named::<Newtype<String>>(b"text"), Ok(Newtype("text".to_owned())));
    assert_eq!(named::<Variant>(b"Unit"), Ok(Variant::Unit));
    assert_eq!(named::<Bytes>(b"\xff"), Ok(Bytes(b"\xff".to_vec())));
    assert_eq!(named::<Buffer>(b"\xff"), Ok(Buffer(b"\xff".to_vec())));
    let borrowed: BTreeMap<&str, u64> = {
        let bytes = Nvlist::builder().number("text", 1).pack().unwrap().leak();
        from_view(View::parse(bytes, &Options::new()).unwrap()).unwrap()
    };
    assert_eq!(borrowed.get("text"), Some(&1));
    let not_utf8 = "pair \"\\xff\": string wanted, not UTF-8";
    assert_eq!(named::<String>(b"\xff"), Err(not_utf8.to_owned()));
    assert_eq!(named::<Variant>(b"\xff"), Err(not_utf8.to_owned()));
    let unknown = "pair \"x\": one of Unit, Newtype, Two, Struct wanted, x found";
    assert_eq!(named::<Variant>(b"x"), Err(unknown.to_owned()));
}

#[test]
fn nothing_else_is_a_name() {
    let refused = |what: &str| Err(format!("a name is a string, not a {what}"));
    assert_eq!(name_of(true), refused("bool"));
    assert_eq!(name_of(1_u8), refused("u8"));
    assert_eq!(name_of(1_u16), refused("u16"));
    assert_eq!(name_of(1_u32), refused("u32"));
    assert_eq!(name_of(1_u64), refused("u64"));
    assert_eq!(name_of(1_u128), refused("u128"));
    assert_eq!(name_of(1_i8), refused("i8"));
    assert_eq!(name_of(1_i16), refused("i16"));
    assert_eq!(name_of(1_i32), refused("i32"));
    assert_eq!(name_of(1_i64), refused("i64"));
    assert_eq!(name_of(1_i128), refused("i128"));
    assert_eq!(name_of(1.0_f32), refused("f32"));
    assert_eq!(name_of(1.0_f64), refused("f64"));
    assert_eq!(name_of('c'), refused("char"));
    assert_eq!(name_of(None::<&str>), refused("none"));
    assert_eq!(name_of(()), refused("unit"));
    assert_eq!(name_of(Unit), refused("unit"));
    assert_eq!(name_of(Variant::Newtype(1)), refused("variant with a value"));
    assert_eq!(name_of(Variant::Two(1, 2)), refused("variant with a value"));
    assert_eq!(name_of(Variant::Struct { a: 1 }), refused("variant with a value"));
    assert_eq!(name_of(vec![1_u64]), refused("sequence"));
    assert_eq!(name_of((1_u64, 2_u64)), refused("tuple"));
    assert_eq!(name_of(Two(1, 2)), refused("tuple"));
    assert_eq!(name_of(BTreeMap::from([("a", 1_u64)])), refused("map"));
    assert_eq!(name_of(Held { v: 1_u64 }), refused("struct"));
}

#[test]
fn an_error_in_a_variant_names_variant_and_field() {
    #[derive(Serialize)]
    enum Holds {
        Seq(u64, f32),
        Struct { x: char },
        Newtype(i8),
    }
    let says = |value: Holds| to_nvlist(&Held { v: value }).unwrap_err().to_string();
    assert_eq!(says(Holds::Seq(1, 1.0)), "pair \"v.Seq[1]\": a list cannot hold a f32");
    assert_eq!(says(Holds::Struct { x: 'x' }), "pair \"v.Struct.x\": a list cannot hold a char");
    assert_eq!(says(Holds::Newtype(-1)), "pair \"v.Newtype\": -1 is negative, a number is not");

    struct Empty;
    impl Serialize for Empty {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_tuple_variant("", 0, "Name", 0)?.end()
        }
    }
    let error = to_nvlist(&Empty).unwrap_err();
    assert_eq!(error.to_string(), "pair \"Name\": there is nothing to write here");
    let two = OwnedValue::Nvlist(Nvlist::builder().number("Two", 1).build().unwrap());
    let error = read::<Variant>(two).unwrap_err().to_string();
    assert_eq!(error, "pair \"v.Two\": array wanted, number found");
    let inner = OwnedValue::Nvlist(Nvlist::builder().number("Struct", 1).build().unwrap());
    let error = read::<Variant>(inner).unwrap_err().to_string();
    assert_eq!(error, "pair \"v.Struct\": nvlist wanted, number found");
}

#[test]
fn what_a_type_says_of_itself_is_passed_on() {
    #[derive(Debug)]
    struct Picky;
    impl Serialize for Picky {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(de::Error::custom("not here"))
        }
    }
    let error = to_nvlist(&Held { v: Picky }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Custom("not today".to_owned()));
    assert_eq!(error.to_string(), "pair \"v\": not today");
    let error = read::<Picky>(OwnedValue::Null).unwrap_err();
    assert_eq!(error.to_string(), "pair \"v\": not here");
}

#[test]
fn errors_of_serde_itself_are_told_in_the_words_of_lists() {
    let unexpected = || de::Unexpected::Bool(true);
    let says = |error: Error| error.to_string();
    let value = "text wanted, boolean `true` found";
    assert_eq!(says(de::Error::invalid_type(unexpected(), &"text")), value);
    assert_eq!(says(de::Error::invalid_value(unexpected(), &"text")), value);
    assert_eq!(says(de::Error::invalid_length(3, &"two")), "two wanted, length 3 found");
    let known = &["a", "b"];
    assert_eq!(says(de::Error::unknown_variant("\n", known)), "one of a, b wanted, \\n found");
    assert_eq!(says(de::Error::unknown_field("x", known)), "pair \"x\": not known");
    assert_eq!(says(de::Error::missing_field("x")), "pair \"x\": absent");
    assert_eq!(says(de::Error::duplicate_field("x")), "pair \"x\": there twice");
    let error: Error = de::Error::unknown_field("x", known);
    assert_eq!(error.kind, ErrorKind::Unknown { pair: None });
    assert_eq!(error.path.to_string(), "x");
}

#[test]
fn a_list_that_does_not_pack_is_not_read() {
    let list = Nvlist::builder().descriptor("d", 1).build().unwrap();
    let error = from_nvlist::<BTreeMap<String, u64>>(&list).unwrap_err();
    assert!(error.to_string().contains("can only be sent"), "{error}");
    assert_eq!(
        to_nvlist("text").unwrap_err().kind,
        ErrorKind::Type { wanted: "nvlist", found: Type::String }
    );
}
