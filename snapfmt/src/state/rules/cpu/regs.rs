//! The registers of a virtual CPU that decide what others may be.

use crate::state::Scope;

/// CR0.PE.
pub(super) const PE: u64 = 1;
/// CR0.WP.
pub(super) const WP: u64 = 1 << 16;
/// CR0.NW.
pub(super) const NW: u64 = 1 << 29;
/// CR0.CD.
pub(super) const CD: u64 = 1 << 30;
/// CR0.PG.
pub(super) const PG: u64 = 1 << 31;
/// CR4.PAE.
pub(super) const PAE: u64 = 1 << 5;
/// CR4.PCIDE.
pub(super) const PCIDE: u64 = 1 << 17;
/// CR4.CET.
pub(super) const CET: u64 = 1 << 23;
/// EFER.LME.
pub(super) const LME: u64 = 1 << 8;
/// EFER.LMA.
pub(super) const LMA: u64 = 1 << 10;
/// EFER.SVME.
pub(super) const SVME: u64 = 1 << 12;
/// RFLAGS.IF.
pub(super) const IF: u64 = 1 << 9;
/// RFLAGS.VM.
pub(super) const VM: u64 = 1 << 17;

/// The registers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Regs {
    pub(super) cr0: u64,
    pub(super) cr4: u64,
    pub(super) efer: u64,
    pub(super) rflags: u64,
    pub(super) cs: Access,
    pub(super) ss: Access,
}

impl Regs {
    /// Those of a slot of `vmcx`.
    pub(super) fn of(slot: Scope<'_, '_>) -> Option<Self> {
        Some(Self {
            cr0: slot.u64("CR0")?,
            cr4: slot.u64("CR4")?,
            efer: slot.u64("EFER")?,
            rflags: slot.u64("RFLAGS")?,
            cs: Access(slot.u64("CS.access")?),
            ss: Access(slot.u64("SS.access")?),
        })
    }

    /// Whether addresses are translated.
    pub(super) const fn paging(&self) -> bool {
        self.cr0 & PG != 0
    }

    /// Whether long mode is active: 64-bit or compatibility mode.
    pub(super) const fn long(&self) -> bool {
        self.efer & LMA != 0
    }

    /// Whether EFER and CR0 agree on that. If not, what depends on it is not known.
    pub(super) const fn agree_on_long(&self) -> bool {
        self.long() == (self.efer & LME != 0 && self.paging())
    }

    /// Whether it is in virtual-8086 mode.
    pub(super) const fn vm86(&self) -> bool {
        self.rflags & VM != 0
    }

    /// Whether it is in 64-bit mode.
    pub(super) const fn bits64(&self) -> bool {
        self.long() && self.cs.long()
    }
}

/// Access rights of a segment, in the format of VMX.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access(pub(super) u64);

impl Access {
    /// Bits that are reserved.
    pub(super) const RESERVED: u64 = 0xfffe_0f00;

    pub(super) const fn kind(self) -> u64 {
        self.0 & 0xf
    }

    /// Code or data, not a segment of the system.
    pub(super) const fn code_or_data(self) -> bool {
        self.0 & 1 << 4 != 0
    }

    pub(super) const fn dpl(self) -> u64 {
        self.0 >> 5 & 3
    }

    pub(super) const fn present(self) -> bool {
        self.0 & 1 << 7 != 0
    }

    /// L.
    pub(super) const fn long(self) -> bool {
        self.0 & 1 << 13 != 0
    }

    /// D/B.
    pub(super) const fn big(self) -> bool {
        self.0 & 1 << 14 != 0
    }

    /// G.
    pub(super) const fn pages(self) -> bool {
        self.0 & 1 << 15 != 0
    }

    pub(super) const fn usable(self) -> bool {
        self.0 & 1 << 16 == 0
    }

    /// The bits that are reserved.
    pub(super) const fn reserved(self) -> u64 {
        self.0 & Self::RESERVED
    }
}
