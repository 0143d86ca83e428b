//! x87 and SSE, which bhyve saves nowhere: an FXSAVE image for each virtual CPU.

use snapfmt::bhyve::Section;

use super::error::StateError;
use super::record::Record;
use crate::kvm::CpuState;

/// The record that holds them: a device that no bhyve has.
pub const NAME: &str = "testvm-fpu@pci.0.2.0";

/// Bytes of an image.
pub const IMAGE: usize = 512;

pub(super) fn write(cpus: &[CpuState]) -> Record {
    let images: Vec<u8> = cpus.iter().flat_map(|cpu| cpu.fpu).collect();
    Record::opaque(Section::Device, NAME, images)
}

pub(super) fn read(bytes: &[u8], vcpu: usize, cpu: &mut CpuState) -> Result<(), StateError> {
    let (images, _) = bytes.as_chunks::<IMAGE>();
    cpu.fpu = *images.get(vcpu).ok_or(StateError::NoRecord(NAME))?;
    Ok(())
}
