//! The writer refuses what the reader would refuse: it never leaves a file behind that cannot be
//! read again.

// Helpers of tests fail as tests do; offsets and page numbers of small files fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use snapfmt::layout::header::{Header, Parent};
use snapfmt::memory::bitmap::Bitmap;
use snapfmt::memory::block::Block;
use snapfmt::part::codec::Compression;
use snapfmt::part::config::ConfigText;
use snapfmt::part::extent::Form;
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::Vm;
use snapfmt::read::Part;
use snapfmt::write::{MemoryWriter, Writer};
use snapfmt::{Digest, Error, Section};
use tests::drive::walk_in_chunks;
use tests::forge::Plan;

/// What the small plan's file begins with.
fn begun() -> (Header, Vm, MetaText) {
    match &walk_in_chunks(&Plan::small().forge()[..]).0[..] {
        [Part::Header(header), Part::Vm(vm), Part::Meta(meta), ..] => {
            (header.clone(), vm.clone(), meta.clone())
        }
        other => panic!("{other:?}"),
    }
}

fn refused(change: impl FnOnce(&mut Header, &mut Vm, &mut MetaText)) -> Error {
    let (mut header, mut vm, mut meta) = begun();
    change(&mut header, &mut vm, &mut meta);
    let begun = Writer::begin(&header, vm, &meta, Compression::None, &mut Vec::new());
    begun.err().expect("it would not be read again")
}

fn writer(out: &mut Vec<u8>) -> Writer {
    let (header, vm, meta) = begun();
    Writer::begin(&header, vm, &meta, Compression::None, out).unwrap()
}

