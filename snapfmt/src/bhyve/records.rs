//! What is known of the kernel's records: one table.
//!
//! A record has no header and no version, so its size is all that tells its layout. Records of
//! virtual CPUs are arrays without a count: every slot there is in [`Generation::A`] of FreeBSD 13
//! (always 16, but trees between 13 and 14 may have written one per virtual CPU), and one slot per
//! virtual CPU in [`Generation::B`]. The number of virtual CPUs of a snapshot with 16 slots
//! therefore cannot be seen from sizes.

use super::meta::{Generation, Record};

/// The maker of the CPU of the host that wrote a snapshot. It is recorded nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vendor {
    /// VMX.
    Intel,
    /// SVM.
    Amd,
}

/// How well a layout is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Seen in snapshots that bhyve's own code wrote.
    Seen,
    /// Computed from a reading of the source.
    Read,
}

/// One layout of a record. Field schemas of a layout belong here as well.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// The generation that writes it.
    pub generation: Generation,
    /// The host that writes it, if it matters.
    pub vendor: Option<Vendor>,
    /// Bytes before the slots; the whole record where there are none.
    pub head: u64,
    /// Bytes of one slot; 0 for a record that is not per virtual CPU.
    pub slot: u64,
    /// Bytes after the slots.
    pub tail: u64,
    /// How well it is known.
    pub evidence: Evidence,
}

impl Layout {
    /// The size of a record with so many slots.
    #[must_use]
    pub fn size(&self, slots: u32) -> u64 {
        self.head + self.slot * u64::from(slots) + self.tail
    }
}

/// A record of the kernel.
#[derive(Debug, PartialEq, Eq)]
pub struct KernRecord {
    /// Its name: the key to it in [`Generation::B`].
    pub name: &'static str,
    /// Its number: the key to it in [`Generation::A`].
    pub snapshot_req: u32,
    /// Every layout that any release has written.
    pub layouts: &'static [Layout],
}

impl KernRecord {
    /// What a record of `.meta` is for bhyve, which goes by the number where there is one.
    #[must_use]
    pub fn of(record: &Record) -> Option<&'static Self> {
        KERN.iter().copied().find(|known| match record.snapshot_req {
            Some(number) => number == known.snapshot_req,
            None => known.name == record.name && known.name != VMX.name,
        })
    }

    /// The layouts of one generation.
    pub fn layouts(&self, generation: Generation) -> impl Iterator<Item = &'static Layout> {
        self.layouts.iter().filter(move |layout| layout.generation == generation)
    }

    /// The layout that a size stands for.
    #[must_use]
    pub fn layout(&self, generation: Generation, slots: u32, size: u64) -> Option<&'static Layout> {
        self.layouts(generation).find(|layout| layout.size(slots) == size)
    }

    /// Whether there is a slot for each virtual CPU.
    #[must_use]
    pub fn per_vcpu(&self) -> bool {
        self.layouts.iter().any(|layout| layout.slot > 0)
    }
}

use Evidence::{Read, Seen};
use Generation::{A, B};
use Vendor::{Amd, Intel};

const fn whole(generation: Generation, head: u64) -> Layout {
    Layout { generation, vendor: None, head, slot: 0, tail: 0, evidence: Seen }
}

const fn slots(generation: Generation, slot: u64, tail: u64, evidence: Evidence) -> Layout {
    Layout { generation, vendor: None, head: 0, slot, tail, evidence }
}

const fn cpu(generation: Generation, vendor: Vendor, slot: u64, evidence: Evidence) -> Layout {
    Layout { generation, vendor: Some(vendor), head: 0, slot, tail: 0, evidence }
}

const fn fixed(name: &'static str, snapshot_req: u32, layouts: &'static [Layout]) -> KernRecord {
    KernRecord { name, snapshot_req, layouts }
}

/// Registers that were moved into `vmcx`: only some layouts have the record.
pub static VMX: KernRecord = KernRecord {
    name: "vmx",
    snapshot_req: 0,
    layouts: &[
        // Six MSRs and 21 registers; later also TSC_AUX.
        cpu(A, Intel, 216, Seen),
        cpu(A, Intel, 224, Read),
        // The root of the nested page table, then the state area. Shrunk later, unknown to what.
        Layout { generation: A, vendor: Some(Amd), head: 8, slot: 3178, tail: 0, evidence: Seen },
    ],
};

/// The virtual CPUs' software state.
pub static VM: KernRecord = KernRecord {
    name: "vm",
    snapshot_req: 2,
    layouts: &[
        slots(A, 184, 0, Seen),
        // With the set of virtual CPUs that wait to be started, of 256 or 1024 bits.
        slots(A, 184, 32, Read),
        slots(A, 184, 128, Read),
        slots(B, 184, 32, Read),
        slots(B, 184, 128, Seen),
    ],
};

/// The virtual CPUs' local APICs.
pub static VLAPIC: KernRecord = KernRecord {
    name: "vlapic",
    snapshot_req: 3,
    // With and without the boot state.
    layouts: &[slots(A, 4173, 0, Seen), slots(A, 4169, 0, Read), slots(B, 4169, 0, Seen)],
};

/// The virtual CPUs' hardware state.
pub static VMCX: KernRecord = KernRecord {
    name: "vmcx",
    snapshot_req: 6,
    layouts: &[
        // Without the registers of `vmx`.
        cpu(A, Intel, 376, Seen),
        cpu(A, Amd, 496, Seen),
        // With them; posted interrupts (64) and MTRRs (256) came one by one.
        cpu(A, Intel, 600, Read),
        cpu(A, Intel, 664, Read),
        cpu(A, Intel, 856, Read),
        cpu(A, Intel, 920, Read),
        cpu(A, Amd, 1028, Read),
        cpu(B, Intel, 600, Read),
        cpu(B, Intel, 664, Read),
        cpu(B, Intel, 856, Read),
        cpu(B, Intel, 920, Seen),
        cpu(B, Amd, 1028, Seen),
    ],
};

/// The bytes of a virtual CPU in a `vmcx` that has the registers of `vmx`, at least.
pub const VMCX_WITH_REGISTERS: u64 = 600;

/// Every record of the kernel in the order in which bhyve writes and restores them.
///
/// All are mandatory, except `vmx`: [`Generation::B`] has none, and [`Generation::A`] needs none if
/// its `vmcx` has the registers.
pub static KERN: &[&KernRecord] = &[
    &fixed("vhpet", 5, &[whole(A, 284), whole(B, 284)]),
    &VM,
    &VMX,
    &fixed("vioapic", 1, &[whole(A, 388), whole(B, 388)]),
    &VLAPIC,
    &VMCX,
    &fixed("vatpit", 8, &[whole(A, 172), whole(B, 172)]),
    &fixed("vatpic", 7, &[whole(A, 118), whole(B, 118)]),
    &fixed("vpmtmr", 9, &[whole(A, 4), whole(B, 4)]),
    &fixed("vrtc", 10, &[whole(A, 140), whole(B, 140)]),
];
