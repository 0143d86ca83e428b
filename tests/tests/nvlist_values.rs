//! Lists built, asked and compared: every type, every road to a value, and what is counted.

// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use snapfmt::limits::{NVLIST_DEPTH, NVLIST_NAME, NVLIST_PAIRS, NVLIST_SIZE};
use snapfmt::nvlist::{
    Builder, ByteOrder, ErrorKind, Flags, Found, Missing, Nvlist, Options, OwnedValue, Type, Value,
    View,
};

const LARGEST: u64 = i64::MAX.unsigned_abs() - 1;

fn options() -> Options {
    Options::new().descriptors(u64::MAX)
}

/// A value of each type, in the order of their codes, under the type's name.
fn values() -> Vec<(&'static str, OwnedValue)> {
    let inner = || Nvlist::builder().string("s", "in").build().unwrap();
    vec![
        ("null", OwnedValue::Null),
        ("bool", OwnedValue::Bool(true)),
        ("number", OwnedValue::Number(0x0102_0304_0506_0708)),
        ("string", OwnedValue::String(b"text".to_vec())),
        ("nvlist", OwnedValue::Nvlist(inner())),
        ("descriptor", OwnedValue::Descriptor(LARGEST)),
        ("binary", OwnedValue::Binary(vec![0, 255, 0])),
        ("bool_array", OwnedValue::BoolArray(vec![true, false, true])),
        ("number_array", OwnedValue::NumberArray(vec![1, u64::MAX])),
        ("string_array", OwnedValue::StringArray(vec![b"a".to_vec(), vec![], b"bc".to_vec()])),
        ("nvlist_array", OwnedValue::NvlistArray(vec![inner(), Nvlist::new(), inner()])),
        ("descriptor_array", OwnedValue::DescriptorArray(vec![3, 1])),
    ]
}

fn all() -> Nvlist {
    let mut list = Nvlist::new();
    for (name, value) in values() {
        list.add(name, value).unwrap();
    }
    list
}

/// The same list as `all`, by the chain.
fn chain() -> Builder {
    let inner = || Nvlist::builder().string("s", "in");
    Builder::default()
        .null("null")
        .boolean("bool", true)
        .number("number", 0x0102_0304_0506_0708)
        .string("string", "text")
        .nvlist("nvlist", inner())
        .descriptor("descriptor", LARGEST)
        .binary("binary", [0, 255, 0])
        .bool_array("bool_array", [true, false, true])
        .number_array("number_array", [1, u64::MAX])
        .string_array("string_array", ["a", "", "bc"])
        .nvlist_array("nvlist_array", [inner(), Nvlist::builder(), inner()])
        .descriptor_array("descriptor_array", [3, 1])
}

#[test]
fn the_chain_the_adders_and_values_make_the_same_list() {
    let inner = || Nvlist::builder().string("s", "in").build().unwrap();
    let mut added = Nvlist::default();
    added.add_null("null").unwrap();
    added.add_bool("bool", true).unwrap();
    added.add_number("number", 0x0102_0304_0506_0708).unwrap();
    added.add_string("string", "text").unwrap();
    added.add_nvlist("nvlist", inner()).unwrap();
    added.add_descriptor("descriptor", LARGEST).unwrap();
    added.add_binary("binary", [0, 255, 0]).unwrap();
    added.add_bool_array("bool_array", [true, false, true]).unwrap();
    added.add_number_array("number_array", [1, u64::MAX]).unwrap();
    added.add_string_array("string_array", ["a", "", "bc"]).unwrap();
    added.add_nvlist_array("nvlist_array", [inner(), Nvlist::new(), inner()]).unwrap();
    added.add_descriptor_array("descriptor_array", [3, 1]).unwrap();
    assert_eq!(added, all());
    assert_eq!(chain().build(), Ok(all()));
    assert_eq!(all().len(), Type::ALL.len());
    assert!(!all().is_empty());
    assert!(Nvlist::new().is_empty());
}

