//! Virtual CPUs and the host that is to run them.

use snapfmt::state::host::{Hex, HostFacts};

use super::cpu::cx;
use super::{AMD, Case, INTEL, INTEL_4, OLD_INTEL, case};
use crate::fixture::Edit;

/// Who makes the CPU of a host.
pub(crate) const XEON: Option<&str> = Some("GenuineIntel");

/// A host on which all fixtures of its vendor can run.
pub(crate) fn good(vendor: Option<&str>) -> HostFacts {
    HostFacts {
        cpu_vendor: vendor.map(ToOwned::to_owned),
        physical_bits: Some(46),
        linear_bits: Some(48),
        xcr0: Some(Hex(0xe7)),
        cr4: Some(Hex(0x3f_67ff)),
        cr4_fixed1: (vendor == XEON).then_some(Hex(0x3f_67ff)),
        efer: Some(Hex(if vendor == XEON { 0xd01 } else { 0x1d01 })),
        entry_ctls: (vendor == XEON).then_some(Hex(0x00ff_ffff_0000_11fb)),
        exit_ctls: (vendor == XEON).then_some(Hex(0x01ff_ffff_0003_6dfb)),
        asids: (vendor != XEON).then_some(32768),
        ..HostFacts::new()
    }
}

pub(crate) const EPYC: Option<&str> = Some("AuthenticAMD");

/// A host, and edits that may be needed besides.
fn here(rule: &'static str, fixture: &'static str, host: HostFacts, edits: &[Edit]) -> Case {
    Case { host: Some(host), ..case(rule, fixture, edits) }
}

pub(super) fn cases() -> Vec<Case> {
    let entry = HostFacts { entry_ctls: Some(Hex(0x0000_13ff_0000_11ff)), ..good(XEON) };
    let exit = HostFacts { exit_ctls: Some(Hex(0x01ff_ffff_0043_6dff)), ..good(XEON) };
    vec![
        here("host-vendor", OLD_INTEL, good(EPYC), &[]),
        here("host-vendor", AMD, good(XEON), &[]),
        here("host-entry-controls", INTEL, entry, &[]),
        here("host-exit-controls", INTEL, exit, &[]),
        here("host-cr4-vmx", INTEL, good(XEON), &[cx("CR4", 0x75_26e0)]),
        here("host-cr4-svm", AMD, good(EPYC), &[cx("CR4", 0x75_06e0)]),
        here("host-efer", AMD, good(EPYC), &[cx("EFER", 0x9d01)]),
        here(
            "host-physical",
            INTEL_4,
            HostFacts { physical_bits: Some(32), ..good(XEON) },
            &[cx("CR3", 4 << 30)],
        ),
        here("host-asids", AMD, HostFacts { asids: Some(8), ..good(EPYC) }, &[]),
    ]
}
