//! Every layout that is known, a file for each family of records.
//!
//! What the fixtures of the tests have is known from them; the rest from reading bhyve's sources.
//! Records whose devices bhyve cannot save (virtio-console, virtio-scsi, virtio-9p, NVMe, HDA,
//! passthrough) have none.

mod ahci;
mod atkbdc;
mod e1000;
mod fbuf;
mod isa;
mod lpc;
mod mtrr;
mod pci;
mod segments;
mod vhpet;
mod vioapic;
mod virtio;
mod vlapic;
mod vm;
mod vmcx_amd;
mod vmcx_intel;
mod xhci;

use super::schema::Layout;

static FAMILIES: [&[Layout]; 23] = [
    &vhpet::LAYOUTS,
    &vm::LAYOUTS,
    &vioapic::LAYOUTS,
    &vlapic::LAYOUTS,
    &vmcx_intel::LAYOUTS,
    &vmcx_amd::LAYOUTS,
    &isa::LAYOUTS,
    &pci::LAYOUTS,
    &virtio::BLOCKS,
    &virtio::NETS_40,
    &virtio::NETS_41,
    &virtio::ENTROPY,
    &ahci::IDENT_QUEUES,
    &ahci::ATA_QUEUES,
    &ahci::ATA,
    &e1000::LAYOUTS,
    &fbuf::LAYOUTS,
    &lpc::LAYOUTS,
    &xhci::LAYOUTS,
    &xhci::NONES,
    &xhci::ONES,
    &xhci::TWOS,
    &atkbdc::LAYOUTS,
];

/// All layouts, kernel records first.
pub fn all() -> impl Iterator<Item = &'static Layout> {
    FAMILIES.into_iter().flatten()
}

/// The layout of an [id](Layout::id).
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Layout> {
    all().find(|layout| layout.id == id)
}

/// The layout of that [id](Layout::id) and [version](Layout::version).
#[must_use]
pub fn of_version(id: &str, version: u32) -> Option<&'static Layout> {
    all().find(|layout| layout.id == id && layout.version == version)
}
