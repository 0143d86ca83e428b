//! Rust types as lists and back: what corresponds, and what is refused, with the pair's path.

// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use snapfmt::Digest;
use snapfmt::limits::NVLIST_DEPTH;
use snapfmt::nvlist::serde::{Error, ErrorKind, Step};
use snapfmt::nvlist::{
    Builder, Flags, Nvlist, Options, Type, View, from_nvlist, from_view, to_nvlist,
};
use tests::vectors::load;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Machine {
    name: String,
    running: bool,
    memory: u64,
    small: u8,
    positive: i32,
    note: Option<String>,
    mark: (),
    #[serde(with = "snapfmt::nvlist::serde::binary")]
    firmware: Vec<u8>,
    digest: Option<Digest>,
    kind: Kind,
    #[serde(default)]
    flags: Vec<bool>,
    #[serde(default)]
    numbers: Vec<u16>,
    #[serde(default)]
    texts: Vec<String>,
    #[serde(default)]
    disks: Vec<Disk>,
    pair: (u64, u64),
    environment: BTreeMap<String, String>,
    #[serde(rename = "type")]
    renamed: Wrapped,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Disk {
    path: String,
    size: u64,
    #[serde(default)]
    modes: Vec<Mode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Read,
    Write,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    Newtype(u64),
    Tuple(bool, bool),
    Struct { a: u64, b: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wrapped(u64);

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,12}"
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Unit),
        any::<u64>().prop_map(Kind::Newtype),
        any::<(bool, bool)>().prop_map(|(a, b)| Kind::Tuple(a, b)),
        (any::<u64>(), proptest::option::of(text())).prop_map(|(a, b)| Kind::Struct { a, b }),
    ]
}

fn disk() -> impl Strategy<Value = Disk> {
    let mode = prop_oneof![Just(Mode::Read), Just(Mode::Write)];
    let parts = (text(), any::<u64>(), vec(mode, 0..3));
    parts.prop_map(|(path, size, modes)| Disk { path, size, modes })
}

prop_compose! {
    fn machine()(
        scalars in (text(), any::<bool>(), any::<u64>(), any::<u8>(), 0..i32::MAX, any::<u64>()),
        options in proptest::option::of((text(), any::<[u8; 32]>())),
        firmware in vec(any::<u8>(), 1..40),
        kind in kind(),
        arrays in (vec(any::<bool>(), 0..4), vec(any::<u16>(), 0..4), vec(text(), 0..4)),
        disks in vec(disk(), 0..4),
        pair in any::<(u64, u64)>(),
        environment in btree_map(text(), text(), 0..4),
    ) -> Machine {
        let (name, running, memory, small, positive, wrapped) = scalars;
        let (note, digest) = options.unzip();
        let (flags, numbers, texts) = arrays;
        Machine {
            name, running, memory, small, positive, note, mark: (), firmware,
            digest: digest.map(Digest::from_bytes), kind, flags, numbers, texts, disks, pair,
            environment, renamed: Wrapped(wrapped),
        }
    }
}

fn example() -> Machine {
    Machine {
        name: "vm0".to_owned(),
        running: true,
        memory: u64::MAX,
        small: 255,
        positive: 7,
        note: None,
        mark: (),
        firmware: vec![0, 255],
        digest: Some(Digest::of(b"")),
        kind: Kind::Struct { a: 1, b: None },
        flags: vec![],
        numbers: vec![1, 2],
        texts: vec!["a".to_owned(), String::new()],
        disks: vec![Disk { path: "d".to_owned(), size: 3, modes: vec![Mode::Write] }],
        pair: (4, 5),
        environment: BTreeMap::from([("K".to_owned(), "v".to_owned())]),
        renamed: Wrapped(6),
    }
}

/// The list of `example`, written by hand.
fn built() -> Builder {
    let disk = Nvlist::builder().string("path", "d").number("size", 3);
    Nvlist::builder()
        .string("name", "vm0")
        .boolean("running", true)
        .number("memory", u64::MAX)
        .number("small", 255)
        .number("positive", 7)
        .null("mark")
        .binary("firmware", [0, 255])
        .binary("digest", Digest::of(b"").as_bytes())
        .nvlist("kind", Nvlist::builder().nvlist("Struct", Nvlist::builder().number("a", 1)))
        .number_array("numbers", [1, 2])
        .string_array("texts", ["a", ""])
        .nvlist_array("disks", [disk.string_array("modes", ["write"])])
        .number_array("pair", [4, 5])
        .nvlist("environment", Nvlist::builder().string("K", "v"))
        .number("type", 6)
}

