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
/// Bytes of the name of a vendor (§4.13).
pub const VENDOR: usize = 63;
/// Bytes of the name of an architecture; FreeBSD's own are under 16.
pub const ARCH: usize = 31;
/// Bytes of a feature's name (§9.3).
pub const FEATURE_NAME: usize = 63;
/// Bytes of a file, so that no sum of offsets can wrap.
pub const FILE: u64 = 1 << 56;

/// The nvlist of the VM, META, CONFIG and MAP parts: a full memory map takes 1.2 KiB.
pub const SMALL_NVLIST: u32 = 64 << 10;
/// The nvlist of DEVICE parts: fields of the largest kernel record for about a hundred vCPUs.
pub const DEVICE_NVLIST: u32 = 4 << 20;
/// The nvlist of HOST and unknown optional parts: what is large belongs in a payload.
pub const OPTIONAL_NVLIST: u32 = 1 << 20;
/// The nvlist of EXTENT parts: leaves of 1024 pages and three bitmaps take 33 KiB.
pub const EXTENT_NVLIST: u32 = 64 << 10;
/// The nvlist of INDEX: 1090 parts of about 450 bytes, and room.
pub const INDEX_NVLIST: u32 = 4 << 20;

/// The payload of META and CONFIG; real ones have 2 KiB.
pub const TEXT_PAYLOAD: u64 = 1 << 20;
/// The payload of a DEVICE part, and a record: framebuffers of 32 MiB have been seen.
pub const RECORD: u64 = 64 << 20;
/// All records of a file together, and the nvlists of their parts: bounds the work of a quick
/// check.
pub const RECORDS_TOTAL: u64 = 1 << 30;
/// All optional parts of a file together, for the same reason.
pub const OPTIONAL_TOTAL: u64 = 256 << 20;
/// The exponent of the window of a zstd frame (§6.6): 64 MiB, the largest payload.
pub const ZSTD_WINDOW: u8 = 16;
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
/// Files of a chain, of which §13.6 asks for 64: bounds the search for parents, and what is open at
/// once.
pub const CHAIN: usize = 1024;
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

/// What counts against [`NVLIST_PAIRS`], in a list of a snapshot (§1.3.6): a record's fields are
/// some 250 for each virtual CPU.
pub const SNAPSHOT_PAIRS: usize = 1 << 16;

/// Bytes of a pair's name without its NUL. libnv's `NV_NAME_MAX` less the NUL.
pub const NVLIST_NAME: usize = 2047;

// Fields of device records.

/// Fields of a record. Kernel records have about 100 for each virtual CPU; an AHCI controller with
/// all its requests has some 30,000.
pub const FIELDS: usize = 1 << 18;

/// Bytes of a packed list of the fields of a record; larger records are kept raw. 16 virtual CPUs
/// take 100 KiB, 1024 take more.
pub const FIELDS_NVLIST: usize = 4 << 20;

/// The longest field that is in the list itself; longer ones are in the payload.
pub const FIELD_INLINE: usize = 4096;

// Findings.

/// Places that are listed where one rule is broken in a record, and what it lacks; more are
/// counted. A machine of 16 virtual CPUs can show all of them.
pub const FINDINGS: usize = 16;

/// Pages of guest memory that are kept for rules while a file goes by. Rings of 30 devices with
/// three queues of 1024 descriptors take 630.
pub const RULE_PAGES: usize = 4096;
