//! bhyve's three files in the making.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use snapfmt::bhyve::set::{Files, RamLayout};
use snapfmt::layout::header::Header;
use snapfmt::memory::block::Block;
use snapfmt::part::vm::Vm;
use snapfmt::read::Part;
use snapfmt::state::gate::DeviceState;

use crate::exit::{Trouble, note};
use crate::output::{Existing, Staged, publish_set};
use crate::text;

/// The three files, under names that bhyve does not know.
pub(super) struct StagedSet {
    pub(super) ram: Ram,
    kern: Staged,
    meta: Staged,
    /// What was accepted. A set appears with it or not at all.
    log: Option<Staged>,
    pub(super) course: Course,
}

/// The RAM file. Threads may share it.
pub(super) struct Ram {
    file: Staged,
    /// Known once the machine is.
    layout: OnceLock<RamLayout>,
}

/// What went by of the snapshot.
#[derive(Default)]
pub(super) struct Course {
    /// Whether there was META.
    described: bool,
    /// Whether there was a record.
    has_records: bool,
}

impl StagedSet {
    pub(super) fn create(base: &Path, accepts: bool) -> anyhow::Result<Self> {
        if base.as_os_str() == "-" {
            return Err(Trouble::new("three files cannot go to stdout")
                .hint("give the name of the RAM file with -o")
                .into());
        }
        let files = Files::of(base);
        not_interrupted(&files)?;
        let log = log_of(base);
        if fs::symlink_metadata(&log).is_ok() {
            let log = text::path(&log);
            return Err(Trouble::new(format!("{log} exists already"))
                .hint("it tells what was accepted of another set: remove it, or name another BASE")
                .into());
        }
        let log = accepts.then(|| Staged::create(&log, Existing::Refuse)).transpose()?;
        Ok(Self {
            log,
            ram: Ram {
                file: Staged::create(&files.ram, Existing::Refuse)?,
                layout: OnceLock::new(),
            },
            kern: Staged::create(&files.kern, Existing::Refuse)?,
            meta: Staged::create(&files.meta, Existing::Refuse)?,
            course: Course::default(),
        })
    }

    /// The one place where state is handed to what restores it.
    pub(super) fn publish(
        mut self,
        state: &DeviceState,
        log: Option<String>,
    ) -> anyhow::Result<()> {
        for record in state.records() {
            self.kern.write_all(record.bytes())?;
        }
        self.meta.write_all(state.meta_text())?;
        let mut files = vec![self.ram.file, self.kern];
        if let (Some(mut file), Some(log)) = (self.log, log) {
            file.write_all(log.as_bytes())?;
            files.push(file);
        }
        files.push(self.meta);
        publish_set(files)
    }
}

impl Course {
    /// Refuses a file that cannot be three files, before gigabytes of it are staged.
    pub(super) fn admit(&mut self, part: &Part) -> anyhow::Result<()> {
        match part {
            Part::Meta(_) => self.described = true,
            Part::Record(_) if !self.described => return Err(never_three_files()),
            Part::Record(_) => self.has_records = true,
            Part::Extent(_) | Part::Index(_) if !self.has_records => return Err(memory_only()),
            _ => {}
        }
        Ok(())
    }
}

impl Ram {
    /// Takes a part whose digests have matched; pages were written before.
    pub(super) fn take(&self, part: &Part) -> anyhow::Result<()> {
        match part {
            // What is missing in it would be zeros in the RAM file.
            Part::Header(Header { parent: Some(_), .. }) | Part::Delta(_) => return Err(delta()),
            Part::Vm(vm) => {
                let layout = layout(vm)?;
                self.layout.get_or_init(|| layout);
                self.file.set_len(vm.memory.size())?;
            }
            Part::Config(_) => {
                note("the configuration is left out: it has no place in the three files");
            }
            Part::Other(part) => note(&format!("left out: {} part", part.kind())),
            _ => {}
        }
        Ok(())
    }

    /// Writes the data pages, those that touch in one go.
    pub(super) fn pages(&self, block: &Block) -> anyhow::Result<()> {
        let Some(layout) = self.layout.get() else { return Ok(()) };
        let mut rest = block.pages.as_slice();
        let mut run: Option<(u64, usize)> = None;
        for (gpa, page) in block.iter() {
            let at = layout.offset(gpa).ok_or_else(outside)?;
            match &mut run {
                Some((start, len)) if *start + *len as u64 == at => *len += page.len(),
                _ => {
                    rest = self.put(rest, run)?;
                    run = Some((at, page.len()));
                }
            }
        }
        self.put(rest, run)?;
        Ok(())
    }

    fn put<'a>(&self, pages: &'a [u8], run: Option<(u64, usize)>) -> anyhow::Result<&'a [u8]> {
        let Some((at, len)) = run else { return Ok(pages) };
        let (now, rest) = pages.split_at_checked(len).ok_or_else(outside)?;
        self.file.write_at(now, at)?;
        Ok(rest)
    }
}

/// Where it is recorded what was accepted. bhyve reads BASE, BASE.kern and BASE.meta only.
fn log_of(base: &Path) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(".accepted");
    name.into()
}

/// Refuses an incomplete set in words of its own: a run that was killed between giving the first
/// name and the last leaves one, whose bytes are good; nobody but a person can tell.
fn not_interrupted(files: &Files) -> anyhow::Result<()> {
    let there = |path: &&PathBuf| fs::symlink_metadata(path).is_ok();
    let left: Vec<_> = [&files.ram, &files.kern].into_iter().filter(there).collect();
    let Some(first) = left.first().filter(|_| !there(&&files.meta)) else { return Ok(()) };
    let (first, meta) = (text::path(first), text::path(&files.meta));
    let names: Vec<_> = left.iter().map(|path| text::path(path)).collect();
    Err(Trouble::new(format!(
        "{first} exists already, and no {meta}: an interrupted unpack left it, or it is part of no \
         whole set"
    ))
    .hint(format!("if nobody needs it, remove {} and try again", names.join(" and ")))
    .into())
}

fn delta() -> anyhow::Error {
    Trouble::new("this is a delta: it holds only what changed since its parent")
        .hint("name the folder in which its parents are, with --chain")
        .into()
}

fn never_three_files() -> anyhow::Error {
    Trouble::new("this state never was three files: the snapshot has no .meta to give back")
        .hint("`snaptool inspect` shows its records")
        .into()
}

fn memory_only() -> anyhow::Error {
    Trouble::new("this snapshot holds memory only, and no device records")
        .hint("a round of a migration writes such files; unpack the one that has the devices")
        .into()
}

fn outside() -> anyhow::Error {
    anyhow::anyhow!("a page lies outside of the RAM file")
}

/// How the machine's memory lies in a RAM file: bhyve has one way only.
fn layout(vm: &Vm) -> anyhow::Result<RamLayout> {
    let layout = RamLayout::new(vm.memory.size());
    let own = vm.memory.segments().iter().map(|s| (s.gpa, s.len));
    if own.eq(layout.segments().map(|s| (s.gpa, s.len))) {
        return Ok(layout);
    }
    let name = text::escape(&vm.name);
    Err(Trouble::new(format!("the memory of {name} does not lie as bhyve's three files have it"))
        .hint("`snaptool inspect FILE memory` shows its segments")
        .into())
}
