//! What has to hold for every description.

use std::collections::HashSet;
use std::ptr;

use super::schema::{Field, Item, Layout, Repeat, Shape, Test};
use super::{Evidence, Unknown, Why, layouts};
use crate::bhyve::records::{self, KERN};
use crate::bhyve::{Generation, Section};
use crate::limits;

#[test]
fn ids_are_unique_and_begin_with_the_name_of_the_record() {
    let mut ids = HashSet::new();
    for layout in layouts::all() {
        assert!(ids.insert(layout.id), "{} twice", layout.id);
        assert!(layout.id.starts_with(layout.names[0]), "{}", layout.id);
        assert!(ptr::eq(layouts::by_id(layout.id).unwrap(), layout));
        let known = |generation| layout.generations.contains(generation);
        assert!(layout.seen.iter().all(known), "{}", layout.id);
    }
    assert!(ids.len() > 50);
}

fn flat(items: &'static [Item]) -> Vec<&'static Item> {
    let inside = |item: &'static Item| match item {
        Item::Shared(items) => flat(items),
        _ => vec![item],
    };
    items.iter().flat_map(inside).collect()
}

/// Calls `check` with the items of the record, and with those of each group.
fn lists(layout: &'static Layout, check: &mut impl FnMut(&[&'static Item])) {
    fn each(items: &[&'static Item], check: &mut impl FnMut(&[&'static Item])) {
        check(items);
        for item in items {
            if let Item::Group(group) = item {
                each(&flat(group.items), check);
            }
        }
    }
    let all: Vec<_> = layout.parts.into_iter().flat_map(flat).collect();
    each(&all, check);
}

#[test]
fn the_pairs_of_a_list_have_different_names() {
    for layout in layouts::all() {
        lists(layout, &mut |items| {
            let mut names = HashSet::new();
            for item in items {
                let name = match item {
                    Item::Field(field) => field.pair_name(),
                    Item::Group(group) => group.name,
                    Item::Shared(_) => continue,
                };
                assert!(names.insert(name), "{}: {name} twice", layout.id);
                assert!(name.len() <= limits::NVLIST_NAME);
            }
        });
    }
}

#[test]
fn no_list_is_empty() {
    for layout in layouts::all() {
        lists(layout, &mut |items| assert!(!items.is_empty(), "{}", layout.id));
    }
}

