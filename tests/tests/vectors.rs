//! The vectors in `spec/vectors/snapshot`: are they what the tables give, and does the reader say
//! of each what its header says?
//!
//! To write them anew after a change of the tables or of the zstd crate:
//! `cargo test -p tests --test vectors -- --ignored`.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use tests::drive::{chain, walk};
use tests::snapshot_vectors::{FOLDER, fresh, layer};
use tests::spec_rules::uncovered;
use tests::vector_files::{Vector, folder, load, names, write};

fn committed() -> Vec<Vector> {
    let folder = folder(FOLDER);
    names(&folder).iter().flat_map(|name| load(&folder, name)).collect()
}

#[test]
#[ignore = "writes the vectors"]
fn write_the_vectors() {
    write(&folder(FOLDER), &fresh());
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
    let folder = folder(FOLDER);
    for file in names(&folder) {
        for vector in load(&folder, &file) {
            assert_eq!(vector.file(), file);
            assert!(seen.insert(vector.name().to_owned()), "{}", vector.name());
        }
    }
    let sizes = names(&folder).into_iter().map(|n| folder.join(n).metadata().unwrap().len());
    assert!(sizes.sum::<u64>() < 1 << 20);
}

/// The files of the chain of the vector of this name, the full one first.
fn files(name: &str, all: &BTreeMap<&str, &Vector>) -> Vec<Vec<u8>> {
    let vector = all[name];
    let parent = vector.get("parent").map(|parent| files(parent, all));
    [parent.unwrap_or_default(), vec![vector.bytes.clone()]].concat()
}

/// What the reader finds: by the file alone, and over its parents where the vector has some.
fn found(vector: &Vector, all: &BTreeMap<&str, &Vector>) -> (&'static str, Option<String>) {
    let alone = walk(&vector.bytes);
    let read = match vector.get("parent") {
        None => alone,
        Some(_) => {
            let name = vector.name();
            assert!(alone.is_ok(), "{name}: {alone:.300?}");
            let files = files(name, all);
            let checked = chain(&files).map(|mut all| all.pop().unwrap());
            checked.map_err(|(link, error)| {
                assert_eq!(link + 1, files.len(), "{name}: {error}");
                error
            })
        }
    };
    match read {
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
    }
}

#[test]
fn the_reader_says_of_each_what_its_header_says() {
    let committed = committed();
    let all = committed.iter().map(|vector| (vector.name(), vector)).collect();
    let mut wrong = Vec::new();
    for vector in &committed {
        let found = found(vector, &all);
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