#[track_caller]
fn refused<T: DeserializeOwned + Debug>(list: Builder) -> Error {
    let bytes = list.pack().unwrap();
    let view = View::parse(&bytes, &Options::new().any_flags()).unwrap();
    from_view::<T>(view).unwrap_err()
}

proptest! {
    #[test]
    fn a_struct_comes_back_from_its_list(machine in machine()) {
        let list = to_nvlist(&machine).unwrap();
        prop_assert_eq!(&from_nvlist::<Machine>(&list).unwrap(), &machine);
        let bytes = list.pack().unwrap();
        let view = View::parse(&bytes, &Options::new()).unwrap();
        prop_assert_eq!(&from_view::<Machine>(view).unwrap(), &machine);
    }

    #[test]
    fn damage_to_a_list_gives_an_error_or_another_struct_but_never_a_panic(
        machine in machine(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = to_nvlist(&machine).unwrap().pack().unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(view) = View::parse(&bytes, &Options::new().any_flags()) {
            match from_view::<Machine>(view) {
                Ok(other) => prop_assert!(to_nvlist(&other).is_ok()),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}

#[test]
fn a_struct_packs_into_the_bytes_of_the_same_list_built_by_hand() {
    assert_eq!(to_nvlist(&example()).unwrap().pack(), built().pack());
    assert_eq!(from_nvlist::<Machine>(&built().build().unwrap()), Ok(example()));
}

#[test]
fn text_and_bytes_are_borrowed_from_the_packed_list() {
    #[derive(Deserialize)]
    struct Borrowed<'a> {
        text: &'a str,
        bytes: &'a [u8],
        #[serde(borrow)]
        texts: Vec<&'a str>,
    }
    let list = Nvlist::builder().string("text", "t").binary("bytes", [7]);
    let bytes = list.string_array("texts", ["x", "y"]).pack().unwrap();
    let view = View::parse(&bytes, &Options::new()).unwrap();
    let borrowed: Borrowed<'_> = from_view(view).unwrap();
    for pointer in [borrowed.text.as_ptr(), borrowed.bytes.as_ptr(), borrowed.texts[1].as_ptr()] {
        assert!(bytes.as_ptr_range().contains(&pointer));
    }
}

/// Every type that serde can hold, of the vectors that have all types.
#[derive(Debug, PartialEq, Deserialize)]
struct AllTypes {
    null: (),
    #[serde(rename = "bool/true")]
    bool: bool,
    #[serde(rename = "number/-1")]
    number: u64,
    #[serde(rename = "string/abc")]
    string: String,
    #[serde(with = "snapfmt::nvlist::serde::binary")]
    binary: Vec<u8>,
    nvlist: HashMap<String, serde::de::IgnoredAny>,
    ba: Vec<bool>,
    na: Vec<u64>,
    sa: Vec<String>,
    la: Vec<BTreeMap<String, serde_json::Value>>,
}

#[test]
fn a_big_endian_list_is_the_same_struct() {
    let all = load("valid.jsonl");
    let find = |name: &str| all.iter().find(|vector| vector.name == name).unwrap();
    let read = |name: &str| {
        let view = View::parse(&find(name).bytes, &Options::new()).unwrap();
        from_view::<AllTypes>(view).unwrap()
    };
    assert_eq!(read("all_types"), read("be_all_types"));
    assert_eq!(read("all_types").na, [1, u64::MAX]);
}

#[test]
fn no_vector_makes_reading_into_any_type_panic() {
    for file in ["valid.jsonl", "invalid.jsonl", "lenient.jsonl"] {
        for vector in load(file) {
            let descriptors = vector.json["nfds"].as_u64().unwrap();
            let options = Options::new().any_flags().descriptors(descriptors);
            if let Ok(view) = View::parse(&vector.bytes, &options) {
                // Binaries have no place in JSON, text that is not UTF-8 neither.
                let _ = from_view::<serde_json::Value>(view);
                let _ = from_view::<HashMap<String, serde::de::IgnoredAny>>(view);
                let _ = from_view::<Machine>(view);
                let _ = from_view::<Kind>(view);
            }
        }
    }
}

#[test]
fn an_error_names_the_pair_and_both_types() {
    let disks = |disk: Builder| {
        let good = Nvlist::builder().string("path", "").number("size", 0);
        let mut list = Nvlist::new();
        for pair in built().build().unwrap().pairs().iter().filter(|pair| pair.name != b"disks") {
            list.add(&pair.name, pair.value.clone()).unwrap();
        }
        list.add_nvlist_array("disks", [good.build().unwrap(), disk.build().unwrap()]).unwrap();
        refused::<Machine>(list.into())
    };
    let disk = || Nvlist::builder().string("path", "p");
    let error = disks(disk().string("size", "1"));
    assert_eq!(error.to_string(), "pair \"disks[1].size\": number wanted, string found");
    assert_eq!(error.kind, ErrorKind::Type { wanted: "number", found: Type::String });
    let steps: Vec<_> = error.path.steps().cloned().collect();
    let name = |name: &str| Step::Name(name.into());
    assert_eq!(steps, [name("disks"), Step::Index(1), name("size")]);

    let error = disks(disk());
    assert_eq!(error.to_string(), "pair \"disks[1].size\": absent");
    let error = disks(disk().number("size", 1).null("new"));
    assert!(error.to_string().starts_with("unknown pair \"disks[1].new\" of type null at 0x"));
    let error = disks(disk().number("size", 1).string_array("modes", ["read", "run"]));
    let wanted = "pair \"disks[1].modes[1]\": one of read, write wanted, run found";
    assert_eq!(error.to_string(), wanted);
    let error = disks(disk().number("size", 1).string_array("modes", [b"\xff"]));
    assert_eq!(error.to_string(), "pair \"disks[1].modes[0]\": string wanted, not UTF-8");
}

#[test]
fn the_place_of_an_unknown_pair_is_that_in_the_packed_list() {
    let bytes = built().null(b"\xff").pack().unwrap();
    let at = bytes.len() - 21;
    let error = refused::<Machine>(built().null(b"\xff"));
    assert_eq!(error.kind, ErrorKind::Unknown { pair: Some((Type::Null, at)) });
    assert!(error.to_string().contains("\"\\xff\""), "{error}");
}

#[test]
fn unknown_pairs_are_passed_over_where_the_type_allows_them() {
    #[derive(Debug, Deserialize)]
    struct One {
        a: u64,
    }
    let inner = Nvlist::builder().string("s", b"\xff");
    let list = Nvlist::builder().binary(b"\xff", [1]).nvlist("b", inner).number("a", 1);
    assert_eq!(from_nvlist::<One>(&list.build().unwrap()).unwrap().a, 1);
}

#[test]
fn values_that_do_not_fit_are_refused_with_what_would() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code)]
    struct Numbers {
        #[serde(alias = "byte")]
        a: u8,
        #[serde(default)]
        b: i64,
        #[serde(default)]
        pair: Option<(u64, u64)>,
        digest: Option<Digest>,
    }
    let list = || Nvlist::builder().number("a", 1);
    for (list, wanted) in [
        (Nvlist::builder().number("a", 256), "pair \"a\": u8 wanted, integer `256` found"),
        (
            list().number("b", 1 << 63),
            "pair \"b\": i64 wanted, integer `9223372036854775808` found",
        ),
        (list().number("byte", 1), "pair \"a\": there twice"),
        (
            list().number_array("pair", [1, 2, 3]),
            "pair \"pair\": an array of 2 wanted, length 3 found",
        ),
        (
            list().number_array("pair", [1]),
            "pair \"pair\": a tuple of size 2 wanted, length 1 found",
        ),
        (list().number("pair", 1), "pair \"pair\": array wanted, number found"),
        (list().null("digest"), "pair \"digest\": binary wanted, null found"),
        (
            list().binary("digest", [0; 31]),
            "pair \"digest\": a digest of 32 bytes wanted, length 31 found",
        ),
    ] {
        assert_eq!(refused::<Numbers>(list).to_string(), wanted);
    }
}