#[test]
fn each_step_of_a_chain_keeps_what_was_there_and_the_first_error() {
    let before = |rest: fn(Builder) -> Builder| {
        let list = rest(Nvlist::builder().number("first", 1)).build().unwrap();
        assert_eq!(list.get("first"), Some(&OwnedValue::Number(1)));
        assert_eq!(list.len(), 2);
    };
    before(|list| list.bool_array("x", [true]));
    before(|list| list.descriptor_array("x", [1]));
    before(|list| list.nvlist("x", Nvlist::builder()));
    before(|list| list.nvlist_array("x", [Nvlist::builder()]));
    let twice = Nvlist::builder().null("a").null("a");
    let after = twice.bool_array("b", []).nvlist("c", Nvlist::builder().binary("d", []));
    assert_eq!(after.build().unwrap_err().kind, ErrorKind::Duplicate);
    let inner = Nvlist::builder().nvlist_array("l", [Nvlist::builder().null("a").null("a")]);
    assert_eq!(inner.build().unwrap_err().kind, ErrorKind::Duplicate);
}

#[test]
fn a_value_is_found_by_its_name_and_type_and_by_no_other_type() {
    let bytes = all().pack_to_send().unwrap();
    let view = View::parse(&bytes, &options()).unwrap();
    assert_eq!(view.boolean("bool"), Ok(true));
    assert_eq!(view.number("number"), Ok(0x0102_0304_0506_0708));
    assert_eq!(view.string("string"), Ok(&b"text"[..]));
    assert_eq!(view.text("string"), Ok("text"));
    assert_eq!(view.nvlist("nvlist").unwrap().text("s"), Ok("in"));
    assert_eq!(view.descriptor("descriptor"), Ok(LARGEST));
    assert_eq!(view.binary("binary"), Ok(&[0, 255, 0][..]));
    assert!(view.bool_array("bool_array").unwrap().eq([true, false, true]));
    assert!(view.number_array("number_array").unwrap().eq([1, u64::MAX]));
    assert!(view.string_array("string_array").unwrap().eq([&b"a"[..], b"", b"bc"]));
    assert_eq!(view.nvlist_array("nvlist_array").unwrap().count(), 3);
    assert!(view.descriptor_array("descriptor_array").unwrap().eq([3, 1]));
    assert!(view.has("null") && !view.has("Null") && !view.is_empty());
    assert_eq!(view.get("null"), Some(Value::Null));

    let missing = |wanted, found| Missing { name: b"null".to_vec(), wanted, found };
    let null = Found::Other(Type::Null);
    assert_eq!(view.find_boolean("null"), Err(missing(Type::Bool, null)));
    assert_eq!(view.find_number("null"), Err(missing(Type::Number, null)));
    assert_eq!(view.find_string("null"), Err(missing(Type::String, null)));
    assert_eq!(view.find_text("null"), Err(missing(Type::String, null)));
    assert_eq!(view.find_nvlist("null"), Err(missing(Type::Nvlist, null)));
    assert_eq!(view.find_descriptor("null"), Err(missing(Type::Descriptor, null)));
    assert_eq!(view.find_binary("null"), Err(missing(Type::Binary, null)));
    assert_eq!(view.find_bool_array("null"), Err(missing(Type::BoolArray, null)));
    assert_eq!(view.find_number_array("null"), Err(missing(Type::NumberArray, null)));
    assert_eq!(view.find_string_array("null"), Err(missing(Type::StringArray, null)));
    assert_eq!(view.find_nvlist_array("null"), Err(missing(Type::NvlistArray, null)));
    assert_eq!(view.find_descriptor_array("null"), Err(missing(Type::DescriptorArray, null)));
    assert_eq!(view.find_text("none"), Ok(None));
}

#[test]
fn a_lookup_that_fails_says_what_there_is() {
    let bytes = Nvlist::builder().null("a\n").string("s", b"\xff").pack().unwrap();
    let view = View::parse(&bytes, &options()).unwrap();
    let says = |missing: Missing, sentence: &str| assert_eq!(missing.to_string(), sentence);
    says(view.text("s").unwrap_err(), "pair \"s\": string wanted, not UTF-8");
    says(view.find_text("s").unwrap_err(), "pair \"s\": string wanted, not UTF-8");
    says(view.text("t").unwrap_err(), "pair \"t\": string wanted, absent");
    says(view.number("a\n").unwrap_err(), "pair \"a\\n\": number wanted, null found");
    let unknown = view.only(&["a\n"]).unwrap_err();
    assert_eq!((&*unknown.name, unknown.kind, unknown.at), (&b"s"[..], Type::String, 19 + 22));
    assert_eq!(unknown.to_string(), "unknown pair \"s\" of type string at 0x29 of the list");
}

