//! Parts whose digests match, and those of three files, which have none.

use std::io::Write as _;

use snapfmt::bhyve::RamLayout;
use snapfmt::layout::header::{self, Header};
use snapfmt::part::map::MapEntry;
use snapfmt::read::{Part, Quick, ReadError, Seeker, survey};

use super::what::What;
use crate::exit::{Trouble, report};
use crate::input::FileInput;
use crate::output::Output;
use crate::signal::Stop;
use crate::three::ThreeFiles;

/// Memory that is copied at once.
const STEP: u64 = 1 << 20;

/// Copies a part of a snapshot file. Says whether it is intact, and if not, what is wrong.
///
/// # Errors
/// A part that is not there, and trouble with files.
pub(super) fn of_file(
    file: &FileInput,
    what: &What,
    output: &mut Output,
    stop: &Stop,
) -> anyhow::Result<bool> {
    let found = match what {
        What::Memory(gpa, len) => match memory(file, (*gpa, *len), output, stop) {
            Ok(()) => return Ok(true),
            Err(error) => match error.downcast::<snapfmt::Error>() {
                Ok(error) => return Ok(damaged(file, &error)),
                Err(error) => return Err(error),
            },
        },
        What::Header => {
            let mut block = vec![0; header::LEN];
            file.read_exact_at(&mut block, 0)?;
            match Header::check(&block) {
                Ok(_) => Ok(Some(block)),
                Err(error) => Err(error),
            }
        }
        _ => wanted(file, what)?,
    };
    match found {
        Ok(Some(bytes)) => {
            output.write_all(&bytes)?;
            Ok(true)
        }
        Ok(None) => Err(absent(file, what)),
        Err(error) => Ok(damaged(file, &error)),
    }
}

fn absent(file: &FileInput, what: &What) -> anyhow::Error {
    Trouble::new(format!("there is no {what} in {}", file.name()))
        .hint("`snaptool inspect` shows what there is")
        .into()
}

fn damaged(file: &FileInput, error: &snapfmt::Error) -> bool {
    let trouble = Trouble::new(format!("{}: {error}", file.name()));
    report(&trouble.hint("--damaged copies what is there, as a claim").into());
    false
}

/// The bytes that a part is about.
fn bytes(part: Part, what: &What) -> Option<Vec<u8>> {
    match (part, what) {
        (Part::Meta(meta), What::Meta) => Some(meta.text),
        (Part::Config(config), What::Config) => Some(config.text),
        (Part::Record(record), what) if what.names(&record.id().section, &record.id().name) => {
            Some(record.into_bytes())
        }
        _ => None,
    }
}

type Wanted = Result<Option<Vec<u8>>, snapfmt::Error>;

/// Reads the parts that the index lists until the one is found; where the index is damaged, the
/// whole file. Other parts may be damaged.
fn wanted(file: &FileInput, what: &What) -> anyhow::Result<Wanted> {
    let seeker = match Seeker::open(file) {
        Ok(seeker) => seeker,
        Err(ReadError::Format(error)) => {
            let mut found = None;
            let look = survey(file, |_, _, part| found = found.take().or(bytes(part, what)));
            look.map_err(trouble)?;
            return Ok(found.map_or(Err(error), |found| Ok(Some(found))));
        }
        Err(error) => return Err(trouble(error)),
    };
    let listed = seeker.index().parts.iter().filter_map(|part| part.record.as_ref());
    let mut named = listed.filter(|id| what.names(&id.section, &id.name));
    if let Some(id) = named.next() {
        if let Some(other) = named.next() {
            return Err(Trouble::new(format!("there are {id} and {other}"))
                .hint("name the list, too")
                .into());
        }
        return match seeker.record(&id.section, &id.name) {
            Ok(record) => Ok(Ok(record.map(|record| record.into_bytes()))),
            Err(ReadError::Format(error)) => Ok(Err(error)),
            Err(error) => Err(trouble(error)),
        };
    }
    let mut found = None;
    let read = seeker.quick(|part| found = found.take().or(bytes(part, what)));
    match read {
        // It was checked by itself before it was given out.
        _ if found.is_some() => Ok(Ok(found)),
        Ok(_) => Ok(Ok(None)),
        Err(ReadError::Format(error)) => Ok(Err(error)),
        Err(error) => Err(trouble(error)),
    }
}

fn trouble(error: ReadError) -> anyhow::Error {
    match error {
        ReadError::Format(error) => error.into(),
        ReadError::Io { source, .. } => source.into(),
    }
}

