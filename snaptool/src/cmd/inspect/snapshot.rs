//! The facts of a snapshot file: by seeking where that is possible, from front to back in a pipe,
//! and by a survey where something is damaged.

use std::cell::Cell;
use std::convert::Infallible;
use std::io::{self, Read};

use snapfmt::error::Error;
use snapfmt::layout::kind::Kind;
use snapfmt::layout::{frame, header, trailer};
use snapfmt::part::index::Index;
use snapfmt::read::claim::{HeaderFacts, IndexFacts, PartFacts};
use snapfmt::read::survey::{Run, Span, Survey, What};
use snapfmt::read::{Part, ReadAt as _, ReadError, Seeker, StreamError, read_all, survey};

use super::collect::{Collector, MEMORY, parent_facts};
use super::facts::{self, Facts, Range};
use super::narrow::Narrow;
use crate::input::{FileInput, StreamInput};
use crate::progress::{Options, Progress};
use crate::signal::Stop;
use crate::watch::Watched;

/// What a map check leaves out.
const EXTENTS: &str = "the bytes of memory extents; `snaptool verify` and --full read them";
/// What a delta alone leaves open.
pub(super) const STATE: &str = "the state of a delta: memory_root, and pages that are stored as \
                                differences; --chain finds its parents";
/// What damage leaves unknown.
const WHOLE: &str = "whether the parts agree with each other, the structure rules, the identities";
const BEHIND: &str = "everything behind the damage: the input could be read only once";
const NO_VM: &str = "the pages of memory: the VM part with the memory map is damaged";
const UNKNOWN: &str = "everything behind the header block: its layout is not known";

/// A file under watch, from front to back.
struct FrontToBack<'a> {
    watched: &'a Watched<'a>,
    at: Cell<u64>,
}

impl Read for FrontToBack<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.watched.stop.check().map_err(io::Error::other)?;
        let count = self.watched.file.read_at(buf, self.at.get())?;
        self.watched.progress.add(count as u64);
        self.at.set(self.at.get().saturating_add(count as u64));
        Ok(count)
    }
}

/// Inspects a file that can be sought; all of it if `full`.
pub(super) fn file(
    file: &FileInput,
    narrow: &Narrow,
    full: bool,
    told: Options,
    stop: &Stop,
) -> anyhow::Result<Facts> {
    let mode = told.of("inspect", file.name());
    let progress = Progress::new("reading", full.then_some(file.len()), mode);
    let watched = Watched { file, stop, progress: &progress };
    let collector = Collector::new(file.name(), narrow);
    let wrong = if full {
        let (facts, error) =
            stream(FrontToBack { watched: &watched, at: Cell::new(0) }, collector)?;
        error.ok_or(facts)
    } else {
        match seek(&watched, collector) {
            Ok(facts) => Err(facts),
            Err(ReadError::Format(error)) => Ok(error),
            Err(error) => return Err(error.into()),
        }
    };
    let facts = match wrong {
        Err(facts) => facts,
        Ok(error) => damaged(&watched, &error, Collector::new(file.name(), narrow))?,
    };
    file.unchanged()?;
    Ok(facts)
}

/// Inspects a pipe.
pub(super) fn pipe(
    input: StreamInput,
    name: &str,
    narrow: &Narrow,
    told: Options,
) -> anyhow::Result<Facts> {
    let progress = Progress::new("reading", None, told.of("inspect", name));
    Ok(stream(progress.reading(input), Collector::new(name, narrow))?.0)
}