#[test]
fn types_are_codes_and_names_one_to_one() {
    let names: Vec<_> = values().into_iter().map(|(name, _)| name).collect();
    for (code, (kind, name)) in (1..).zip(Type::ALL.into_iter().zip(names)) {
        assert_eq!((kind.code(), kind.name(), &*kind.to_string()), (code, name, name));
        assert_eq!(Type::from_code(code), Some(kind));
    }
    assert_eq!(Type::from_code(0), None);
    assert_eq!(Type::from_code(13), None);
    let bytes = all().pack_to_send().unwrap();
    let view = View::parse(&bytes, &options()).unwrap();
    for ((pair, own), kind) in view.pairs().zip(all().pairs()).zip(Type::ALL) {
        assert_eq!((pair.value.kind(), own.value.kind()), (kind, kind));
        assert_eq!(OwnedValue::from(&pair.value), own.value);
        assert_eq!(bytes[pair.at], kind.code());
    }
}

#[test]
fn flags_are_the_bits_of_libnv() {
    for bits in 0..4 {
        let flags = Flags::from_bits(bits).unwrap();
        assert_eq!(flags, Flags { ignore_case: bits & 1 != 0, no_unique: bits & 2 != 0 });
        assert_eq!(flags.bits(), bits);
        assert_eq!(Nvlist::with_flags(flags).flags(), flags);
    }
    assert!((4..=u8::MAX).all(|bits| Flags::from_bits(bits).is_none()));
}

#[test]
fn arrays_know_how_much_is_left_of_them() {
    fn counts<T>(mut items: impl ExactSizeIterator<Item = T>, length: usize) {
        for left in (0..=length).rev() {
            assert_eq!((items.len(), items.size_hint()), (left, (left, Some(left))));
            assert_eq!(items.next().is_some(), left > 0);
        }
        assert_eq!(items.len(), 0);
    }
    let bytes = all().pack_to_send().unwrap();
    let view = View::parse(&bytes, &options()).unwrap();
    counts(view.bool_array("bool_array").unwrap(), 3);
    counts(view.number_array("number_array").unwrap(), 2);
    counts(view.string_array("string_array").unwrap(), 3);
    counts(view.nvlist_array("nvlist_array").unwrap(), 3);
    counts(view.descriptor_array("descriptor_array").unwrap(), 2);
}

#[test]
fn lists_and_views_differ_in_one_value_one_name_or_their_flags() {
    let list = all();
    let bytes = list.pack_to_send().unwrap();
    let view = View::parse(&bytes, &options()).unwrap();
    let differs = |other: &Nvlist, options: Options| {
        assert_ne!(other, &list);
        let bytes = other.pack_to_send().unwrap();
        assert_ne!(View::parse(&bytes, &options).unwrap(), view);
    };
    for (i, (name, value)) in values().into_iter().enumerate() {
        let other = match value {
            OwnedValue::Null => OwnedValue::Bool(false),
            OwnedValue::Bool(value) => OwnedValue::Bool(!value),
            OwnedValue::Number(n) => OwnedValue::Number(n + 1),
            OwnedValue::String(_) => OwnedValue::String(b"texT".to_vec()),
            OwnedValue::Nvlist(_) => OwnedValue::Nvlist(Nvlist::new()),
            OwnedValue::Descriptor(_) => OwnedValue::Descriptor(9),
            OwnedValue::Binary(_) => OwnedValue::Binary(vec![0, 255, 1]),
            OwnedValue::BoolArray(_) => OwnedValue::BoolArray(vec![true, false]),
            OwnedValue::NumberArray(_) => OwnedValue::NumberArray(vec![1, 2]),
            OwnedValue::StringArray(_) => OwnedValue::StringArray(vec![vec![]; 3]),
            OwnedValue::NvlistArray(_) => OwnedValue::NvlistArray(vec![Nvlist::new(); 3]),
            OwnedValue::DescriptorArray(_) => OwnedValue::DescriptorArray(vec![3, 2]),
        };
        let (mut changed, mut renamed) = (Nvlist::new(), Nvlist::new());
        for (j, pair) in list.pairs().iter().enumerate() {
            let value = if i == j { other.clone() } else { pair.value.clone() };
            changed.add(&pair.name, value).unwrap();
            let new = if i == j { name.to_uppercase() } else { values()[j].0.to_owned() };
            renamed.add(new, pair.value.clone()).unwrap();
        }
        differs(&changed, options());
        differs(&renamed, options());
    }
    let flags = Flags { ignore_case: true, no_unique: false };
    let mut flagged = Nvlist::with_flags(flags);
    for pair in list.pairs() {
        flagged.add(&pair.name, pair.value.clone()).unwrap();
    }
    differs(&flagged, options().flags(flags));
}

