//! A second opinion on the vectors of packed lists: that of the system's own libnv, on FreeBSD.
//!
//! `cargo test -p tests --features libnv`. It wants a libnv that has list arrays and the checks of
//! 2024 (FreeBSD 14.1 or later). Vectors with descriptors are left out, since `nvlist_unpack` takes
//! none, and so are those that make libnv abort.

#![cfg(all(target_os = "freebsd", feature = "libnv"))]
// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Error;

use snapfmt::Digest;
use snapfmt::nvlist::{Flags, Nvlist, Options};
use tests::vectors::{Vector, load};
use tests_libnv::{repack, symbol};

/// The vectors of `file` that libnv can be asked about.
fn askable(file: &str) -> impl Iterator<Item = Vector> {
    let vectors = load(file).into_iter().filter(|vector| {
        vector.json["nfds"] == 0 && vector.json["reference_crash"].as_bool() != Some(true)
    });
    let vectors: Vec<_> = vectors.collect();
    assert!(vectors.len() > 10, "{file}");
    vectors.into_iter()
}

/// What libnv says of a vector: the list packed again, or why not.
fn theirs(vector: &Vector) -> Result<Vec<u8>, Error> {
    repack(&vector.bytes, flags(vector))
}

/// What we say of it.
fn ours(vector: &Vector) -> Result<Vec<u8>, snapfmt::nvlist::Error> {
    let flags = Flags::from_bits(flags(vector)).unwrap();
    Nvlist::unpack(&vector.bytes, &Options::new().flags(flags))?.pack()
}

fn flags(vector: &Vector) -> u8 {
    u8::try_from(vector.json["unpack_flags"].as_u64().unwrap()).unwrap()
}

#[test]
fn libnv_and_we_pack_valid_lists_into_the_same_bytes() {
    for vector in askable("valid.jsonl") {
        let name = &vector.name;
        let theirs = theirs(&vector).unwrap_or_else(|e| panic!("libnv refuses {name}: {e}"));
        let ours = ours(&vector).unwrap_or_else(|e| panic!("{name} refused: {e}"));
        assert!(theirs == ours, "{name}");
    }
}

#[test]
fn libnv_and_we_refuse_the_same_lists_with_the_same_errno() {
    for vector in askable("invalid.jsonl") {
        let name = &vector.name;
        let theirs = theirs(&vector).expect_err(name);
        let ours = ours(&vector).expect_err(name);
        // Without one in the vector, libnv sets none.
        if let Some(wanted) = vector.json["errno"].as_str() {
            assert_eq!(symbol(&theirs), Some(wanted), "{name}: {theirs}");
            assert_eq!(ours.errno().map(|errno| errno.name()), Some(wanted), "{name}: {ours}");
        }
    }
}

#[test]
fn libnv_accepts_what_the_vectors_say_it_does_and_packs_it_as_they_say() {
    for vector in askable("lenient.jsonl") {
        let name = &vector.name;
        let theirs = theirs(&vector).unwrap_or_else(|e| panic!("libnv refuses {name}: {e}"));
        if vector.json["repack"] == "identical" {
            assert!(theirs == vector.bytes, "{name}");
        } else {
            assert_eq!(vector.json["repack_sha256"], Digest::of(&theirs).to_string(), "{name}");
        }
        // What is read at all is read as libnv reads it, down to fields that it keeps unread.
        if let Ok(ours) = ours(&vector) {
            let again = repack(&ours, flags(&vector)).unwrap();
            assert!(again == ours, "{name}");
        }
    }
}
