//! The guest: what it does, what lies where in its memory, and what it says of itself.
//!
//! Each virtual CPU visits its share of the pages over and over, in an order that scatters. A visit
//! checks that the page is, to the last bit, as the visit before it left it, and writes it anew. A
//! hash runs through all visits. It is carried in the general and in the SSE registers, and a copy
//! lies in memory; they are compared before every visit, and at the end of each sweep the keys that
//! were found with those that the sweep before had written. Four times a second the guest tells how
//! it fares, and holds serial port, ACPI timer, clock chip and local APIC against what it gave
//! them. So a page, a register or a device that is lost, stale or changed is found, at the latest,
//! when the guest comes by again, and told at the serial port as a violation.
//!
//! Time is stamped before every batch of at most [`MAX_BATCH`](layout::MAX_BATCH) pages, with the
//! clock of the host, which goes on while the guest does not: the largest gap between two stamps is
//! the longest time that the guest was not running.

pub mod layout;
mod program;
mod status;

use layout::{
    CONSTANT_END, ENTRY, LAPIC, LARGE, MAX_VCPUS, PAGE, PROGRAM, TABLES, UNCACHED, field,
};

pub use status::{Beat, Status};

/// The registers with which a virtual CPU starts; all others are 0.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// Where the program begins.
    pub rip: u64,
    /// The end of its stack.
    pub rsp: u64,
    /// The control page, also for the base of FS.
    pub control: u64,
    /// The base of GS.
    pub ring: u64,
    /// The page tables.
    pub cr3: u64,
}

/// How a virtual CPU starts.
#[must_use]
pub fn start(vcpu: u32) -> Start {
    let control = layout::control(vcpu);
    let ring = layout::ring(vcpu);
    Start { rip: PROGRAM, rsp: control + layout::STACK_TOP, control, ring, cr3: TABLES }
}

/// Where a virtual CPU is that waits for work, which is where they are most of the time.
#[must_use]
pub fn waiting() -> u64 {
    PROGRAM + program::asked()
}

/// The least memory that has pages to visit for so many virtual CPUs.
#[must_use]
pub fn least_memory(ncpus: u32) -> u64 {
    layout::visited(ncpus) + u64::from(ncpus) * PAGE
}

/// What is in memory at the start, from address 0 on; what comes after is zero.
#[must_use]
pub fn image(ncpus: u32, memory: u64) -> Vec<u8> {
    let mut image = Vec::new();
    let mut put = |at: u64, bytes: &[u8]| {
        image.resize(usize::try_from(at).unwrap_or(0), 0);
        image.extend_from_slice(bytes);
    };
    put(TABLES, &tables());
    put(PROGRAM, program::bytes());
    let all = (memory - layout::visited(ncpus)) / PAGE;
    let mut first = 0;
    for vcpu in 0..ncpus.min(MAX_VCPUS) {
        let pages = (all - first) / u64::from(ncpus - vcpu);
        put(layout::control(vcpu), &control(vcpu, layout::visited(ncpus) + first * PAGE, pages));
        let ring = layout::ring(vcpu);
        put(ring, &ring.to_le_bytes());
        first += pages;
    }
    image
}

/// Page tables that map 4 GiB to themselves: one of each upper level, and four of entries of 2 MiB.
fn tables() -> Vec<u8> {
    let mut tables = vec![0_u64; (PROGRAM / 8) as usize];
    let per_page = (PAGE / 8) as usize;
    let first = 2 * PAGE;
    for (index, entry) in tables.iter_mut().enumerate() {
        let at = index as u64 * 8;
        *entry = match at.checked_sub(first) {
            None if at == 0 => PAGE | ENTRY,
            None if index >= per_page && index < per_page + 4 => {
                (first + (index - per_page) as u64 * PAGE) | ENTRY
            }
            None => 0,
            Some(at) => {
                let address = at / 8 * (2 << 20);
                let uncached = if address == LAPIC { UNCACHED } else { 0 };
                address | ENTRY | LARGE | uncached
            }
        };
    }
    tables.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// A control page.
fn control(vcpu: u32, base: u64, pages: u64) -> Vec<u8> {
    let mut page = vec![0; PAGE as usize];
    let mut set = |field: u64, value: u64| {
        let bytes = page.iter_mut().skip(field as usize);
        for (byte, value) in bytes.zip(value.to_le_bytes()) {
            *byte = value;
        }
    };
    let port = layout::PORTS_COM.get(vcpu as usize).copied().unwrap_or_default();
    set(field::SELF, layout::control(vcpu));
    set(field::HASH, 0x5eed_0000_0000_0001 + u64::from(vcpu));
    set(field::PAGES, pages);
    set(field::BASE, base);
    set(field::STRIDE, stride(pages));
    set(field::RING, 511);
    set(field::COM, port.into());
    set(field::INDEX, vcpu.into());
    page
}

/// A step that visits each of so many pages once, and neighbours not after each other.
fn stride(pages: u64) -> u64 {
    let near = pages * 618 / 1000;
    (near.max(1)..pages).find(|&step| divisor(step, pages) == 1).unwrap_or(1)
}

/// The greatest common divisor.
fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

const _: () = assert!(PROGRAM < CONSTANT_END && PROGRAM == TABLES + 6 * PAGE);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_fits_its_pages_and_begins_with_its_first_instruction() {
        let program = program::bytes();
        assert!(program.len() as u64 <= CONSTANT_END - PROGRAM, "{}", program.len());
        assert!(program::asked() < program.len() as u64);
        // LDMXCSR with an address relative to RIP.
        assert_eq!(&program[..3], [0x0f, 0xae, 0x15]);
    }

    #[test]
    fn all_memory_is_tables_program_or_belongs_to_a_virtual_cpu() {
        for ncpus in 1..=MAX_VCPUS {
            let memory = 8 << 20;
            let image = image(ncpus, memory);
            let word = |vcpu, field| {
                let at = (layout::control(vcpu) + field) as usize;
                u64::from_le_bytes(image[at..at + 8].try_into().unwrap())
            };
            let mut next = layout::visited(ncpus);
            for vcpu in 0..ncpus {
                assert_eq!(word(vcpu, field::BASE), next);
                next += word(vcpu, field::PAGES) * PAGE;
            }
            assert_eq!(next, memory);
        }
    }

    #[test]
    fn a_sweep_visits_each_page_once() {
        for pages in [1, 2, 3, 7, 64, 1000, 16_363] {
            let step = stride(pages);
            let visited: std::collections::BTreeSet<_> =
                (0..pages).map(|visit| visit * step % pages).collect();
            assert_eq!(visited.len() as u64, pages);
        }
    }
}
