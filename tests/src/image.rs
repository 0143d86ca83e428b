//! Snapshot files made in memory: one small enough to break in every place, and the fixtures.

use std::fs;
use std::path::Path;

use snapfmt::bhyve::{Generation, Meta, RamLayout};
use snapfmt::layout::header::Header;
use snapfmt::memory::block::Block;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::codec::Compression;
use snapfmt::part::config::{ConfigFile, ConfigText};
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::write::Writer;
use snaptool::input::Input;
use snaptool::signal::Stop;
use snaptool::sparse::data_ranges;

/// Guest RAM is written in blocks of this size.
/// Bytes of a block in [`pack`].
pub const BLOCK: usize = 64 << 10;

/// What goes into a file.
#[derive(Debug, Clone)]
pub struct Plain {
    /// `.meta`, verbatim.
    pub meta: Vec<u8>,
    /// `.kern`.
    pub kern: Vec<u8>,
    /// Guest RAM without the hole.
    pub ram: Vec<u8>,
    /// The configuration, if there is one.
    pub config: Option<ConfigText>,
    /// How everything is stored.
    pub compression: Compression,
}

/// The header block of every image made here.
#[must_use]
pub fn header(vm_name: &str) -> Header {
    Header {
        producer: "test 1.0".to_owned(),
        uuid: "00000000-1111-4222-8333-444444444444".to_owned(),
        vm_name: vm_name.to_owned(),
        vm_uuid: None,
        created: 1_795_415_233,
        parent: None,
        incompatible: Vec::new(),
        compatible: Vec::new(),
    }
}

/// The file that holds `plain`.
///
/// # Errors
/// What breaks the format.
pub fn pack(plain: &Plain) -> anyhow::Result<Vec<u8>> {
    pack_from(plain, |from, len| {
        let from = usize::try_from(from)?;
        Ok(plain.ram.get(from..from.saturating_add(len)).unwrap_or_default().to_vec())
    })
}

/// As [`pack`], with guest RAM from elsewhere: `len` bytes at an offset, or none for zeros.
fn pack_from(
    plain: &Plain,
    read: impl Fn(u64, usize) -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Vec<u8>> {
    let meta = Meta::parse(&plain.meta)?;
    let layout = RamLayout::new(meta.vm.memsize);
    let segments = layout.segments().map(|s| Segment { gpa: s.gpa, len: s.len }).collect();
    let vm = Vm {
        arch: AMD64.to_owned(),
        name: meta.vm.name.clone(),
        ncpus: meta.vm.ncpus.into(),
        memflags: meta.vm.memflags,
        memory: MemoryMap::new(segments)?,
    };
    let generation = if meta.generation == Generation::A { 'A' } else { 'B' };
    let text = MetaText { generation, text: plain.meta.clone() };
    let mut out = Vec::new();
    let head = header(&vm.name);
    let mut writer = Writer::begin(&head, vm, &text, plain.compression, &mut out)?;
    if let Some(config) = &plain.config {
        writer.config(config, &mut out)?;
    }
    let mut records: Vec<_> = meta.records.iter().collect();
    records.sort_by_key(|record| record.offset);
    for record in records {
        let from = usize::try_from(record.offset)?;
        let to = from.saturating_add(usize::try_from(record.size)?);
        let bytes = plain.kern.get(from..to).unwrap_or_default();
        writer.record(meta.key(record.section), &record.name, bytes, &mut out)?;
    }
    let mut writer = writer.memory().unwrap();
    for segment in layout.segments() {
        for at in (0..segment.len).step_by(BLOCK) {
            let len = usize::try_from(segment.len - at)?.min(BLOCK);
            let mut block = read(segment.offset + at, len)?;
            if block.is_empty() {
                continue;
            }
            block.resize(BLOCK, 0);
            if let Some(block) = Block::scan(segment.gpa + at, &block) {
                writer.block(&block, &mut out)?;
            }
        }
    }
    writer.finish(&mut out)?;
    Ok(out)
}

/// A fixture as a file.
///
/// # Errors
/// A fixture that cannot be read.
pub fn pack_fixture(name: &str, dir: &Path) -> anyhow::Result<Vec<u8>> {
    let base = crate::fixtures::unpack(name, dir)?;
    let files = snapfmt::bhyve::Files::of(&base);
    let (meta, kern) = (fs::read(&files.meta)?, fs::read(&files.kern)?);
    let plain =
        Plain { meta, kern, ram: Vec::new(), config: None, compression: Compression::default() };
    let ram = Input::open(&files.ram, &Stop::never())?.into_file()?;
    let data: Vec<_> = data_ranges(&ram, ram.len()).collect();
    pack_from(&plain, |from, len| {
        let end = from.saturating_add(len as u64);
        let mut block = Vec::new();
        if data.iter().any(|range| range.start < end && from < range.end) {
            block.resize(len, 0);
            ram.read_exact_at(&mut block, from)?;
        }
        Ok(block)
    })
}

/// Kernel records of a machine with one virtual CPU, with the sizes that bhyve gives them.
const KERN: [(&str, usize); 9] = [
    ("vhpet", 284),
    ("vm", 312),
    ("vioapic", 388),
    ("vlapic", 4169),
    ("vmcx", 920),
    ("vatpit", 172),
    ("vatpic", 118),
    ("vpmtmr", 4),
    ("vrtc", 140),
];

/// Records of bhyve's own devices, the second with a name that a terminal must not see.
const DEVICES: [(&str, usize); 3] =
    [("pci.0.3.0 virtio-blk", 96), ("odd\u{1b}[31m", 64), ("atkbdc", 72)];

/// A machine of 2 MiB, with three pages of data in two blocks.
///
/// # Errors
/// None that is known.
pub fn small() -> anyhow::Result<Plain> {
    let mut kern = Vec::new();
    let mut lists = Vec::new();
    for list in [&KERN[..], &DEVICES[..]] {
        let mut entries = Vec::new();
        for (name, size) in list {
            let offset = kern.len();
            entries.push(serde_json::json!({
                "device": name, "size": size, "file_offset": offset,
            }));
            kern.extend((0..*size).map(|i| u8::try_from((i / 7 + offset) % 251).unwrap_or(0)));
        }
        lists.push(entries);
    }
    let devices = lists.pop();
    let meta = serde_json::json!({
        "basic metadata": { "ncpus": 1, "vmname": "small", "memsize": 2 << 20, "memflags": 0 },
        "kern_structs": lists.pop(),
        "devices": devices,
    });
    let mut ram = vec![0; 2 << 20];
    for page in [1_usize, 2, 300] {
        let at = page * 4096;
        let text = format!("page {page} ").into_bytes();
        for (byte, value) in ram.iter_mut().skip(at).take(4096).zip(text.iter().cycle()) {
            *byte = *value;
        }
    }
    let config = ConfigText {
        kind: "bhyve-config".to_owned(),
        text: b"name=small\ncpus=1\nmemory.size=2M\nlpc.bootrom=/rom.fd\n\
            pci.0.3.0.device=virtio-blk\npci.0.3.0.path=/disk.img\n"
            .to_vec(),
        files: vec![ConfigFile {
            role: "disk".to_owned(),
            path: "/disk.img".to_owned(),
            size: 1 << 30,
            sha256: None,
        }],
    };
    Ok(Plain {
        meta: serde_json::to_vec_pretty(&meta)?,
        kern,
        ram,
        config: Some(config),
        compression: Compression::None,
    })
}
