//! The vectors of libnv's packed lists, and what damage to them may do.

// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;

use snapfmt::Digest;
use snapfmt::nvlist::{ByteOrder, ErrorKind, Flags, Nvlist, Options, OwnedValue, Value, View};
use snaptool::cmd::nvlist::{Binaries, describe};
use tests::vectors::{Vector, load};

/// How a vector is to be read.
trait Reading {
    fn options(&self) -> Options;
    fn any_flags(&self) -> Options;
    fn repacks_identically(&self) -> bool;
}

impl Reading for Vector {
    fn options(&self) -> Options {
        let bits = self.json["unpack_flags"].as_u64().unwrap();
        let flags = Flags::from_bits(u8::try_from(bits).unwrap()).unwrap();
        self.any_flags().flags(flags)
    }

    fn any_flags(&self) -> Options {
        Options::new().descriptors(self.json["nfds"].as_u64().unwrap()).any_flags()
    }

    fn repacks_identically(&self) -> bool {
        self.json["repack"] == "identical"
    }
}

fn vectors(file: &str, count: usize) -> Vec<Vector> {
    let vectors = load(file);
    assert_eq!(vectors.len(), count, "{file}");
    vectors
}

fn valid() -> Vec<Vector> {
    vectors("valid.jsonl", 100)
}

/// A view and an owned list hold the same, and what the owned list packs into is that again.
#[track_caller]
fn assert_agree(view: &View<'_>, options: &Options, name: &str) -> Vec<u8> {
    let owned = view.to_nvlist();
    let pairs: Vec<_> = view.pairs().collect();
    assert_eq!(pairs.len(), owned.len(), "{name}");
    for (pair, own) in pairs.iter().zip(owned.pairs()) {
        assert_eq!(pair.name, own.name, "{name}");
        assert_eq!(OwnedValue::from(&pair.value), own.value, "{name}");
        if owned.len() < 300 {
            let found = view.get(pair.name).as_ref().map(OwnedValue::from);
            assert_eq!(found.as_ref(), owned.get(pair.name), "{name}");
        }
    }
    let packed = owned.pack_to_send().unwrap();
    assert_eq!(packed.len(), owned.packed_len(), "{name}");
    let again = View::parse(&packed, options).unwrap();
    assert_eq!(again, *view, "{name}");
    assert_eq!(again.to_nvlist(), owned, "{name}");
    packed
}

#[test]
fn what_libnv_packs_is_read_as_the_same_list_and_packed_into_the_same_bytes() {
    for vector in valid() {
        let name = &vector.name;
        let options = vector.options();
        let view = View::parse(&vector.bytes, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(describe(&view, Binaries::Digest), vector.json["nvlist"], "{name}");
        let little = vector.json["byte_order"] == "little";
        assert_eq!(view.byte_order() == ByteOrder::Little, little, "{name}");
        let packed = assert_agree(&view, &options, name);
        if vector.repacks_identically() {
            assert_eq!(packed, vector.bytes, "{name}");
        } else {
            assert_eq!(vector.json["repack_sha256"], Digest::of(&packed).to_string(), "{name}");
        }
        let plain = Nvlist::unpack(&vector.bytes, &options).unwrap().pack();
        assert_eq!(plain.is_err(), vector.json["nfds"] != 0, "{name}");
    }
}

#[test]
fn what_libnv_refuses_is_refused_with_its_errno() {
    for vector in vectors("invalid.jsonl", 208) {
        let name = &vector.name;
        let error = View::parse(&vector.bytes, &vector.options()).expect_err(name);
        assert_eq!(Nvlist::unpack(&vector.bytes, &vector.options()), Err(error), "{name}");
        if let Some(wanted) = vector.json["errno"].as_str() {
            assert_eq!(error.errno().map(|errno| errno.name()), Some(wanted), "{name}: {error}");
        }
        assert!(error.at <= vector.bytes.len(), "{name}: {error}");
    }
}

/// What of `lenient.jsonl` is refused, and for which reason of the table in `snapfmt::nvlist`.
const REFUSED: [(&str, &str); 21] = [
    ("be_version_5", "version"),
    ("bool_array_value_2", "bool"),
    ("descriptor_twice", "descriptor twice"),
    ("next_closes_outer", "stray marker"),
    ("nvlist_array_be_switch", "byte order"),
    ("nvlist_array_end_early", "unclosed"),
    ("nvlist_array_next_missing", "unclosed"),
    ("nvlist_array_up_early", "stray marker"),
    ("nvlist_array_up_last", "stray marker"),
    ("nvlist_be_header", "byte order"),
    ("nvlist_version", "version"),
    ("up_as_next", "stray marker"),
    ("up_datasize_5", "marker contents"),
    ("up_missing", "unclosed"),
    ("up_missing_end", "unclosed"),
    ("up_missing_inner", "unclosed"),
    ("up_named", "marker contents"),
    ("up_nitems", "marker contents"),
    ("version_01", "version"),
    ("version_7f", "version"),
    ("version_ff", "version"),
];

fn reason(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Version { .. } => "version",
        ErrorKind::Bool { .. } => "bool",
        ErrorKind::DescriptorTwice { .. } => "descriptor twice",
        ErrorKind::StrayMarker => "stray marker",
        ErrorKind::MarkerContents => "marker contents",
        ErrorKind::Unclosed { .. } => "unclosed",
        ErrorKind::MixedOrder => "byte order",
        _ => "another reason",
    }
}

