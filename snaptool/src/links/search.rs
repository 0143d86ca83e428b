//! Finds the parents of a delta (§13.6): by the `content` of what lies in some folders, whatever
//! its name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use snapfmt::Digest;
use snapfmt::layout::header;
use snapfmt::read::Seeker;
use snapfmt::read::chain::{Candidate, NoChain, order};

use super::open;
use crate::exit::{Hint as _, Trouble, line};
use crate::input::FileInput;
use crate::node::{Identity, identity};
use crate::signal::Stop;
use crate::{source, text};

/// Files that could not be read are told of, up to so many.
const TOLD: usize = 3;

/// A snapshot file that may be a parent.
struct Found {
    path: PathBuf,
    candidate: Candidate,
    parent_uuid: Option<String>,
}

/// The chain of `newest`, the full file first.
pub(super) fn chain(
    newest: FileInput,
    places: &[PathBuf],
    stop: &Stop,
) -> anyhow::Result<Vec<FileInput>> {
    let own = match Seeker::open(&newest) {
        Ok(seeker) => seen(&seeker, PathBuf::new()),
        // It is opened once more, and what is wrong is said then.
        Err(_) => return Ok(vec![newest]),
    };
    if own.candidate.parent.is_none() {
        return Ok(vec![newest]);
    }
    if places.is_empty() {
        return Err(alone(newest.name()));
    }
    let (mut found, mut unusable) = (vec![own], Vec::new());
    let mut looked_at = vec![newest.identity()];
    for path in listed(places)? {
        stop.check()?;
        match look(&path, &mut looked_at, stop) {
            Ok(candidate) => found.extend(candidate),
            Err(error) => unusable.push(line(&error)),
        }
    }
    stop.check()?;
    let candidates: Vec<_> = found.iter().map(|found| found.candidate).collect();
    let links = order(&candidates, 0).map_err(|why| missing(&why, &newest, &found, &unusable))?;
    let mut files = Vec::new();
    for path in links.iter().filter(|&&link| link != 0).filter_map(|&link| found.get(link)) {
        files.push(open(&path.path, stop)?);
    }
    files.push(newest);
    Ok(files)
}

/// What to do with a delta that came without its parents.
fn alone(name: &str) -> anyhow::Error {
    Trouble::new(format!("{name} is a delta: it holds only what changed since its parent"))
        .hint("name the folder in which its parents are, with --chain")
        .into()
}

/// The files that were named, and those in the folders that were, by name.
fn listed(places: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for place in places {
        if !place.is_dir() {
            paths.push(place.clone());
            continue;
        }
        let names = fs::read_dir(place).and_then(|entries| {
            let paths = entries.map(|entry| entry.map(|entry| entry.path()));
            paths.collect::<io::Result<Vec<_>>>()
        });
        let words = || format!("cannot list the folder {}", text::path(place));
        let mut names = names.map_err(|error| Trouble::new(words()).because(error))?;
        names.retain(|path| path.is_file());
        names.sort();
        paths.extend(names);
    }
    Ok(paths)
}

/// What a file is the state of; nothing if it is no snapshot file, or was looked at before.
fn look(path: &Path, before: &mut Vec<Identity>, stop: &Stop) -> anyhow::Result<Option<Found>> {
    let data = fs::metadata(path);
    if data.as_ref().is_ok_and(|data| before.contains(&identity(data))) {
        return Ok(None);
    }
    let file = open(path, stop).hint("--chain takes folders and files")?;
    before.push(file.identity());
    let mut magic = [0; header::MAGIC.len()];
    if file.len() < magic.len() as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut magic, 0)?;
    if &magic != header::MAGIC {
        return Ok(None);
    }
    match Seeker::open(&file) {
        Ok(seeker) => Ok(Some(seen(&seeker, path.to_owned()))),
        Err(snapfmt::read::ReadError::Format(error)) => {
            Err(anyhow::anyhow!("{}: {}", file.name(), source::words(&error)))
        }
        Err(snapfmt::read::ReadError::Io { source, .. }) => Err(source.into()),
    }
}

fn seen(seeker: &Seeker<&FileInput>, path: PathBuf) -> Found {
    let parent = seeker.header().parent.as_ref();
    let candidate =
        Candidate { content: seeker.index().content, parent: parent.map(|parent| parent.content) };
    Found { path, candidate, parent_uuid: parent.and_then(|parent| parent.uuid.clone()) }
}

/// Why there is no chain, with all that may help to find one.
fn missing(
    why: &NoChain,
    newest: &FileInput,
    found: &[Found],
    unusable: &[String],
) -> anyhow::Error {
    let trouble = match why {
        NoChain::Missing { content, of } => lacking(*content, *of, newest, found),
        NoChain::Endless(_) => Trouble::new(format!(
            "the parents of {} come back to where they began, or go on for too long: no full file \
             is among them",
            newest.name()
        ))
        .hint("name another folder, in which the full file of the chain is"),
    };
    let told = unusable.iter().take(TOLD);
    let told = told.map(|words| format!("it may be this file, which cannot be used: {words}"));
    told.fold(trouble, Trouble::hint).into()
}

fn lacking(content: Digest, of: usize, newest: &FileInput, found: &[Found]) -> Trouble {
    let child = found.get(of);
    let name = match child {
        Some(child) if of > 0 => text::path(&child.path),
        _ => newest.name().to_owned(),
    };
    let trouble = Trouble::new(format!(
        "the parent of {name} is missing: no file that was named has the content {content}"
    ));
    match child.and_then(|child| child.parent_uuid.as_ref()) {
        Some(uuid) => trouble.hint(format!("it was the file with the UUID {}", text::escape(uuid))),
        None => trouble.hint("name the folder in which it is, with --chain"),
    }
}
