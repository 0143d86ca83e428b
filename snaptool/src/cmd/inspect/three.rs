//! The facts of bhyve's three files. They have no digests: what is shown is what they hold now.

use snapfmt::bhyve::{Meta, RamLayout, Severity};
use snapfmt::content::content;
use snapfmt::digest::Digest;
use snapfmt::limits;
use snapfmt::memory::block::Block;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::memory::tree::RootBuilder;
use snapfmt::part::device::{Chooser, RecordId};
use snapfmt::part::vm::{AMD64, Vm};

use super::collect::{finding, meta_facts};
use super::facts::{self, Facts};
use super::narrow::Narrow;
use super::segments::Counter;
use crate::progress::{Options, Progress};
use crate::signal::Stop;
use crate::sparse::data_ranges;
use crate::text;
use crate::three::ThreeFiles;

const RAM: &str = "guest memory: its pages were not counted nor hashed; --full reads them";
const NO_DIGESTS: &str = "whether the files are as bhyve wrote them: they carry no digests";
const RECORDS: &str = "some records: they do not lie in .kern, or are too many bytes";
const UNUSABLE: &str = "guest memory: .meta does not say how it lies";

/// Guest RAM is hashed in blocks of this size.
const BLOCK: u64 = 1 << 20;

/// Inspects a set; reads guest RAM if `full`.
pub(super) fn three(
    files: &ThreeFiles,
    narrow: &Narrow,
    full: bool,
    told: Options,
    stop: &Stop,
) -> anyhow::Result<Facts> {
    let mut facts = Facts::new("three-file", &text::path(&files.base));
    let (ram, kern, meta) = (files.ram.len(), files.kern.len(), files.meta_file.len());
    facts.size = Some(ram.saturating_add(kern).saturating_add(meta));
    facts.files = Some(facts::Files { ram, kern, meta });
    facts.checked = if full { "full" } else { "structure" };
    facts.not_checked.push(NO_DIGESTS);
    facts.findings = files.findings.iter().map(finding).collect();
    facts.intact = files.findings.iter().all(|finding| finding.severity() != Severity::Refuse);
    facts.meta = Some(meta_facts(files.meta.as_ref(), &files.text));
    facts.meta_text = Some(files.text.clone());
    if let Some(meta) = &files.meta {
        let ids = records(files, meta, narrow, stop, &mut facts)?;
        facts.vm = Some(facts::Vm {
            name: meta.vm.name.clone(),
            ncpus: meta.vm.ncpus.into(),
            memsize: meta.vm.memsize,
            memflags: meta.vm.memflags,
        });
        memory(files, meta, ids, full.then_some((told, stop)), &mut facts)?;
    } else {
        facts.not_checked.push(UNUSABLE);
    }
    files.unchanged()?;
    Ok(facts)
}

/// The records and their digests; all identities if every record could be read.
fn records(
    files: &ThreeFiles,
    meta: &Meta,
    narrow: &Narrow,
    stop: &Stop,
    facts: &mut Facts,
) -> anyhow::Result<Option<Vec<RecordId>>> {
    let mut ids = Vec::new();
    let mut hashed = 0_u64;
    let mut kept = 0;
    let chooser = Chooser::new(AMD64, meta.vm.ncpus.into(), Some(meta));
    for record in files.records() {
        stop.check()?;
        let section = meta.key(record.section);
        hashed = hashed.saturating_add(record.size);
        let bounded = hashed <= limits::RECORDS_TOTAL;
        // Trouble with reading is trouble; a record that is out of bounds is a finding.
        let inside = record.offset.checked_add(record.size).is_some_and(|e| e <= files.kern.len());
        let (mut sha256, mut layout, mut no_fields) = (None, None, None);
        if bounded && inside && record.size <= limits::RECORD {
            let bytes = files.bytes(record)?;
            match chooser.layout(section, &record.name, &bytes) {
                Ok(found) => {
                    let (name, version) = (found.id.to_owned(), found.version);
                    layout = Some(facts::RecordLayout { name, version, known: true });
                }
                Err(why) => no_fields = Some(why.to_string()),
            }
            let id = RecordId::of(section, &record.name, &bytes);
            sha256 = Some(id.sha256);
            ids.push(id);
            kept += bytes.len();
            if narrow.is_raw_of(section, &record.name) && kept as u64 <= limits::RECORDS_TOTAL {
                let (section, name) = (section.to_owned(), record.name.clone());
                facts.raw.push(facts::Raw { section, name, bytes });
            } else if narrow.decodes(section, &record.name) {
                let (section, name) = (section.to_owned(), record.name.clone());
                facts.decoded.push(facts::Raw { section, name, bytes });
            }
        } else if bounded && narrow.decodes(section, &record.name) {
            let bytes = beginning(files, record.offset, record.size)?;
            let (section, name) = (section.to_owned(), record.name.clone());
            facts.decoded.push(facts::Raw { section, name, bytes });
        }
        facts.records.push(facts::Record {
            section: section.to_owned(),
            name: record.name.clone(),
            offset: Some(record.offset),
            size: record.size,
            sha256: sha256.map(|digest: Digest| digest.to_string()),
            stored: None,
            part_offset: None,
            scanned: false,
            stored_as: None,
            layout,
            no_fields,
        });
    }
    if ids.len() == meta.records.len() {
        return Ok(Some(ids));
    }
    facts.not_checked.push(RECORDS);
    Ok(None)
}

