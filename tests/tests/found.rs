//! What fuzzing found, one test each: the smallest case, and what has to come of it.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test may")]

use snapfmt::layout::kind::Kind;
use snapfmt::nvlist::{Flags, Nvlist, Options, OwnedValue};
use snapfmt::read::{ReadError, Seeker, Walk, Want};
use snapfmt::{Error, Section};
use tests::images::{self, Plan, plans};
use tests::packed::{self, Order};
use tests::reseal::{self, HOST, Image, Tables};

/// What is wrong with a file, read from front to back.
fn walked(mut file: &[u8]) -> Option<Error> {
    let mut walk = Walk::new();
    while let Want::Bytes(wanted) = walk.want() {
        let (given, rest) = file.split_at(wanted.min(file.len()));
        file = rest;
        if let Err(error) = walk.feed(given.to_vec()) {
            return Some(error);
        }
    }
    walk.end().err()
}

fn plan(name: &str) -> Plan {
    plans().into_iter().find(|plan| plan.vm.name == name).unwrap()
}

fn image(name: &str) -> Image {
    Image::parse(&plan(name).write().unwrap().0).unwrap()
}

#[test]
fn the_writer_refuses_a_header_that_a_reader_would() {
    let refused = |change: fn(&mut Plan)| {
        let mut plan = plan("raw");
        change(&mut plan);
        plan.write().unwrap_err()
    };
    let name = refused(|plan| plan.header.vm_name = "other".to_owned());
    assert_eq!(name.fault().id(), "disagree");
    assert_eq!(refused(|plan| plan.header.uuid = "1".to_owned()).fault().id(), "value");
    assert_eq!(refused(|plan| plan.header.compatible = vec!["A".into()]).fault().id(), "value");
    let long = |plan: &mut Plan| {
        plan.header.vm_name = "n".repeat(256);
        plan.vm.name = plan.header.vm_name.clone();
        plan.meta = images::meta(&plan.vm, 'B', &plan.records);
    };
    assert_eq!(*refused(long).section(), Section::Header);
}

#[test]
fn an_error_shows_no_control_characters_of_the_header() {
    for pair in ["uuid", "compatible"] {
        let mut image = image("config");
        let list = image.header[68..].to_vec();
        let found = packed::scan(&list).into_iter().find(|f| f.name == pair.as_bytes()).unwrap();
        image.header[68 + found.data.start] = 7;
        let error = walked(&image.bytes(Tables::Identities, true)).unwrap().to_string();
        assert!(error.contains("\\u{7}") && !error.contains('\u{7}'), "{error}");
    }
}

#[test]
fn an_error_quotes_a_text_of_the_file_but_not_all_of_it() {
    for (kind, name) in [
        (reseal::DEVICE, "section"),
        (reseal::DEVICE, "encoding"),
        (reseal::EXTENT, "encoding"),
        (reseal::META, "generation"),
    ] {
        let mut image = image("packed");
        let part = image.parts.iter_mut().find(|part| part.kind == kind).unwrap();
        let list = Nvlist::unpack(&part.nvlist, &Options::new()).unwrap();
        let mut changed = Nvlist::new();
        for (pair, value) in reseal::pairs(&list) {
            let long = OwnedValue::String(b"long\n".repeat(700));
            changed.add(&pair, if pair == name.as_bytes() { long } else { value }).unwrap();
        }
        part.nvlist = packed::pack(&changed, Order::Little);
        let error = walked(&image.bytes(Tables::Rebuilt, false)).unwrap();
        assert_eq!(error.fault().id(), "value", "{name}");
        assert!(error.to_string().len() < 500, "{name}: {error:.1000}");
    }
}

#[test]
fn a_list_inside_a_list_has_no_flags_either() {
    // With names that need not be unique, two readers could take different pairs.
    let flags = Flags { ignore_case: false, no_unique: true };
    for (name, kind, array) in
        [("raw", reseal::INDEX, "parts"), ("config", reseal::CONFIG, "files")]
    {
        let mut image = image(name);
        let part = image.parts.iter_mut().find(|part| part.kind == kind).unwrap();
        let list = Nvlist::unpack(&part.nvlist, &Options::new()).unwrap();
        let mut changed = Nvlist::new();
        for (name, value) in reseal::pairs(&list) {
            let value = match value {
                OwnedValue::NvlistArray(lists) if name == array.as_bytes() => {
                    OwnedValue::NvlistArray(lists.iter().map(|list| flagged(list, flags)).collect())
                }
                value => value,
            };
            changed.add(name, value).unwrap();
        }
        part.nvlist = packed::pack(&changed, Order::Little);
        let tables = if kind == reseal::INDEX { Tables::Identities } else { Tables::Rebuilt };
        let file = image.bytes(tables, true);
        assert_eq!(walked(&file).unwrap().fault().id(), "nvlist", "{array}");
        let seeker = Seeker::open(&*file).and_then(|seeker| seeker.quick(|_| {}).map(|_| ()));
        assert!(seeker.is_err(), "{array}");
    }
}

fn flagged(list: &Nvlist, flags: Flags) -> Nvlist {
    let mut copy = Nvlist::with_flags(flags);
    for (name, value) in reseal::pairs(list) {
        copy.add(name, value).unwrap();
    }
    copy
}

#[test]
fn an_index_that_lists_a_part_beyond_it_is_at_fault_and_not_a_file_that_ends_early() {
    let mut image = image("packed");
    let index = image.parts.iter_mut().find(|part| part.kind == reseal::INDEX).unwrap();
    index.payload[1] ^= 0x80;
    let file = image.bytes(Tables::Identities, true);
    let seeker = Seeker::open(&*file).unwrap();
    let quick = seeker.quick(|_| {}).unwrap();
    let Err(ReadError::Format(error)) = seeker.maps(&quick, |_| {}) else { panic!("accepted") };
    assert_eq!(error.fault().id(), "value");
    assert_eq!(*error.section(), Section::Part(Kind::Index));
    assert_eq!(walked(&file).unwrap().fault().id(), "disagree");
}

#[test]
fn there_is_one_host_part_at_most() {
    let mut image = image("config");
    let mut host = image.parts[2].clone();
    host.kind = HOST;
    image.parts.insert(2, host.clone());
    assert_eq!(walked(&image.bytes(Tables::Rebuilt, true)), None);
    image.parts.insert(2, host);
    let file = image.bytes(Tables::Rebuilt, true);
    assert_eq!(walked(&file).unwrap().fault().id(), "order");
    assert!(Seeker::open(&*file).unwrap().quick(|_| {}).is_err());
}
