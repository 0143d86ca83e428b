//! All of a machine but its memory, between it and its records.

use snapfmt::bhyve::{Meta, Section};

use super::error::StateError;
use super::record::{Read, Record};
use super::{chips, cpu, fpu, lapic, pci};
use crate::device::{Cmos, Timer, Uart};
use crate::kvm::CpuState;
use crate::machine::Machine;

/// The state of a machine but its memory.
#[derive(Debug, Clone)]
pub struct Saved {
    /// The virtual CPUs.
    pub cpus: Vec<CpuState>,
    /// The redirection table of the I/O APIC.
    pub ioapic: [u64; 24],
    /// The ACPI timer.
    pub timer: u32,
    /// The clock chip.
    pub cmos: Cmos,
    /// The serial ports.
    pub uarts: [Uart; 4],
}

impl Saved {
    /// The state of a machine that is paused.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of(machine: &Machine) -> Result<Self, StateError> {
        let cpus = (0..machine.ncpus()).map(|vcpu| machine.cpu(vcpu)).collect::<Result<_, _>>();
        let ioapic = machine.vm().ioapic().map_err(StateError::Kernel)?;
        let mut devices = machine.devices();
        devices.flush().map_err(StateError::Kernel)?;
        Ok(Self {
            cpus: cpus.map_err(StateError::Kernel)?,
            ioapic,
            timer: devices.timer.value(),
            cmos: devices.cmos,
            uarts: devices.uarts,
        })
    }

    /// Gives it to a machine that is paused, and has as many virtual CPUs.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn apply(&self, machine: &Machine) -> Result<(), StateError> {
        for (vcpu, state) in (0..).zip(&self.cpus) {
            machine.set_cpu(vcpu, state).map_err(StateError::Kernel)?;
        }
        machine.vm().set_ioapic(&self.ioapic).map_err(StateError::Kernel)?;
        let mut devices = machine.devices();
        (devices.cmos, devices.uarts) = (self.cmos, self.uarts);
        devices.timer = Timer::new(self.timer);
        Ok(())
    }

    /// Its records, in bhyve's order.
    pub(super) fn records(&self) -> Result<Vec<Record>, StateError> {
        let ncpus = u32::try_from(self.cpus.len()).unwrap_or(u32::MAX);
        Ok(vec![
            chips::write_hpet()?,
            cpu::write_vm(&self.cpus, ncpus)?,
            chips::write_ioapic(&self.ioapic)?,
            lapic::write(&self.cpus, ncpus)?,
            cpu::write_vmcx(&self.cpus, ncpus)?,
            chips::write_pit()?,
            chips::write_pic()?,
            chips::write_timer(self.timer)?,
            chips::write_rtc(&self.cmos)?,
            pci::write_hostbridge()?,
            fpu::write(&self.cpus),
            pci::write_lpc(&self.uarts)?,
            pci::write_atkbdc()?,
        ])
    }

    /// Reads it from the records of `.kern`, onto the state that a machine has after a reset.
    pub(super) fn read(meta: &Meta, kern: &[u8], machine: &Machine) -> Result<Self, StateError> {
        let ncpus = machine.ncpus();
        let bytes = |name: &'static str| {
            let record = meta.records.iter().find(|record| record.name == name);
            let record = record.ok_or(StateError::NoRecord(name))?;
            let (at, len) = (record.offset as usize, record.size as usize);
            kern.get(at..at.saturating_add(len)).ok_or(StateError::NoRecord(name))
        };
        let read = |section, name| Read::new(section, name, bytes(name)?, ncpus);
        let kern = |name| read(Section::Kern, name);
        let (vm, vmcx, vlapic) = (kern("vm")?, kern("vmcx")?, kern("vlapic")?);
        let images = bytes(fpu::NAME)?;
        let mut saved = Self::of(machine)?;
        for (vcpu, (index, state)) in (0..).zip(saved.cpus.iter_mut().enumerate()) {
            cpu::read_vm(&vm, vcpu, state)?;
            cpu::read_vmcx(&vmcx, vcpu, state)?;
            lapic::read(&vlapic, vcpu, state)?;
            fpu::read(images, index, state)?;
        }
        saved.ioapic = chips::read_ioapic(&kern("vioapic")?)?;
        saved.timer = chips::read_timer(&kern("vpmtmr")?)?;
        saved.cmos = chips::read_rtc(&kern("vrtc")?)?;
        saved.uarts = pci::read_lpc(&read(Section::Device, pci::LPC)?)?;
        Ok(saved)
    }
}
