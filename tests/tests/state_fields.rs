//! Every field of every fixture is what the fixture says it is, and gives its record again.
//!
//! `expected.json` was written by the code that copies the fields, so it is the last word on names,
//! places and values.

#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test may fail as the test may"
)]

use std::path::Path;
use std::{fs, io};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use snapfmt::bhyve::{Meta, Record, Section};
use snapfmt::nvlist::{Options, View};
use snapfmt::state::generic::{self, Outside};
use snapfmt::state::{
    Child, Evidence, FieldRef, Fields, Form, Kind, Layout, Misfit, Scope, Unknown, Why,
};
use tests::fixtures::{fixtures, folder, unpack_without_memory};

#[derive(Deserialize)]
struct Expected {
    ncpus: u32,
    cpu_vendor: String,
    records: Vec<ExpectedRecord>,
}

#[derive(Deserialize)]
struct ExpectedRecord {
    name: String,
    size: u64,
    fields: Vec<ExpectedField>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct ExpectedField {
    name: String,
    label: Option<String>,
    vcpu: Option<u32>,
    occurrence: u32,
    offset: u64,
    len: u64,
    kind: Option<String>,
    hex: Option<String>,
    sha256: Option<String>,
    u: Option<String>,
}

/// A field as `expected.json` has it: bytes above 64 are hashed.
fn described(field: FieldRef<'_, '_>) -> ExpectedField {
    let (definition, bytes) = (field.definition(), field.bytes());
    let short = bytes.len() <= 64;
    let kind = match definition.kind {
        Kind::GuestAddress => Some("guest_address"),
        _ if definition.compared => Some("compared_on_restore"),
        _ => None,
    };
    ExpectedField {
        name: definition.name.to_owned(),
        label: definition.label.map(str::to_owned),
        vcpu: field.vcpu(),
        occurrence: field.occurrence(),
        offset: field.offset(),
        len: field.len(),
        kind: kind.map(str::to_owned),
        hex: short.then(|| hex::encode(bytes)),
        sha256: (!short).then(|| hex::encode(Sha256::digest(bytes))),
        u: field.u64().map(|value| value.to_string()),
    }
}

struct Fixture {
    meta: Meta,
    kern: Vec<u8>,
    expected: Expected,
}

impl Fixture {
    fn load(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = unpack_without_memory(name, dir.path()).unwrap();
        let read = |ending| fs::read(base.with_extension(ending)).unwrap();
        let json = expected(&folder(name).join("expected.json.zst")).unwrap();
        Self {
            meta: Meta::parse(&read("ckp.meta")).unwrap(),
            kern: read("ckp.kern"),
            expected: serde_json::from_slice(&json).unwrap(),
        }
    }

    fn bytes(&self, record: &Record) -> &[u8] {
        let at = record.offset as usize;
        &self.kern[at..at + record.size as usize]
    }

