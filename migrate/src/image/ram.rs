//! The RAM file of a target: pages by guest-physical address.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use snapfmt::bhyve::RamLayout;
use snapfmt::limits::PAGE;
use snapfmt::memory::pages::Pages;
use snapfmt::part::extent::Settled;
use snapfmt::state::rules::{GuestRam, RamError};

/// An open RAM file.
#[derive(Debug)]
pub(super) struct Ram {
    pub(super) file: File,
    pub(super) layout: RamLayout,
}

impl Ram {
    /// What of `len` bytes at `gpa` lies in the file without a gap: where, and how many bytes.
    fn run(&self, gpa: u64, len: usize) -> Option<(u64, usize)> {
        let inside = |s: &snapfmt::bhyve::Segment| gpa.wrapping_sub(s.gpa) < s.len;
        let segment = self.layout.segments().find(inside)?;
        let at = gpa - segment.gpa;
        let left = usize::try_from(segment.len - at).unwrap_or(usize::MAX);
        Some((segment.offset + at, len.min(left)))
    }

    pub(super) fn write(&self, gpa: u64, mut bytes: &[u8]) -> io::Result<()> {
        let mut gpa = gpa;
        while !bytes.is_empty() {
            let Some((offset, len)) = self.run(gpa, bytes.len()) else {
                return Err(io::Error::other(format!("no guest memory at {gpa:#x}")));
            };
            let (piece, rest) = bytes.split_at(len);
            self.file.write_all_at(piece, offset)?;
            gpa = gpa.saturating_add(len as u64);
            bytes = rest;
        }
        Ok(())
    }

    /// Writes the data pages of an extent, each run of them at once.
    pub(super) fn put(&self, settled: &Settled) -> io::Result<()> {
        let gpa = settled.head().gpa();
        settled.runs().try_for_each(|(index, pages)| {
            self.write(gpa.saturating_add((index * PAGE) as u64), pages)
        })
    }

    /// Clears the page at `gpa`.
    pub(super) fn clear(&self, gpa: u64) -> io::Result<()> {
        self.write(gpa, &[0; PAGE])
    }
}

impl Pages for &Ram {
    type Error = io::Error;

    fn page(&mut self, gpa: u64, into: &mut [u8]) -> io::Result<()> {
        GuestRam::read(*self, gpa, into).map_err(io::Error::other)
    }
}

impl GuestRam for Ram {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), RamError> {
        let (mut gpa, mut rest) = (gpa, bytes);
        while !rest.is_empty() {
            let (offset, len) = self.run(gpa, rest.len()).ok_or(RamError::Outside { gpa })?;
            let (piece, others) = rest.split_at_mut(len);
            let read = self.file.read_exact_at(piece, offset);
            read.map_err(|_| RamError::Unreadable { gpa })?;
            gpa = gpa.saturating_add(len as u64);
            rest = others;
        }
        Ok(())
    }
}
