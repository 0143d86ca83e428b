//! From parts that have matched their digests to facts, whichever reader gave them.

use snapfmt::bhyve::{self, disagreements};
use snapfmt::digest::Digest;
use snapfmt::error::Error;
use snapfmt::layout::header::{Header, Parent, VERSION};
use snapfmt::layout::kind::Kind;
use snapfmt::part::config::ConfigText;
use snapfmt::part::device::{Chooser, Record, Whole};
use snapfmt::part::extent::Head;
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::Vm;
use snapfmt::read::Part;

use super::facts::{self, Damage, Facts, Range};
use super::narrow::Narrow;
use super::segments::Counter;
use crate::text;

/// The most bytes of records that are kept to be shown: more than a file has that a writer wrote.
const KEPT: usize = 256 << 20;

/// Facts in the making.
pub(super) struct Collector<'a> {
    pub(super) facts: Facts,
    narrow: &'a Narrow,
    pub(super) counter: Option<Counter>,
    pub(super) memory: facts::Memory,
    meta: Option<bhyve::Meta>,
    config: Option<bhyve::Config>,
    /// Architecture and number of virtual CPUs.
    machine: Option<(String, u64)>,
    chooser: Option<Chooser>,
    kept: usize,
}

impl<'a> Collector<'a> {
    pub(super) fn new(input: &str, narrow: &'a Narrow) -> Self {
        Self {
            facts: Facts::new("snapshot", input),
            narrow,
            counter: None,
            memory: facts::Memory::default(),
            meta: None,
            config: None,
            machine: None,
            chooser: None,
            kept: 0,
        }
    }

    /// Takes a part of `length` bytes at offset `at`, and notes that the range is intact.
    pub(super) fn part(&mut self, at: u64, length: u64, part: Part) {
        let mut what = None;
        match part {
            Part::Header(header) => {
                what = Some("header block".to_owned());
                self.facts.header = Some(header_facts(header));
            }
            Part::Vm(vm) => {
                what = Some(Kind::Vm.to_string());
                self.vm(&vm);
            }
            Part::Meta(meta) => {
                what = Some(Kind::Meta.to_string());
                self.meta(meta);
            }
            Part::Config(config) => {
                what = Some(Kind::Config.to_string());
                self.config(config);
            }
            Part::Other(part) => {
                what = Some(part.kind().to_string());
                let number = part.kind().number();
                self.facts.optional.push(facts::Optional { number, offset: at, length });
            }
            Part::Record(record) => {
                what = Some(record_name(&record.id().section, &record.id().name));
                self.record(at, &record);
            }
            Part::Extent(extent) => {
                let (block, pages) = (&extent.block, extent.block.data.count() as u64);
                if let Some(counter) = &mut self.counter {
                    counter.extent((block.gpa, block.size), (pages, 0), length);
                }
                self.memory.verified_extents += 1;
                self.memory.verified_pages += pages;
            }
            Part::Delta(extent) => {
                let head = extent.head();
                let pages = head.data().count() as u64;
                let zero = head.zero().map_or(0, |zero| zero.count() as u64);
                if let Some(counter) = &mut self.counter {
                    counter.extent((head.gpa(), head.size()), (pages, zero), length);
                }
                self.differences(head);
                if extent.is_settled() {
                    self.memory.verified_extents += 1;
                    self.memory.verified_pages += pages;
                }
            }
            Part::Map(_) => {}
            Part::Index(_) => what = Some(Kind::Index.to_string()),
            _ => what = Some("part".to_owned()),
        }
        self.range(at, length, what, "intact");
    }

    /// Counts the pages that an extent of a delta stores as differences.
    pub(super) fn differences(&mut self, head: &Head) {
        let more = head.xor().map_or(0, |xor| xor.count() as u64);
        let count = self.memory.xor_pages.get_or_insert(0);
        *count = count.saturating_add(more);
    }

    /// Adds a range, joined with the one before if both are memory (`what` is nothing).
    pub(super) fn range(&mut self, at: u64, len: u64, what: Option<String>, status: &'static str) {
        let what = what.unwrap_or_else(|| MEMORY.to_owned());
        if let Some(last) = self.facts.layout.last_mut()
            && what == MEMORY
            && last.what == what
            && last.status == status
        {
            last.length = last.length.map(|length| length.saturating_add(len));
            return;
        }
        self.facts.layout.push(Range { offset: at, length: Some(len), what, status });
    }

    fn vm(&mut self, vm: &Vm) {
        self.counter = Some(Counter::new(&vm.memory));
        self.machine = Some((vm.arch.clone(), vm.ncpus));
        self.facts.vm = Some(facts::Vm {
            name: vm.name.clone(),
            ncpus: vm.ncpus,
            memsize: vm.memory.size(),
            memflags: vm.memflags,
        });
    }

    fn meta(&mut self, meta: MetaText) {
        self.meta = bhyve::Meta::parse(&meta.text).ok();
        if let (Some((arch, ncpus)), Some(meta)) = (&self.machine, &self.meta) {
            self.chooser = Some(Chooser::new(arch, *ncpus, Some(meta)));
        }
        self.facts.meta = Some(meta_facts(self.meta.as_ref(), &meta.text));
        self.facts.meta_text = Some(meta.text);
    }

    fn config(&mut self, config: ConfigText) {
        self.config = bhyve::Config::parse(&config.text).ok();
        self.facts.config = Some(facts::Config {
            kind: config.kind,
            size: config.text.len() as u64,
            sha256: Digest::of(&config.text).to_string(),
            settings: self.config.as_ref().map(settings),
            files: config
                .files
                .into_iter()
                .map(|file| facts::ConfigFile {
                    role: file.role,
                    path: file.path,
                    size: file.size,
                    sha256: file.sha256.map(|digest| digest.to_string()),
                })
                .collect(),
        });
        self.facts.config_text = Some(config.text);
    }

