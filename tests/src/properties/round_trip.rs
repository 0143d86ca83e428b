//! Any small machine: what the writer takes, both readers give back; what breaks the spec, the
//! writer does not take.

use arbitrary::{Result, Unstructured};
use snapfmt::layout::header::Header;
use snapfmt::memory::block::Block;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::codec::Compression;
use snapfmt::part::config::{ConfigFile, ConfigText};
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::read::{Part, Seeker, Verified};
use snapfmt::write::Sealed;
use snapfmt::{Digest, limits};

use super::one_line;
use super::open::walk;
use crate::images::{self, Plan};
use crate::reseal::{Image, Tables};

const PAGE: u64 = limits::PAGE as u64;

/// See the module.
///
/// # Panics
/// If the property does not hold.
pub fn round_trip(data: &[u8]) {
    let Ok((plan, whole)) = plan(&mut Unstructured::new(data)) else { return };
    match plan.write() {
        Err(error) => {
            one_line(&error);
            assert!(!whole, "a good snapshot cannot be written: {error}");
        }
        Ok((file, sealed)) => check(&plan, &file, &sealed),
    }
}

fn check(plan: &Plan, file: &[u8], sealed: &Sealed) {
    let (parts, verified) = walk(file);
    let verified = verified.unwrap_or_else(|e| panic!("written, but cannot be read: {e}"));
    let image = Image::parse(file).expect("parts");
    assert!(image.bytes(Tables::Rebuilt, true) == file, "another file by hand");
    same_facts(plan, sealed, &verified, &parts);
    let seeker = Seeker::open(file).expect("what Walk accepts");
    let mut sought = 0;
    let quick = seeker.quick(|_| sought += 1).expect("what Walk accepts");
    let mut extents = 0;
    seeker.maps(&quick, |table| extents += table.entries.len()).expect("what Walk accepts");
    assert_eq!(sought, sealed.index.parts.len());
    assert_eq!(extents, plan.blocks.len());
    assert_eq!(seeker.index(), &sealed.index);
    for (section, name, bytes) in &plan.records {
        let record = seeker.record(section, name).expect("a record").expect("a record");
        assert_eq!(record.bytes(), bytes);
    }
}

fn same_facts(plan: &Plan, sealed: &Sealed, verified: &Verified, parts: &[Part]) {
    assert_eq!(verified.root(), sealed.root);
    assert_eq!(verified.size(), sealed.size);
    assert_eq!(*verified.index(), sealed.index);
    assert_eq!(*verified.header(), plan.header);
    assert_eq!(*verified.vm(), plan.vm);
    let (mut records, mut blocks, mut config) = (plan.records.iter(), plan.blocks.iter(), None);
    for part in parts {
        match part {
            Part::Meta(meta) => assert_eq!(*meta, plan.meta),
            Part::Config(found) => config = Some(found),
            Part::Record(record) => {
                let (section, name, bytes) = records.next().expect("as many records");
                let id = record.id();
                assert_eq!((&id.section, &id.name, record.bytes()), (section, name, &bytes[..]));
                assert_eq!(id.sha256, Digest::of(bytes));
            }
            Part::Extent(extent) => assert_eq!(Some(&extent.block), blocks.next()),
            _ => {}
        }
    }
    assert_eq!(config, plan.config.as_ref());
    assert!(records.next().is_none() && blocks.next().is_none(), "something is missing");
}

/// A plan, and whether there is surely nothing wrong with it.
fn plan(u: &mut Unstructured<'_>) -> Result<(Plan, bool)> {
    let generation = if u.ratio(1, 3)? { 'A' } else { 'B' };
    let memory = memory(u)?;
    let (name, good_name) = text(u)?;
    let vm = Vm {
        arch: (*u.choose(&[AMD64, "arm64", "a_9"])?).to_owned(),
        name,
        ncpus: u.int_in_range(1..=1024)?,
        memflags: u.arbitrary::<u32>()?.into(),
        memory,
    };
    let (records, good_records) = records(u, generation)?;
    let (header, good_header) = header(u, &vm.name)?;
    let (config, good_config) = if u.ratio(1, 4)? {
        let (config, good) = config(u)?;
        (Some(config), good)
    } else {
        (None, true)
    };
    let blocks = blocks(u, &vm.memory)?;
    let compression = match u.int_in_range(0..=3)? {
        0 => Compression::None,
        1 => Compression::Zstd(-3),
        2 => Compression::Zstd(1),
        _ => Compression::Zstd(4),
    };
    let meta = images::meta(&vm, generation, &records);
    let good = good_name && good_records && good_header && good_config;
    Ok((Plan { header, vm, meta, config, records, blocks, compression }, good))
}

/// Some text, and whether it is surely a legal one.
fn text(u: &mut Unstructured<'_>) -> Result<(String, bool)> {
    if u.ratio(1, 32)? {
        return Ok(("n".repeat(u.int_in_range(100..=300)?), false));
    }
    let length = u.int_in_range(0..=12)?;
    let bytes = u.bytes(length.min(u.len()))?;
    let text = String::from_utf8_lossy(bytes).into_owned();
    let good = !text.contains('\0');
    Ok((text, good))
}