/// Fields that libnv does not look at but keeps and packs again. They are written here as libnv
/// writes them in a list of its own.
const NOT_KEPT: [&str; 4] =
    ["null_nitems", "number_nitems_max", "nvlist_array_datasize_1", "string_nitems"];

#[test]
fn what_libnv_accepts_but_never_writes_is_read_as_libnv_does_or_refused_for_a_known_reason() {
    let refused = HashMap::from(REFUSED);
    for vector in vectors("lenient.jsonl", 34) {
        let name = vector.name.as_str();
        let options = vector.options();
        match (View::parse(&vector.bytes, &options), refused.get(name)) {
            (Err(error), Some(wanted)) => assert_eq!(reason(error.kind), *wanted, "{name}"),
            (Err(error), None) => panic!("{name} refused: {error}"),
            (Ok(_), Some(wanted)) => panic!("{name} accepted, not refused for {wanted}"),
            (Ok(view), None) => {
                assert_eq!(describe(&view, Binaries::Digest), vector.json["nvlist"], "{name}");
                let packed = assert_agree(&view, &options, name);
                if vector.repacks_identically() {
                    assert_eq!(packed == vector.bytes, !NOT_KEPT.contains(&name), "{name}");
                } else {
                    let digest = Digest::of(&packed).to_string();
                    assert_eq!(vector.json["repack_sha256"], digest, "{name}");
                }
            }
        }
    }
}

#[test]
fn a_cut_list_is_always_refused() {
    for vector in valid() {
        let step = vector.bytes.len() / 4096 + 1;
        for length in (0..vector.bytes.len()).step_by(step) {
            let cut = &vector.bytes[..length];
            assert!(View::parse(cut, &vector.any_flags()).is_err(), "{} {length}", vector.name);
        }
    }
}

#[test]
fn a_flipped_bit_gives_an_error_or_another_list_but_never_a_panic() {
    let mut accepted = 0;
    for vector in valid() {
        let options = vector.any_flags();
        let mut bytes = vector.bytes.clone();
        // Every bit, but for the few vectors that are long for their size's sake.
        let step = if bytes.len() > 4096 { bytes.len() / 32 } else { 1 };
        for at in (0..bytes.len()).step_by(step) {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                match View::parse(&bytes, &options) {
                    Ok(view) => {
                        assert_agree(&view, &options, &vector.name);
                        accepted += 1;
                    }
                    Err(error) => assert!(error.at <= bytes.len()),
                }
                bytes[at] ^= 1 << bit;
            }
        }
    }
    // Values and names are not protected here; digests are another layer.
    assert!(accepted > 1000);
}

#[test]
fn damage_to_two_bytes_of_a_header_never_panics() {
    let wanted = ["all_types", "be_all_types", "nvlist_array_in_array", "descriptor_all"];
    for vector in valid().into_iter().filter(|vector| wanted.contains(&vector.name.as_str())) {
        let mut bytes = vector.bytes.clone();
        for (first, second) in (0..bytes.len()).zip(1..bytes.len()) {
            for value in [0, 1, 0x6c, 0x7f, 0x80, 0xfe, 0xff] {
                let kept = (bytes[first], bytes[second]);
                (bytes[first], bytes[second]) = (value, value);
                if let Ok(view) = View::parse(&bytes, &vector.any_flags()) {
                    assert_agree(&view, &vector.any_flags(), &vector.name);
                }
                (bytes[first], bytes[second]) = kept;
            }
        }
    }
}

#[test]
fn views_of_both_byte_orders_are_equal_if_their_lists_are() {
    let all = valid();
    let find = |name: &str| all.iter().find(|vector| vector.name == name).unwrap();
    let (little, big) = (find("all_types"), find("be_all_types"));
    let little = View::parse(&little.bytes, &Options::new()).unwrap();
    let big = View::parse(&big.bytes, &Options::new()).unwrap();
    assert_eq!(little.to_nvlist(), big.to_nvlist());
    assert_eq!(little, big);
}

#[test]
fn values_lie_inside_the_bytes_they_were_read_from() {
    for vector in valid() {
        let view = View::parse(&vector.bytes, &vector.options()).unwrap();
        for pair in view.pairs() {
            if let Value::Binary(bytes) | Value::String(bytes) = pair.value {
                assert!(vector.bytes.as_ptr_range().contains(&bytes.as_ptr()), "{}", vector.name);
            }
        }
    }
}
