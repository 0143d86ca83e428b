//! Whether the records of the kernel are all there, known, and as long as they must be.

use std::collections::BTreeSet;

use super::place;
use crate::bhyve::finding::{Finding, Place};
use crate::bhyve::meta::{Generation, Meta, Record, Section};
use crate::bhyve::records::{KERN, KernRecord, VMCX, VMCX_WITH_REGISTERS, VMX, Vendor};
use crate::bhyve::{limits, rules};

type Known<'a> = (&'static KernRecord, &'a Record);

pub(super) fn check(meta: &Meta) -> Vec<Finding> {
    let known: Vec<Known<'_>> = meta
        .section(Section::Kern)
        .filter_map(|record| KernRecord::of(record).map(|known| (known, record)))
        .collect();
    let (slots, mut findings) = slots(meta, &known);
    findings.extend(duplicates(meta));
    findings.extend(missing(meta, &known, slots));
    for record in meta.section(Section::Kern) {
        findings.extend(match KernRecord::of(record) {
            None => Some(unknown(record)),
            Some(known) if known.name != record.name => Some(
                Finding::new(&rules::KERN_REQ_MISMATCH, place(record))
                    .with("number", record.snapshot_req.unwrap_or_default())
                    .with("of", known.name),
            ),
            // Said already, once for all of them.
            Some(known) if known.per_vcpu() && slots.is_none() => None,
            Some(known) => size(meta.generation, known, record, slots.unwrap_or_default()),
        });
    }
    findings.extend(vendors(meta.generation, &known, slots));
    findings
}

/// How many slots the records of virtual CPUs should have; none if they have another number.
fn slots(meta: &Meta, known: &[Known<'_>]) -> (Option<u32>, Vec<Finding>) {
    let ncpus = meta.vm.ncpus;
    let per_vcpu: Vec<_> = known.iter().filter(|(known, _)| known.per_vcpu()).collect();
    let fitting = |slots: u32| {
        let fits = |(known, record): &&&Known<'_>| {
            known.layout(meta.generation, slots, record.size).is_some()
        };
        per_vcpu.iter().filter(fits).count()
    };
    let all_fit = |slots: &u32| !per_vcpu.is_empty() && fitting(*slots) == per_vcpu.len();
    let fixed = meta.generation == Generation::A && fitting(limits::FIXED_VCPUS) >= fitting(ncpus);
    let expected = if fixed { limits::FIXED_VCPUS } else { ncpus };
    let limit = if fixed { limits::FIXED_VCPUS } else { limits::VCPUS };
    let finding = |rule| Finding::new(rule, Place::Machine("ncpus")).with("ncpus", ncpus);
    if ncpus == 0 || ncpus > limit {
        let range = finding(&rules::NCPUS_OUT_OF_RANGE).with("limit", limit);
        return (fixed.then_some(expected), vec![range]);
    }
    if all_fit(&expected) {
        return (Some(expected), Vec::new());
    }
    match (1..=limits::VCPUS).find(all_fit) {
        Some(fit) => (None, vec![finding(&rules::NCPUS_MISMATCH).with("records for", fit)]),
        None => (Some(expected), Vec::new()),
    }
}

fn size(
    generation: Generation,
    known: &'static KernRecord,
    record: &Record,
    slots: u32,
) -> Option<Finding> {
    let sizes = || known.layouts(generation).map(|layout| layout.size(slots));
    if sizes().any(|size| size == record.size) {
        return None;
    }
    let least = sizes().min().unwrap_or_default();
    let short = record.size < least;
    let rule = if short { &rules::KERN_SIZE_SHORT } else { &rules::KERN_SIZE_UNKNOWN };
    let finding = Finding::new(rule, place(record)).with("size", record.size);
    if short {
        return Some(finding.with("least", least));
    }
    let list: Vec<_> = sizes().map(|size| size.to_string()).collect();
    Some(finding.with("known", list.join(" ")))
}

fn unknown(record: &Record) -> Finding {
    let finding = Finding::new(&rules::KERN_RECORD_UNKNOWN, place(record));
    match record.snapshot_req {
        Some(number) => finding.with("number", number),
        None => finding,
    }
}

/// Records that bhyve would look up and not find.
fn missing(meta: &Meta, known: &[Known<'_>], slots: Option<u32>) -> Vec<Finding> {
    let record = |name: &str| known.iter().find(|(known, _)| known.name == name);
    // The registers are either in a record of their own or in `vmcx`.
    let least = VMCX_WITH_REGISTERS * u64::from(slots.unwrap_or(1));
    let registers_elsewhere = meta.generation == Generation::B
        || record(VMCX.name).is_none_or(|(_, record)| record.size >= least);
    KERN.iter()
        .filter(|known| record(known.name).is_none())
        .filter(|known| known.name != VMX.name || !registers_elsewhere)
        .map(|known| {
            Finding::new(&rules::KERN_RECORD_MISSING, Place::Section(Section::Kern))
                .with("name", known.name)
                .with("number", known.snapshot_req)
        })
        .collect()
}

/// Entries of either section that are listed a second time.
fn duplicates(meta: &Meta) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for record in &meta.records {
        // A number is the key where there is one. A name that is another record's is said already.
        let number = record.snapshot_req.map(|number| (record.section, Some(number), ""));
        let known = KernRecord::of(record).filter(|_| number.is_some());
        let own = known.is_none_or(|known| known.name == record.name);
        let name = own.then_some((record.section, None, record.name.as_str()));
        let keys = [number, name].into_iter().flatten();
        if keys.filter(|key| !seen.insert(*key)).count() > 0 {
            findings.push(Finding::new(&rules::RECORD_DUPLICATE, place(record)));
        }
    }
    findings
}

/// A record of one vendor's layout where another record is of the other's.
fn vendors(generation: Generation, known: &[Known<'_>], slots: Option<u32>) -> Option<Finding> {
    let vendor = |(known, record): &Known<'_>| -> Option<Vendor> {
        known.layout(generation, slots?, record.size)?.vendor
    };
    let mut told = known.iter().filter_map(|known| Some((known.1, vendor(known)?)));
    let (first, vendor) = told.next()?;
    let (second, _) = told.find(|(_, other)| *other != vendor)?;
    Some(
        Finding::new(&rules::CPU_VENDOR_MISMATCH, place(second))
            .with("size", second.size)
            .with("other", first.name.as_str())
            .with("size of other", first.size),
    )
}
