//! The ways to break the fixtures that their `broken.json` lists: each is refused by the rule that
//! fits, and by no other.

use std::collections::{BTreeMap, BTreeSet};

use snapfmt::bhyve::Section;
use snapfmt::state::rules::{Machine, Verdict};
use tests::fixtures::{Damage, fixtures, variants};

use crate::fixture::Fixture;
use crate::scope::ruled;

/// Variants, and the rules that refuse them.
const EXPECTED: &[(&str, &[&str])] = &[
    ("hpet-freq-zero", &["hpet-tick-zero"]),
    ("hpet-freq-negative", &["hpet-tick"]),
    ("pit-freq-zero", &["pit-tick-zero"]),
    ("pit-crbyte-huge", &["pit-byte-index"]),
    ("pit-frbyte-negative", &["pit-byte-index"]),
    ("pit-sqwave-initial-zero", &["pit-square-wave"]),
    ("lapic-isr-bit-without-stack-entry", &["lapic-stack-isr"]),
    ("lapic-isr-stack-base-nonzero", &["lapic-stack-base"]),
    ("lapic-isr-stack-top-huge", &["lapic-stack-top"]),
    ("lapic-isr-stack-top-negative", &["lapic-stack-top"]),
    ("lapic-timer-freq-zero", &["lapic-tick-zero"]),
    ("rtc-nonsense-date", &["rtc-far-date"]),
    ("pic-lowprio-out-of-range", &["pic-lowprio"]),
    ("x2apic-state-unknown", &["x2apic-state"]),
    ("msr-lstar-non-canonical", &["msr-address"]),
    ("msr-kgsbase-non-canonical", &["msr-address"]),
    ("msr-sfmask-high-bits", &["msr-sf-mask"]),
    ("dr6-high-bits", &["dr6-vmx"]),
    ("cr0-pg-without-pe", &["cr0-paging"]),
    ("cr3-beyond-memory", &["cr3-memory"]),
    ("rip-non-canonical", &["rip-canonical"]),
    ("efer-lma-clear-in-long-mode", &["efer-long-mode"]),
    ("vmx-exit-ctls-zero", &["vmx-exit-controls"]),
    ("vmx-entry-ctls-no-lma", &["vmx-entry-long-mode"]),
    ("vmx-activity-state-invalid", &["activity"]),
    ("svm-virq-zero", &["svm-interrupt-masking"]),
    ("svm-inst1_intercept-zero", &["svm-inst1-intercept"]),
    ("svm-inst2_intercept-zero", &["svm-inst2-intercept"]),
    ("svm-np_enable-zero", &["svm-nested-paging"]),
    ("svm-asid-zero", &["svm-asid", "svm-asid-number"]),
    ("svm-npt_base-redirect", &["svm-host-addresses"]),
    ("svm-io_perm-redirect", &["svm-host-addresses"]),
    ("svm-msr_perm-redirect", &["svm-host-addresses"]),
    ("xcr0-zero", &["xcr0-loadable"]),
    ("xcr0-unsupported-bits", &["xcr0-loadable"]),
    ("xcr0-avx-without-sse", &["xcr0-loadable"]),
    ("virtio-ring-outside-memory", &["virtq-ring-addresses", "virtq-rings-in-memory"]),
    ("pci-msix-table-count-huge", &["device-layout"]),
    ("pci-msix-table-bar-bad", &["pci-msix-place"]),
    ("virtio-curq-negative", &["virtio-queue-select"]),
    ("uart-fifo-index-huge", &["uart-fifo"]),
    ("ps2-index-huge", &["atkbdc-buffer", "atkbdc-twice"]),
];

/// Registers that are there twice are damaged in one place only.
const TWICE: [(&str, &str); 1] = [("older-2020-amd-2cpu", "svm-twice")];

/// It breaks many things at once.
const SEED: &str = "first-KiB-zeroed";

fn patched(fixture: &Fixture, patches: &[(u64, Vec<u8>)]) -> Fixture {
    let mut kern = fixture.kern.clone();
    for (offset, bytes) in patches {
        let at = usize::try_from(*offset).unwrap();
        kern[at..at + bytes.len()].copy_from_slice(bytes);
    }
    Fixture { meta: fixture.meta.clone(), kern }
}

/// The list and the family of the record that has a byte of `.kern`.
fn family(fixture: &Fixture, offset: u64) -> (Section, String) {
    let machine = Machine::from_kern(&fixture.meta, &fixture.kern);
    let within = |entry: &&snapfmt::bhyve::Record| {
        entry.size > 0 && (entry.offset..entry.offset + entry.size).contains(&offset)
    };
    let record = machine.records.iter().find(|record| within(&record.entry));
    let record = record.unwrap();
    (record.entry.section, record.family.to_owned())
}

#[test]
fn every_broken_variant_is_refused_by_the_rule_that_fits() {
    let expected: BTreeMap<_, _> = EXPECTED.iter().copied().collect();
    let mut seen = BTreeSet::new();
    for name in fixtures() {
        let fixture = Fixture::of(name);
        for variant in variants(name).unwrap() {
            let Damage::Patch(patches) = &variant.damage else { continue };
            let (section, family) = family(fixture, patches[0].0);
            if variant.name == SEED || !ruled(section, &family) {
                continue;
            }
            let report = patched(fixture, patches).check(None, None);
            let ids = report.failing().map(|finding| finding.rule.id);
            let found: BTreeSet<_> = ids.filter(|id| !TWICE.contains(&(name, *id))).collect();
            let wanted = expected.get(variant.name.as_str());
            let wanted = wanted.unwrap_or_else(|| panic!("{} is not listed", variant.name));
            assert_eq!(found, wanted.iter().copied().collect(), "{name}: {}", variant.name);
            seen.insert(variant.name);
        }
    }
    assert_eq!(seen.len(), EXPECTED.len());
}

/// `dd if=/dev/zero bs=1K count=1 conv=notrunc of=vm.ckp.kern`
#[test]
fn the_zeroed_kern_is_refused_with_guest_xcr0_and_a_panic_in_the_first_line() {
    for name in fixtures() {
        let report = patched(Fixture::of(name), &[(0, vec![0; 1024])]).check(None, None);
        let lines: Vec<_> = report.findings.iter().take(2).map(ToString::to_string).collect();
        assert!(lines[0].contains("guest_xcr0"), "{name}: {lines:#?}");
        assert!(lines.iter().all(|line| line.contains("the host panics")), "{name}: {lines:#?}");
        assert!(lines.iter().all(|line| !line.contains('\n')));
    }
    let report = patched(Fixture::of("intel-1cpu-fbsd"), &[(0, vec![0; 1024])]).check(None, None);
    assert_eq!(
        report.findings[0].to_string(),
        "kern record vm at 0x134: vcpu->guest_xcr0 of vcpu 0 is 0x0: the host panics or hangs; it \
         must have x87 (bit 0), AVX only with SSE, MPX (3, 4) whole or not at all, AVX-512 (5 to \
         7) whole and only with AVX, AMX (17, 18) whole, and nothing else"
    );
    assert_eq!(report.findings[0].verdict(), Verdict::Fail);
    assert!(!report.findings[0].rule.acceptable());
}
