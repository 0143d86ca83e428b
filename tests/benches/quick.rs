//! How long a quick check takes, rules included: 16 virtual CPUs and 30 devices. `cargo bench -p
//! tests --bench quick`.

// What cannot go on has failed. Of the fixtures' kit only some is used here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    dead_code,
    missing_docs
)]

#[path = "../tests/state_rules/fixture.rs"]
mod fixture;
#[path = "../tests/state_rules/machines.rs"]
mod machines;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use snapfmt::bhyve::Section;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::read::{Part, Seeker};
use snapfmt::state::gate::Judgement;
use snapfmt::state::rules::{self, Machine};
use tests::{images, sets};

const VCPUS: u32 = 16;
const DEVICES: usize = 30;

/// The machine as a snapshot file.
fn packed(fixture: &fixture::Fixture) -> Vec<u8> {
    let meta = &fixture.meta;
    let segments = vec![
        Segment { gpa: 0, len: 3 << 30 },
        Segment { gpa: 4 << 30, len: meta.vm.memsize - (3 << 30) },
    ];
    let vm = Vm {
        arch: AMD64.to_owned(),
        name: meta.vm.name.clone(),
        ncpus: meta.vm.ncpus.into(),
        memflags: meta.vm.memflags,
        memory: MemoryMap::new(segments).unwrap(),
    };
    let (mut kern, mut records) = (Vec::new(), Vec::new());
    for section in [Section::Kern, Section::Device] {
        for record in meta.section(section) {
            let (at, len) = (record.offset as usize, record.size as usize);
            let bytes = fixture.kern[at..at + len].to_vec();
            kern.extend(&bytes);
            records.push((meta.key(section).to_owned(), record.name.clone(), bytes));
        }
    }
    sets::packed(&images::meta(&vm, 'B', &records).text, &kern)
}

fn quick(file: &[u8]) -> Judgement {
    let seeker = Seeker::open(file).unwrap();
    let mut records = Vec::new();
    let quick = seeker.quick(|part| {
        if let Part::Record(record) = part {
            records.push(record);
        }
    });
    quick.unwrap().judge(records, None, None).unwrap()
}

fn check(c: &mut Criterion) {
    let fixture = machines::with_devices(machines::with_vcpus(VCPUS), DEVICES);
    let file = packed(&fixture);
    let judgement = quick(&file);
    assert_eq!(judgement.state.failing().count(), 0);
    assert_eq!(judgement.unknown, []);
    let machine = Machine::from_kern(&fixture.meta, &fixture.kern);
    let mut group = c.benchmark_group("quick");
    group.bench_function("verify --quick, in memory", |b| b.iter(|| quick(black_box(&file))));
    group.bench_function("of that fields", |b| {
        b.iter(|| Machine::from_kern(&fixture.meta, black_box(&fixture.kern)))
    });
    group.bench_function("of that rules", |b| {
        b.iter(|| rules::check(black_box(&machine), None, None))
    });
    group.finish();
}

criterion_group!(checks, check);
criterion_main!(checks);