fn header(u: &mut Unstructured<'_>, vm_name: &str) -> Result<(Header, bool)> {
    let mut header = images::header(vm_name);
    header.created = u.arbitrary()?;
    if u.ratio(15, 16)? {
        return Ok((header, true));
    }
    match u.int_in_range(0..=4)? {
        0 => header.producer = text(u)?.0.repeat(u.int_in_range(1..=400)?),
        1 => header.uuid = text(u)?.0,
        2 => header.vm_name = text(u)?.0,
        3 => header.vm_uuid = Some(text(u)?.0),
        _ => header.compatible = vec![text(u)?.0, text(u)?.0],
    }
    Ok((header, false))
}

fn config(u: &mut Unstructured<'_>) -> Result<(ConfigText, bool)> {
    let kind = *u.choose(&["bhyve-config", "command-line", "bhyve-config", "other"])?;
    let mut good = kind != "other";
    let mut files = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let ((role, one), (path, two)) = (text(u)?, text(u)?);
        good &= one && two;
        let sha256 = if u.arbitrary()? { Some(Digest::from_bytes(u.arbitrary()?)) } else { None };
        files.push(ConfigFile { role, path, size: u.arbitrary()?, sha256 });
    }
    let length = u.int_in_range(0..=64)?.min(u.len());
    Ok((ConfigText { kind: kind.to_owned(), text: u.bytes(length)?.to_vec(), files }, good))
}

type Records = Vec<(String, String, Vec<u8>)>;

fn records(u: &mut Unstructured<'_>, generation: char) -> Result<(Records, bool)> {
    let mut records = Records::new();
    let mut good = true;
    let kern = if generation == 'A' { "structs" } else { "kern_structs" };
    let (kerns, devices) = (u.int_in_range(0..=4)?, u.int_in_range(0..=4)?);
    for at in 0..kerns + devices {
        let section = if at < kerns { kern } else { "devices" };
        let (name, legal) = text(u)?;
        let used = records.iter().any(|r: &(String, String, _)| r.0 == section && r.1 == name);
        good &= legal && !name.is_empty() && name.len() <= limits::RECORD_NAME && !used;
        let length = u.int_in_range(0..=9)?.min(u.len());
        let mut bytes = u.bytes(length)?.to_vec();
        bytes = bytes.repeat(u.int_in_range(1..=200)?);
        records.push((section.to_owned(), name, bytes));
    }
    Ok((records, good))
}

fn memory(u: &mut Unstructured<'_>) -> Result<MemoryMap> {
    let mut segments = Vec::new();
    let mut free = 0;
    for _ in 0..u.int_in_range(1..=4)? {
        let gap = match u.int_in_range(0..=3)? {
            0 => u.int_in_range(1..=64)?,
            1 => 1 << u.int_in_range(0..=30)?,
            2 => u.int_in_range(1..=1 << 20)?,
            _ => 16,
        };
        let gpa: u64 = if segments.is_empty() && u.ratio(3, 4)? { 0 } else { free + gap * PAGE };
        let len = match u.int_in_range(0..=2)? {
            0 => u.int_in_range(1..=64)?,
            1 => 1 << u.int_in_range(0..=20)?,
            _ => 256,
        };
        segments.push(Segment { gpa, len: len * PAGE });
        free = gpa + len * PAGE;
    }
    if u.ratio(1, 16)? {
        let len = u.int_in_range(1..=64)? * PAGE;
        segments.push(Segment { gpa: limits::GPA_SPACE - len, len });
    }
    MemoryMap::new(segments).map_err(|_| arbitrary::Error::IncorrectFormat)
}

/// Blocks that ascend, each with a few pages in segments.
fn blocks(u: &mut Unstructured<'_>, memory: &MemoryMap) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut free = 0;
    for segment in memory.segments() {
        for _ in 0..u.int_in_range(0..=2)? {
            let size = limits::EXTENT_MIN << u.int_in_range(0..=6)?;
            let page = segment.gpa + u.int_in_range(0..=segment.len / PAGE - 1)? * PAGE;
            let gpa = page & !(size - 1);
            if gpa < free {
                continue;
            }
            let mut pages = vec![(page - gpa) / PAGE];
            for _ in 0..u.int_in_range(0..=5)? {
                pages.push(u.int_in_range(0..=size / PAGE - 1)?);
            }
            pages.retain(|page| memory.contains(gpa + page * PAGE));
            pages.sort_unstable();
            pages.dedup();
            let filled = |page: u64| Ok((page as usize, u.arbitrary()?));
            let pages = pages.into_iter().map(filled).collect::<Result<Vec<_>>>()?;
            blocks.push(images::block(gpa, size, &pages));
            free = gpa + size;
        }
    }
    Ok(blocks)
}
