//! A read-only view of memory that someone else writes to, and copies out of it.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Bytes that are read at once.
const WORD: usize = size_of::<AtomicU64>();

/// A mapping, which is undone when it is dropped.
#[derive(Debug)]
pub struct Mapping {
    /// The first word, aligned as a page is.
    base: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: a `Mapping` owns its pages until it is dropped, nothing in it belongs to a thread, and
// all access through it is by atomic loads.
unsafe impl Send for Mapping {}
// SAFETY: as above; a shared reference gives loads alone.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a file or device from `offset` on, for reading. Both are whole pages.
    ///
    /// A file that gets shorter raises SIGBUS in whoever reads it then: this is for memory of a VM,
    /// which keeps its size.
    ///
    /// # Errors
    ///
    /// It cannot be mapped, or `len` is 0 or no multiple of a word.
    pub fn new(file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<Self> {
        if len == 0 || !len.is_multiple_of(WORD) || isize::try_from(len).is_err() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the address is null and MAP_FIXED is not given, so the kernel takes pages that
        // nothing else uses.
        let base =
            unsafe { mmap(ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, file, offset) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { base, words: len / WORD })
    }

    /// Bytes in it.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.words * WORD
    }

    /// Copies the bytes at `at`. A word that its writer writes as one is read as one; between two
    /// words the writer may have been. Whether all of the range is in the mapping; if not, nothing
    /// is copied.
    #[must_use]
    pub fn read(&self, at: usize, into: &mut [u8]) -> bool {
        let end = at.checked_add(into.len()).filter(|end| *end <= self.size());
        let words = end.and_then(|end| self.words().get(at / WORD..end.div_ceil(WORD)));
        let Some(words) = words else { return false };
        let mut words = words.iter().map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        let part = |into: &mut [u8], word: Option<[u8; WORD]>, skip: usize| {
            let from = word.unwrap_or_default();
            into.iter_mut().zip(from.iter().skip(skip)).for_each(|(to, from)| *to = *from);
        };
        let skip = at % WORD;
        let head = if skip == 0 { 0 } else { into.len().min(WORD - skip) };
        let (head, rest) = into.split_at_mut(head);
        if !head.is_empty() {
            part(head, words.next(), skip);
        }
        let (whole, tail) = rest.as_chunks_mut::<WORD>();
        whole.iter_mut().zip(&mut words).for_each(|(to, word)| *to = word);
        if !tail.is_empty() {
            part(tail, words.next(), 0);
        }
        true
    }

    const fn words(&self) -> &[AtomicU64] {
        // SAFETY: `base` is aligned to a page, and `words` words from it are mapped for reading
        // until `self` is dropped, which the reference does not outlive. Whoever else writes there
        // does it in another address space or through another mapping: no Rust reference to these
        // bytes exists but those to atomics. That the pages are read-only is sound for relaxed
        // loads of at most a register's size, and there are no others.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `base` and the size are those of a mapping that `new` made and that belongs to
        // this value alone; references into it do not outlive it.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.size()) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;
    use std::thread;

    use super::*;

    const PAGE: usize = 4096;

    /// A file of `pages` pages, each byte of which says where it is.
    fn file(pages: usize) -> (File, Vec<u8>) {
        let path = std::env::temp_dir();
        let flags =
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CREATE | rustix::fs::OFlags::EXCL;
        let name = format!("mapping.{}.{:?}", std::process::id(), thread::current().id());
        let path = path.join(name);
        let file = rustix::fs::open(&path, flags, rustix::fs::Mode::RUSR).unwrap();
        std::fs::remove_file(path).unwrap();
        let bytes: Vec<u8> = (0..pages * PAGE).map(|at| (at / 8 * 31).to_le_bytes()[0]).collect();
        let file = File::from(file);
        file.write_all_at(&bytes, 0).unwrap();
        (file, bytes)
    }

    #[test]
    fn any_range_is_copied_as_it_is() {
        let (file, bytes) = file(3);
        let mapping = Mapping::new(file.as_fd(), PAGE as u64, 2 * PAGE).unwrap();
        for at in (0..40).chain(2 * PAGE - 20..2 * PAGE) {
            for len in 0..20.min(2 * PAGE - at) {
                let mut copy = vec![0; len];
                assert!(mapping.read(at, &mut copy));
                assert_eq!(copy, bytes[PAGE + at..][..len], "{len} at {at}");
            }
        }
        let mut all = vec![0; mapping.size()];
        assert!(mapping.read(0, &mut all));
        assert_eq!(all, bytes[PAGE..]);
    }

    #[test]
    fn what_is_not_in_it_is_not_copied() {
        let (file, _) = file(1);
        let mapping = Mapping::new(file.as_fd(), 0, PAGE).unwrap();
        let mut copy = [7; 2];
        for at in [PAGE - 1, PAGE, usize::MAX] {
            assert!(!mapping.read(at, &mut copy), "{at}");
        }
        assert_eq!(copy, [7; 2]);
        assert!(mapping.read(PAGE, &mut []));
        for (offset, len) in [(0, 0), (0, 7), (1, PAGE), (0, usize::MAX - 7)] {
            assert!(Mapping::new(file.as_fd(), offset, len).is_err(), "{offset} {len}");
        }
    }

    #[test]
    fn what_another_writes_later_is_seen() {
        let (file, _) = file(1);
        let mapping = Mapping::new(file.as_fd(), 0, PAGE).unwrap();
        let mut copy = [0; 3];
        for turn in 1..5 {
            file.write_all_at(&[turn; 3], 21).unwrap();
            assert!(mapping.read(21, &mut copy));
            assert_eq!(copy, [turn; 3]);
        }
    }

    #[test]
    fn a_mapping_can_be_read_by_several_at_once() {
        let (file, bytes) = file(2);
        let mapping = Mapping::new(file.as_fd(), 0, 2 * PAGE).unwrap();
        drop(file);
        thread::scope(|scope| {
            for page in 0..2 {
                let (mapping, bytes) = (&mapping, &bytes);
                scope.spawn(move || {
                    let mut copy = [0; PAGE];
                    assert!(mapping.read(page * PAGE, &mut copy));
                    assert_eq!(copy[..], bytes[page * PAGE..][..PAGE]);
                });
            }
        });
    }
}
