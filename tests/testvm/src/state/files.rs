//! The three files on disk, written and read as bhyve does.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};
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
pub fn save(
    machine: &Machine,
    vm: &str,
    folder: impl AsFd,
    base: &Path,
    memory: bool,
) -> Result<(), StateError> {
    let names = Files::of(base);
    let create = |path: &Path| {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let file = openat(&folder, path, flags, Mode::RWXU);
        file.map(File::from).map_err(io::Error::from).map_err(StateError::io(path))
    };
    let mut kern = create(&names.kern)?;
    let ram = if memory { Some(create(&names.ram)?) } else { None };
    let mut text = create(&names.meta)?;
    if let Some(ram) = ram {
        copy(machine.ram().file(), &ram).map_err(StateError::io(&names.ram))?;
    }
    let records = Saved::of(machine)?.records()?;
    for record in &records {
        kern.write_all(&record.bytes).map_err(StateError::io(&names.kern))?;
    }
    let meta = meta::text(vm, machine.ncpus(), machine.ram().len(), &records);
    text.write_all(meta.as_bytes()).map_err(StateError::io(&names.meta))
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
