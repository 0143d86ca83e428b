//! A virtual machine of the kernel, with its memory.

#![allow(unsafe_code)]

use std::io;

use kvm_bindings::{
    CpuId, KVM_IRQCHIP_IOAPIC, KVM_MAX_CPUID_ENTRIES, KVM_MEM_LOG_DIRTY_PAGES, kvm_ioapic_state,
    kvm_irqchip, kvm_userspace_memory_region,
};
use kvm_ioctls::{Kvm, VmFd};

use super::ram::Ram;
use super::vcpu::Vcpu;

/// Why there can be no virtual machine here; nothing if there can be one.
#[must_use]
pub fn available() -> Option<String> {
    match Kvm::new().and_then(|kvm| kvm.create_vm()) {
        Ok(_) => None,
        Err(error) => Some(format!("/dev/kvm: {}", io::Error::from(error))),
    }
}

/// A virtual machine.
#[derive(Debug)]
pub struct Vm {
    // Dropped in this order: the machine goes before the memory that it was given.
    fd: VmFd,
    ram: Ram,
    cpuid: CpuId,
}

impl Vm {
    /// Makes one with that memory, local APICs and an I/O APIC. Writes of the guest are logged.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(ram: Ram) -> io::Result<Self> {
        let kvm = Kvm::new()?;
        let fd = kvm.create_vm()?;
        fd.create_irq_chip()?;
        let region = kvm_userspace_memory_region {
            slot: 0,
            flags: KVM_MEM_LOG_DIRTY_PAGES,
            guest_phys_addr: 0,
            memory_size: ram.len(),
            userspace_addr: ram.address(),
        };
        // SAFETY: the region is the mapping of `ram`, whole; it stays mapped until `ram` is
        // dropped, after `fd` is closed, and no reference to its bytes exists in this process.
        unsafe { fd.set_user_memory_region(region) }?;
        let cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?;
        Ok(Self { fd, ram, cpuid })
    }

    /// Its memory.
    #[must_use]
    pub const fn ram(&self) -> &Ram {
        &self.ram
    }

    /// Makes its next virtual CPU.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add_vcpu(&self, index: u32) -> io::Result<Vcpu> {
        let mut cpuid = self.cpuid.clone();
        for entry in cpuid.as_mut_slice() {
            // The id of its local APIC.
            if entry.function == 1 {
                entry.ebx = (entry.ebx & 0x00ff_ffff) | index << 24;
            }
        }
        Vcpu::new(self.fd.create_vcpu(index.into())?, &cpuid)
    }

    /// The pages that the guest has written since it was asked last, a bit each.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn take_dirty(&self) -> io::Result<Vec<u64>> {
        let len = usize::try_from(self.ram.len()).map_err(io::Error::other)?;
        Ok(self.fd.get_dirty_log(0, len)?)
    }

    /// The redirection table of the I/O APIC.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn ioapic(&self) -> io::Result<[u64; 24]> {
        let mut chip = kvm_irqchip { chip_id: KVM_IRQCHIP_IOAPIC, ..Default::default() };
        self.fd.get_irqchip(&mut chip)?;
        // SAFETY: for this chip the kernel fills in this member, and any bits are a value of it.
        let state: kvm_ioapic_state = unsafe { chip.chip.ioapic };
        // SAFETY: both members of an entry are 64 bits wide, and any bits are a value of either.
        Ok(state.redirtbl.map(|entry| unsafe { entry.bits }))
    }

    /// Sets the redirection table of the I/O APIC.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_ioapic(&self, table: &[u64; 24]) -> io::Result<()> {
        let mut chip = kvm_irqchip { chip_id: KVM_IRQCHIP_IOAPIC, ..Default::default() };
        self.fd.get_irqchip(&mut chip)?;
        // SAFETY: for this chip the kernel filled in this member.
        let state = unsafe { &mut chip.chip.ioapic };
        for (entry, bits) in state.redirtbl.iter_mut().zip(table) {
            entry.bits = *bits;
        }
        self.fd.set_irqchip(&chip)?;
        Ok(())
    }
}
