//! Every way to break the fixtures that their `broken.json` lists, through the program, with their
//! memory: each is refused by what fits.

use std::collections::BTreeSet;
use std::fs;

use tests::fixtures::{Damage, Variant, apply_broken, fixtures, unpack, variants};

use crate::kit::Bench;
use crate::verdicts::object;

/// Variants, and the rules by which they are refused: one of the first list, and none but these and
/// the second.
type Row = (&'static str, &'static str, &'static [&'static str]);

const EXPECTED: &[Row] = &[
    (
        "first-KiB-zeroed",
        "xcr0-loadable",
        &["hpet-tick-zero", "hpet-timer-capabilities", "lapic-destination", "lapic-id"],
    ),
    ("hpet-freq-zero", "hpet-tick-zero", &[]),
    ("hpet-freq-negative", "hpet-tick", &[]),
    ("pit-freq-zero", "pit-tick-zero", &[]),
    ("pit-crbyte-huge", "pit-byte-index", &[]),
    ("pit-frbyte-negative", "pit-byte-index", &[]),
    ("pit-sqwave-initial-zero", "pit-square-wave", &[]),
    ("lapic-isr-bit-without-stack-entry", "lapic-stack-isr", &[]),
    ("lapic-isr-stack-base-nonzero", "lapic-stack-base", &[]),
    ("lapic-isr-stack-top-huge", "lapic-stack-top", &[]),
    ("lapic-isr-stack-top-negative", "lapic-stack-top", &[]),
    ("lapic-timer-freq-zero", "lapic-tick-zero", &[]),
    ("rtc-nonsense-date", "rtc-far-date", &[]),
    ("pic-lowprio-out-of-range", "pic-lowprio", &[]),
    ("x2apic-state-unknown", "x2apic-state", &[]),
    ("xcr0-zero", "xcr0-loadable", &[]),
    ("xcr0-unsupported-bits", "xcr0-loadable", &[]),
    ("xcr0-avx-without-sse", "xcr0-loadable", &[]),
    ("msr-lstar-non-canonical", "msr-address", &[]),
    ("msr-kgsbase-non-canonical", "msr-address", &[]),
    ("msr-sfmask-high-bits", "msr-sf-mask", &[]),
    ("dr6-high-bits", "dr6-vmx", &[]),
    ("cr0-pg-without-pe", "cr0-paging", &["svm-twice"]),
    ("cr3-beyond-memory", "cr3-memory", &["svm-twice"]),
    ("rip-non-canonical", "rip-canonical", &["svm-twice"]),
    ("efer-lma-clear-in-long-mode", "efer-long-mode", &["svm-twice"]),
    ("vmx-exit-ctls-zero", "vmx-exit-controls", &[]),
    ("vmx-entry-ctls-no-lma", "vmx-entry-long-mode", &[]),
    ("vmx-activity-state-invalid", "activity", &[]),
    ("svm-virq-zero", "svm-interrupt-masking", &[]),
    ("svm-inst1_intercept-zero", "svm-inst1-intercept", &[]),
    ("svm-inst2_intercept-zero", "svm-inst2-intercept", &[]),
    ("svm-np_enable-zero", "svm-nested-paging", &[]),
    ("svm-asid-zero", "svm-asid", &["svm-asid-number"]),
    ("svm-npt_base-redirect", "svm-host-addresses", &[]),
    ("svm-io_perm-redirect", "svm-host-addresses", &[]),
    ("svm-msr_perm-redirect", "svm-host-addresses", &[]),
    ("virtio-ring-outside-memory", "virtq-rings-in-memory", &["virtq-ring-addresses"]),
    ("pci-msix-table-count-huge", "device-layout", &[]),
    ("pci-msix-table-bar-bad", "pci-msix-place", &[]),
    ("virtio-curq-negative", "virtio-queue-select", &[]),
    ("uart-fifo-index-huge", "uart-fifo", &[]),
    ("ps2-index-huge", "atkbdc-buffer", &["atkbdc-twice"]),
    ("kern-truncated-in-last-record", "kern-range-outside", &[]),
    ("kern-truncated-in-vrtc", "kern-range-outside", &[]),
    ("kern-empty", "kern-empty", &[]),
    ("kern-trailing-garbage", "kern-trailing", &[]),
    ("mem-truncated", "ram-size-mismatch", &[]),
    ("mem-one-byte-long", "ram-size-mismatch", &[]),
    ("meta-size-overruns", "kern-range-outside", &["record-too-large"]),
    ("meta-size-short", "kern-gap", &["kern-layout", "kern-size-short"]),
    ("meta-vrtc-size-short", "kern-gap", &["kern-layout", "kern-size-short"]),
    ("meta-size-negative", "meta-number-negative", &[]),
    ("meta-offset-negative", "meta-number-negative", &[]),
    (
        "meta-offset-overlap",
        "kern-overlap",
        // Two records have the bytes of another.
        &[
            "kern-gap",
            "exitintinfo-form",
            "x2apic-state",
            "xcr0-loadable",
            "lapic-destination",
            "lapic-id",
        ],
    ),
    ("meta-offset-plus-size-wraps", "kern-range-wraps", &[]),
    ("meta-ncpus-wrong", "ncpus-mismatch", &["kern-layout"]),
    ("meta-memsize-wrong", "ram-size-mismatch", &[]),
    ("meta-record-missing", "kern-record-missing", &[]),
    ("meta-not-json", "meta-not-json", &[]),
];