/// All but the bytes of memory; independent of how much of that there is.
fn seek(source: &Watched<'_>, mut collector: Collector<'_>) -> Result<Facts, ReadError> {
    let seeker = Seeker::open(source)?;
    collector.part(0, header::LEN as u64, Part::Header(seeker.header().clone()));
    let mut places = seeker.index().parts.iter().map(|part| (part.offset, part.length));
    let quick = seeker.quick(|part| {
        let (at, length) = places.next().unwrap_or_default();
        collector.part(at, length, part);
    })?;
    let (mut from, mut to) = (u64::MAX, 0);
    let is_delta = seeker.header().parent.is_some();
    for table in seeker.tables(&quick) {
        for entry in &table?.entries {
            from = from.min(entry.offset);
            if let Some(counter) = &mut collector.counter {
                let pages = (entry.data_pages.into(), entry.zero_pages.into());
                counter.extent((entry.gpa, entry.size.into()), pages, entry.length);
            }
            if is_delta {
                collector.differences(&seeker.head(&quick, entry)?);
            }
        }
    }
    let index = seeker.index();
    if let Some(last) = index.maps.last() {
        to = last.offset.saturating_add(last.length);
        collector.range(from, to.saturating_sub(from), None, "not-read");
    }
    let ending = seeker.size().saturating_sub(trailer::LEN as u64);
    // Optional parts may come after memory.
    collector.facts.layout.sort_by_key(|range| range.offset);
    let index_at = end_of_parts(index).max(to);
    let len = ending.saturating_sub(index_at);
    collector.range(index_at, len, Some(Kind::Index.to_string()), "intact");
    identities(&mut collector, seeker.root().to_string(), index, seeker.size());
    collector.facts.checked = "map";
    collector.facts.not_checked = vec![EXTENTS];
    collector.facts.not_checked.extend(is_delta.then_some(STATE));
    collector.facts.intact = true;
    Ok(collector.finish(true, quick.findings()))
}

fn end_of_parts(index: &Index) -> u64 {
    index.parts.last().map_or(0, |part| part.offset.saturating_add(part.length))
}

/// What only an index says in which nothing was found wrong; and the trailer behind it.
fn identities(collector: &mut Collector<'_>, root: String, index: &Index, size: u64) {
    let len = trailer::LEN as u64;
    collector.range(size.saturating_sub(len), len, Some("trailer".to_owned()), "intact");
    let facts = &mut collector.facts;
    facts.size = Some(size);
    facts.root = Some(root);
    facts.content = Some(index.content.to_string());
    facts.memory_root = Some(index.memory_root.to_string());
    let totals = &index.totals;
    collector.memory.data_pages = Some(totals.pages_data);
    collector.memory.zero_pages = Some(totals.pages_zero);
    collector.memory.inherited_pages = index.delta.map(|delta| delta.pages_inherited);
    if index.delta.is_some() {
        collector.memory.xor_pages.get_or_insert(0);
    }
    collector.memory.extents = Some(totals.extents);
    collector.memory.stored_bytes = Some(totals.stored);
}

/// A reader that remembers the header block.
struct Remembering<R> {
    input: R,
    start: Vec<u8>,
}

impl<R: Read> Read for Remembering<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buf)?;
        let left = header::LEN.saturating_sub(self.start.len());
        self.start.extend(buf.iter().take(count.min(left)));
        Ok(count)
    }
}

/// Every byte, once. Gives what was found before an error, and the error.
fn stream(
    input: impl Read,
    mut collector: Collector<'_>,
) -> anyhow::Result<(Facts, Option<Error>)> {
    let mut at = 0;
    let mut input = Remembering { input, start: Vec::new() };
    let result = read_all(&mut input, |part, end| {
        collector.part(at, end.saturating_sub(at), part);
        at = end;
        Ok::<(), Infallible>(())
    });
    match result {
        Ok(verified) => {
            let root = verified.root().to_string();
            identities(&mut collector, root, verified.index(), verified.size());
            collector.facts.checked = "full";
            collector.facts.not_checked.extend(verified.unsettled().map(|_| STATE));
            collector.facts.intact = true;
            Ok((collector.finish(true, verified.findings()), None))
        }
        Err(StreamError::Format(error)) => {
            collector.damage(&error, None);
            let what = short(&error.section().to_string());
            collector.facts.layout.push(Range {
                offset: at,
                length: None,
                what,
                status: "damaged",
            });
            collector.facts.checked = "stream";
            collector.facts.not_checked = vec![BEHIND, WHOLE];
            if collector.facts.header.is_none() {
                // Whatever is wrong with it, a header block says who wrote it.
                let start = survey(input.start.as_slice(), |_, _, _| {})?;
                let claim = start.header.as_ref().map(|claim| claimed_header(claim.show()));
                collector.facts.claims.header = claim;
            }
            Ok((collector.finish(false, &[]), Some(error)))
        }
        Err(StreamError::Io { source, .. }) => Err(source.into()),
        Err(StreamError::Taker(never)) => match never {},
    }
}

