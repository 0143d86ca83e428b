//! All of a virtual CPU that a snapshot has to keep.

use kvm_bindings::{kvm_debugregs, kvm_dtable, kvm_regs, kvm_segment};

/// The model-specific registers that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Msr {
    /// Time stamp counter.
    Tsc = 0x10,
    /// CS of SYSENTER.
    SysenterCs = 0x174,
    /// ESP of SYSENTER.
    SysenterEsp = 0x175,
    /// EIP of SYSENTER.
    SysenterEip = 0x176,
    /// Page attribute table.
    Pat = 0x277,
    /// Segments of SYSCALL.
    Star = 0xc000_0081,
    /// Target of SYSCALL.
    Lstar = 0xc000_0082,
    /// Target of SYSCALL in compatibility mode.
    Cstar = 0xc000_0083,
    /// Flags that SYSCALL clears.
    SfMask = 0xc000_0084,
    /// What SWAPGS brings.
    KernelGsBase = 0xc000_0102,
    /// What RDTSCP tells.
    TscAux = 0xc000_0103,
}

impl Msr {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Tsc,
        Self::SysenterCs,
        Self::SysenterEsp,
        Self::SysenterEip,
        Self::Pat,
        Self::Star,
        Self::Lstar,
        Self::Cstar,
        Self::SfMask,
        Self::KernelGsBase,
        Self::TscAux,
    ];

    fn place(self) -> usize {
        Self::ALL.iter().position(|msr| *msr == self).unwrap_or_default()
    }
}

/// The segment registers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Segments {
    pub es: kvm_segment,
    pub cs: kvm_segment,
    pub ss: kvm_segment,
    pub ds: kvm_segment,
    pub fs: kvm_segment,
    pub gs: kvm_segment,
    pub tr: kvm_segment,
    pub ldtr: kvm_segment,
}

/// A virtual CPU between two instructions.
#[derive(Debug, Clone, PartialEq)]
pub struct CpuState {
    /// General registers, RIP and RFLAGS.
    pub regs: kvm_regs,
    /// Segment registers.
    pub segments: Segments,
    /// IDTR.
    pub idtr: kvm_dtable,
    /// GDTR.
    pub gdtr: kvm_dtable,
    /// CR0, CR2, CR3, CR4.
    pub cr: [u64; 4],
    /// CR8.
    pub cr8: u64,
    /// EFER.
    pub efer: u64,
    /// DR0 to DR3, DR6, DR7.
    pub debug: kvm_debugregs,
    /// XCR0.
    pub xcr0: u64,
    /// The FXSAVE image: x87 and SSE, and no more, as the guest uses no more.
    pub fpu: [u8; 512],
    /// The registers of the local APIC, every 16 bytes.
    pub lapic: [u8; 1024],
    pub(super) msrs: [u64; Msr::ALL.len()],
}

impl CpuState {
    /// A model-specific register.
    #[must_use]
    pub fn msr(&self, msr: Msr) -> u64 {
        self.msrs.get(msr.place()).copied().unwrap_or_default()
    }

    /// Sets a model-specific register.
    pub fn set_msr(&mut self, msr: Msr, value: u64) {
        if let Some(place) = self.msrs.get_mut(msr.place()) {
            *place = value;
        }
    }

    /// A register of the local APIC.
    #[must_use]
    pub fn apic(&self, at: usize) -> u32 {
        let bytes = self.lapic.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// Sets a register of the local APIC.
    pub fn set_apic(&mut self, at: usize, value: u32) {
        let bytes = self.lapic.iter_mut().skip(at);
        for (byte, value) in bytes.zip(value.to_le_bytes()) {
            *byte = value;
        }
    }
}