#[test]
fn a_variant_is_a_string_or_a_list_of_one_pair() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        kind: Kind,
    }
    let string = |name: &str| Nvlist::builder().string("kind", name);
    let nested = |list: Builder| Nvlist::builder().nvlist("kind", list);
    let newtype = || Nvlist::builder().number("Newtype", 1);
    let read = |list: Builder| from_nvlist::<Holder>(&list.build().unwrap());
    assert_eq!(read(string("Unit")), Ok(Holder { kind: Kind::Unit }));
    assert_eq!(read(nested(newtype())), Ok(Holder { kind: Kind::Newtype(1) }));
    for (list, wanted) in [
        (string("Newtype"), "pair \"kind\": newtype variant wanted, unit variant found"),
        (nested(Nvlist::builder().null("Unit")), "pair \"kind\": string wanted, nvlist found"),
        (nested(Nvlist::builder()), "pair \"kind\": one pair wanted, length 0 found"),
        (nested(newtype().null("x")), "pair \"kind\": one pair wanted, length 2 found"),
        (
            nested(Nvlist::builder().null("Newtype")),
            "pair \"kind.Newtype\": number wanted, null found",
        ),
        (
            nested(Nvlist::builder().nvlist("Struct", Nvlist::builder().null("a"))),
            "pair \"kind.Struct.a\": number wanted, null found",
        ),
        (
            Nvlist::builder().number("kind", 1),
            "pair \"kind\": string or nvlist wanted, number found",
        ),
    ] {
        assert_eq!(read(list).unwrap_err().to_string(), wanted);
    }
}