    /// Calls `check` with each record that is there.
    fn each(&self, mut check: impl FnMut(&ExpectedRecord, &Fields<'_>)) -> usize {
        let evidence = Evidence::of(&self.meta);
        let mut count = 0;
        assert_eq!(self.meta.records.len(), self.expected.records.len());
        for (record, expected) in self.meta.records.iter().zip(&self.expected.records) {
            assert_eq!((&record.name, record.size), (&expected.name, expected.size));
            match evidence.choose_record(record, self.bytes(record)) {
                Ok(fields) => check(expected, &fields),
                Err(Unknown::Absent) => assert!(expected.fields.is_empty(), "{}", expected.name),
                Err(unknown) => panic!("{}: {unknown}: {unknown:?}", record.name),
            }
            count += 1;
        }
        count
    }
}

fn expected(path: &Path) -> io::Result<Vec<u8>> {
    zstd::decode_all(fs::File::open(path)?)
}

#[test]
fn every_field_is_what_the_fixture_says() {
    let mut count = 0;
    for name in fixtures() {
        let fixture = Fixture::load(name);
        fixture.each(|expected, fields| {
            let found: Vec<_> = fields.iter().map(described).collect();
            for (found, expected) in found.iter().zip(&expected.fields) {
                assert_eq!(found, expected, "{name}");
            }
            assert_eq!(found.len(), expected.fields.len(), "{name}: {}", expected.name);
            count += found.len();
        });
    }
    assert_eq!(count, 9635);
}

#[test]
fn vendors_and_slots_show_in_the_sizes_of_records() {
    for name in fixtures() {
        let fixture = Fixture::load(name);
        let evidence = Evidence::of(&fixture.meta);
        let vendor = evidence.vendor.map(|vendor| format!("{vendor:?}").to_lowercase());
        assert_eq!(vendor.as_ref(), Some(&fixture.expected.cpu_vendor), "{name}");
        let old = name.starts_with("older");
        assert_eq!(evidence.slots, [if old { 16 } else { fixture.expected.ncpus }], "{name}");
    }
}

#[test]
fn only_layouts_are_chosen_that_were_seen_in_that_generation() {
    for name in fixtures() {
        let fixture = Fixture::load(name);
        fixture.each(|record, fields| {
            let layout = fields.layout();
            let seen = layout.seen.contains(&fixture.meta.generation);
            assert!(seen, "{name}: {}: {}", record.name, layout.id);
        });
    }
}

#[test]
fn fields_are_found_by_key_virtual_cpu_and_occurrence() {
    for name in fixtures() {
        Fixture::load(name).each(|record, fields| {
            for field in fields.iter() {
                let found = fields.find(field.key(), field.vcpu(), field.occurrence());
                assert_eq!(found.map(|found| found.offset()), Some(field.offset()), "{field:?}");
                let last = field.offset() + field.len() - 1;
                let found = fields.at_offset(last).unwrap();
                assert_eq!(found.offset(), field.offset(), "{}", record.name);
            }
            assert!(fields.find("vcpu->guest_xcr0", Some(999), 0).is_none());
            assert!(fields.at_offset(record.size).is_none());
        });
    }
}

#[test]
fn the_groups_of_a_record_hold_its_fields_in_order() {
    fn walk(scope: Scope<'_, '_>, offsets: &mut Vec<u64>) {
        for child in scope.children() {
            match child {
                Child::Field(field) => offsets.push(field.offset()),
                Child::Group(inner) => walk(inner, offsets),
            }
        }
    }
    for name in fixtures() {
        Fixture::load(name).each(|_, fields| {
            let mut offsets = Vec::new();
            walk(fields.root(), &mut offsets);
            let all: Vec<_> = fields.iter().map(|field| field.offset()).collect();
            assert_eq!(offsets, all);
        });
    }
}

#[test]
fn fields_give_the_bytes_of_their_record() {
    for name in fixtures() {
        Fixture::load(name).each(|_, fields| assert!(fields.encode() == fields.bytes()));
    }
}

#[test]
fn a_list_of_fields_gives_the_record_without_a_layout() {
    for name in fixtures() {
        Fixture::load(name).each(|record, fields| {
            let form = Form::of(fields).unwrap();
            let packed = form.fields.pack().unwrap();
            let list = View::parse(&packed, &Options::new()).unwrap();
            let lengths: Vec<_> = form.bulk.iter().map(|bytes| bytes.len() as u64).collect();
            let bulk = form.bulk.concat();
            let outside = Outside { widths: &form.widths, lengths: &lengths, bulk: &bulk };
            let again = generic::encode(&list, &outside, record.size).unwrap();
            assert!(again == fields.bytes(), "{name}: {}", record.name);
            assert!(packed.len() < 400 << 10, "{name}: {}: {}", record.name, packed.len());
        });
    }
}

#[test]
fn queues_and_ports_are_groups() {
    let fixture = Fixture::load("intel-1cpu-fbsd");
    let evidence = Evidence::of(&fixture.meta);
    let record = |name: &str| {
        let mut records = fixture.meta.section(Section::Device);
        let record = records.find(|record| record.name.starts_with(name)).unwrap();
        evidence.choose_record(record, fixture.bytes(record)).unwrap()
    };
    let net = record("virtio-net");
    let queues: Vec<_> = net.root().groups("queues").collect();
    assert_eq!(queues.len(), 2);
    assert_eq!(queues[1].u64("vq->vq_num"), Some(1));
    let image = queues[1].all("vq->vq_desc").last().unwrap();
    assert_eq!((image.len(), queues[1].index()), (32768, 1));
    let config = net.find("sc->vsc_config", None, 0).unwrap();
    assert_eq!(config.part("mtu").unwrap().u64(), Some(1500));
    assert_eq!(hex::encode(config.part("mac").unwrap().bytes), "589cfc001001");
}

#[test]
fn a_changed_count_is_not_taken_for_another_layout() {
    // One entry fewer in the table of MSI-X is 16 bytes fewer; the newer PCI header is 16 longer.
    let fixture = Fixture::load("older-2020-intel-1cpu");
    let mut records = fixture.meta.section(Section::Device);
    let block = records.find(|record| record.name == "virtio-blk").unwrap();
    let mut bytes = fixture.bytes(block).to_vec();
    assert_eq!(bytes[40], 2);
    bytes[40] = 1;
    let unknown = Evidence::of(&fixture.meta).choose_record(block, &bytes).unwrap_err();
    let (nearest, _) = unknown.nearest().unwrap();
    assert_eq!(nearest.id, "virtio-blk-pci436");
    let Unknown::NoneFits { tried } = unknown else { panic!("{unknown}") };
    let sign = |(layout, misfit): &(&Layout, Misfit)| {
        layout.id == "virtio-blk-pci452" && matches!(misfit.why, Why::Sign { .. })
    };
    assert!(tried.iter().any(sign), "{tried:?}");
}
