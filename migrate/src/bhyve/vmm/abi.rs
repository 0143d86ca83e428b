//! What vmm's ioctls are called by number, and what they take, on a 64-bit little-endian FreeBSD.
//!
//! `struct vm_memmap` is the same from 11 on. `struct vm_memseg` has grown in 15; a kernel tells
//! the two apart by the size in the number of the ioctl, and answers `ENOTTY` to the one that it
//! does not have.

/// Bytes of a memory segment's name, NUL included: `VM_MAX_SUFFIXLEN + 1`.
pub const NAME: usize = 16;

/// `struct vm_memmap`: a run of a guest's address space.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmMemmap {
    /// Where it begins; as an argument, from where to look.
    pub gpa: u64,
    /// Which segment of memory is there.
    pub segid: i32,
    /// Where it begins in the segment.
    pub segoff: i64,
    /// Bytes.
    pub len: u64,
    /// Protection, as `mmap` has it.
    pub prot: i32,
    /// Flags.
    pub flags: i32,
}

/// `struct vm_memseg` before FreeBSD 15.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmMemseg14 {
    /// Which segment.
    pub segid: i32,
    /// Bytes; 0 if there is none.
    pub len: u64,
    /// Its name, up to a NUL. System memory has none.
    pub name: [u8; NAME],
}

/// `struct vm_memseg` of FreeBSD 15. The fields that are new are for its creation; of the pointer
/// nothing is read by `VM_GET_MEMSEG`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmMemseg15 {
    /// Which segment.
    pub segid: i32,
    /// Bytes; 0 if there is none.
    pub len: u64,
    /// Its name, up to a NUL. System memory has none.
    pub name: [u8; NAME],
    /// A pointer, which stays null.
    pub ds_mask: u64,
    /// Bytes there, which stay 0.
    pub ds_mask_size: u64,
    /// The policy for memory domains.
    pub ds_policy: i32,
}

/// `_IOWR('v', number, T)`.
const fn read_write<T>(number: u32) -> u32 {
    const IOC_INOUT: u32 = 0xc000_0000;
    const IOCPARM_MASK: usize = (1 << 13) - 1;
    assert!(size_of::<T>() <= IOCPARM_MASK);
    // Checked above; nothing is cut off.
    #[allow(clippy::cast_possible_truncation)]
    let size = size_of::<T>() as u32;
    IOC_INOUT | size << 16 | (b'v' as u32) << 8 | number
}

/// The next run at or above an address; `ENOENT` after the last.
pub const VM_MMAP_GETNEXT: u32 = read_write::<VmMemmap>(17);
/// A segment of memory, as FreeBSD 14 and earlier take it.
pub const VM_GET_MEMSEG_14: u32 = read_write::<VmMemseg14>(15);
/// A segment of memory, as FreeBSD 15 takes it.
pub const VM_GET_MEMSEG_15: u32 = read_write::<VmMemseg15>(15);

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    /// What a C compiler is asked about them, with FreeBSD's headers.
    const HEADERS: &str = include_str!("../../../../.ci/vmm-abi.c");

    /// That the C file asserts this.
    #[track_caller]
    fn asserted(expression: &str, value: usize) {
        let line = format!("ASSERT({expression} == {value:#x});");
        assert!(HEADERS.lines().any(|found| found == line), "the C file lacks: {line}");
    }

    #[test]
    fn numbers_are_those_that_the_headers_are_asked_for() {
        asserted("VM_MMAP_GETNEXT", VM_MMAP_GETNEXT as usize);
        asserted("VM_GET_MEMSEG", VM_GET_MEMSEG_15 as usize);
        assert_eq!(VM_GET_MEMSEG_14, 0xc020_760f);
    }

    #[test]
    fn structures_are_those_that_the_headers_are_asked_for() {
        asserted("sizeof(struct vm_memmap)", size_of::<VmMemmap>());
        asserted("offsetof(struct vm_memmap, gpa)", offset_of!(VmMemmap, gpa));
        asserted("offsetof(struct vm_memmap, segid)", offset_of!(VmMemmap, segid));
        asserted("offsetof(struct vm_memmap, segoff)", offset_of!(VmMemmap, segoff));
        asserted("offsetof(struct vm_memmap, len)", offset_of!(VmMemmap, len));
        asserted("offsetof(struct vm_memmap, prot)", offset_of!(VmMemmap, prot));
        asserted("offsetof(struct vm_memmap, flags)", offset_of!(VmMemmap, flags));
        asserted("sizeof(struct vm_memseg)", size_of::<VmMemseg15>());
        asserted("offsetof(struct vm_memseg, segid)", offset_of!(VmMemseg15, segid));
        asserted("offsetof(struct vm_memseg, len)", offset_of!(VmMemseg15, len));
        asserted("offsetof(struct vm_memseg, name)", offset_of!(VmMemseg15, name));
        asserted("sizeof(((struct vm_memseg *)0)->name)", NAME);
        asserted("offsetof(struct vm_memseg, ds_mask)", offset_of!(VmMemseg15, ds_mask));
        asserted("offsetof(struct vm_memseg, ds_mask_size)", offset_of!(VmMemseg15, ds_mask_size));
        asserted("offsetof(struct vm_memseg, ds_policy)", offset_of!(VmMemseg15, ds_policy));
    }

    #[test]
    fn the_structure_of_15_begins_with_that_of_14() {
        assert_eq!(size_of::<VmMemseg14>(), offset_of!(VmMemseg15, ds_mask));
        assert_eq!(offset_of!(VmMemseg14, len), offset_of!(VmMemseg15, len));
        assert_eq!(offset_of!(VmMemseg14, name), offset_of!(VmMemseg15, name));
    }
}