/// The rules that fail the set.
fn failing(bench: &Bench) -> BTreeSet<String> {
    let ended = bench.run("verify --json vm.ckp");
    let object = object(&ended.stdout);
    let rules = object["findings"].as_array().unwrap().iter();
    let rules = rules.filter(|finding| finding["verdict"] == "fail");
    let rules: BTreeSet<_> = rules.map(|f| f["rule"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ended.code(), Some(i32::from(!rules.is_empty())));
    rules
}

fn refused_by_what_fits(name: &str, variant: &Variant, bench: &Bench, seen: &mut BTreeSet<String>) {
    let found = failing(bench);
    // With sixteen slots whatever ncpus is, it may be that a virtual CPU was never started.
    if variant.or_warn && found.is_empty() {
        let told = bench.run("verify vm.ckp").stderr;
        assert!(told.contains("[lapic-never-started]"), "{name}: {}: {told}", variant.name);
        return;
    }
    let row = EXPECTED.iter().find(|(of, ..)| *of == variant.name);
    let (_, fits, also) = row.unwrap_or_else(|| panic!("{name}: {}: {found:?}", variant.name));
    assert!(found.contains(*fits), "{name}: {}: {found:?}", variant.name);
    let others = found.iter().filter(|rule| rule != fits && !also.contains(&rule.as_str()));
    assert_eq!(others.count(), 0, "{name}: {}: {found:?}", variant.name);
    seen.insert(variant.name.clone());
}

#[test]
fn every_variant_is_refused_by_what_fits() {
    let mut seen = BTreeSet::new();
    for name in fixtures() {
        let bench = Bench::empty();
        unpack(name, &bench.path("")).unwrap();
        let whole = ["vm.ckp.kern", "vm.ckp.meta"].map(|file| (file, bench.read(file)));
        // What cuts memory off comes last: only its length is mended again.
        let mut variants = variants(name).unwrap();
        let cuts = |v: &Variant| v.file == "vm.ckp" && matches!(v.damage, Damage::Truncate(_));
        variants.sort_by_key(cuts);
        let length = fs::metadata(bench.path("vm.ckp")).unwrap().len();
        for variant in variants {
            whole.iter().for_each(|(file, bytes)| bench.write(file, bytes));
            apply_broken(&variant, &bench.path("")).unwrap();
            refused_by_what_fits(name, &variant, &bench, &mut seen);
            let ram = fs::File::options().write(true).open(bench.path("vm.ckp")).unwrap();
            ram.set_len(length).unwrap();
        }
    }
    assert_eq!(seen.len(), EXPECTED.len());
}
