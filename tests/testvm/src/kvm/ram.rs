//! Guest memory: a file that others may map, too.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::ptr::{NonNull, null_mut};

use rustix::fs::MemfdFlags;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The memory of a guest. It is mapped for the kernel alone: this process reads and writes it
/// through the file, so no reference to bytes that change under it ever exists.
#[derive(Debug)]
pub struct Ram {
    file: File,
    map: NonNull<u8>,
    len: u64,
}

// SAFETY: the mapping is not tied to a thread, and nothing is read or written through the pointer.
unsafe impl Send for Ram {}
// SAFETY: as above; the methods that take `&self` only use the file and copy the pointer.
unsafe impl Sync for Ram {}

impl Ram {
    /// New memory of `len` bytes, all zero: in a file of that path, which is replaced, or in one
    /// without a name.
    ///
    /// # Errors
    /// Trouble with the file, and memory that cannot be mapped.
    pub fn new(path: Option<&Path>, len: u64) -> io::Result<Self> {
        let file = match path {
            Some(path) => {
                let mut options = File::options();
                options.read(true).write(true).create(true).truncate(true).open(path)?
            }
            None => File::from(rustix::fs::memfd_create("testvm-ram", MemfdFlags::CLOEXEC)?),
        };
        file.set_len(len)?;
        let size = usize::try_from(len).map_err(io::Error::other)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: no address is demanded, so no mapping of this process is replaced. Nothing here
        // reads or writes the new one; it is unmapped when its only owner is dropped.
        let map = unsafe { mmap(null_mut(), size, access, MapFlags::SHARED, &file, 0) }?;
        let map = NonNull::new(map.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        Ok(Self { file, map, len })
    }

    /// Bytes of it.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Reads from an address of the guest.
    ///
    /// # Errors
    /// Bytes after the end, and trouble with the file.
    pub fn read(&self, gpa: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, gpa)
    }

    /// Writes to an address of the guest. The dirty log does not see it.
    ///
    /// # Errors
    /// Bytes after the end, and trouble with the file.
    pub fn write(&self, gpa: u64, bytes: &[u8]) -> io::Result<()> {
        let end = gpa.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        self.file.write_all_at(bytes, gpa)
    }

    /// Where it is mapped, as a number: for the kernel.
    pub(super) fn address(&self) -> u64 {
        self.map.as_ptr().expose_provenance() as u64
    }
}

impl AsFd for Ram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        let size = usize::try_from(self.len).unwrap_or_default();
        // SAFETY: this is the mapping that `new` made, whole, and nobody uses it any more: `Vm`
        // owns its `Ram` and drops it after the virtual machine that the kernel made over it.
        let _ = unsafe { munmap(self.map.as_ptr().cast(), size) };
    }
}
