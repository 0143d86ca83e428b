//! The vectors in `spec/vectors/snapshot`: are they what the tables give, and does the reader say
//! of each what its header says?
//!
//! To write them anew after a change of the tables or of the zstd crate:
//! `cargo test -p tests --test vectors -- --ignored`.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use tests::drive::walk;
use tests::snapshot_vectors::{Vector, folder, fresh, layer, load, names, write};
use tests::spec_rules::uncovered;

fn committed() -> Vec<Vector> {
    names().iter().flat_map(|name| load(name)).collect()
}

#[test]
#[ignore = "writes the vectors"]
fn write_the_vectors() {
    write(&fresh());
}

#[test]
fn vectors_are_current() {
    let (fresh, committed) = (fresh(), committed());
    // What zstd makes of them may change; they and their headers may not.
    for (new, old) in fresh.iter().zip(&committed) {
        assert_eq!(new.header, old.header);
        assert!(new.bytes == old.bytes, "{}", new.name());
    }
    assert_eq!(fresh.len(), committed.len());
}

#[test]
fn vectors_are_where_their_rule_says_and_have_names_of_their_own() {
    let mut seen = BTreeSet::new();
    for file in names() {
        for vector in load(&file) {
            assert_eq!(vector.file(), file);
            assert!(seen.insert(vector.name().to_owned()), "{}", vector.name());
        }
    }
    let sizes = names().into_iter().map(|n| folder().join(n).metadata().unwrap().len());
    assert!(sizes.sum::<u64>() < 1 << 20);
}

#[test]
fn the_reader_says_of_each_what_its_header_says() {
    let mut wrong = Vec::new();
    for vector in committed() {
        let found = match walk(&vector.bytes) {
            Ok(verified) => {
                let content = vector.get("content").map(str::to_owned);
                assert_eq!(vector.get("root"), Some(&*verified.root().to_string()));
                assert!(content.is_none_or(|c| c == verified.index().content.to_string()));
                ("ok", None)
            }
            Err(error) => {
                let text = error.fault().to_string();
                let rule = text.rfind('§').and_then(|at| text.get(at..)).unwrap_or_default();
                (layer(error.fault().id(), rule), Some(error.section().to_string()))
            }
        };
        let expected = (vector.get("expect").unwrap(), vector.get("section").map(str::to_owned));
        if found != expected {
            wrong.push(format!("{}: {expected:?}, found {found:?}", vector.name()));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} of them", wrong.join("\n"), wrong.len());
}

#[test]
fn every_layer_and_every_numbered_rule_has_a_vector() {
    let vectors = committed();
    let layers: BTreeSet<_> = vectors.iter().filter_map(|vector| vector.get("expect")).collect();
    let all = ["consistency", "digest", "layout", "limit", "magic", "nvlist", "ok"];
    assert_eq!(layers.into_iter().collect::<Vec<_>>(), all);
    let (missing, doubled) = uncovered(&vectors.iter().filter_map(Vector::rule).collect());
    assert!(missing.is_empty(), "no vector for {missing:?}");
    assert!(doubled.is_empty(), "{doubled:?}");
}