/// A value under the name `v`, to be refused.
#[track_caller]
fn unwritable<T: Serialize>(value: T) -> String {
    to_nvlist(&HashMap::from([("v", value)])).unwrap_err().to_string()
}

#[test]
fn what_has_no_counterpart_is_not_written() {
    #[derive(Serialize)]
    enum Holds {
        Option(Option<u64>),
        Seq(Vec<u64>),
    }
    struct Bytes;
    impl Serialize for Bytes {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_bytes(&[1])
        }
    }
    let nothing = "there is nothing to write here";
    assert_eq!(unwritable(-1_i8), "pair \"v\": -1 is negative, a number is not");
    assert_eq!(unwritable(1_u128), "pair \"v\": a list cannot hold a u128");
    assert_eq!(unwritable(1_i128), "pair \"v\": a list cannot hold a i128");
    assert_eq!(unwritable(1.0_f32), "pair \"v\": a list cannot hold a f32");
    assert_eq!(unwritable([1.0]), "pair \"v[0]\": a list cannot hold a f64");
    assert_eq!(unwritable('x'), "pair \"v\": a list cannot hold a char");
    assert_eq!(unwritable([[1_u64]]), "pair \"v[0]\": an array cannot hold a number_array");
    assert_eq!(unwritable([Vec::<u64>::new()]), format!("pair \"v[0]\": {nothing}"));
    assert_eq!(unwritable([Some(1_u64), None]), format!("pair \"v[1]\": {nothing}"));
    assert_eq!(unwritable([()]), "pair \"v[0]\": an array cannot hold a null");
    assert_eq!(unwritable([Bytes]), "pair \"v[0]\": an array cannot hold a binary");
    assert_eq!(unwritable((1_u64, "x")), "pair \"v[1]\": a string in a number_array");
    assert_eq!(unwritable(Holds::Option(None)), format!("pair \"v.Option\": {nothing}"));
    assert_eq!(unwritable(Holds::Seq(vec![])), format!("pair \"v.Seq\": {nothing}"));
    assert_eq!(
        unwritable(HashMap::from([(1_u64, 1_u64)])),
        "pair \"v\": a name is a string, not a u64"
    );
    assert_eq!(to_nvlist(&1_u64).unwrap_err().to_string(), "nvlist wanted, number found");
    assert_eq!(to_nvlist(&None::<u64>).unwrap_err().to_string(), nothing);
}

