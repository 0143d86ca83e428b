//! The memory of a running guest, read from outside: the VM's device in `/dev/vmm` can be mapped.
//!
//! ```text
//!   /dev/vmm/NAME ── VM_MMAP_GETNEXT, VM_GET_MEMSEG ──▶ layout ──▶ Mapping of each run ──▶ read
//! ```
//!
//! bhyvectl finds the guest's memory in the same way (`--get-memmap`), and bhyve itself maps it so.
//! The device lets root map what is system memory; ROMs and framebuffers it does not. `pread` of
//! the device gives the same bytes without a mapping, but the kernel looks every page up for it.
//!
//! It knows where memory lies and how to copy it while the guest writes to it. It refuses to know
//! what has changed: vmm keeps no log, so whoever reads has to compare. Of this crate, only
//! [`mapping`] and `device` have unsafe code, and each block of it says why it is sound. The
//! device exists for FreeBSD alone; everything else is tried elsewhere too. `.ci/freebsd-headers`
//! holds the numbers and sizes of [`abi`] against FreeBSD's own headers.

pub mod abi;
#[cfg(target_os = "freebsd")]
#[allow(unsafe_code)]
pub mod device;
pub mod layout;
#[allow(unsafe_code)]
pub mod mapping;

#[cfg(target_os = "freebsd")]
pub use self::device::Device;
pub use self::layout::{Layout, Walk};
pub use self::mapping::Mapping;
