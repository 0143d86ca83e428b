//! Any text as `.meta`, with any lengths of the other two files: nothing panics; where no rule
//! refuses the set, its records share out `.kern`, memory has a layout, and the set can be packed
//! and gives the same records back.

use snapfmt::bhyve::{
    self, Config, Finding, Generation, Meta, RamLayout, Section, Severity, disagreements,
};
use snapfmt::limits;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::codec::Compression;
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::read::Part;

use super::one_line;
use super::open::walk;
use crate::images::{self, Plan};
use crate::packed::number;

/// The longest `.kern` that is made up and packed.
const KERN: u64 = 256 << 10;

/// See the module. The first 16 bytes are what the lengths of `.kern` and of memory have more than
/// they should. Behind a byte 255, which no text has, comes a configuration; without one, the same
/// text is tried as one.
///
/// # Panics
/// If the property does not hold.
pub fn three_files(data: &[u8]) {
    let (Some(kern_more), Some(ram_more)) = (number(data, 0), number(data, 8)) else { return };
    let texts = data.get(16..).unwrap_or_default();
    let mut split = texts.splitn(2, |byte| *byte == 255);
    let text = split.next().unwrap_or_default();
    let config = config(split.next().unwrap_or(text));
    let meta = match Meta::parse(text) {
        Ok(meta) => meta,
        Err(error) => {
            one_line(&error);
            shown(&error.finding());
            return;
        }
    };
    if let Some(config) = config {
        disagreements(&config, &meta).iter().for_each(shown);
    }
    let sum = meta.records.iter().fold(0_u64, |sum, record| sum.wrapping_add(record.size));
    let kern_len = sum.wrapping_add(kern_more);
    let ram_len = meta.vm.memsize.wrapping_add(ram_more);
    let findings = bhyve::check(&meta, kern_len, ram_len);
    findings.iter().for_each(shown);
    assert_eq!(findings, bhyve::check(&meta, kern_len, ram_len), "a check differs from itself");
    if findings.iter().all(|finding| finding.severity() == Severity::Warn) {
        accepted(&meta, kern_len, ram_len);
        if kern_len <= KERN {
            pack(text, &meta, kern_len);
        }
    }
}

fn shown(finding: &Finding) {
    one_line(finding);
    one_line(&finding.at);
    assert!(!finding.advice().is_empty() && !finding.rule.id.is_empty());
}

fn config(text: &[u8]) -> Option<Config> {
    match Config::parse(text) {
        Ok(config) => {
            assert_eq!(config.text.as_bytes(), text);
            let names = [&config.name, &config.uuid, &config.bootrom, &config.bootvars];
            for name in names.into_iter().flatten().chain(config.disks.iter().map(|d| &d.path)) {
                assert!(name.len() <= text.len() + bhyve::limits::EXPANDED);
            }
            Some(config)
        }
        Err(error) => {
            one_line(&error);
            None
        }
    }
}

fn accepted(meta: &Meta, kern_len: u64, ram_len: u64) {
    let mut ranges: Vec<_> = meta
        .records
        .iter()
        .filter(|record| record.size > 0)
        .map(|record| (record.offset, record.offset.checked_add(record.size).expect("a range")))
        .collect();
    ranges.sort_unstable();
    let end = ranges.iter().fold(0, |free, (from, to)| {
        assert_eq!(*from, free, "a gap or an overlap");
        *to
    });
    assert_eq!(end, kern_len, "records do not share out .kern");
    assert!(meta.records.iter().all(|r| r.size <= bhyve::limits::RECORD && r.offset <= kern_len));

    assert_eq!(ram_len, meta.vm.memsize);
    let layout = RamLayout::new(ram_len);
    let segments: Vec<_> = layout.segments().collect();
    assert_eq!(segments.iter().map(|segment| segment.len).sum::<u64>(), ram_len);
    assert_eq!(layout.lowmem() + layout.highmem(), ram_len);
    for segment in &segments {
        assert!(segment.gpa.is_multiple_of(4096) && segment.len.is_multiple_of(4096));
        for offset in [segment.offset, segment.offset + segment.len - 1] {
            let gpa = layout.gpa(offset).expect("an address");
            assert_eq!(layout.offset(gpa), Some(offset));
        }
    }
    assert_eq!(layout.gpa(ram_len), None);
}

/// Packs the set, with bytes that are made up.
fn pack(text: &[u8], meta: &Meta, kern_len: u64) {
    let kern: Vec<u8> = (0..kern_len).map(|at| (at / 7) as u8).collect();
    let listed = meta.in_order();
    let bytes = |at: u64, len: u64| kern[at as usize..(at + len) as usize].to_vec();
    let records: Vec<_> = listed
        .iter()
        .map(|r| (meta.key(r.section).to_owned(), r.name.clone(), bytes(r.offset, r.size)))
        .collect();
    let segments = RamLayout::new(meta.vm.memsize).segments();
    let segments = segments.map(|segment| Segment { gpa: segment.gpa, len: segment.len });
    let Ok(memory) = MemoryMap::new(segments.collect()) else {
        assert!(meta.vm.memsize > limits::GPA_SPACE - (1 << 30), "memory has no map");
        return;
    };
    let vm = Vm {
        arch: AMD64.to_owned(),
        name: meta.vm.name.clone(),
        ncpus: meta.vm.ncpus.into(),
        memflags: meta.vm.memflags,
        memory,
    };
    let generation = if meta.generation == Generation::A { 'A' } else { 'B' };
    let plan = Plan {
        header: images::header(&vm.name),
        meta: MetaText { generation, text: text.to_vec() },
        config: None,
        blocks: vec![images::block(0, 1 << 16, &[(0, 1)])],
        compression: Compression::Zstd(1),
        records,
        vm,
    };
    let possible = fits(&plan, meta);
    let file = match plan.write() {
        Ok((file, _)) => file,
        Err(error) => {
            one_line(&error);
            assert!(!possible, "a set that nothing refuses cannot be packed: {error}");
            return;
        }
    };
    assert!(possible, "what does not fit was packed");
    let (parts, verified) = walk(&file);
    let verified = verified.unwrap_or_else(|e| panic!("packed, but cannot be read: {e}"));
    let read: Vec<_> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Record(record) => {
                let id = record.id();
                Some((id.section.clone(), id.name.clone(), record.bytes().to_vec()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(read, plan.records, "other records come out");
    assert_eq!(*verified.vm(), plan.vm);
    for part in parts {
        match part {
            Part::Meta(meta) => assert_eq!(meta.text, text),
            Part::Record(record) => assert!(verified.admit(record).is_ok(), "no device state"),
            _ => {}
        }
    }
}

/// Whether a snapshot file has room for it (§5, §10).
fn fits(plan: &Plan, meta: &Meta) -> bool {
    let mut names: Vec<_> = meta.records.iter().map(|r| (r.section, &r.name)).collect();
    names.sort();
    let unique = names.windows(2).all(|pair| pair[0] != pair[1]);
    let name = |(_, name): &(Section, &String)| {
        (1..=limits::RECORD_NAME).contains(&name.len()) && !name.contains('\0')
    };
    unique
        && names.iter().all(name)
        && names.len() <= limits::DEVICES
        && !plan.vm.name.contains('\0')
        && plan.vm.name.len() <= limits::VM_NAME
        && (1..=limits::NCPUS).contains(&plan.vm.ncpus)
        && plan.vm.memflags <= limits::MEMFLAGS
        && plan.meta.text.len() as u64 <= limits::TEXT_PAYLOAD
}