#[test]
fn what_a_list_refuses_is_refused_with_its_path_and_errno() {
    let errno = |error: Error| match error.kind {
        ErrorKind::Nvlist(inner) => (error.path.to_string(), inner.errno().unwrap().name()),
        other => (other.to_string(), ""),
    };
    let nul = HashMap::from([("a", vec![HashMap::from([("b", "x\0y")])])]);
    assert_eq!(errno(to_nvlist(&nul).unwrap_err()), ("a[0].b".to_owned(), "EINVAL"));
    let name = HashMap::from([("x\0y", 1_u64)]);
    assert_eq!(errno(to_nvlist(&name).unwrap_err()), ("x\\x00y".to_owned(), "EINVAL"));
    let long = "n".repeat(2048);
    let name = HashMap::from([(long.as_str(), 1_u64)]);
    assert_eq!(errno(to_nvlist(&name).unwrap_err()), (long.clone(), "ENAMETOOLONG"));

    struct Twice;
    impl Serialize for Twice {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_map([("x", 1_u64), ("x", 2)])
        }
    }
    assert_eq!(errno(to_nvlist(&Twice).unwrap_err()), ("x".to_owned(), "EEXIST"));
}

#[test]
fn lists_with_flags_and_descriptors_are_refused() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code)]
    struct Inner {
        inner: HashMap<String, u64>,
    }
    let flags = Flags { ignore_case: true, no_unique: true };
    let flagged = || Builder::with_flags(flags).number("x", 1).number("x", 2);
    assert_eq!(refused::<HashMap<String, u64>>(flagged()).kind, ErrorKind::Flags(flags));
    let error = refused::<Inner>(Nvlist::builder().nvlist("inner", flagged()));
    assert_eq!(error.to_string(), "pair \"inner\": a list with flags 0x3");

    let bytes = Nvlist::builder().descriptor("fd", 0).build().unwrap().pack_to_send().unwrap();
    let view = View::parse(&bytes, &Options::new().descriptors(1)).unwrap();
    let error = from_view::<HashMap<String, u64>>(view).unwrap_err();
    assert_eq!(error.to_string(), "pair \"fd\": number wanted, descriptor found");
    let error = from_view::<serde_json::Value>(view).unwrap_err();
    assert_eq!(error.to_string(), "pair \"fd\": value wanted, descriptor found");
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Nested {
    inner: Option<Box<Nested>>,
}

#[derive(Serialize)]
enum Chain {
    End,
    Link(Box<Chain>),
}

#[test]
fn the_bound_on_depth_holds_in_both_directions() {
    let nest = |depth| {
        (1..depth).fold(Nested::default(), |nested, _| Nested { inner: Some(Box::new(nested)) })
    };
    let list = to_nvlist(&nest(NVLIST_DEPTH)).unwrap();
    assert_eq!(from_nvlist::<Nested>(&list), Ok(nest(NVLIST_DEPTH)));
    let over = |error: Error| matches!(error.kind, ErrorKind::Nvlist(e) if e.errno().is_none());
    assert!(over(to_nvlist(&nest(NVLIST_DEPTH + 1)).unwrap_err()));
    // Deep enough to overflow the stack, were it walked to its end; its own drop would be.
    let chain = (0..100_000).fold(Chain::End, |chain, _| Chain::Link(Box::new(chain)));
    assert!(over(to_nvlist(&chain).unwrap_err()));
    std::mem::forget(chain);
}

#[test]
fn flattened_and_untagged_types_work_through_the_types_of_pairs() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
        Digest(Digest),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Open {
        known: bool,
        #[serde(flatten)]
        rest: BTreeMap<String, Either>,
    }
    let rest = [
        ("a", Either::Number(1)),
        ("b", Either::Text("x".to_owned())),
        ("c", Either::Digest(Digest::of(b"c"))),
    ];
    let open = Open { known: true, rest: rest.map(|(k, v)| (k.to_owned(), v)).into() };
    let list = to_nvlist(&open).unwrap();
    let digest = *Digest::of(b"c").as_bytes();
    let wanted = Nvlist::builder().boolean("known", true).number("a", 1);
    assert_eq!(Ok(&list), wanted.string("b", "x").binary("c", digest).build().as_ref());
    assert_eq!(from_nvlist(&list), Ok(open));
}