/// What lies in `.kern` of a record that does not lie in it as a whole.
fn beginning(files: &ThreeFiles, offset: u64, size: u64) -> anyhow::Result<Vec<u8>> {
    let left = files.kern.len().saturating_sub(offset).min(size).min(limits::RECORD);
    let mut bytes = vec![0; usize::try_from(left)?];
    files.kern.read_exact_at(&mut bytes, offset.min(files.kern.len()))?;
    Ok(bytes)
}

/// The memory map; counts and identities only if it is to be read.
fn memory(
    files: &ThreeFiles,
    meta: &Meta,
    ids: Option<Vec<RecordId>>,
    read: Option<(Options, &Stop)>,
    facts: &mut Facts,
) -> anyhow::Result<()> {
    let layout = RamLayout::new(meta.vm.memsize);
    let segments = layout.segments().map(|s| Segment { gpa: s.gpa, len: s.len }).collect();
    let map = MemoryMap::new(segments).ok().filter(|map| map.size() == files.ram.len());
    let Some(map) = map else {
        facts.not_checked.push(UNUSABLE);
        return Ok(());
    };
    let mut counter = Counter::new(&map);
    let mut memory = facts::Memory::default();
    if let Some((told, stop)) = read {
        let root = hash(files, layout, &map, &mut counter, told, stop)?;
        let vm = Vm {
            arch: AMD64.to_owned(),
            name: meta.vm.name.clone(),
            ncpus: meta.vm.ncpus.into(),
            memflags: meta.vm.memflags,
            memory: map,
        };
        facts.memory_root = Some(root.to_string());
        facts.content = ids.map(|ids| content(&vm, &root, &ids).to_string());
    } else {
        facts.not_checked.push(RAM);
    }
    memory.segments = counter.finish(read.is_some(), false);
    for segment in &mut memory.segments {
        (segment.extents, segment.part_bytes) = (None, None);
    }
    let sum = |count: fn(&facts::Segment) -> Option<u64>| memory.segments.iter().map(count).sum();
    let data: Option<u64> = sum(|segment| segment.data_pages);
    let zero: Option<u64> = sum(|segment| segment.zero_pages);
    (memory.data_pages, memory.zero_pages) = (data, zero);
    facts.memory = Some(memory);
    Ok(())
}

/// The memory root of guest RAM. Holes are not read.
fn hash(
    files: &ThreeFiles,
    layout: RamLayout,
    map: &MemoryMap,
    counter: &mut Counter,
    told: Options,
    stop: &Stop,
) -> anyhow::Result<Digest> {
    let mode = told.of("inspect", &text::path(&files.base));
    let progress = Progress::new("hashing", Some(files.ram.len()), mode);
    let mut tree = RootBuilder::new(map.clone());
    let mut ranges = data_ranges(&files.ram, files.ram.len()).peekable();
    let mut done = 0;
    for segment in layout.segments() {
        let end = segment.offset.saturating_add(segment.len);
        let mut at = segment.offset;
        while at < end {
            stop.check()?;
            while ranges.next_if(|range| range.end <= at).is_some() {}
            let Some(range) = ranges.peek().filter(|range| range.start < end) else { break };
            // Blocks are aligned in the guest's space, and segments begin at multiples of 1 GiB.
            let data = range.start.max(at) - segment.offset;
            at = segment.offset.saturating_add(data - data % BLOCK);
            let len = BLOCK.min(end - at);
            let mut ram = vec![0; usize::try_from(len)?];
            files.ram.read_exact_at(&mut ram, at)?;
            ram.resize(usize::try_from(BLOCK)?, 0);
            if let Some(block) = Block::scan(segment.gpa + (at - segment.offset), &ram) {
                let root = block.root(map);
                counter.extent((block.gpa, block.size), (block.data.count() as u64, 0), 0);
                tree.block(block.gpa, block.size, root);
            }
            at = at.saturating_add(len);
            progress.add(at - done);
            done = at;
        }
    }
    progress.add(files.ram.len().saturating_sub(done));
    Ok(tree.finish())
}
