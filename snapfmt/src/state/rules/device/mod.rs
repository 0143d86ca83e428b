//! Rules of the records of devices: one file for each kind.
//!
//! They know what bhyve's device models keep, and which of it a guest can set to what: a value that
//! a guest may have written is never called impossible. Where the machine that restores lies, its
//! disks and its network are not known here.

mod ahci;
mod ahci_queues;
mod atkbdc;
mod blk;
mod e1000;
mod e1000_rings;
mod fbuf;
mod layout;
mod lpc;
mod msi;
mod net;
mod pci;
mod queue;
mod virtio;
mod xhci;
mod xhci_devices;

use super::{Chapter, Check};

/// The chapters, in the order of the files.
pub(super) static CHAPTERS: &[&Chapter] = &[
    &layout::CHAPTER,
    &pci::CHAPTER,
    &msi::CHAPTER,
    &virtio::CHAPTER,
    &queue::CHAPTER,
    &blk::CHAPTER,
    &net::CHAPTER,
    &e1000::CHAPTER,
    &e1000_rings::CHAPTER,
    &ahci::CHAPTER,
    &ahci_queues::CHAPTER,
    &xhci::CHAPTER,
    &xhci_devices::CHAPTER,
    &lpc::CHAPTER,
    &fbuf::CHAPTER,
    &atkbdc::CHAPTER,
];

/// All devices on the PCI bus that have a record.
const PCI: &[&str] = &[
    "virtio-blk",
    "virtio-net",
    "virtio-rnd",
    "e1000",
    "ahci",
    "ahci-hd",
    "ahci-cd",
    "xhci",
    "fbuf",
    "lpc",
    "hostbridge",
    "amd_hostbridge",
];

const VIRTIO: &[&str] = &["virtio-blk", "virtio-net", "virtio-rnd"];
const AHCI: &[&str] = &["ahci", "ahci-hd", "ahci-cd"];
const XHCI: &[&str] = &["xhci"];
const E1000: &[&str] = &["e1000"];

/// A guest-physical address that stands for none.
const NONE: u64 = u64::MAX;

/// What can be done about a device that must be left out.
const WITHOUT: &str = "take another snapshot, or restore the machine without the device";

/// Whether guest memory has all of these bytes, without a hole.
fn in_memory(check: &Check<'_, '_>, gpa: u64, len: u64) -> bool {
    check.machine().memory.segments().any(|segment| {
        gpa.checked_sub(segment.gpa).is_some_and(|at| at < segment.len && len <= segment.len - at)
    })
}

/// Whether a number is 0 or 1.
const fn flag(value: u64) -> bool {
    value <= 1
}
