//! One input of a comparison: everything about it but its RAM, which is read later.

use snapfmt::bhyve::set::RamLayout;
use snapfmt::bhyve::{Generation, Meta};
use snapfmt::digest::Digest;
use snapfmt::layout::header::Header;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::config::ConfigText;
use snapfmt::part::device::RecordId;
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::read::{Part, Quick, Seeker};

use super::side::{Ram, Side, Stored, damaged};
use crate::exit::Trouble;
use crate::input::FileInput;
use crate::signal::Stop;
use crate::source::Source;
use crate::text;
use crate::three::ThreeFiles;

/// What is known of one input.
pub(super) struct State<'a> {
    pub(super) input: String,
    pub(super) kind: &'static str,
    pub(super) root: Option<Digest>,
    pub(super) content: Option<Digest>,
    pub(super) header: Option<Header>,
    pub(super) vm: Vm,
    /// Where the state came as three files.
    pub(super) meta: Option<MetaText>,
    pub(super) config: Option<ConfigText>,
    pub(super) records: Vec<RecordId>,
    from: From<'a>,
}

enum From<'a> {
    File { file: &'a FileInput, seeker: Box<Seeker<&'a FileInput>>, quick: Box<Quick> },
    Three { set: &'a ThreeFiles, meta: &'a Meta },
}

impl<'a> State<'a> {
    /// Reads what can be read without RAM.
    ///
    /// # Errors
    /// A pipe, damage, and trouble with reading.
    pub(super) fn read(source: &'a Source, stop: &Stop) -> anyhow::Result<Self> {
        match source {
            Source::File(file) => Self::of_file(file),
            Source::ThreeFiles(set) => Self::of_set(set, stop),
            Source::Stream(_) => {
                let why = "a pipe cannot be compared: it can be read only once, front to back";
                let hint = "save the snapshot to a file first";
                Err(Trouble::new(why).hint(hint).into())
            }
        }
    }

    fn of_file(file: &'a FileInput) -> anyhow::Result<Self> {
        let wrong = |error| damaged(file.name(), error);
        let seeker = Seeker::open(file).map_err(wrong)?;
        let (mut meta, mut config) = (None, None);
        let quick = seeker.quick(|part| match part {
            Part::Meta(text) => meta = Some(text),
            Part::Config(text) => config = Some(text),
            _ => {}
        });
        let quick = quick.map_err(wrong)?;
        let records = seeker.index().parts.iter().filter_map(|part| part.record.clone()).collect();
        Ok(Self {
            input: file.name().to_owned(),
            kind: "snapshot",
            root: Some(seeker.root()),
            content: Some(seeker.index().content),
            header: Some(seeker.header().clone()),
            vm: quick.vm().clone(),
            meta,
            config,
            records,
            from: From::File { file, seeker: Box::new(seeker), quick: Box::new(quick) },
        })
    }

    /// Nothing vouches for three files but the structure rules, so they have to hold.
    fn of_set(set: &'a ThreeFiles, stop: &Stop) -> anyhow::Result<Self> {
        let input = text::path(&set.base);
        let unusable = |why: String| {
            let trouble = Trouble::new(format!("{input} cannot be compared: {why}"));
            trouble.hint("`snaptool verify` says all that is wrong with it")
        };
        if let Some(finding) = set.refusals().next() {
            return Err(unusable(finding.to_string()).into());
        }
        let Some(meta) = &set.meta else {
            return Err(unusable(".meta cannot be read".to_owned()).into());
        };
        let segments = RamLayout::new(meta.vm.memsize).segments();
        let segments = segments.map(|s| Segment { gpa: s.gpa, len: s.len }).collect();
        let memory = MemoryMap::new(segments).map_err(|fault| unusable(fault.to_string()))?;
        if memory.size() != set.ram.len() {
            let why = "its RAM file has not the size that .meta says";
            return Err(unusable(why.to_owned()).into());
        }
        let mut records = Vec::new();
        for record in set.records() {
            stop.check()?;
            let bytes = set.bytes(record)?;
            records.push(RecordId::of(meta.key(record.section), &record.name, &bytes));
        }
        let vm = Vm {
            arch: AMD64.to_owned(),
            name: meta.vm.name.clone(),
            ncpus: meta.vm.ncpus.into(),
            memflags: meta.vm.memflags,
            memory,
        };
        let generation = if meta.generation == Generation::A { 'A' } else { 'B' };
        Ok(Self {
            input,
            kind: "three-file",
            root: None,
            content: None,
            header: None,
            vm,
            meta: Some(MetaText { generation, text: set.text.clone() }),
            config: None,
            records,
            from: From::Three { set, meta },
        })
    }

    /// The bytes of one of its records.
    ///
    /// # Errors
    /// Damage, and trouble with reading; also if they are no longer those that were there before.
    pub(super) fn record(&self, id: &RecordId) -> anyhow::Result<Vec<u8>> {
        let gone =
            || Trouble::new(format!("{}: record {id} changed while it was read", self.input));
        match &self.from {
            From::File { seeker, .. } => {
                let record = seeker.record(&id.section, &id.name);
                let record = record.map_err(|error| damaged(&self.input, error))?;
                Ok(record.ok_or_else(gone)?.bytes().to_vec())
            }
            From::Three { set, meta } => {
                let named = |record: &&snapfmt::bhyve::Record| {
                    meta.key(record.section) == id.section && record.name == id.name
                };
                let record = meta.records.iter().find(named).ok_or_else(gone)?;
                let bytes = set.bytes(record)?;
                if Digest::of(&bytes) != id.sha256 {
                    return Err(gone().into());
                }
                Ok(bytes)
            }
        }
    }

    /// Its RAM.
    ///
    /// # Errors
    /// Trouble with a RAM file.
    pub(super) fn ram(&self) -> anyhow::Result<Box<dyn Side + '_>> {
        Ok(match &self.from {
            From::File { seeker, quick, .. } => Box::new(Stored::new(&self.input, seeker, quick)),
            From::Three { set, meta } => {
                let layout = RamLayout::new(meta.vm.memsize);
                Box::new(Ram::new(set, layout, self.vm.memory.clone())?)
            }
        })
    }

    /// Asks, after all was read, whether the input is as it was.
    ///
    /// # Errors
    /// If it changed.
    pub(super) fn unchanged(&self) -> anyhow::Result<()> {
        match &self.from {
            From::File { file, .. } => file.unchanged(),
            From::Three { set, .. } => set.unchanged(),
        }
    }
}
