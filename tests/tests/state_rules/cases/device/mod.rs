//! Devices.

mod ahci;
mod e1000;
mod isa;
mod pci;
mod virtio;
mod xhci;

use super::Case;

/// An address that no fixture has memory at.
const OUTSIDE: u64 = 0x7f_ffff_f000;
/// An address that stands for none.
const NONE: u64 = u64::MAX;

pub(crate) fn cases() -> Vec<Case> {
    [pci::cases(), virtio::cases(), e1000::cases(), ahci::cases(), xhci::cases(), isa::cases()]
        .into_iter()
        .flatten()
        .collect()
}
