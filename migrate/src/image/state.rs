//! Device state that arrived: held against itself, against all rules, and only then written.
//!
//! Knows parts and rules. What may start the VM is a [`DeviceState`], and only the gate makes one.

use snapfmt::bhyve::{Meta, Record as Entry};
use snapfmt::layout::kind::Kind;
use snapfmt::part::Intact;
use snapfmt::part::config::ConfigText;
use snapfmt::part::device::{Record, RecordId};
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::Vm;
use snapfmt::state::gate::{DeviceState, Judged, Policy, Standing};
use snapfmt::state::rules::{GuestRam, HostFacts};
use snaptool::three;

use crate::core::{Code, hinted, trouble};
use crate::stream::message::Trouble;

/// Bytes of all parts of one state (§12).
const MOST: u64 = 1 << 30;
/// Findings that are told to the peer, which has no room for any number.
const TOLD: usize = 64;

/// Parts of a state on their way.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    meta: Option<MetaText>,
    config: Option<ConfigText>,
    records: Vec<Record>,
    bytes: u64,
}

/// A state whose parts agree, and which no rule failed without a look at memory.
#[derive(Debug)]
pub(super) struct Kept {
    text: Vec<u8>,
    meta: Meta,
    records: Vec<Record>,
    pub(super) config: Option<ConfigText>,
}

fn bad(words: impl Into<String>) -> Trouble {
    trouble(Code::State, words)
}

impl Gathered {
    /// Takes one part, whose digests have matched.
    pub(super) fn take(&mut self, part: Intact) -> Result<(), Trouble> {
        let wrong = |error: snapfmt::Error| trouble(Code::Item, error.to_string());
        self.bytes = self.bytes.saturating_add(part.length());
        if self.bytes > MOST {
            return Err(bad("the parts of the state are longer than all records of a VM can be"));
        }
        match part.kind() {
            Kind::Meta if self.meta.is_none() => {
                self.meta = Some(MetaText::open(&part).map_err(wrong)?);
            }
            Kind::Config if self.config.is_none() => {
                self.config = Some(ConfigText::open(&part).map_err(wrong)?);
            }
            Kind::Device => self.records.push(Record::open(part).map_err(wrong)?),
            Kind::Other(_) => {}
            kind => return Err(bad(format!("a second {kind} part, or one that is no state"))),
        }
        Ok(())
    }

    /// All of it is here. Gives what is kept, and what rules warn of.
    pub(super) fn finish(
        self,
        vm: &Vm,
        host: Option<&HostFacts>,
        policy: &Policy,
    ) -> Result<(Kept, Vec<String>), Trouble> {
        let Self { meta, config, records, .. } = self;
        let text = meta.ok_or_else(|| {
            let words = "the state has no .meta: it was never bhyve's three files";
            let hint = "bhyve restores from three files; `snaptool inspect` shows what there is";
            hinted(Code::State, words, hint)
        })?;
        let meta = Meta::parse(&text.text).map_err(|error| bad(format!(".meta: {error}")))?;
        let own = three::vm(&meta).map_err(|fault| bad(format!(".meta: {fault}")))?;
        if own != *vm {
            return Err(bad(".meta tells of another machine than the VM part"));
        }
        let listed = meta.in_order();
        let fits = |(entry, record): (&&Entry, &Record)| {
            let id = record.id();
            let section = meta.key(entry.section) == id.section;
            section && entry.name == id.name && entry.size == id.size
        };
        if listed.len() != records.len() || !listed.iter().zip(&records).all(fits) {
            return Err(bad(".meta lists other records than those that came"));
        }
        let kept = Kept { text: text.text, meta, records, config };
        let warnings = refused(kept.judge(None, vm, host)?, policy)?.1;
        Ok((kept, warnings))
    }
}

impl Kept {
    pub(super) fn ids(&self) -> Vec<RecordId> {
        self.records.iter().map(|record| record.id().clone()).collect()
    }

    fn judge(
        &self,
        ram: Option<&dyn GuestRam>,
        vm: &Vm,
        host: Option<&HostFacts>,
    ) -> Result<Judged, Trouble> {
        let kern = self.records.iter().map(|record| record.id().size).sum();
        let bytes = |entry: &Entry| {
            let section = self.meta.key(entry.section);
            let named =
                |record: &&Record| record.id().section == section && record.id().name == entry.name;
            self.records.iter().find(named).map(|record| record.bytes().to_vec())
        };
        let judged = Judged::of_files(&self.text, (kern, vm.memory.size()), bytes, ram, host);
        judged.map_err(|error| bad(format!(".meta: {error}")))
    }

    /// What may be restored: held against all rules, with memory at hand.
    pub(super) fn clear(
        &self,
        ram: &dyn GuestRam,
        vm: &Vm,
        host: Option<&HostFacts>,
        policy: &Policy,
    ) -> Result<DeviceState, Trouble> {
        let judged = self.judge(Some(ram), vm, host)?;
        refused(judged, policy).map(|(state, _)| state)
    }
}

/// The state, if the policy lets it pass, and what it warns of.
pub(super) fn refused(
    judged: Judged,
    policy: &Policy,
) -> Result<(DeviceState, Vec<String>), Trouble> {
    let judgement = judged.judgement();
    let (mut fails, mut warns) = (Vec::new(), Vec::new());
    for finding in &judgement.structure {
        let fail = finding.severity() == snapfmt::bhyve::Severity::Refuse || policy.strict;
        if fail { &mut fails } else { &mut warns }.push(finding.to_string());
    }
    for finding in &judgement.state.findings {
        let line = format!("{finding} [{}]", finding.rule.id);
        match policy.standing(finding) {
            Standing::Fails => fails.push(line),
            Standing::Warns => warns.push(line),
            Standing::Accepted => warns.push(format!("accepted: {line}")),
        }
    }
    warns.extend(judgement.unknown.iter().map(ToString::to_string));
    let hint = "`snaptool verify` says what each means; `--accept RULE@RECORD` at the target takes \
                responsibility where that is possible";
    judged.clear(policy).map(|state| (state, shorten(warns))).map_err(|_| {
        let words = "the state breaks rules of what a host survives";
        Trouble { lines: shorten(fails), ..hinted(Code::State, words, hint) }
    })
}

fn shorten(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(TOLD);
    lines.truncate(TOLD);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}