#[test]
fn a_view_is_shown_with_its_names_and_values() {
    let inner = Nvlist::builder().boolean("b", true);
    let bytes = Nvlist::builder().number("a\n", 7).nvlist("l", inner).pack().unwrap();
    let view = View::parse(&bytes, &options()).unwrap();
    assert_eq!(format!("{view:?}"), r#"{"a\\n": Number(7), "l": Nvlist({"b": Bool(true)})}"#);
    assert_eq!(view.byte_order(), ByteOrder::Little);
    assert!(!view.is_empty());
    assert!(View::parse(&Nvlist::new().pack().unwrap(), &options()).unwrap().is_empty());
    assert_eq!(Nvlist::from(view).pack().unwrap(), bytes);
}

#[test]
fn what_a_reader_asks_of_flags_is_the_last_thing_said() {
    let flags = Flags { ignore_case: false, no_unique: true };
    let outer = Nvlist::with_flags(flags).pack().unwrap();
    let accepts = |options: Options| View::parse(&outer, &options).is_ok();
    assert!(!accepts(Options::default()));
    assert!(accepts(Options::new().any_flags()));
    assert!(accepts(Options::new().flags(flags)));
    assert!(accepts(Options::new().flags_throughout(flags)));
    assert!(!accepts(Options::new().any_flags().flags(Flags::default())));
    assert!(!accepts(Options::new().any_flags().flags_throughout(Flags::default())));
    assert_eq!(Options::new().descriptors(0), Options::default());
}

#[test]
fn what_a_list_cannot_hold_is_refused_when_it_is_added() {
    let kinds = |kind, found| ErrorKind::Items { kind, found };
    let index = |found| ErrorKind::DescriptorIndex { found, received: LARGEST + 1 };
    let refused = [
        (OwnedValue::String(b"a\0".to_vec()), ErrorKind::StringNul),
        (OwnedValue::Binary(vec![]), ErrorKind::DataSize { kind: Type::Binary, found: 0 }),
        (OwnedValue::BoolArray(vec![]), kinds(Type::BoolArray, 0)),
        (OwnedValue::NumberArray(vec![]), kinds(Type::NumberArray, 0)),
        (OwnedValue::StringArray(vec![]), kinds(Type::StringArray, 0)),
        (OwnedValue::StringArray(vec![b"a".to_vec(), vec![0]]), ErrorKind::StringNul),
        (OwnedValue::NvlistArray(vec![]), kinds(Type::NvlistArray, 0)),
        (OwnedValue::Descriptor(LARGEST + 1), index(LARGEST + 1)),
        (OwnedValue::DescriptorArray(vec![]), kinds(Type::DescriptorArray, 0)),
        (OwnedValue::DescriptorArray(vec![1, u64::MAX]), index(u64::MAX)),
    ];
    let mut list = Nvlist::builder().null("here").build().unwrap();
    let before = list.clone();
    for (value, kind) in refused {
        let error = list.add("new", value).unwrap_err();
        assert_eq!((error.kind, error.at), (kind, 19 + 24));
    }
    let long = "n".repeat(NVLIST_NAME + 1);
    let kind = ErrorKind::NameTooLong { found: long.len() as u64 };
    assert_eq!(list.add_null(&long).unwrap_err().kind, kind);
    assert_eq!(list.add_null("a\0").unwrap_err().kind, ErrorKind::NameNul);
    assert_eq!(list, before);
    list.add_null(&long[1..]).unwrap();
    let bytes = list.pack().unwrap();
    assert_eq!(bytes.len(), list.packed_len());
    assert_eq!(Nvlist::unpack(&bytes, &options()), Ok(list));
}

#[test]
fn descriptors_are_counted_however_deep_and_each_header_says_how_many_follow() {
    let inner = || Nvlist::builder().descriptor("d", 5);
    let list = Nvlist::builder()
        .descriptor("a", 1)
        .nvlist("l", inner().nvlist("m", Nvlist::builder().descriptor_array("e", [7, 8, 9])))
        .nvlist_array("n", [Nvlist::builder().descriptor("d", 6), Nvlist::builder()])
        .build()
        .unwrap();
    assert_eq!(list.descriptors(), 6);
    assert_eq!(list.pack().unwrap_err().kind, ErrorKind::HasDescriptors);
    let bytes = list.pack_to_send().unwrap();
    assert_eq!(bytes.len(), list.packed_len());
    let view = View::parse(&bytes, &Options::new().descriptors(10)).unwrap();
    assert_eq!(view.to_nvlist(), list);
    let heads = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"l\0\0"));
    assert_eq!(heads.map(|at| bytes[at + 3]).collect::<Vec<_>>(), [6, 5, 4, 1, 0]);

    let twice = Nvlist::builder().descriptor("a", 5).nvlist("l", inner()).build().unwrap();
    let error = twice.pack_to_send().unwrap_err();
    assert_eq!(error.kind, ErrorKind::DescriptorTwice { index: 5 });
    assert_eq!(error.at, 19 + 21 + 8 + 21 + 19 + 21);
}

