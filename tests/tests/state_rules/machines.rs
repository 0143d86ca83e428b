//! Machines that no fixture has: any number of virtual CPUs, put together from the slots of one.

use snapfmt::bhyve::{Meta, Section};
use snapfmt::state::rules::Machine;

use crate::fixture::Fixture;

/// A newer fixture with so many virtual CPUs: the second is repeated. x2APIC, Intel.
pub(crate) fn with_vcpus(vcpus: u32) -> Fixture {
    let source = Fixture::of("intel-4cpu-highmem");
    let machine = Machine::from_kern(&source.meta, &source.kern);
    let mut meta = Meta { records: Vec::new(), ..source.meta.clone() };
    meta.vm.ncpus = vcpus;
    let mut kern = Vec::new();
    for record in &machine.records {
        if record.family == "fbuf" {
            continue;
        }
        let mut entry = record.entry.clone();
        entry.offset = kern.len() as u64;
        match &record.fields {
            Ok(fields) if fields.slots() > 0 && entry.section == Section::Kern => {
                let slot = fields.layout().size().unwrap().1 as usize;
                let (slots, tail) = record.bytes.split_at(slot * 4);
                for vcpu in 0..vcpus {
                    let from = slot * vcpu.min(1) as usize;
                    let mut bytes = slots[from..from + slot].to_vec();
                    if record.family == "vlapic" {
                        let logical = (vcpu >> 4) << 16 | 1 << (vcpu & 0xf);
                        bytes[0x20..0x24].copy_from_slice(&vcpu.to_le_bytes());
                        bytes[0xd0..0xd4].copy_from_slice(&logical.to_le_bytes());
                    }
                    kern.extend(bytes);
                }
                kern.extend(tail);
            }
            _ => kern.extend(record.bytes),
        }
        entry.size = kern.len() as u64 - entry.offset;
        meta.records.push(entry);
    }
    Fixture { meta, kern }
}

/// The same devices again, up to so many.
pub(crate) fn with_devices(mut fixture: Fixture, count: usize) -> Fixture {
    let device = |record: &&snapfmt::bhyve::Record| record.section == Section::Device;
    let own: Vec<_> = fixture.meta.records.iter().filter(device).cloned().collect();
    for (number, mut entry) in own.iter().cycle().cloned().enumerate().take(count).skip(own.len()) {
        let at = entry.offset as usize;
        let bytes = fixture.kern[at..at + entry.size as usize].to_vec();
        let base = entry.name.split('@').next().unwrap();
        entry.name = format!("{base}@pci.1.{number}.0");
        entry.offset = fixture.kern.len() as u64;
        fixture.kern.extend(bytes);
        fixture.meta.records.push(entry);
    }
    fixture
}
