//! Where everything lies in the guest's memory, and at which ports. The guest program and the
//! virtual machine both go by these numbers; nothing else knows them.
//!
//! ```text
//! 0       page tables   6 pages: all of 4 GiB mapped to itself, for every privilege level
//! 0x6000  program       2 pages
//! 0x8000  3 pages for each virtual CPU: control, ring, stack
//! then    the pages that the virtual CPUs visit, a share for each, to the end of memory
//! ```

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// Most virtual CPUs: each has a serial port, and a PC has four.
pub const MAX_VCPUS: u32 = 4;

/// Most memory: bhyve has a hole for devices above it.
pub const MOST_MEMORY: u64 = 3 << 30;

pub(super) const TABLES: u64 = 0;
pub(super) const PROGRAM: u64 = 0x6000;
/// What comes before never changes.
pub(super) const CONSTANT_END: u64 = 0x8000;

/// A page table entry: present, writable, for all levels, accessed, dirty. The last two are set
/// from the start, so that no table changes.
pub(super) const ENTRY: u64 = 0x67;
/// Of an entry for 2 MiB.
pub(super) const LARGE: u64 = 0x80;
/// Of an entry for memory that is no memory.
pub(super) const UNCACHED: u64 = 0x18;

/// Where local APICs are mapped.
pub const LAPIC: u64 = 0xfee0_0000;

/// The control page of a virtual CPU.
#[must_use]
pub const fn control(vcpu: u32) -> u64 {
    CONSTANT_END + 3 * PAGE * vcpu as u64
}

/// The page with its ring of gaps.
#[must_use]
pub const fn ring(vcpu: u32) -> u64 {
    control(vcpu) + PAGE
}

/// The first page that is visited, on a machine of so many virtual CPUs.
#[must_use]
pub const fn visited(ncpus: u32) -> u64 {
    control(ncpus)
}

/// The end of the stack, from the control page.
pub const STACK_TOP: u64 = 3 * PAGE;

/// What a page holds in its first word, but for its address.
pub(super) const IDENTITY: u64 = 0x7465_7374_766d_0000;

/// The port at which the guest asks how many pages to visit; it may have to wait for the answer.
pub const PORT_WORK: u16 = 0x4000;
/// The port that gives the host's clock, in microseconds, modulo 2^32.
pub const PORT_CLOCK: u16 = 0x4004;
/// The ACPI timer, where bhyve has it.
pub const PORT_TIMER: u16 = 0x408;
/// The serial ports.
pub const PORTS_COM: [u16; MAX_VCPUS as usize] = [0x3f8, 0x2f8, 0x3e8, 0x2e8];
/// The register of the clock chip that is selected, and its value.
pub const PORTS_CMOS: [u16; 2] = [0x70, 0x71];
/// Where in the memory of the clock chip the first virtual CPU keeps eight bytes.
pub(super) const CMOS_FIRST: u8 = 0x40;

/// The most pages that are visited between two stamps of the time.
pub const MAX_BATCH: u32 = 16;
/// How often the guest reports.
pub const BEAT_MICROSECONDS: u32 = 250_000;
/// How many violations a virtual CPU describes; it counts all.
pub(super) const MAX_REPORTS: u32 = 64;

/// The words of a control page, by their offsets.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        fields!(@ 0, $($(#[$doc])* $name,)*);
    };
    (@ $at:expr, $(#[$doc:meta])* $name:ident, $($rest:tt)*) => {
        $(#[$doc])*
        pub const $name: u64 = $at;
        fields!(@ $at + 8, $($rest)*);
    };
    (@ $at:expr,) => {};
}

/// What is in a control page.
pub mod field {
    fields! {
        /// Its own address.
        SELF,
        /// The running hash.
        HASH,
        /// Sweeps over all pages that are done.
        SWEEPS,
        /// Visits of this sweep.
        CURSOR,
        /// How many pages are visited.
        PAGES,
        /// The first of them.
        BASE,
        /// From one page to the next; has no divisor in common with their number.
        STRIDE,
        /// Which page comes next.
        POSITION,
        /// Visits in all.
        VISITS,
        /// Visits left of the batch.
        BATCH,
        /// Sum of the keys that this sweep found.
        SUM_FOUND,
        /// Sum of the keys that this sweep wrote.
        SUM_WRITTEN,
        /// Sum of the keys that the last sweep wrote.
        SUM_WANTED,
        /// Sum of what never changes.
        CONSTANT_SUM,
        /// Violations.
        VIOLATIONS,
        /// The last stamp.
        CLOCK,
        /// The largest gap between two stamps since the last report.
        GAP,
        /// The largest gap of all.
        GAP_MAX,
        /// Stamp of the last report.
        BEAT_CLOCK,
        /// Reports.
        BEATS,
        /// The entry of the ring that was written last.
        RING,
        /// What was written there.
        RING_LAST,
        /// Its serial port.
        COM,
        /// Its number.
        INDEX,
        /// What the scratch register of the serial port holds.
        SCRATCH,
        /// What the ACPI timer had.
        TIMER,
        /// What the local APIC was given.
        LAPIC_GIVEN,
        /// What the clock chip keeps.
        CMOS,
    }
}