#[test]
fn a_list_can_be_as_large_as_its_reader_allows_and_no_larger() {
    let over = |what, found: usize, limit: usize| ErrorKind::OverLimit {
        what,
        found: found as u64,
        limit: limit as u64,
    };
    let mut list = Nvlist::builder().null("a").build().unwrap();
    let room = NVLIST_SIZE - list.packed_len() - 21;
    let error = list.add_binary("b", vec![0; room + 1]).unwrap_err();
    assert_eq!(error.kind, over("list size", NVLIST_SIZE + 1, NVLIST_SIZE));
    assert_eq!(list.len(), 1);
    list.add_binary("b", vec![0; room]).unwrap();
    let bytes = list.pack().unwrap();
    assert_eq!(bytes.len(), NVLIST_SIZE);
    assert!(View::parse(&bytes, &options()).is_ok());
}

#[test]
fn pairs_and_elements_are_counted_however_deep() {
    let limit = NVLIST_PAIRS as u64;
    let strings = |count: usize| Nvlist::builder().string_array("s", vec![""; count]);
    // Two pairs and two elements besides the strings.
    let list = |count| strings(count).nvlist_array("l", [strings(1), Nvlist::builder()]);
    assert!(list(NVLIST_PAIRS - 6).build().is_ok());
    let bytes = list(NVLIST_PAIRS - 6).pack().unwrap();
    assert!(View::parse(&bytes, &options()).is_ok());
    let error = list(NVLIST_PAIRS - 5).build().unwrap_err();
    let kind = ErrorKind::OverLimit { what: "pairs and elements", found: limit + 1, limit };
    assert_eq!(error.kind, kind);
    let nested = |count| Nvlist::builder().nvlist("l", strings(count)).number("n", 1).build();
    // Two pairs, one in the list within, and its two strings.
    assert_eq!(nested(2).unwrap().counted(), 5);
    assert!(nested(NVLIST_PAIRS - 3).is_ok());
    assert_eq!(nested(NVLIST_PAIRS - 2).unwrap_err().kind, kind);
}

#[test]
fn the_deepest_of_several_lists_counts() {
    let limit = NVLIST_DEPTH as u64;
    let deep = |levels: usize| {
        (1..levels).fold(Nvlist::builder(), |list, _| Nvlist::builder().nvlist_array("l", [list]))
    };
    let list = |levels| {
        let array = [Nvlist::builder(), deep(levels), Nvlist::builder()];
        Nvlist::builder().nvlist_array("a", array).nvlist("b", Nvlist::builder()).build()
    };
    let bytes = list(NVLIST_DEPTH - 1).unwrap().pack().unwrap();
    assert!(View::parse(&bytes, &options()).is_ok());
    let error = list(NVLIST_DEPTH).unwrap_err();
    let kind = ErrorKind::OverLimit { what: "lists inside each other", found: limit + 1, limit };
    assert_eq!(error.kind, kind);
}