/// Surveys a file in which `first` was found wrong.
fn damaged(
    source: &Watched<'_>,
    first: &Error,
    mut collector: Collector<'_>,
) -> anyhow::Result<Facts> {
    let survey = survey(source, |at, length, part| collector.part(at, length, part))?;
    collector.facts.layout.clear();
    collector.facts.size = Some(source.size());
    collector.facts.checked = "survey";
    account(&mut collector, &survey);
    // Often the survey has said it better; what it cannot find is parts that disagree.
    let section = first.section().to_string();
    if collector.facts.damage.iter().all(|damage| damage.section != section) {
        collector.damage(first, None);
    }
    Ok(collector.finish(false, &[]))
}

fn account(collector: &mut Collector<'_>, survey: &Survey) {
    let mut not_checked = vec![WHOLE];
    for span in &survey.spans {
        range(collector, span);
        match &span.what {
            What::Damaged { error, claim } => {
                collector.damage(error, Some((span.at, span.len)));
                let claim = claim.as_ref().map(|claim| part_facts(span.at, claim.show()));
                collector.facts.claims.parts.extend(claim);
            }
            What::Memory(run) if !run.checked && run.extents > 0 => not_checked.push(NO_VM),
            What::Unread => not_checked.push(UNKNOWN),
            What::Part { scanned: true, .. } => {
                let found = |record: &&mut facts::Record| record.part_offset == Some(span.at);
                if let Some(record) = collector.facts.records.iter_mut().find(found) {
                    record.scanned = true;
                }
            }
            _ => {}
        }
    }
    not_checked.dedup();
    collector.facts.not_checked = not_checked;
    let claims = &mut collector.facts.claims;
    claims.header = survey.header.as_ref().map(|claim| claimed_header(claim.show()));
    claims.index = survey.index.as_ref().map(|claim| index_facts(claim.show()));
}

/// One line of the account of the file's bytes.
fn range(collector: &mut Collector<'_>, span: &Span) {
    let (what, status) = match &span.what {
        What::Header => ("header block".to_owned(), "intact"),
        What::Part { section, scanned } => {
            let found = if *scanned { ", found by searching" } else { "" };
            (format!("{}{found}", short(&section.to_string())), "intact")
        }
        What::Memory(run) => (run_name(run), if run.checked { "intact" } else { "not-checked" }),
        What::Damaged { error, .. } => (short(&error.section().to_string()), "damaged"),
        What::Unread => ("of unknown layout".to_owned(), "not-read"),
        What::Trailer => ("trailer".to_owned(), "intact"),
        What::Rest { intact, damaged, ranges } => {
            let what = format!("{intact} intact bytes, {damaged} damaged in {ranges} ranges");
            (what, "damaged")
        }
    };
    collector.facts.layout.push(Range { offset: span.at, length: Some(span.len), what, status });
}

/// The names of the layout are those of the other readers.
fn short(section: &str) -> String {
    let name = section.strip_prefix("device record ").unwrap_or(section);
    name.strip_suffix(" part").unwrap_or(name).to_owned()
}

fn run_name(run: &Run) -> String {
    let found = if run.scanned { ", found by searching" } else { "" };
    match run.gpa {
        Some((first, last)) => {
            format!("{MEMORY}: {} extents, {first:#x} to {last:#x}{found}", run.extents)
        }
        None => format!("{MEMORY}: {} MAP parts{found}", run.maps),
    }
}

fn part_facts(offset: u64, claim: &PartFacts) -> facts::Part {
    let PartFacts { kind, label, length } = claim.clone();
    facts::Part { offset, length: length.max(frame::LEN as u64), kind, label }
}

fn claimed_header(claim: &HeaderFacts) -> facts::Header {
    let HeaderFacts {
        producer,
        uuid,
        vm_name,
        vm_uuid,
        created,
        incompatible,
        compatible,
        version,
        parent,
        ..
    } = claim.clone();
    let parent = parent.map(parent_facts);
    facts::Header {
        version,
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

fn index_facts(claim: &IndexFacts) -> facts::Index {
    facts::Index {
        root: claim.root.clone(),
        content: claim.content.clone(),
        memory_root: claim.memory_root.clone(),
        data_pages: claim.data_pages,
        zero_pages: claim.zero_pages,
        extents: claim.extents,
        stored_bytes: claim.stored,
    }
}
