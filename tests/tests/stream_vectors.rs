//! The vectors in `spec/vectors/stream`: are they what the tables give, does the decoder say of
//! each what its header says, and has each rule that a decoder can see one?
//!
//! To write them anew after a change of the tables:
//! `cargo test -p tests --test stream_vectors -- --ignored`.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use migrate::stream::{Breach, Decoder, Fault, Item, Kind};
use tests::snapshot_vectors::layer;
use tests::stream_rules::{FOLDER, NAMES, SEEN_BY_CORE, WITHOUT_STREAM, fresh, rules, uncovered};
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
    for (new, old) in fresh.iter().zip(&committed) {
        assert_eq!(new.header, old.header);
        assert!(new.bytes == old.bytes, "{}", new.name());
    }
    assert_eq!(fresh.len(), committed.len());
}

#[test]
fn vectors_are_where_their_rule_says_and_small() {
    let folder = folder(FOLDER);
    for file in names(&folder) {
        assert!(load(&folder, &file).iter().all(|vector| vector.file() == file), "{file}");
    }
    let sizes = names(&folder).into_iter().map(|n| folder.join(n).metadata().unwrap().len());
    assert!(sizes.sum::<u64>() < 256 << 10);
}

/// What a breach is, as headers say it: layer, rule, section, item, offset.
fn said(breach: &Breach) -> [String; 5] {
    let fault = &breach.fault;
    let layer = match fault {
        Fault::NoItem { .. } => "magic",
        Fault::Size { found, .. } if *found >= 19 => "limit",
        Fault::Digest { .. } => "digest",
        Fault::Form(_) | Fault::Pairs(_) => "nvlist",
        Fault::Value { .. } | Fault::Host(_) => "consistency",
        Fault::Part(error) => {
            let text = error.fault().to_string();
            layer(error.fault().id(), text.rfind('§').and_then(|at| text.get(at..)).unwrap_or(""))
        }
        _ => "layout",
    };
    let section = match fault {
        Fault::NoItem { .. } => "item".to_owned(),
        Fault::Excess => "stream".to_owned(),
        Fault::Part(error) => error.section().to_string(),
        Fault::Truncated { .. } => breach.message.map_or("item", Kind::name).to_owned(),
        _ => breach.message.map_or("message frame", Kind::name).to_owned(),
    };
    let (rule, item, at) = (fault.rule(), breach.item, breach.at);
    [layer.to_owned(), rule.to_owned(), section, item.to_string(), at.to_string()]
}

/// The number of items, all of them checked, or what is wrong with one.
fn read(bytes: &[u8]) -> Result<u64, Breach> {
    let (mut decoder, mut items, mut start, mut rest) = (Decoder::new(), 0, 0, bytes);
    while !rest.is_empty() {
        let space = decoder.space();
        let (now, later) = rest.split_at(space.len().min(rest.len()));
        space[..now.len()].copy_from_slice(now);
        rest = later;
        if let Some(item) = decoder.filled(now.len())? {
            if let Item::Part(part) = item {
                part.check().map_err(|error| {
                    let (at, fault) = (start + error.at(), Fault::Part(error));
                    Breach { at, item: items, message: None, fault }
                })?;
            }
            items += 1;
            start = (bytes.len() - rest.len()) as u64;
        }
    }
    decoder.ended().map(|()| items)
}

#[test]
fn the_decoder_says_of_each_what_its_header_says() {
    let mut wrong = Vec::new();
    for vector in committed() {
        let of = |key| vector.get(key).unwrap().to_owned();
        match read(&vector.bytes) {
            Ok(items) if of("expect") == "ok" && of("items") == items.to_string() => {}
            Err(breach)
                if said(&breach)
                    == ["expect", "rule", "section", "item", "offset"]
                        .map(|key| vector.get(key).unwrap_or_default().to_owned()) => {}
            Ok(items) => wrong.push(format!("{:?}: accepted, {items} items", vector.header)),
            Err(breach) => wrong.push(format!("{:?}: {:?} {breach}", vector.header, said(&breach))),
        }
    }
    assert!(wrong.is_empty(), "{}\n{} of them", wrong.join("\n"), wrong.len());
}

#[test]
fn every_layer_and_every_rule_that_a_decoder_can_see_has_a_vector() {
    let vectors = committed();
    let layers: BTreeSet<_> = vectors.iter().filter_map(|vector| vector.get("expect")).collect();
    let all = ["consistency", "digest", "layout", "limit", "magic", "nvlist", "ok"];
    assert_eq!(layers.into_iter().collect::<Vec<_>>(), all);
    assert!(rules().len() > 45, "{:?}", rules());
    let (missing, doubled) = uncovered(&vectors.iter().filter_map(Vector::rule).collect());
    assert!(missing.is_empty(), "no vector for {missing:?}");
    assert!(doubled.is_empty(), "{doubled:?}");
    let excused = SEEN_BY_CORE.iter().chain(&WITHOUT_STREAM);
    let gone: Vec<_> = excused.filter(|(rule, _)| !rules().contains(rule)).collect();
    assert!(gone.is_empty(), "no such rules: {gone:?}");
}

#[test]
fn types_of_messages_are_called_as_in_the_specification() {
    assert_eq!(Kind::ALL.map(Kind::name), NAMES);
    let spec = include_str!("../../spec/stream.md");
    for kind in Kind::ALL {
        let row = format!("| {} | {} |", kind.number(), kind.name());
        assert!(spec.contains(&row), "{row}");
    }
}
