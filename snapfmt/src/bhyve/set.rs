//! The three files of a set: what they are called, and where guest memory lies in the first.

use std::path::{Path, PathBuf};

/// The names of the three files. bhyve makes all of them from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Guest memory.
    pub ram: PathBuf,
    /// The records of the kernel and of the devices.
    pub kern: PathBuf,
    /// The list of the records.
    pub meta: PathBuf,
}

impl Files {
    /// The names that bhyve makes from `base`, the name that was given to `bhyvectl --suspend`.
    #[must_use]
    pub fn of(base: &Path) -> Self {
        let with = |extension| {
            let mut name = base.as_os_str().to_owned();
            name.push(extension);
            PathBuf::from(name)
        };
        Self { ram: base.to_owned(), kern: with(".kern"), meta: with(".meta") }
    }
}

/// The most memory below the hole for devices: 3 GiB.
pub const LOWMEM_LIMIT: u64 = 3 << 30;

/// The guest-physical address of the memory above the hole: 4 GiB.
pub const HIGHMEM_BASE: u64 = 4 << 30;

/// A run of guest memory, unbroken both in the file and for the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its guest-physical address.
    pub gpa: u64,
    /// Its offset in the file.
    pub offset: u64,
    /// Its length.
    pub len: u64,
}

/// Where guest memory lies: the file has no hole, the guest's address space has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RamLayout {
    memsize: u64,
}

impl RamLayout {
    /// The layout of a machine with `memsize` bytes of memory.
    #[must_use]
    pub const fn new(memsize: u64) -> Self {
        Self { memsize }
    }

    /// The bytes below the hole.
    #[must_use]
    pub fn lowmem(self) -> u64 {
        self.memsize.min(LOWMEM_LIMIT)
    }

    /// The bytes above the hole.
    #[must_use]
    pub fn highmem(self) -> u64 {
        self.memsize - self.lowmem()
    }

    /// The segments in the order of the file; no empty one.
    pub fn segments(self) -> impl Iterator<Item = Segment> {
        let low = Segment { gpa: 0, offset: 0, len: self.lowmem() };
        let high = Segment { gpa: HIGHMEM_BASE, offset: self.lowmem(), len: self.highmem() };
        [low, high].into_iter().filter(|segment| segment.len > 0)
    }

    /// The guest-physical address of a byte of the file.
    #[must_use]
    pub fn gpa(self, offset: u64) -> Option<u64> {
        let segment = self.segments().find(|s| offset.wrapping_sub(s.offset) < s.len)?;
        segment.gpa.checked_add(offset - segment.offset)
    }

    /// The offset in the file of a byte of guest memory; none in the hole and after the end.
    #[must_use]
    pub fn offset(self, gpa: u64) -> Option<u64> {
        let segment = self.segments().find(|s| gpa.wrapping_sub(s.gpa) < s.len)?;
        segment.offset.checked_add(gpa - segment.gpa)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_follow_from_one() {
        let files = Files::of(Path::new("/vm/a.ckp"));
        assert_eq!(files.ram, Path::new("/vm/a.ckp"));
        assert_eq!(files.kern, Path::new("/vm/a.ckp.kern"));
        assert_eq!(files.meta, Path::new("/vm/a.ckp.meta"));
    }

    #[test]
    fn a_small_machine_has_one_segment_and_a_large_one_two() {
        let small: Vec<_> = RamLayout::new(LOWMEM_LIMIT).segments().collect();
        assert_eq!(small, [Segment { gpa: 0, offset: 0, len: LOWMEM_LIMIT }]);
        let large: Vec<_> = RamLayout::new(4 << 30).segments().collect();
        let high = Segment { gpa: HIGHMEM_BASE, offset: LOWMEM_LIMIT, len: 1 << 30 };
        assert_eq!(large, [small[0], high]);
        assert_eq!(RamLayout::new(0).segments().count(), 0);
    }

    #[test]
    fn addresses_and_offsets_are_each_others_inverse() {
        let layout = RamLayout::new(4 << 30);
        for offset in [0, 4096, LOWMEM_LIMIT - 1, LOWMEM_LIMIT, (4 << 30) - 1] {
            assert_eq!(layout.offset(layout.gpa(offset).unwrap()), Some(offset));
        }
        assert_eq!(layout.gpa(LOWMEM_LIMIT), Some(HIGHMEM_BASE));
        assert_eq!(layout.gpa(4 << 30), None);
        assert_eq!(layout.offset(LOWMEM_LIMIT), None);
        assert_eq!(layout.offset(HIGHMEM_BASE - 1), None);
        assert_eq!(layout.offset(5 << 30), None);
        assert_eq!(RamLayout::new(u64::MAX).gpa(u64::MAX - 1), None);
    }
}
