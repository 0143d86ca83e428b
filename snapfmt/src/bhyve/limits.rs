//! Every bound of the reader of stock snapshots, each with its reason.

/// The longest `.meta` or configuration text: 1 MiB. A machine with two hundred devices needs 30
/// KiB.
pub const TEXT: usize = 1 << 20;

/// The most entries of `.meta`, both sections together. PCI has 256 buses of 32 slots, but bhyve
/// has ten kernel records and nobody has a machine with four thousand devices.
pub const RECORDS: usize = 4096;

/// The deepest nesting of `.meta`. bhyve writes three levels; the rest is room for unknown keys.
pub const DEPTH: usize = 8;

/// The most values in `.meta`: five per entry, and room for unknown keys.
pub const VALUES: usize = 8 * RECORDS;

/// The longest name in `.meta`: `NAME_MAX`. bhyve cuts device names at 39 bytes.
pub const NAME: usize = 255;

/// The largest record. bhyve's own buffer is 20 MiB, a framebuffer record takes 32 MiB and a
/// header.
pub const RECORD: u64 = 64 << 20;

/// The most virtual CPUs of a machine: `MAXCPU` of FreeBSD/amd64 14 and later.
pub const VCPUS: u32 = 1024;

/// The virtual CPUs that every record of an older layout has room for: `VM_MAXCPU` up to 13.x.
pub const FIXED_VCPUS: u32 = 16;

/// The page that a guest's memory is counted in.
pub const PAGE: u64 = 4096;

/// The most guest memory: x86 has 52 bits of physical address.
pub const MEMORY: u64 = 1 << 52;

/// The largest number of `.meta`: bhyve reads them all into an `int64_t`.
pub const NUMBER: u64 = u64::MAX >> 1;

/// The longest name of a virtual machine: `VM_MAX_NAMELEN`.
pub const VM_NAME: usize = 229;

/// The longest value of a configuration variable in which others were replaced: four `PATH_MAX`.
/// Without a limit, one variable named a thousand times would multiply the text.
pub const EXPANDED: usize = 4096;
