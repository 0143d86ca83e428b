//! The files that all work on: a RAM file, with records of a fixture beside it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use snapfmt::bhyve::{Files as Names, Meta, RamLayout};
use snapfmt::limits::PAGE;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::vm::{AMD64, Vm};
use snaptool::input::Input;
use snaptool::signal::Stop;
use snaptool::sparse::data_ranges;
use tempfile::TempDir;

use super::image;
use crate::{images, sets};

/// Whose records lie beside the RAM file.
const FIXTURE: &str = "intel-1cpu-fbsd";

const MIB: usize = 1 << 20;

/// A folder with three files. It goes with this.
pub(super) struct Files {
    dir: TempDir,
    pub(super) image: String,
    pub(super) size: u64,
    /// Bytes of pages that are not zero.
    pub(super) nonzero: u64,
}

impl Files {
    /// Copies or makes the image, and puts `.kern` and `.meta` beside it.
    pub(super) fn lay_out(word: &str, place: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("peers").tempdir_in(place)?;
        let base = dir.path().join("vm.ckp");
        if !image::make(word, &base)? {
            copy(Path::new(word), &base).with_context(|| format!("copying {word}"))?;
        }
        let size = fs::metadata(&base)?.len();
        anyhow::ensure!(size > 0 && size.is_multiple_of(PAGE as u64), "{word} is no RAM file");
        beside(&base, size)?;
        let nonzero = nonzero(&base)?;
        Ok(Self { dir, image: word.to_owned(), size, nonzero })
    }

    /// A file of this name.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The RAM file.
    pub(super) fn ram(&self) -> PathBuf {
        self.path("vm.ckp")
    }

    pub(super) fn is_ram(&self, path: &Path) -> anyhow::Result<bool> {
        Ok(image::same(&self.ram(), path)?)
    }

    /// Bytes that zstd makes of the blocks of RAM, each by itself.
    pub(super) fn compressed_apart(&self, level: i32, block: usize) -> anyhow::Result<u64> {
        let mut compressor = zstd::bulk::Compressor::new(level)?;
        let mut bytes = 0;
        for_each(&self.ram(), block, |block| {
            if block.iter().any(|byte| *byte != 0) {
                bytes += compressor.compress(block)?.len() as u64;
            }
            Ok(())
        })?;
        Ok(bytes)
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let target = File::create(to)?;
    target.set_len(fs::metadata(from)?.len())?;
    for_each_at(from, MIB, |at, block| Ok(target.write_all_at(block, at)?))
}

/// Gives the blocks of a file that are no holes.
fn for_each(
    path: &Path,
    size: usize,
    mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for_each_at(path, size, |_, block| each(block))
}

fn for_each_at(
    path: &Path,
    size: usize,
    mut each: impl FnMut(u64, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let file = Input::open(path, &Stop::never())?.into_file()?;
    let mut block = vec![0; size];
    let mut free = 0;
    for range in data_ranges(&file, file.len()) {
        let start = (range.start - range.start % size as u64).max(free);
        for at in (start..range.end).step_by(size) {
            let len = usize::try_from(file.len() - at)?.min(size);
            file.read_exact_at(&mut block[..len], at)?;
            each(at, &block[..len])?;
            free = at + size as u64;
        }
    }
    Ok(())
}

fn nonzero(path: &Path) -> anyhow::Result<u64> {
    let mut pages = 0;
    for_each(path, MIB, |block| {
        pages += block.chunks(PAGE).filter(|page| page.iter().any(|byte| *byte != 0)).count();
        Ok(())
    })?;
    Ok((pages * PAGE) as u64)
}

/// The records of the fixture, but those that speak of pages of its RAM.
fn beside(base: &Path, size: u64) -> anyhow::Result<()> {
    let (text, kern) = sets::kern(FIXTURE);
    let meta = Meta::parse(&text)?;
    let mut records = Vec::new();
    for record in meta.in_order().into_iter().filter(|record| !record.name.contains("virtio")) {
        let (at, len) = (record.offset as usize, record.size as usize);
        let section = meta.key(record.section).to_owned();
        records.push((section, record.name.clone(), kern[at..at + len].to_vec()));
    }
    let segments = RamLayout::new(size).segments();
    let segments = segments.map(|s| Segment { gpa: s.gpa, len: s.len }).collect();
    let vm = Vm {
        arch: AMD64.to_owned(),
        name: meta.vm.name.clone(),
        ncpus: meta.vm.ncpus.into(),
        memflags: meta.vm.memflags,
        memory: MemoryMap::new(segments)?,
    };
    let names = Names::of(base);
    let kern: Vec<u8> = records.iter().flat_map(|(_, _, bytes)| bytes.clone()).collect();
    fs::write(&names.kern, kern)?;
    fs::write(&names.meta, images::meta(&vm, 'B', &records).text)?;
    Ok(())
}