fn says(error: &Error, id: &str, says: &str) {
    assert_eq!(error.fault().id(), id, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn a_header_that_could_not_be_read_is_not_written() {
    let twice = || vec!["a".to_owned(), "a".to_owned()];
    says(&refused(|h, _, _| h.uuid.truncate(35)), "value", "§3");
    says(&refused(|h, _, _| h.compatible = twice()), "value", "§9.3");
    says(&refused(|h, _, _| h.compatible = vec![String::new()]), "value", "§9.3");
    says(
        &refused(|h, _, _| h.incompatible = vec!["turbo".to_owned()]),
        "missing-features",
        "turbo",
    );
    let delta = || vec!["delta".to_owned()];
    says(&refused(|h, _, _| h.incompatible = delta()), "value", "§13.1");
    let parent =
        |uuid: &str| Some(Parent { content: Digest::of(b""), uuid: Some(uuid.to_owned()) });
    let uuid = "00000000-1111-4222-8333-444444444444";
    says(&refused(|h, _, _| h.parent = parent(uuid)), "value", "§13.1");
    let both = |h: &mut Header| (h.incompatible, h.parent) = (delta(), parent("base"));
    says(&refused(|h, _, _| both(h)), "value", "§3");
    says(&refused(|h, _, _| h.producer = "x".repeat(4000)), "limit", "§10");
    says(&refused(|h, _, _| h.producer = "a\0b".to_owned()), "nvlist", "§1.3");
}

#[test]
fn a_machine_that_could_not_be_read_is_not_written() {
    let long = "n".repeat(256);
    says(&refused(|h, _, _| h.vm_name = "vm1".to_owned()), "disagree", "§3");
    says(&refused(|_, vm, _| vm.name = "vm1".to_owned()), "disagree", "§3");
    says(&refused(|h, _, _| h.vm_name.clone_from(&long)), "value", "§5.1.1");
    says(&refused(|_, vm, _| vm.ncpus = 0), "value", "§5.1.2");
    says(&refused(|_, vm, _| vm.ncpus = 3), "disagree", "§5.2.1");
    says(&refused(|_, vm, _| vm.memflags = 1 << 32), "limit", "memflags");
    says(&refused(|_, _, meta| meta.generation = 'A'), "disagree", "§5.2.1");
    says(&refused(|_, _, meta| meta.generation = 'C'), "disagree", "§5.2.1");
    says(&refused(|_, _, meta| meta.text.clear()), "meta", "§5.2.1");
}

#[test]
fn a_configuration_that_could_not_be_read_is_not_written() {
    let config =
        |kind: &str| ConfigText { kind: kind.to_owned(), text: vec![1], files: Vec::new() };
    let mut out = Vec::new();
    let mut writer = writer(&mut out);
    says(&writer.config(&config("a\0b"), &mut out).unwrap_err(), "nvlist", "§1.3");
    let long = ConfigText { text: vec![0; (1 << 20) + 1], ..config("bhyve-config") };
    says(&writer.config(&long, &mut out).unwrap_err(), "limit", "§10");
    writer.config(&config("bhyve-config"), &mut out).unwrap();
    says(&writer.config(&config("bhyve-config"), &mut out).unwrap_err(), "order", "§2.2");
}

#[test]
fn records_that_could_not_be_read_are_not_written() {
    let mut out = Vec::new();
    let mut writer = writer(&mut out);
    let long = "n".repeat(128);
    for (section, name, rule) in
        [("kern", "vrtc", "§5.4.1"), ("devices", "", "§5.4.2"), ("devices", &long, "§5.4.2")]
    {
        says(&writer.record(section, name, &[1], &mut out).unwrap_err(), "value", rule);
    }
    writer.record("kern_structs", "vrtc", &[0; 140], &mut out).unwrap();
    let again = writer.record("kern_structs", "vrtc", &[0; 140], &mut out).unwrap_err();
    says(&again, "value", "§5.4.2");
    let config = ConfigText { kind: "command-line".to_owned(), text: vec![], files: vec![] };
    says(&writer.config(&config, &mut out).unwrap_err(), "order", "§2.2");
    // `.meta` lists one record more.
    says(&writer.memory().err().unwrap(), "disagree", "§5.2.1");
}

fn memory(out: &mut Vec<u8>) -> MemoryWriter {
    let mut writer = writer(out);
    for record in Plan::small().records {
        writer.record(&record.section, &record.name, &record.bytes, out).unwrap();
    }
    writer.memory().unwrap()
}

fn block(gpa: u64, size: u64, pages: &[usize]) -> Block {
    let mut data = Bitmap::new((size / 4096) as usize);
    pages.iter().for_each(|&page| data.set(page));
    Block { gpa, size, data, pages: vec![1; pages.len() * 4096] }
}

#[test]
fn memory_that_could_not_be_read_is_not_written() {
    const SIZE: u64 = 64 << 10;
    let mut short = block(0, SIZE, &[1]);
    short.pages.pop();
    let mut wide = block(0, SIZE, &[1]);
    wide.data = Bitmap::new(32);
    wide.data.set(1);
    for (block, rule) in [
        (block(4096, SIZE, &[1]), "§6.2.1"),
        (block(0, 32 << 10, &[1]), "§6.2.2"),
        (block(0, 3 * SIZE, &[1]), "§6.2.2"),
        (block(0, 8 << 20, &[1]), "§6.2.2"),
        (block(0, SIZE, &[]), "§6.2.3"),
        (block(2 * SIZE, SIZE, &[8]), "§6.2.3"),
        (wide, "§6.2.3"),
        (short, "§6.2.6"),
    ] {
        let mut out = Vec::new();
        let error = memory(&mut out).block(&block, &mut out).unwrap_err();
        says(&error, "value", rule);
        assert_eq!(error.section(), &Section::Extent { gpa: block.gpa });
    }
    let mut out = Vec::new();
    let mut writer = memory(&mut out);
    writer.block(&block(SIZE, SIZE, &[1]), &mut out).unwrap();
    for gpa in [0, SIZE] {
        says(&writer.block(&block(gpa, SIZE, &[1]), &mut out).unwrap_err(), "value", "§6.2.7");
    }
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let mut out = Vec::new();
    let (header, vm, meta) = begun();
    let form = Form::from(Compression::None);
    let mut writer = Writer::begin(&header, vm, &meta, form, &mut out).unwrap();
    let config = ConfigText {
        kind: "command-line".to_owned(),
        text: b"bhyve -c 2 vm0".to_vec(),
        files: Vec::new(),
    };
    writer.config(&config, &mut out).unwrap();
    writer.config(&config, &mut out).unwrap_err();
    for record in Plan::small().records {
        let (section, name, bytes) = (&record.section, &record.name, &record.bytes);
        writer.record_whole(section, name, bytes, &mut out).unwrap();
        writer.record_whole(section, name, bytes, &mut out).unwrap_err();
        writer.record(section, name, bytes, &mut out).unwrap_err();
        writer.record("kern", &record.name, &record.bytes, &mut out).unwrap_err();
        writer.config(&config, &mut out).unwrap_err();
    }
    let mut writer = writer.memory().unwrap();
    for extent in Plan::small().extents {
        let mut data = Bitmap::new(16);
        extent.pages.keys().for_each(|&page| data.set(page as usize));
        let pages: Vec<u8> = extent.pages.into_values().flatten().collect();
        let good = Block { gpa: extent.gpa, size: extent.size, data, pages };
        writer.block(&good, &mut out).unwrap();
        writer.block(&good, &mut out).unwrap_err();
        writer.block(&block(4096, 64 << 10, &[1]), &mut out).unwrap_err();
    }
    writer.finish(&mut out).unwrap();
    assert!(out == Plan::small().forge());
}

#[test]
fn parts_that_were_made_apart_are_those_that_the_writer_makes() {
    for compression in [Compression::None, Compression::Zstd(1)] {
        let (header, vm, _) = begun();
        let begin = |out: &mut Vec<u8>| {
            let writer = Writer::begin(&header, vm.clone(), None, compression, out).unwrap();
            writer.memory().unwrap()
        };
        let blocks = [(0, 3), (2, 9)].map(|(number, fill)| {
            let mut data = Bitmap::new(16);
            data.set(number);
            Block { gpa: number as u64 >> 1 << 16, size: 1 << 16, data, pages: vec![fill; 4096] }
        });
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let mut writer = begin(&mut one);
        blocks.iter().for_each(|block| writer.block(block, &mut one).unwrap());
        let mut appending = begin(&mut other);
        let encoder = appending.encoder();
        // On another thread, and in another order than they are appended.
        let parts = std::thread::scope(|scope| {
            let made = scope.spawn(|| {
                let [first, last] = &blocks;
                let last = encoder.block(last).unwrap();
                [encoder.block(first).unwrap(), last]
            });
            made.join().unwrap()
        });
        parts.iter().for_each(|part| appending.append(part, &mut other).unwrap());
        // What the writer refuses leaves no trace.
        let before = other.clone();
        says(&appending.append(&parts[0], &mut other).unwrap_err(), "value", "§6.2.7");
        assert!(other == before);
        let mut bad = blocks[0].clone();
        bad.gpa = 4096;
        says(&encoder.block(&bad).unwrap_err(), "value", "§6.2.1");
        writer.finish(&mut one).unwrap();
        appending.finish(&mut other).unwrap();
        assert!(one == other);
    }
}
