//! A snapshot that an earlier process made whole, checked again: what is handed to what starts the
//! VM passed every check in this very process (§7.3).

use std::io::Read as _;
use std::path::Path;

use snapfmt::Digest;
use snapfmt::bhyve::{Meta, RamLayout, limits};
use snapfmt::content::content;
use snapfmt::part::device::RecordId;
use snapfmt::state::gate::Judged;
use snaptool::three;

use super::dir::{Dir, cannot};
use super::ram::Ram;
use super::{Options, held, state};
use crate::core::{Code, hinted, trouble};
use crate::regular;
use crate::stream::message::Trouble;

/// Reads all of the snapshot in `dir`, and sees whether it is of this content and may be started.
///
/// # Errors
/// `content` if it is another state, or damaged; `state` if a rule fails it; trouble with reading.
pub fn verify(dir: &Dir, expected: Digest, options: &Options) -> Result<(), Trouble> {
    let damaged = |what: &str| {
        let hint = "its files changed since they were made durable: look for a failing disk";
        hinted(Code::Content, format!("{}: {what}", dir.path().display()), hint)
    };
    let meta_at = if dir.has(&dir.held())? { dir.held() } else { dir.meta() };
    for path in [&meta_at, &dir.kern(), &dir.ram()] {
        let name = path.file_name().unwrap_or_default().display();
        match regular::look(path).map_err(|error| cannot("look at", path, &error))? {
            None => return Err(damaged(&format!("{name} is not there"))),
            Some(data) if data.is_file() => {}
            Some(_) => return Err(damaged(&format!("{name} is no regular file"))),
        }
    }
    let text = read(&meta_at, limits::TEXT as u64)?;
    let meta = Meta::parse(&text).map_err(|error| damaged(&error.to_string()))?;
    let vm = three::vm(&meta).map_err(|fault| damaged(&fault.to_string()))?;
    let kern = read(&dir.kern(), snapfmt::limits::RECORDS_TOTAL)?;
    let bytes = |entry: &snapfmt::bhyve::Record| {
        let from = usize::try_from(entry.offset).ok()?;
        let len = usize::try_from(entry.size).ok()?;
        kern.get(from..from.checked_add(len)?)
    };
    let ids = meta
        .in_order()
        .into_iter()
        .map(|entry| Some(RecordId::of(meta.key(entry.section), &entry.name, bytes(entry)?)));
    let ids: Option<Vec<_>> = ids.collect();
    let ids = ids.ok_or_else(|| damaged("its records are not there"))?;
    let file = regular::read(&dir.ram()).map_err(|error| cannot("open", &dir.ram(), &error))?;
    let length = file.metadata().map_err(|error| cannot("look at", &dir.ram(), &error))?.len();
    if length != vm.memory.size() {
        return Err(damaged("its RAM has another length"));
    }
    let root = held(dir, &vm, options, None)?.root();
    if content(&vm, &root, &ids) != expected {
        return Err(damaged("it is not the state that arrived"));
    }
    let ram = Ram { file, layout: RamLayout::new(vm.memory.size()) };
    let lengths = (kern.len() as u64, vm.memory.size());
    let bytes = |entry: &_| bytes(entry).map(<[u8]>::to_vec);
    let judged = Judged::of_files(&text, lengths, bytes, Some(&ram), options.host.as_ref());
    let judged = judged.map_err(|error| trouble(Code::State, format!(".meta: {error}")))?;
    state::refused(judged, &options.policy).map(drop)
}

/// A file that is not longer than it may be.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    let opened = regular::read(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    opened.map_err(|error| cannot("read", path, &error))?;
    if bytes.len() as u64 > most {
        let words = format!("{} is not the file that was put there", path.display());
        return Err(trouble(Code::Content, words));
    }
    Ok(bytes)
}
