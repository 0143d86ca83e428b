//! Snapshot files of the device state of fixtures, or of what became of it, with memory of zeros.

use std::fs::{self, File};

use snapfmt::Digest;
use snapfmt::bhyve::{Generation, Meta, RamLayout};
use snapfmt::layout::header::{DELTA, Header, Parent};
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::memory::tree::RootBuilder;
use snapfmt::part::codec::Compression;
use snapfmt::part::extent::Form;
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::state::rules::Machine;
use snapfmt::state::{FieldRef, Shape};
use snapfmt::write::Writer;

use crate::fixtures::folder;
use crate::images;

/// `.meta` and `.kern` of a fixture.
///
/// # Panics
/// If they cannot be read.
#[must_use]
pub fn kern(name: &str) -> (Vec<u8>, Vec<u8>) {
    let folder = folder(name);
    let kern = File::open(folder.join("vm.ckp.kern.zst")).unwrap();
    (fs::read(folder.join("vm.ckp.meta")).unwrap(), zstd::decode_all(kern).unwrap())
}

fn begin(header: &Header, meta: &Meta, text: &[u8], kern: &[u8], out: &mut Vec<u8>) -> Writer {
    let generation = match meta.generation {
        Generation::A => 'A',
        Generation::B => 'B',
    };
    let text = MetaText { generation, text: text.to_owned() };
    let form = Form::from(Compression::Zstd(1));
    let mut writer = Writer::begin(header, vm(meta), &text, form, out).unwrap();
    for record in meta.in_order() {
        let (at, len) = (record.offset as usize, record.size as usize);
        writer.record(meta.key(record.section), &record.name, &kern[at..at + len], out).unwrap();
    }
    writer
}

fn vm(meta: &Meta) -> Vm {
    let segments = RamLayout::new(meta.vm.memsize).segments();
    let segments = segments.map(|s| Segment { gpa: s.gpa, len: s.len }).collect();
    let memory = MemoryMap::new(segments).unwrap();
    let (ncpus, memflags) = (meta.vm.ncpus.into(), meta.vm.memflags);
    Vm { arch: AMD64.to_owned(), name: meta.vm.name.clone(), ncpus, memflags, memory }
}

/// A snapshot file of `.meta` and `.kern`.
///
/// # Panics
/// If they make none.
#[must_use]
pub fn packed(text: &[u8], kern: &[u8]) -> Vec<u8> {
    let meta = Meta::parse(text).unwrap();
    let mut out = Vec::new();
    let writer = begin(&images::header(&meta.vm.name), &meta, text, kern, &mut out);
    writer.memory().unwrap().finish(&mut out).unwrap();
    out
}

/// A delta of `.meta` and `.kern` in which no page of memory has changed.
///
/// # Panics
/// If they make none.
#[must_use]
pub fn packed_delta(text: &[u8], kern: &[u8]) -> Vec<u8> {
    let meta = Meta::parse(text).unwrap();
    let parent = Some(Parent { content: Digest::of(b"another state"), uuid: None });
    let incompatible = vec![DELTA.to_owned()];
    let header = Header { parent, incompatible, ..images::header(&meta.vm.name) };
    let mut out = Vec::new();
    let writer = begin(&header, &meta, text, kern, &mut out).changes().unwrap();
    let root = RootBuilder::new(vm(&meta).memory).finish();
    writer.finish(root, &mut out).unwrap();
    out
}

/// The rings of virtio queues that records have, and where they lie in the RAM file.
///
/// # Panics
/// If a ring lies outside of memory.
#[must_use]
pub fn rings(text: &[u8], kern: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let meta = Meta::parse(text).unwrap();
    let machine = Machine::from_kern(&meta, kern);
    let known = machine.records.iter().filter_map(|record| record.fields.as_ref().ok());
    let mut rings = Vec::new();
    for fields in known {
        for queue in fields.root().groups("queues") {
            let image = |field: &FieldRef<'_, '_>| {
                matches!(field.definition().shape, Shape::Rings(_)) && field.len() > 0
            };
            let at = queue.all("vq->vq_desc").find(|field| !image(field)).and_then(|f| f.u64());
            let bytes = queue.all("vq->vq_desc").find(image).map(|field| field.bytes().to_vec());
            if let (Some(gpa), Some(bytes)) = (at, bytes) {
                rings.push((machine.memory.offset(gpa).unwrap(), bytes));
            }
        }
    }
    rings
}
