//! Every bound of the snapshot file, with its reason (§10). The nvlist codec has its own below.
//!
//! Knows numbers only. Nothing in this crate allocates or loops by a number from a file that was
//! not first compared with one of these.

/// One page of guest memory in bytes (§1.2).
pub const PAGE: usize = 4096;
/// The guest-physical address space in bytes: what x86-64 can address at most (§1.2).
pub const GPA_SPACE: u64 = 1 << 52;
/// Memory segments of a VM: bhyve has two; room for ROMs and for holes of other hypervisors.
pub const SEGMENTS: usize = 64;
/// Virtual CPUs: above what any bhyve allows, so that tables of them stay small.
pub const NCPUS: u64 = 1024;
/// `memflags` is an `int` in bhyve.
pub const MEMFLAGS: u64 = u32::MAX as u64;
/// Bytes of a VM's name; bhyve allows fewer.
pub const VM_NAME: usize = 255;
/// Bytes of a record's name; bhyve's own are under 64.
pub const RECORD_NAME: usize = 127;
/// Bytes of a feature's name (§9.3).
pub const FEATURE_NAME: usize = 63;
/// Bytes of a file, so that no sum of offsets can wrap.
pub const FILE: u64 = 1 << 56;

/// The nvlist of the VM, META, CONFIG and MAP parts: a full memory map takes 1.2 KiB.
pub const SMALL_NVLIST: u32 = 64 << 10;
/// The nvlist of DEVICE parts: room for the fields of the largest kernel record.
pub const DEVICE_NVLIST: u32 = 1 << 20;
/// The nvlist of EXTENT parts: a bitmap of 128 bytes and four pairs.
pub const EXTENT_NVLIST: u32 = 4 << 10;
/// The nvlist of INDEX: twice what the most parts can need.
pub const INDEX_NVLIST: u32 = 4 << 20;

/// The payload of META and CONFIG; real ones have 2 KiB.
pub const TEXT_PAYLOAD: u64 = 1 << 20;
/// The payload of a DEVICE part, and a record: framebuffers of 32 MiB have been seen.
pub const RECORD: u64 = 64 << 20;
/// All records of a file together: bounds the work of a quick check.
pub const RECORDS_TOTAL: u64 = 1 << 30;
/// The smallest block of an extent: below it, frames would outweigh pages.
pub const EXTENT_MIN: u64 = 64 << 10;
/// The largest block of an extent: what a reader from a pipe has to hold.
pub const EXTENT_MAX: u64 = 4 << 20;
/// Entries of a MAP part.
pub const MAP_ENTRIES: usize = 4096;
/// The payload of a MAP part: 96 bytes for each entry.
pub const MAP_PAYLOAD: u64 = 384 << 10;
/// MAP parts of a file: 512 TiB in extents of 1 MiB. Readers hold their places until INDEX.
pub const MAPS: usize = 1 << 17;
/// The payload of INDEX: 64 bytes for each MAP part.
pub const INDEX_PAYLOAD: u64 = 8 << 20;
const _: () = assert!(MAPS as u64 * 64 == INDEX_PAYLOAD);
/// DEVICE parts of a file; a VM has tens of records.
pub const DEVICES: usize = 1024;
/// Optional parts of a file.
pub const OPTIONAL_PARTS: usize = 64;

// Name/value lists.

/// Bytes of a packed list. Device state is far below this; guest memory is never in a list.
pub const NVLIST_SIZE: usize = 64 << 20;

/// Lists inside each other, the outermost counted. Bounds the recursion of everything that follows
/// the shape of a list (drop, clone, pack, print); libnv's own recursion has no bound and overflows
/// the stack. Real lists have fewer than ten levels.
pub const NVLIST_DEPTH: usize = 128;

/// Pairs of a packed list, those of nested lists, elements of list arrays and elements of string
/// arrays counted: everything that costs the reader an allocation of its own. With
/// [`NVLIST_DEPTH`] it also bounds the work of walking a list level by level.
pub const NVLIST_PAIRS: usize = 1 << 18;

/// Bytes of a pair's name without its NUL. libnv's `NV_NAME_MAX` less the NUL.
pub const NVLIST_NAME: usize = 2047;
