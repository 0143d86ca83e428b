//! Small snapshots made by the writer, with every kind of part.

use serde_json::json;
use snapfmt::Error;
use snapfmt::layout::header::Header;
use snapfmt::memory::bitmap::Bitmap;
use snapfmt::memory::block::Block;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::codec::Compression;
use snapfmt::part::config::{ConfigFile, ConfigText};
use snapfmt::part::extent::Form;
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::write::{Sealed, Writer};

const PAGE: usize = snapfmt::limits::PAGE;

/// All that goes into a snapshot.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The header block.
    pub header: Header,
    /// The machine.
    pub vm: Vm,
    /// `.meta`.
    pub meta: MetaText,
    /// The configuration.
    pub config: Option<ConfigText>,
    /// Section, name and bytes of each record.
    pub records: Vec<(String, String, Vec<u8>)>,
    /// The blocks that have data.
    pub blocks: Vec<Block>,
    /// How payloads are stored.
    pub compression: Compression,
}

impl Plan {
    /// The snapshot.
    ///
    /// # Errors
    /// Whatever the writer says.
    pub fn write(&self) -> Result<(Vec<u8>, Sealed), Error> {
        let mut out = Vec::new();
        let vm = self.vm.clone();
        let form = Form::from(self.compression);
        let mut writer = Writer::begin(&self.header, vm, &self.meta, form, &mut out)?;
        if let Some(config) = &self.config {
            writer.config(config, &mut out)?;
        }
        for (section, name, bytes) in &self.records {
            writer.record(section, name, bytes, &mut out)?;
        }
        let mut writer = writer.memory()?;
        for block in &self.blocks {
            writer.block(block, &mut out)?;
        }
        let sealed = writer.finish(&mut out)?;
        Ok((out, sealed))
    }
}

/// A header block for a machine of that name.
#[must_use]
pub fn header(vm_name: &str) -> Header {
    Header {
        producer: "images".to_owned(),
        uuid: "01234567-89ab-4cde-8f01-23456789abcd".to_owned(),
        vm_name: vm_name.to_owned(),
        vm_uuid: None,
        created: 1_700_000_000,
        parent: None,
        incompatible: Vec::new(),
        compatible: Vec::new(),
    }
}

/// The `.meta` that says just that. Records are listed section by section, as bhyve does it.
#[must_use]
pub fn meta(vm: &Vm, generation: char, records: &[(String, String, Vec<u8>)]) -> MetaText {
    let kern = if generation == 'A' { "structs" } else { "kern_structs" };
    let mut offset = 0;
    let mut lists = [Vec::new(), Vec::new()];
    for (section, name, bytes) in records {
        let devices = section == "devices";
        let size = bytes.len();
        let mut entry = json!({ "size": size, "file_offset": offset });
        let key = match (generation, devices) {
            ('A', false) => "debug_name",
            ('A', true) => "snapshot_req",
            _ => "device",
        };
        entry[key] = json!(name);
        if generation == 'A' && !devices {
            entry["snapshot_req"] = json!(lists[0].len());
        }
        lists[usize::from(devices)].push(entry);
        offset += size;
    }
    let [structs, devices] = lists;
    let text = json!({
        "basic metadata": {
            "ncpus": vm.ncpus, "vmname": vm.name,
            "memsize": vm.memory.size(), "memflags": vm.memflags,
        },
        kern: structs,
        "devices": devices,
    });
    MetaText { generation, text: text.to_string().into_bytes() }
}

/// A block of so many bytes in which some pages are data, each of one byte.
#[must_use]
pub fn block(gpa: u64, size: u64, pages: &[(usize, u8)]) -> Block {
    let mut data = Bitmap::new(usize::try_from(size).unwrap_or(0) / PAGE);
    let mut bytes = Vec::new();
    for (page, fill) in pages {
        data.set(*page);
        bytes.extend([*fill; PAGE]);
    }
    Block { gpa, size, data, pages: bytes }
}

/// Plans for some snapshots that differ in what they have: as little as possible, stored as it is,
/// compressed, with configuration, with two segments, of generation A.
///
/// # Panics
/// If a memory map of this file is none.
#[must_use]
pub fn plans() -> Vec<Plan> {
    let memory = |segments: &[(u64, u64)]| {
        let segments = segments.iter().map(|&(gpa, len)| Segment { gpa, len });
        MemoryMap::new(segments.collect()).expect("a memory map")
    };
    let record = |section: &str, name: &str, bytes: &[u8]| {
        (section.to_owned(), name.to_owned(), bytes.to_vec())
    };
    let plan = |name: &str, memory, generation, records: Vec<_>| {
        let vm =
            Vm { arch: AMD64.to_owned(), name: name.to_owned(), ncpus: 1, memflags: 0, memory };
        let meta = meta(&vm, generation, &records);
        let (config, blocks, compression) = (None, Vec::new(), Compression::None);
        Plan { header: header(name), vm, meta, config, records, blocks, compression }
    };
    let low = || memory(&[(0, 1 << 20)]);
    let some = || {
        vec![
            record("kern_structs", "vhpet", &[7; 60]),
            record("kern_structs", "vm", b"state"),
            record("devices", "virtio-net@pci.0.3.0", &[0; 90]),
        ]
    };
    let least = plan("", low(), 'B', Vec::new());
    let mut raw = plan("raw", low(), 'B', some());
    raw.blocks = vec![block(0, 1 << 16, &[(0, 1)])];
    let mut packed = plan("packed", low(), 'B', some());
    packed.compression = Compression::Zstd(1);
    packed.blocks = vec![
        block(0, 1 << 16, &[(0, 1), (3, 0), (15, 9)]),
        block(1 << 18, 1 << 18, &[(1, 2), (2, 3), (63, 3)]),
    ];
    let mut config = plan("config", low(), 'B', some());
    config.compression = Compression::Zstd(3);
    config.header.compatible = vec!["sample".to_owned()];
    let path = "/vm/disk".to_owned();
    let disk = ConfigFile { role: "disk".to_owned(), path, size: 1 << 30, sha256: None };
    let digest = Some(snapfmt::Digest::of(b"rom"));
    let (role, path) = ("bootrom".to_owned(), "/vm/rom".to_owned());
    let rom = ConfigFile { role, path, size: 3, sha256: digest };
    config.config = Some(ConfigText {
        kind: "bhyve-config".to_owned(),
        text: b"name=config\ncpus=1\n".to_vec(),
        files: vec![disk, rom],
    });
    let high = memory(&[(0, 3 << 30), (4 << 30, 1 << 20)]);
    let mut two = plan("two", high, 'B', some());
    two.compression = Compression::Zstd(1);
    two.blocks = vec![
        block((3 << 30) - (1 << 22), 1 << 22, &[(1023, 5)]),
        block(4 << 30, 1 << 17, &[(0, 6), (31, 7)]),
    ];
    let odd = vec![record("structs", "vhpet", &[1; 9]), record("devices", "lpc", &[])];
    let mut old = plan("old", memory(&[(0, 5 * PAGE as u64), (1 << 16, 1 << 16)]), 'A', odd);
    old.compression = Compression::Zstd(-1);
    old.blocks = vec![block(0, 1 << 17, &[(4, 1), (16, 2), (31, 3)])];
    vec![least, raw, packed, config, two, old]
}
