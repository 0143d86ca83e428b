//! Lists that are large, deep, or made to cost their reader more than they should.

// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::collection::vec;
use proptest::prelude::*;
use snapfmt::limits::{NVLIST_DEPTH, NVLIST_PAIRS, NVLIST_SIZE};
use snapfmt::nvlist::{Builder, ErrorKind, Flags, Nvlist, Options, OwnedValue, View};

const HEADER: usize = 19;

/// A list header; `left` bytes follow it.
fn header(left: usize) -> Vec<u8> {
    let mut bytes = b"l\0\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend((left as u64).to_le_bytes());
    bytes
}

fn pair(code: u8, name: &str, size: u64, items: u64) -> Vec<u8> {
    let mut bytes = vec![code];
    bytes.extend(u16::try_from(name.len() + 1).unwrap().to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(items.to_le_bytes());
    bytes.extend(name.as_bytes());
    bytes.push(0);
    bytes
}

fn list(body: &[u8]) -> Vec<u8> {
    [header(body.len()), body.to_vec()].concat()
}

/// `levels` lists inside each other, each the only pair of its parent.
fn nested(code: u8, levels: usize) -> Vec<u8> {
    let items = u64::from(code == 11);
    let open = pair(code, "", 1 - items, items);
    let close = pair(if code == 11 { 254 } else { 255 }, "", 0, 0);
    let total = HEADER + levels * (open.len() + HEADER + close.len());
    let mut bytes = header(total - HEADER);
    for _ in 0..levels {
        bytes.extend(&open);
        bytes.extend(header(total - bytes.len() - HEADER));
    }
    bytes.extend(close.repeat(levels));
    bytes
}

fn over(what: &'static str, found: usize, limit: usize) -> ErrorKind {
    ErrorKind::OverLimit { what, found: found as u64, limit: limit as u64 }
}

#[test]
fn deep_nesting_is_refused_at_the_first_list_too_deep_and_not_followed() {
    for code in [5, 11] {
        let bytes = nested(code, 200_000);
        let error = View::parse(&bytes, &Options::new()).unwrap_err();
        assert_eq!(error.kind, over("lists inside each other", NVLIST_DEPTH + 1, NVLIST_DEPTH));
        assert_eq!(error.at, NVLIST_DEPTH * (20 + HEADER));
    }
}

#[test]
fn the_deepest_list_allowed_can_be_read_copied_compared_packed_printed_and_dropped() {
    for code in [5, 11] {
        let bytes = nested(code, NVLIST_DEPTH - 1);
        let view = View::parse(&bytes, &Options::new()).unwrap();
        let list = view.to_nvlist();
        assert_eq!(list.clone(), list);
        assert_eq!(View::parse(&list.pack().unwrap(), &Options::new()), Ok(view));
        assert!(format!("{view:?}{list:?}").len() > NVLIST_DEPTH);
    }
}

#[test]
fn a_megabyte_of_pairs_is_read_and_a_duplicate_at_its_end_found() {
    let names: Vec<String> = (0..45_000).map(|i| format!("{i:x}")).collect();
    let body: Vec<u8> = names.iter().flat_map(|name| pair(1, name, 0, 0)).collect();
    assert!(body.len() > 1 << 20);
    let bytes = list(&body);
    let view = View::parse(&bytes, &Options::new()).unwrap();
    assert_eq!(view.pairs().count(), names.len());
    assert_eq!(view.to_nvlist().pack().unwrap(), bytes);

    let twice = list(&[body, pair(1, "0", 0, 0)].concat());
    let error = View::parse(&twice, &Options::new()).unwrap_err();
    assert_eq!((error.kind, error.at), (ErrorKind::Duplicate, bytes.len()));
}

#[test]
fn pairs_elements_and_strings_count_against_one_bound() {
    let what = "pairs and elements";
    let nulls = list(&pair(1, "", 0, 0).repeat(NVLIST_PAIRS + 1));
    let no_unique = Flags { ignore_case: false, no_unique: true };
    let mut not_unique = nulls.clone();
    not_unique[2] = no_unique.bits();
    let error = View::parse(&not_unique, &Options::new().flags(no_unique)).unwrap_err();
    assert_eq!(error.kind, over(what, NVLIST_PAIRS + 1, NVLIST_PAIRS));

    let strings = vec![0; NVLIST_PAIRS];
    let size = strings.len() as u64;
    let body = [pair(10, "s", size, size), strings].concat();
    let error = View::parse(&list(&body), &Options::new()).unwrap_err();
    assert_eq!(error.kind, over(what, NVLIST_PAIRS + 1, NVLIST_PAIRS));

    let built = Nvlist::builder().string_array("s", vec![""; NVLIST_PAIRS]).build().unwrap_err();
    assert_eq!(built.kind, over(what, NVLIST_PAIRS + 1, NVLIST_PAIRS));
    assert!(Nvlist::builder().string_array("s", vec![""; NVLIST_PAIRS - 1]).pack().is_ok());
}

#[test]
fn a_list_above_the_size_bound_is_refused_unread() {
    let bytes = vec![0; NVLIST_SIZE + 1];
    let error = View::parse(&bytes, &Options::new()).unwrap_err();
    assert_eq!(error.kind, over("list size", NVLIST_SIZE + 1, NVLIST_SIZE));
    assert!(Nvlist::builder().binary("b", bytes).build().is_err());
}

#[test]
fn counts_in_the_input_cannot_make_the_reader_allocate() {
    for code in 8..=12 {
        for items in [2, 1 << 32, 1 << 61, (1 << 61) + 1, u64::MAX / 19 + 1, u64::MAX] {
            for size in [0, 8, 16] {
                let body = [pair(code, "a", size, items), vec![0; 16]].concat();
                let result = Nvlist::unpack(&list(&body), &Options::new().descriptors(u64::MAX));
                assert_eq!(result.is_ok(), (code, items, size) == (9, 2, 16), "{code} {items}");
            }
        }
    }
}

#[test]
fn a_binary_of_a_mebibyte_round_trips() {
    let bytes: Vec<u8> =
        (0..1_u32 << 20).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let packed = Nvlist::builder().binary("b", bytes.clone()).pack().unwrap();
    let view = View::parse(&packed, &Options::new()).unwrap();
    assert_eq!(view.binary("b"), Ok(&*bytes));
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof!["[a-dA-D]{0,2}".prop_map(String::into_bytes), vec(1_u8.., 0..40)]
}

fn string() -> impl Strategy<Value = Vec<u8>> {
    vec(1_u8.., 0..20)
}

/// Lists of all types; of pairs of one name the first is kept, unless names need not be unique.
fn nvlist() -> impl Strategy<Value = Nvlist> {
    let leaf = prop_oneof![
        Just(OwnedValue::Null),
        any::<bool>().prop_map(OwnedValue::Bool),
        any::<u64>().prop_map(OwnedValue::Number),
        string().prop_map(OwnedValue::String),
        vec(any::<u8>(), 1..40).prop_map(OwnedValue::Binary),
        vec(any::<bool>(), 1..9).prop_map(OwnedValue::BoolArray),
        vec(any::<u64>(), 1..9).prop_map(OwnedValue::NumberArray),
        vec(string(), 1..9).prop_map(OwnedValue::StringArray),
    ];
    let list = |value: BoxedStrategy<OwnedValue>| {
        let pairs = vec((name(), value), 0..8);
        (pairs, any::<bool>(), any::<bool>()).prop_map(|(pairs, ignore_case, no_unique)| {
            let mut list = Nvlist::with_flags(Flags { ignore_case, no_unique });
            for (name, value) in pairs {
                let known = list.get(&name).is_some();
                assert_eq!(list.add(&name, value).is_err(), known && !no_unique);
            }
            list
        })
    };
    let value = leaf.prop_recursive(4, 64, 8, move |inner| {
        let lists = list(inner.boxed()).boxed();
        prop_oneof![
            lists.clone().prop_map(OwnedValue::Nvlist),
            vec(lists, 1..4).prop_map(OwnedValue::NvlistArray),
        ]
    });
    list(value.boxed())
}

proptest! {
    #[test]
    fn a_list_packed_and_read_is_the_list(list in nvlist()) {
        let bytes = list.pack().unwrap();
        prop_assert_eq!(bytes.len(), list.packed_len());
        let view = View::parse(&bytes, &Options::new().flags(list.flags())).unwrap();
        prop_assert_eq!(&view.to_nvlist(), &list);
        prop_assert_eq!(&view.to_nvlist().pack().unwrap(), &bytes);
        for pair in list.pairs() {
            let found = view.get(&pair.name).as_ref().map(OwnedValue::from);
            prop_assert_eq!(found.as_ref(), list.get(&pair.name));
        }
    }

    #[test]
    fn a_list_is_the_same_inside_another(list in nvlist(), before in nvlist()) {
        let outer = Nvlist::builder().nvlist("before", before).nvlist("list", list.clone());
        let outer = outer.nvlist_array("again", [Builder::from(list.clone()), list.clone().into()]);
        let bytes = outer.pack().unwrap();
        let view = View::parse(&bytes, &Options::new()).unwrap();
        let inside = view.nvlist("list").unwrap();
        prop_assert_eq!(inside.to_nvlist(), list);
        prop_assert!(view.nvlist_array("again").unwrap().all(|element| element == inside));
    }

    #[test]
    fn arbitrary_bytes_after_a_good_header_never_panic(body in vec(any::<u8>(), 0..200)) {
        let bytes = list(&body);
        if let Ok(view) = View::parse(&bytes, &Options::new()) {
            prop_assert!(view.to_nvlist().pack().is_ok());
        }
    }
}