#[test]
fn descriptions_refer_to_integers_that_come_before() {
    for layout in layouts::all() {
        let mut before: HashSet<&str> = HashSet::new();
        let mut later: HashSet<&str> = HashSet::new();
        fn walk(
            items: &[&'static Item],
            before: &mut HashSet<&'static str>,
            later: &mut HashSet<&'static str>,
            id: &str,
        ) {
            let used = |key: &'static str, before: &HashSet<&'static str>| {
                assert!(before.contains(key), "{id}: {key} is not read before it is needed");
            };
            for item in items {
                match item {
                    Item::Field(field) => {
                        if let Shape::Rings(key) = field.shape {
                            used(key, before);
                        }
                        if let Shape::Int(_) = field.shape {
                            before.insert(field.key());
                        }
                    }
                    Item::Group(group) => {
                        match group.repeat {
                            Repeat::Of(key, _)
                            | Repeat::If(Test::Bit(key, _) | Test::Not(key, _)) => {
                                used(key, before);
                            }
                            Repeat::If(Test::Among(key, list)) => {
                                used(key, before);
                                used(list, before);
                            }
                            Repeat::Told(key, _) => {
                                later.insert(key);
                            }
                            Repeat::Times(_)
                            | Repeat::Slots
                            | Repeat::Fill(_)
                            | Repeat::Until(..) => {}
                        }
                        walk(&flat(group.items), before, later, id);
                        if let Repeat::Until(key, _) = group.repeat {
                            used(key, before);
                        }
                    }
                    Item::Shared(_) => {}
                }
            }
        }
        let all: Vec<_> = layout.parts.into_iter().flat_map(flat).collect();
        walk(&all, &mut before, &mut later, layout.id);
        assert!(later.iter().all(|key| before.contains(key)), "{}", layout.id);
    }
}

fn fields() -> impl Iterator<Item = (&'static Layout, &'static Field)> {
    layouts::all().flat_map(|layout| layout.definitions().iter().map(move |d| (layout, d.field)))
}

#[test]
fn a_key_stands_for_one_name() {
    for layout in layouts::all() {
        let mut keys = std::collections::HashMap::new();
        for definition in layout.definitions() {
            let field = definition.field;
            let name = keys.insert(field.key(), field.name).unwrap_or(field.name);
            assert_eq!(name, field.name, "{}: {}", layout.id, field.key());
        }
    }
}

#[test]
fn parts_lie_inside_their_field_in_order_and_without_overlap() {
    for (layout, field) in fields() {
        let mut end = 0;
        for part in field.inside {
            assert!(part.at >= end, "{}: {} of {}", layout.id, part.name, field.key());
            end = part.at + part.len;
        }
        assert!(field.shape.fixed_len().is_some_and(|len| len >= end) || field.inside.is_empty());
    }
}

#[test]
fn meanings_are_short_and_end_without_a_full_stop() {
    for (layout, field) in fields() {
        let text = field.meaning;
        assert!(text.len() < 160 && !text.ends_with('.'), "{}: {text}", layout.id);
    }
}

#[test]
fn the_sizes_of_kernel_records_are_those_that_are_checked() {
    let described = |known: &records::Layout, name: &str| {
        layouts::all().any(|layout| {
            layout.section == Section::Kern
                && layout.names == [name]
                && layout.generations.contains(&known.generation)
                && layout.vendor == known.vendor
                && layout.size() == Some((known.head + known.tail, known.slot))
        })
    };
    for record in KERN {
        for known in record.layouts {
            assert!(described(known, record.name), "{} {known:?}", record.name);
        }
    }
    for layout in layouts::all().filter(|layout| layout.section == Section::Kern) {
        let record = KERN.iter().find(|record| layout.names == [record.name]).unwrap();
        for generation in layout.generations {
            let known = record.layouts(*generation).any(|known| {
                known.vendor == layout.vendor
                    && Some((known.head + known.tail, known.slot)) == layout.size()
            });
            assert!(known, "{} {generation:?}", layout.id);
        }
    }
}

#[test]
fn a_table_that_cannot_be_there_is_named() {
    let mut record = vec![0; 452];
    record[40..44].copy_from_slice(&[255, 255, 255, 127]);
    let evidence = Evidence { generation: Generation::B, slots: vec![1], vendor: None };
    let unknown = evidence.choose(Section::Device, "hostbridge@pci.0.0.0", &record).unwrap_err();
    let Unknown::NoneFits { tried } = unknown else { panic!("{unknown}") };
    let count = |(layout, misfit): &(&Layout, super::Misfit)| {
        let why = Why::Count { key: "pi->pi_msix.table_count", found: 0x7fff_ffff, most: 0 };
        layout.id == "hostbridge-pci452" && *misfit == why.at(40)
    };
    assert!(tried.iter().any(count), "{tried:?}");
}

#[test]
fn what_has_no_layout_is_no_error_of_its_own() {
    let evidence = Evidence { generation: Generation::B, slots: vec![1], vendor: None };
    let choose = |name, bytes| evidence.choose(Section::Device, name, bytes).unwrap_err();
    assert_eq!(choose("nvme@pci.0.3.0", &[1, 2, 3]), Unknown::Name);
    assert_eq!(choose("e1000@pci.0.3.0", &[]), Unknown::Absent);
    assert!(matches!(choose("e1000@pci.0.3.0", &[1, 2, 3]), Unknown::NoneFits { .. }));
}
