//! How long the parts of the work take, each by itself, in memory: `cargo bench -p tests --bench
//! parts`.

// What cannot go on has failed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use snapfmt::bhyve::Meta;
use snapfmt::layout::frame::{self, Frame};
use snapfmt::layout::kind::Kind;
use snapfmt::memory::block::Block;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::memory::tree;
use snapfmt::nvlist::{Nvlist, Options};
use snapfmt::part::codec::Compression;
use snapfmt::part::extent::Extent;
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::read::Seeker;
use snapfmt::state::rules::Machine;
use snapfmt::write::Writer;
use tests::{images, sets};

const FIXTURE: &str = "amd-2cpu-linux";
const SIZE: usize = 1 << 20;
const PAGE: usize = 4096;

/// A block of RAM: half of its pages are words, a quarter is random, a quarter zero.
fn ram() -> Vec<u8> {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut ram = vec![0; SIZE];
    for (number, page) in ram.chunks_exact_mut(PAGE).enumerate() {
        for (at, word) in page.chunks_exact_mut(8).enumerate() {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let value = match number % 4 {
                0 => 0,
                1 => seed,
                _ => u64::from_le_bytes(*b"pages of") + (at as u64 % 7) + (seed >> 62),
            };
            word.copy_from_slice(&value.to_le_bytes());
        }
    }
    ram
}

fn map() -> MemoryMap {
    MemoryMap::new(vec![Segment { gpa: 0, len: SIZE as u64 }]).unwrap()
}

/// A file of that one block.
fn file(block: &Block, compression: Compression) -> Vec<u8> {
    let vm = Vm {
        arch: AMD64.to_owned(),
        name: "bench".to_owned(),
        ncpus: 1,
        memflags: 0,
        memory: map(),
    };
    let mut out = Vec::new();
    let writer = Writer::begin(&images::header("bench"), vm, None, compression, &mut out).unwrap();
    let mut writer = writer.memory().unwrap();
    writer.block(block, &mut out).unwrap();
    writer.finish(&mut out).unwrap();
    out
}

/// The longest list of a device part of a fixture.
fn list() -> Vec<u8> {
    let (text, kern) = sets::kern(FIXTURE);
    let (file, mut at, mut longest) = (sets::packed(&text, &kern), 4096, 0..0);
    loop {
        let (frame, _) = Frame::check(&file[at..at + frame::LEN], at as u64).unwrap();
        let spans = frame.spans(at as u64);
        let from = usize::try_from(spans.nvlist_at).unwrap();
        let list = from..from + frame.nvlist_size as usize;
        if frame.kind == Kind::Device && list.len() > longest.len() {
            longest = list;
        }
        if frame.kind == Kind::Index {
            return file[longest].to_vec();
        }
        at = usize::try_from(spans.end).unwrap();
    }
}

fn nvlist(c: &mut Criterion) {
    let packed = list();
    let options = Options::default();
    let unpacked = Nvlist::unpack(&packed, &options).unwrap();
    assert_eq!(unpacked.pack().unwrap(), packed);
    let mut group = c.benchmark_group("nvlist");
    group.throughput(Throughput::Bytes(packed.len() as u64));
    group.bench_function("decode", |b| b.iter(|| Nvlist::unpack(black_box(&packed), &options)));
    group.bench_function("encode", |b| b.iter(|| black_box(&unpacked).pack()));
    group.finish();
}

fn pages(c: &mut Criterion) {
    let (ram, zeros) = (ram(), vec![0; SIZE]);
    let mut group = c.benchmark_group("pages");
    group.throughput(Throughput::Bytes(SIZE as u64));
    group.bench_function("scan, all zero", |b| b.iter(|| Block::scan(0, black_box(&zeros))));
    group.bench_function("scan, a quarter zero", |b| b.iter(|| Block::scan(0, black_box(&ram))));
    let digests = || black_box(&ram).chunks_exact(PAGE);
    group.bench_function("digests, one by one", |b| {
        b.iter(|| digests().map(tree::leaf).map(black_box).count())
    });
    group.bench_function("digests, in pairs", |b| {
        b.iter(|| tree::leaves(digests()).map(black_box).count())
    });
    group.finish();
}

fn extents(c: &mut Criterion) {
    let (block, map) = (Block::scan(0, &ram()).unwrap(), map());
    let mut group = c.benchmark_group("extent");
    group.throughput(Throughput::Bytes(block.pages.len() as u64));
    for (name, form) in [
        ("raw", Compression::None),
        ("zstd 1", Compression::Zstd(1)),
        ("zstd 3", Compression::Zstd(3)),
    ] {
        group.bench_function(format!("encode, {name}"), |b| {
            b.iter(|| Extent::encode(black_box(&block), &map, form).map(|_| ()))
        });
        let file = file(&block, form);
        let seeker = Seeker::open(file.as_slice()).unwrap();
        let quick = seeker.quick(|_| ()).unwrap();
        let mut entries = Vec::new();
        seeker.maps(&quick, |table| entries.extend(table.entries)).unwrap();
        group.bench_function(format!("decode, {name}"), |b| {
            b.iter(|| seeker.extent(&quick, black_box(&entries[0])).unwrap())
        });
    }
    group.finish();
}

fn fields(c: &mut Criterion) {
    let (text, kern) = sets::kern(FIXTURE);
    let meta = Meta::parse(&text).unwrap();
    let mut group = c.benchmark_group("fields");
    group.throughput(Throughput::Bytes(kern.len() as u64));
    group.bench_function("decode", |b| b.iter(|| Machine::from_kern(&meta, black_box(&kern))));
    group.finish();
}

criterion_group!(parts, nvlist, pages, extents, fields);
criterion_main!(parts);
