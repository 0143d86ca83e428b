//! One input of a comparison: everything about it but its RAM, which is read later.

use snapfmt::Fault;
use snapfmt::bhyve::Meta;
use snapfmt::bhyve::set::RamLayout;
use snapfmt::digest::Digest;
use snapfmt::layout::header::Header;
use snapfmt::part::config::ConfigText;
use snapfmt::part::device::RecordId;
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::Vm;
use snapfmt::read::{Chain, ChainError, Part, ReadError};

use super::side::{Ram, Side, Stored, Wrong, damaged};
use crate::exit::Trouble;
use crate::input::FileInput;
use crate::links::Links;
use crate::progress::Progress;
use crate::signal::Stop;
use crate::text;
use crate::three::{self, ThreeFiles};
use crate::watch::Watched;
use crate::whole::Whole;

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
    Chain { links: &'a Links, chain: Box<Chain<Watched<'a>>>, wrong: Box<Wrong<'a>> },
    Three { set: &'a ThreeFiles, meta: &'a Meta },
}

impl<'a> State<'a> {
    /// Reads what can be read without RAM.
    ///
    /// # Errors
    /// Damage, and trouble with reading.
    pub(super) fn read(
        whole: &'a Whole,
        stop: &'a Stop,
        untold: &'a Progress,
    ) -> anyhow::Result<Self> {
        match whole {
            Whole::Chain(links) => Self::of_chain(links, stop, untold),
            Whole::Three(set) => Self::of_set(set, stop),
        }
    }

    fn of_chain(links: &'a Links, stop: &'a Stop, untold: &'a Progress) -> anyhow::Result<Self> {
        let wrong = |error: ChainError| incomparable(links, error);
        let (mut meta, mut config) = (None, None);
        let chain = links.chain(stop, untold, |link, part| match part {
            Part::Meta(text) if link == links.last() => meta = Some(text),
            Part::Config(text) if link == links.last() => config = Some(text),
            _ => {}
        });
        let chain = chain.map_err(wrong)?;
        let newest = chain.newest().seeker();
        let records = newest.index().parts.iter().filter_map(|part| part.record.clone()).collect();
        Ok(Self {
            input: links.name().to_owned(),
            kind: "snapshot",
            root: Some(newest.root()),
            content: Some(newest.index().content),
            header: Some(newest.header().clone()),
            vm: chain.vm().clone(),
            meta,
            config,
            records,
            from: From::Chain { links, chain: Box::new(chain), wrong: Box::new(wrong) },
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
        let vm = three::vm(meta).map_err(|fault| unusable(fault.to_string()))?;
        if vm.memory.size() != set.ram.len() {
            let why = "its RAM file has not the size that .meta says";
            return Err(unusable(why.to_owned()).into());
        }
        let mut records = Vec::new();
        for record in set.records() {
            stop.check()?;
            let bytes = set.bytes(record)?;
            records.push(RecordId::of(meta.key(record.section), &record.name, &bytes));
        }
        Ok(Self {
            input,
            kind: "three-file",
            root: None,
            content: None,
            header: None,
            vm,
            meta: Some(set.meta_text(meta)),
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
            From::Chain { chain, .. } => {
                let record = chain.newest().seeker().record(&id.section, &id.name);
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
            From::Chain { chain, wrong, .. } => Box::new(Stored::new(&**chain, &**wrong)),
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
            From::Chain { links, .. } => links.unchanged(),
            From::Three { set, .. } => set.unchanged(),
        }
    }
}

/// What is wrong with a chain, which keeps it from being compared.
fn incomparable(links: &Links, error: ChainError) -> anyhow::Error {
    match &error.error {
        ReadError::Format(wrong)
            if error.link > 0 && matches!(wrong.fault(), Fault::Disagree { .. }) =>
        {
            links.wrong(error)
        }
        _ => damaged(links.files().get(error.link).map_or("", FileInput::name), error.error),
    }
}