    fn record(&mut self, at: u64, record: &Record) {
        let id = record.id();
        let bytes = record.bytes();
        let kept = self.kept.saturating_add(bytes.len());
        if self.narrow.is_raw_of(&id.section, &id.name) && kept <= KEPT {
            self.kept = kept;
            let (section, name) = (id.section.clone(), id.name.clone());
            self.facts.raw.push(facts::Raw { section, name, bytes: bytes.to_vec() });
        } else if self.narrow.decodes(&id.section, &id.name) && kept <= KEPT {
            self.kept = kept;
            let (section, name) = (id.section.clone(), id.name.clone());
            self.facts.decoded.push(facts::Raw { section, name, bytes: bytes.to_vec() });
        }
        let layout = record.fields().map(|fields| facts::RecordLayout {
            name: fields.layout().to_owned(),
            version: fields.version(),
            known: fields.is_known(),
        });
        let chooser = self.chooser.as_ref().filter(|_| layout.is_none());
        let no_fields = chooser.map(|chooser| {
            let layout = chooser.layout(&id.section, &id.name, bytes);
            layout.map_or_else(|why| why, |_| Whole::Asked).to_string()
        });
        self.facts.records.push(facts::Record {
            stored_as: Some(if layout.is_some() { "fields" } else { "whole" }),
            layout,
            no_fields,
            section: id.section.clone(),
            name: id.name.clone(),
            offset: None,
            size: id.size,
            sha256: Some(id.sha256.to_string()),
            stored: Some(record.stored()),
            part_offset: Some(at),
            scanned: false,
        });
    }

    /// Notes something that is wrong, once.
    pub(super) fn damage(&mut self, error: &Error, lost: Option<(u64, u64)>) {
        let damage = Damage {
            section: error.section().to_string(),
            offset: error.at(),
            start: lost.map(|lost| lost.0),
            length: lost.map(|lost| lost.1),
            fault: error.fault().id(),
            message: text::one_line(&error.fault().to_string()),
            hint: error.fault().hint(),
        };
        let same = |one: &&mut Damage| {
            (&one.section, one.offset, one.fault) == (&damage.section, damage.offset, damage.fault)
        };
        match self.facts.damage.iter_mut().find(same) {
            Some(one) if one.length.is_none() => {
                (one.start, one.length) = (damage.start, damage.length);
            }
            Some(_) => {}
            None => self.facts.damage.push(damage),
        }
    }

    /// Ends the collection. `complete` says whether all extents were seen, or listed by MAP parts.
    pub(super) fn finish(mut self, complete: bool, findings: &[bhyve::Finding]) -> Facts {
        let delta = self.facts.header.as_ref().is_some_and(|header| header.parent.is_some());
        self.memory.segments = self.counter.map_or_else(Vec::new, |c| c.finish(complete, delta));
        self.facts.memory = (!self.memory.segments.is_empty()).then_some(self.memory);
        if let Some(meta) = &self.meta {
            for record in &mut self.facts.records {
                record.offset = meta
                    .records
                    .iter()
                    .find(|listed| {
                        meta.key(listed.section) == record.section
                            && listed.name == record.name
                            && listed.size == record.size
                    })
                    .map(|listed| listed.offset);
            }
            if let Some(config) = &self.config {
                self.facts.findings.extend(disagreements(config, meta).iter().map(finding));
            }
        }
        self.facts.findings.extend(findings.iter().map(finding));
        self.facts
    }
}

/// What runs of EXTENT and MAP parts are called.
pub(super) const MEMORY: &str = "memory";

pub(super) fn record_name(section: &str, name: &str) -> String {
    format!("{section}/{}", text::escape(name))
}

fn header_facts(header: Header) -> facts::Header {
    let Header { producer, uuid, vm_name, vm_uuid, created, parent, .. } = header;
    let (incompatible, compatible) = (header.incompatible, header.compatible);
    let parent = parent.map(parent_facts);
    facts::Header {
        version: VERSION,
        producer,
        uuid,
        vm_name,
        vm_uuid,
        created,
        parent,
        incompatible,
        compatible,
    }
}

pub(super) fn parent_facts(parent: Parent) -> facts::Parent {
    facts::Parent { content: parent.content.to_string(), uuid: parent.uuid }
}

pub(super) fn meta_facts(meta: Option<&bhyve::Meta>, text: &[u8]) -> facts::Meta {
    facts::Meta {
        generation: meta.map(|meta| match meta.generation {
            bhyve::Generation::A => 'A',
            bhyve::Generation::B => 'B',
        }),
        records: meta.map(|meta| meta.records.len() as u64),
        size: text.len() as u64,
        sha256: Digest::of(text).to_string(),
    }
}

pub(super) fn finding(finding: &bhyve::Finding) -> facts::Finding {
    facts::Finding {
        severity: finding.severity().to_string(),
        rule: finding.rule.id,
        place: finding.at.to_string(),
        message: finding.to_string(),
        advice: finding.advice(),
    }
}

fn settings(config: &bhyve::Config) -> facts::Settings {
    let disk = |disk: &bhyve::config::Disk| facts::Disk {
        slot: disk.slot.clone(),
        device: disk.device.clone(),
        path: disk.path.clone(),
    };
    facts::Settings {
        name: config.name.clone(),
        ncpus: config.ncpus,
        memsize: config.memsize,
        uuid: config.uuid.clone(),
        bootrom: config.bootrom.clone(),
        bootvars: config.bootvars.clone(),
        disks: config.disks.iter().map(disk).collect(),
    }
}
