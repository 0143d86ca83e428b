//! Whether the device records can be what their names say. All of it is advice: bhyve itself
//! ignores devices that it does not look for, and releases differ in how much a device saves.

use super::place;
use crate::bhyve::finding::{Finding, Place};
use crate::bhyve::meta::{Generation, Meta, Record, Section};
use crate::bhyve::rules;

/// How long the records of a kind of device can be.
enum Shape {
    /// Exactly this, with no PCI header.
    Whole(u64),
    /// A PCI header, then one of these.
    Tails(&'static [u64]),
    /// A PCI header, then this at least.
    AtLeast(u64),
    /// A PCI header, the virtio state with its queues, then one of these.
    Virtio {
        /// The least and the most queues.
        queues: (u64, u64),
        /// The size of a ring's image.
        ring: u64,
        /// What follows the queues.
        tails: &'static [u64],
    },
}

use Shape::{AtLeast, Tails, Virtio, Whole};

/// The keyboard controller: no PCI device, so its record has no PCI header.
const ATKBDC: &str = "atkbdc";

/// Every kind of device that any release can save.
static KINDS: &[(&str, Shape)] = &[
    (ATKBDC, Whole(141)),
    ("hostbridge", Tails(&[0])),
    ("amd_hostbridge", Tails(&[0])),
    // One to four serial ports.
    ("lpc", Tails(&[42, 84, 126, 168])),
    ("fbuf", Tails(&[16 << 20, 32 << 20])),
    ("e1000", Tails(&[1738])),
    // What follows depends on the devices that are plugged in.
    ("xhci", AtLeast(0)),
    // Thirteen registers, then 12 bytes at least for each of 32 ports.
    ("ahci", AtLeast(436)),
    ("ahci-hd", AtLeast(436)),
    ("ahci-cd", AtLeast(436)),
    // The configuration of 60 or 33 bytes, and an identity of 21 or 20.
    ("virtio-blk", Virtio { queues: (1, 1), ring: 8192, tails: &[81, 80, 54, 53] }),
    ("virtio-net", Virtio { queues: (2, 3), ring: 32768, tails: &[41, 40] }),
    ("virtio-rnd", Virtio { queues: (1, 1), ring: 8192, tails: &[0] }),
];

/// PCI headers without MSI-X entries, of 13.x and of 14.x, and two forms that may have been
/// between.
const HEADERS: [u64; 4] = [436, 452, 432, 456];

/// An entry of the MSI-X table, and how many PCI allows.
const MSIX_ENTRY: u64 = 16;
const MSIX_ENTRIES: u64 = 2048;

pub(super) fn check(meta: &Meta) -> Vec<Finding> {
    let newer = meta.generation == Generation::B;
    let mut findings: Vec<_> = meta
        .section(Section::Device)
        .filter(|record| newer || record.size > 0)
        .filter_map(|record| judge(meta.generation, record))
        .collect();
    if newer && !meta.section(Section::Device).any(|record| record.name == ATKBDC) {
        let at = Place::Section(Section::Device);
        findings.push(Finding::new(&rules::DEVICE_ATKBDC_MISSING, at).with("name", ATKBDC));
    }
    findings
}

fn judge(generation: Generation, record: &Record) -> Option<Finding> {
    let finding = |rule| Finding::new(rule, place(record)).with("size", record.size);
    let kind = match generation {
        Generation::A => Some(record.name.as_str()),
        Generation::B => kind(&record.name),
    };
    let shape = kind.and_then(|kind| KINDS.iter().find(|(name, _)| *name == kind));
    match shape {
        _ if record.size == 0 => Some(finding(&rules::DEVICE_EMPTY)),
        None => Some(finding(&rules::DEVICE_UNKNOWN)),
        Some((_, shape)) if shape.fits(record.size) => None,
        Some(_) => Some(finding(&rules::DEVICE_SIZE_UNLIKELY)),
    }
}

/// The kind of a device that is called `kind@pci.bus.slot.function`.
fn kind(name: &str) -> Option<&str> {
    if name == ATKBDC {
        return Some(name);
    }
    let (kind, address) = name.split_once("@pci.")?;
    let mut numbers = address.split('.').map(|number| number.parse::<u8>().ok());
    let (bus, slot, function) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let real = slot < 32 && function < 8 && numbers.next().is_none();
    real.then_some(kind).filter(|_| address == format!("{bus}.{slot}.{function}"))
}

impl Shape {
    fn fits(&self, size: u64) -> bool {
        match *self {
            Whole(whole) => size == whole,
            Tails(tails) => tails.iter().any(|tail| header_and(*tail, size)),
            AtLeast(tail) => HEADERS.iter().any(|header| size >= header + tail),
            Virtio { queues: (least, most), ring, tails } => (least..=most).any(|queues| {
                // Only queues that the guest has set up have addresses and an image.
                (0..=queues).any(|set_up| {
                    let state = 36 + 18 * queues + (24 + ring) * set_up;
                    tails.iter().any(|tail| header_and(state + tail, size))
                })
            }),
        }
    }
}

/// Whether `size` is that of a PCI header with any number of MSI-X entries, and `tail` bytes.
fn header_and(tail: u64, size: u64) -> bool {
    HEADERS.iter().any(|header| {
        size.checked_sub(header + tail).is_some_and(|entries| {
            entries.is_multiple_of(MSIX_ENTRY) && entries / MSIX_ENTRY <= MSIX_ENTRIES
        })
    })
}
