//! The device of a VM, for FreeBSD.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl};
use snapfmt::memory::map::{MemoryMap, Segment};

use super::abi::{
    VM_GET_MEMSEG_14, VM_GET_MEMSEG_15, VM_MMAP_GETNEXT, VmMemmap, VmMemseg14, VmMemseg15,
};
use super::layout::{BadLayout, Layout, Walk};
use super::mapping::Mapping;

/// Where the devices of VMs are, each under the name of its VM.
pub const DEVICES: &str = "/dev/vmm";

/// Why the memory of a guest cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoMemory {
    /// The device cannot be opened.
    #[error("{}: {source}", path.display())]
    Open {
        /// Its path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Where the guest has memory cannot be found out, or makes no sense.
    #[error(transparent)]
    Layout(#[from] BadLayout),
    /// A run of it cannot be mapped.
    #[error("mapping {len:#x} bytes of memory at {gpa:#x}: {source}")]
    Map {
        /// Where.
        gpa: u64,
        /// Bytes.
        len: u64,
        /// Why not.
        source: io::Error,
    },
}

/// A VM's device, with all of the guest's memory mapped for reading.
#[derive(Debug)]
pub struct Device {
    map: MemoryMap,
    runs: Vec<(Segment, Mapping)>,
}

impl Device {
    /// Opens the device of a VM and maps its memory. It has to be done as root, as bhyvectl is.
    ///
    /// # Errors
    ///
    /// See [`NoMemory`].
    pub fn open(vm: &str) -> Result<Self, NoMemory> {
        let path = PathBuf::from(DEVICES).join(vm);
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let device = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(device) => Kernel(device),
            Err(errno) => return Err(NoMemory::Open { path, source: errno.into() }),
        };
        let layout = Layout::of(&device)?;
        let mapped = |run: &Segment| {
            let len = usize::try_from(run.len).map_err(|_| io::ErrorKind::OutOfMemory.into());
            let mapping = len.and_then(|len| Mapping::new(device.0.as_fd(), run.gpa, len));
            let failed = |source| NoMemory::Map { gpa: run.gpa, len: run.len, source };
            mapping.map(|mapping| (*run, mapping)).map_err(failed)
        };
        let runs = layout.runs.iter().map(mapped).collect::<Result<_, _>>()?;
        Ok(Self { map: layout.map, runs })
    }

    /// Where the guest has memory.
    #[must_use]
    pub const fn memory(&self) -> &MemoryMap {
        &self.map
    }

    /// Copies memory of the guest, whether it runs or not. Whether all of the range is its memory;
    /// if not, what is in `into` means nothing.
    #[must_use]
    pub fn read(&self, gpa: u64, into: &mut [u8]) -> bool {
        let (mut gpa, mut rest) = (gpa, into);
        while !rest.is_empty() {
            let holds = |(run, _): &&(Segment, Mapping)| (run.gpa..run.end()).contains(&gpa);
            let Some((run, mapping)) = self.runs.iter().find(holds) else { return false };
            let left = usize::try_from(run.end() - gpa).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at_mut(left.min(rest.len()));
            let at = usize::try_from(gpa - run.gpa).unwrap_or(usize::MAX);
            if !mapping.read(at, now) {
                return false;
            }
            gpa = gpa.saturating_add(now.len() as u64);
            rest = later;
        }
        true
    }
}

struct Kernel(OwnedFd);

/// What an ioctl of vmm takes.
///
/// # Safety
///
/// Under `NUMBER`, vmm takes and gives back this structure and follows no pointer in it. Its size
/// is in the number, and the kernel copies as much and no more. Whatever is in its bytes is a
/// value.
unsafe trait Argument<const NUMBER: Opcode> {}

// SAFETY: sizes and numbers are held against FreeBSD's headers; all fields are integers.
unsafe impl Argument<{ VM_MMAP_GETNEXT as Opcode }> for VmMemmap {}
// SAFETY: as above, of the headers of FreeBSD 14.
unsafe impl Argument<{ VM_GET_MEMSEG_14 as Opcode }> for VmMemseg14 {}
// SAFETY: as above; the pointer, which is an integer here, is for the creation of segments.
unsafe impl Argument<{ VM_GET_MEMSEG_15 as Opcode }> for VmMemseg15 {}

fn call<const NUMBER: Opcode, T: Argument<NUMBER>>(
    device: &OwnedFd,
    argument: &mut T,
) -> Result<(), Errno> {
    // SAFETY: `Argument` says that the number and the structure belong together.
    let request = unsafe { Updater::<NUMBER, T>::new(argument) };
    // SAFETY: the kernel writes into `argument` alone, which nobody else has while it is borrowed.
    // A file that is not vmm's device does not know the number.
    unsafe { ioctl(device, request) }
}

impl Walk for Kernel {
    fn next(&self, gpa: u64) -> io::Result<Option<VmMemmap>> {
        let mut run = VmMemmap { gpa, ..VmMemmap::default() };
        match call::<{ VM_MMAP_GETNEXT as Opcode }, _>(&self.0, &mut run) {
            Ok(()) => Ok(Some(run)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn is_system_memory(&self, segid: i32) -> io::Result<bool> {
        let mut segment = VmMemseg15 { segid, ..VmMemseg15::default() };
        let name = match call::<{ VM_GET_MEMSEG_15 as Opcode }, _>(&self.0, &mut segment) {
            Ok(()) => segment.name,
            // Of a kernel before 15.
            Err(Errno::NOTTY) => {
                let mut segment = VmMemseg14 { segid, ..VmMemseg14::default() };
                call::<{ VM_GET_MEMSEG_14 as Opcode }, _>(&self.0, &mut segment)?;
                segment.name
            }
            Err(errno) => return Err(errno.into()),
        };
        Ok(name.first() == Some(&0))
    }
}
