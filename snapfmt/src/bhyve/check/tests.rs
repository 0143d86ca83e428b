//! Layouts that no fixture has: what must be accepted, and what can be told from sizes.

use super::*;
use crate::bhyve::Severity;
use crate::bhyve::meta::{Generation, Section, VmMetadata};
use crate::bhyve::records::KERN;

/// A set whose kernel records have the given sizes by name, and fixed ones the only size they have.
fn set(generation: Generation, ncpus: u32, sizes: &[(&str, u64)]) -> (Meta, u64) {
    let mut records = Vec::new();
    let mut offset = 0;
    for known in KERN {
        let size = sizes.iter().find(|(name, _)| *name == known.name).map(|(_, size)| *size);
        if size.is_none() && known.per_vcpu() {
            continue;
        }
        let size = size.unwrap_or_else(|| known.layouts[0].head);
        records.push(Record {
            section: Section::Kern,
            name: known.name.into(),
            snapshot_req: (generation == Generation::A).then_some(known.snapshot_req),
            size,
            offset,
        });
        offset += size;
    }
    records.push(Record {
        section: Section::Device,
        name: "atkbdc".into(),
        snapshot_req: None,
        size: 141,
        offset,
    });
    let vm = VmMetadata { name: "a".into(), ncpus, memsize: limits::PAGE, memflags: 0 };
    (Meta { generation, vm, records, notes: Vec::new() }, offset + 141)
}

fn rules_broken(generation: Generation, ncpus: u32, sizes: &[(&str, u64)]) -> Vec<&'static str> {
    let (meta, kern_len) = set(generation, ncpus, sizes);
    check(&meta, kern_len, limits::PAGE).iter().map(|finding| finding.rule.id).collect()
}

#[test]
fn every_known_layout_of_thirteen_is_accepted() {
    for vm in [0, 32, 128] {
        for (vmx, vmcx) in [(3456, 376), (3584, 376), (50856, 496)] {
            let sizes = [("vm", 2944 + vm), ("vmx", vmx), ("vlapic", 66768), ("vmcx", 16 * vmcx)];
            assert_eq!(rules_broken(Generation::A, 16, &sizes), [""; 0]);
        }
    }
}

#[test]
fn trees_between_thirteen_and_fourteen_are_accepted() {
    // One slot per virtual CPU, the registers in `vmcx`, and no `vmx`.
    let sizes = [("vm", 3 * 184 + 128), ("vlapic", 3 * 4169), ("vmcx", 3 * 664)];
    assert_eq!(rules_broken(Generation::A, 3, &sizes), [""; 0]);
    // Sixteen slots, but more virtual CPUs than sixteen.
    let sizes = [("vm", 2944), ("vmx", 3456), ("vlapic", 66768), ("vmcx", 6016)];
    assert_eq!(rules_broken(Generation::A, 17, &sizes), ["ncpus-out-of-range"]);
}

#[test]
fn registers_must_be_in_one_of_two_records() {
    let sizes = [("vm", 2944), ("vlapic", 66768), ("vmcx", 6016)];
    assert_eq!(rules_broken(Generation::A, 1, &sizes), ["kern-record-missing"]);
}

#[test]
fn the_number_of_virtual_cpus_shows_in_sizes_up_to_the_limit() {
    let sizes = |n: u64| [("vm", 184 * n + 128), ("vlapic", 4169 * n), ("vmcx", 920 * n)];
    for n in [1, 2, 16, 17, 1024] {
        let ncpus = u32::try_from(n).unwrap();
        assert_eq!(rules_broken(Generation::B, ncpus, &sizes(n)), [""; 0], "{n}");
        let wrong = if n == 1024 { 1023 } else { ncpus + 1 };
        assert_eq!(rules_broken(Generation::B, wrong, &sizes(n)), ["ncpus-mismatch"], "{n}");
    }
}

#[test]
fn a_record_of_a_newer_kernel_is_a_warning() {
    // A set of 2048 virtual CPUs, and eight bytes more for each of two local APICs.
    let sizes = [("vm", 2 * 184 + 256), ("vlapic", 2 * 4177), ("vmcx", 2 * 920)];
    let (meta, kern_len) = set(Generation::B, 2, &sizes);
    let findings = check(&meta, kern_len, limits::PAGE);
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.severity() == Severity::Warn));
    // `vmx` on AMD shrank at some time.
    let sizes = [("vm", 2944), ("vmx", 16 * 700 + 8), ("vlapic", 66768), ("vmcx", 7936)];
    assert_eq!(rules_broken(Generation::A, 1, &sizes), ["kern-size-unknown"]);
}

#[test]
fn a_list_without_records_is_refused_and_does_no_harm() {
    for generation in [Generation::A, Generation::B] {
        let (mut meta, kern_len) = set(generation, 1, &[]);
        meta.records.clear();
        let findings = check(&meta, kern_len, limits::PAGE);
        assert!(findings.iter().any(|finding| finding.rule.id == "kern-record-missing"));
        assert!(findings.iter().any(|finding| finding.rule.id == "kern-trailing"));
    }
}