/// Copies guest memory of a full file, extent by extent.
fn memory(
    file: &FileInput,
    (gpa, len): (u64, u64),
    output: &mut Output,
    stop: &Stop,
) -> anyhow::Result<()> {
    let seeker = Seeker::open(file).map_err(trouble)?;
    let quick = seeker.quick(|_| ()).map_err(trouble)?;
    let segments = quick.vm().memory.segments();
    let within = |s: &snapfmt::memory::map::Segment| {
        gpa.checked_sub(s.gpa).is_some_and(|at| at < s.len && len <= s.len - at)
    };
    if !segments.iter().any(within) {
        return Err(outside(gpa, len));
    }
    let end = gpa + len;
    let mut at = gpa;
    for table in seeker.tables(&quick) {
        for entry in table.map_err(trouble)?.entries {
            if entry.end() > at && entry.gpa < end {
                stop.check()?;
                at = zeros(at, entry.gpa.min(end), output)?;
                at = extent(&seeker, &quick, &entry, at..end, output)?;
            }
        }
    }
    zeros(at, end, output)?;
    Ok(())
}

fn outside(gpa: u64, len: u64) -> anyhow::Error {
    Trouble::new(format!("{gpa:#x} and {len:#x} bytes are not all in one segment of memory"))
        .hint("`snaptool inspect FILE memory` shows its segments")
        .into()
}

/// Writes zeros for what is stored nowhere, and gives where it ends.
fn zeros(at: u64, end: u64, output: &mut Output) -> anyhow::Result<u64> {
    let page = [0; snapfmt::limits::PAGE];
    let mut left = end.saturating_sub(at);
    while left > 0 {
        let len = left.min(page.len() as u64);
        output.write_all(page.get(..usize::try_from(len)?).unwrap_or_default())?;
        left -= len;
    }
    Ok(at.max(end))
}

/// Writes what a range has of an extent, and gives where that ends.
fn extent(
    seeker: &Seeker<&FileInput>,
    quick: &Quick,
    entry: &MapEntry,
    range: std::ops::Range<u64>,
    output: &mut Output,
) -> anyhow::Result<u64> {
    let extent = seeker.extent(quick, entry).map_err(trouble)?;
    let (mut at, end) = (range.start, range.end.min(entry.end()));
    for (gpa, page) in extent.block.iter() {
        let stop = gpa.saturating_add(page.len() as u64).min(end);
        if stop > at && gpa < end {
            at = zeros(at, gpa, output)?;
            let from = usize::try_from(at - gpa)?;
            let bytes = page.get(from..usize::try_from(stop - gpa)?);
            output.write_all(bytes.unwrap_or_default())?;
            at = stop;
        }
    }
    zeros(at, end, output)
}

/// Copies a part of three files.
///
/// # Errors
/// A part that is not there, and trouble with files.
pub(super) fn of_three(
    set: &ThreeFiles,
    what: &What,
    output: &mut Output,
    stop: &Stop,
) -> anyhow::Result<()> {
    let parsed = || set.meta.as_ref().ok_or_else(|| Trouble::new(".meta cannot be understood"));
    let absent = || Trouble::new(format!("three files have no {what}"));
    match what {
        What::Meta => output.write_all(&set.text)?,
        What::Header | What::Config => return Err(absent().into()),
        What::Record(..) => {
            let meta = parsed()?;
            let named = |r: &&snapfmt::bhyve::Record| what.names(meta.key(r.section), &r.name);
            let record = meta.records.iter().find(named);
            let hint = "`snaptool inspect` shows what there is";
            let record = record.ok_or_else(|| absent().hint(hint))?;
            output.write_all(&set.bytes(record)?)?;
        }
        What::Memory(gpa, len) => {
            let layout = RamLayout::new(parsed()?.vm.memsize);
            let last = layout.offset(gpa + (len - 1));
            let at = layout.offset(*gpa).filter(|at| last == Some(at + (len - 1)));
            let at = at.filter(|_| {
                layout.segments().any(|s| {
                    gpa.checked_sub(s.gpa).is_some_and(|from| from < s.len && *len <= s.len - from)
                })
            });
            let mut at = at.ok_or_else(|| outside(*gpa, *len))?;
            let mut left = *len;
            while left > 0 {
                stop.check()?;
                let mut piece = vec![0; usize::try_from(left.min(STEP))?];
                set.ram.read_exact_at(&mut piece, at)?;
                output.write_all(&piece)?;
                at += piece.len() as u64;
                left -= piece.len() as u64;
            }
        }
    }
    Ok(())
}
