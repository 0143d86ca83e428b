//! The three files on disk, written and read as bhyve does.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, fsync, openat, unlinkat};
use snapfmt::bhyve::{Files, Meta, Severity, check, limits};

use super::error::StateError;
use super::meta;
use super::saved::Saved;
use crate::machine::{Config, Machine};

/// Writes the state of a paused machine to three files in a folder, which replace others of those
/// names. As with bhyve, a failure leaves what there is by then, and nothing is synced.
///
/// # Errors
/// Trouble with the files, and what the kernel says.
pub fn save(machine: &Machine, vm: &str, folder: impl AsFd, base: &Path) -> Result<(), StateError> {
    let names = Files::of(base);
    let open = |path| create(&folder, path, OFlags::TRUNC);
    let (kern, ram, meta) = (open(&names.kern)?, open(&names.ram)?, open(&names.meta)?);
    copy(machine.ram().file(), &ram).map_err(StateError::io(&names.ram))?;
    write(machine, vm, &names, (&kern, &meta))
}

/// Writes the state of a paused machine but its memory to two files in a folder, which have new
/// names, and syncs all. A failure leaves nothing.
///
/// # Errors
/// Trouble with the files, and what the kernel says.
pub fn save_devices(
    machine: &Machine,
    vm: &str,
    folder: impl AsFd,
    base: &Path,
) -> Result<(), StateError> {
    let names = Files::of(base);
    let sync = |path: &Path, file: &File| file.sync_all().map_err(StateError::io(path));
    let kern = create(&folder, &names.kern, OFlags::EXCL)?;
    let meta = create(&folder, &names.meta, OFlags::EXCL);
    let made_meta = meta.is_ok();
    let written = meta.and_then(|meta| {
        write(machine, vm, &names, (&kern, &meta))?;
        sync(&names.kern, &kern)?;
        sync(&names.meta, &meta)?;
        fsync(&folder).map_err(io::Error::from).map_err(StateError::io(base))
    });
    if written.is_err() {
        let both = [Some(&names.kern), Some(&names.meta).filter(|_| made_meta)];
        for path in both.into_iter().flatten() {
            // What matters more is what went wrong before.
            let _ = unlinkat(&folder, path, AtFlags::empty());
        }
    }
    written
}

fn create(folder: impl AsFd, path: &Path, how: OFlags) -> Result<File, StateError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | how;
    let file = openat(folder, path, flags, Mode::RWXU);
    file.map(File::from).map_err(io::Error::from).map_err(StateError::io(path))
}

/// Writes all records, and then what lists them.
fn write(
    machine: &Machine,
    vm: &str,
    names: &Files,
    (mut kern, mut meta): (&File, &File),
) -> Result<(), StateError> {
    let records = Saved::of(machine)?.records()?;
    let bytes: Vec<u8> = records.iter().flat_map(|record| &record.bytes).copied().collect();
    kern.write_all(&bytes).map_err(StateError::io(&names.kern))?;
    let text = meta::text(vm, machine.ncpus(), machine.ram().len(), &records);
    meta.write_all(text.as_bytes()).map_err(StateError::io(&names.meta))
}

/// Makes a paused machine of three files. The first names virtual CPUs and memory; the rest of the
/// configuration is the caller's. Gives the name of the virtual machine, too.
///
/// # Errors
/// Trouble with the files, files that do not fit each other or this machine, and what the kernel
/// says.
pub fn load(base: &Path, config: &Config) -> Result<(Machine, String), StateError> {
    let names = Files::of(base);
    let open = |path: &PathBuf| File::open(path).map_err(StateError::io(path));
    let (ram, mut text, mut kern) = (open(&names.ram)?, open(&names.meta)?, open(&names.kern)?);
    let bytes = |path: &PathBuf, file: &mut File, most: u64| {
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).map_err(StateError::io(path))?;
        Ok(bytes)
    };
    let meta = bytes(&names.meta, &mut text, limits::TEXT as u64 + 1)?;
    let meta = Meta::parse(&meta).map_err(StateError::Meta)?;
    let kern = bytes(&names.kern, &mut kern, KERN)?;
    let len = ram.metadata().map_err(StateError::io(&names.ram))?.len();
    let findings = check(&meta, kern.len() as u64, len);
    if let Some(bad) = findings.into_iter().find(|found| found.severity() == Severity::Refuse) {
        return Err(StateError::Structure(bad));
    }
    let (ncpus, memory) = (meta.vm.ncpus, meta.vm.memsize);
    let config = Config { ncpus, memory, ..config.clone() };
    let machine = Machine::new(&config).map_err(StateError::Kernel)?;
    copy(&ram, machine.ram().file()).map_err(StateError::io(&names.ram))?;
    Saved::read(&meta, &kern, &machine)?.apply(&machine)?;
    Ok((machine, meta.vm.name))
}

/// The most of `.kern` that is read: all records of the largest machine take less.
const KERN: u64 = 1 << 20;

/// Copies a file, from its first byte to its last, in the kernel where that is possible.
fn copy(mut from: &File, mut to: &File) -> io::Result<()> {
    from.rewind()?;
    to.rewind()?;
    io::copy(&mut from, &mut to).map(|_| ())
}
