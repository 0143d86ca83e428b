//! Every bound of the reader of stock snapshots, each with its reason.
//!
//! What is within them fits into a snapshot file: where that has a limit, it is this one.

use super::set::{HIGHMEM_BASE, LOWMEM_LIMIT};
use crate::limits;

/// The longest `.meta` or configuration text: 1 MiB. A machine with two hundred devices needs 30
/// KiB.
pub const TEXT: usize = 1 << 20;
const _: () = assert!(TEXT as u64 == limits::TEXT_PAYLOAD);

/// The most entries of `.meta` that are read, both sections together.
pub const ENTRIES: usize = 4096;

/// The most records of a snapshot. bhyve has ten kernel records, and a machine tens of devices.
pub const RECORDS: usize = limits::DEVICES;

/// The deepest nesting of `.meta`. bhyve writes three levels; the rest is room for unknown keys.
pub const DEPTH: usize = 8;

/// The most values in `.meta`: five per entry, and room for unknown keys.
pub const VALUES: usize = 8 * ENTRIES;

/// The longest name in `.meta` that is read: `NAME_MAX`.
pub const NAME: usize = limits::VM_NAME;

/// The longest name of a record. bhyve cuts device names at 39 bytes.
pub const RECORD_NAME: usize = limits::RECORD_NAME;

/// The largest record. bhyve's own buffer is 20 MiB, a framebuffer record takes 32 MiB and a
/// header.
pub const RECORD: u64 = limits::RECORD;

/// All records together: bounds the work of whoever reads them. A snapshot file has to have room
/// for them and for what it says of each, which is below a KiB.
pub const RECORDS_TOTAL: u64 = limits::RECORDS_TOTAL - ((RECORDS as u64) << 10);

/// The largest `memflags`, which is an `int` in bhyve.
pub const MEMFLAGS: u64 = limits::MEMFLAGS;

/// The most virtual CPUs of a machine: `MAXCPU` of FreeBSD/amd64 14 and later.
pub const VCPUS: u32 = 1024;
const _: () = assert!(VCPUS as u64 == limits::NCPUS);

/// The virtual CPUs that every record of an older layout has room for: `VM_MAXCPU` up to 13.x.
pub const FIXED_VCPUS: u32 = 16;

/// The page that a guest's memory is counted in.
pub const PAGE: u64 = 4096;

/// The most guest memory: x86 has 52 bits of physical address, and the hole for devices takes some.
pub const MEMORY: u64 = limits::GPA_SPACE - (HIGHMEM_BASE - LOWMEM_LIMIT);

/// The largest number of `.meta`: bhyve reads them all into an `int64_t`.
pub const NUMBER: u64 = u64::MAX >> 1;

/// The longest name of a virtual machine: `VM_MAX_NAMELEN`.
pub const VM_NAME: usize = 229;

/// The longest value of a configuration variable in which others were replaced: four `PATH_MAX`.
/// Without a limit, one variable named a thousand times would multiply the text.
pub const EXPANDED: usize = 4096;
