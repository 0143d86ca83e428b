//! Is `spec/layouts.md` what the descriptions of the layouts say?
//!
//! To write it anew: `cargo test -p tests --test layouts_doc -- --ignored`.

// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;

use snapfmt::state::{Field, Group, Repeat, Shape, Test, layouts};
use tests::layouts_doc::{document, place};

#[test]
#[ignore = "writes the document"]
fn write_the_document() {
    fs::write(place(), document()).unwrap();
}

#[test]
fn the_document_is_current() {
    let written = fs::read_to_string(place()).unwrap();
    assert!(written == document(), "spec/layouts.md is stale");
}

#[test]
fn the_document_names_every_layout_and_every_pair() {
    let document = document();
    for layout in layouts::all() {
        let (id, version) = (layout.id, layout.version);
        assert!(document.contains(&format!("\n| `{id}` | {version} | ")), "{id}");
        for definition in layout.definitions() {
            let lone = definition.groups.last().filter(|group| {
                let integer = matches!(definition.field.shape, Shape::Int(_));
                group.items.len() == 1 && group.repeat.many() && integer
            });
            let name = lone.map_or_else(|| definition.field.pair_name(), |group| group.name);
            assert!(document.contains(&format!("`{name}` | ")), "{id}: {name}");
        }
    }
}

#[test]
fn what_counts_a_group_has_the_name_of_its_pair() {
    let keys = |group: &Group| match group.repeat {
        Repeat::Of(key, _) | Repeat::Told(key, _) | Repeat::Until(key, _) => vec![key],
        Repeat::If(Test::Bit(key, _) | Test::Not(key, _)) => vec![key],
        Repeat::If(Test::Among(key, list)) => vec![key, list],
        Repeat::Times(_) | Repeat::Slots | Repeat::Fill(_) => vec![],
    };
    for layout in layouts::all() {
        let numbers = layout.definitions().iter().map(|found| found.field);
        let numbers = numbers.filter(|field| matches!(field.shape, Shape::Int(_)));
        let pairs: BTreeMap<_, &Field> = numbers.map(|field| (field.key(), field)).collect();
        let groups = layout.definitions().iter().flat_map(|found| &found.groups);
        let of_rings = layout.definitions().iter().filter_map(|found| match found.field.shape {
            Shape::Rings(key) => Some(key),
            _ => None,
        });
        for key in groups.flat_map(|group| keys(group)).chain(of_rings) {
            assert_eq!(pairs[key].pair_name(), key, "{}", layout.id);
        }
    }
}
