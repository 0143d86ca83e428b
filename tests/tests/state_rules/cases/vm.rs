//! Software state of virtual CPUs.

use snapfmt::state::host::{Hex, HostFacts};

use super::{AMD, Case, INTEL, INTEL_4, OLD_AMD, OLD_INTEL, case};
use crate::fixture::{set, write};

const XCR0: &str = "vcpu->guest_xcr0";
const INFO: &str = "vcpu->exitintinfo";
const VALID: u64 = 1 << 31;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = [0, 2, 5, u64::MAX, 0x207, 0x67, 0x1f | 1 << 63, 0xf, 0x20007]
        .into_iter()
        .map(|value| case("xcr0-loadable", INTEL, &[set("vm", XCR0, value)]))
        .collect();
    let info = |rule, fixture, info| case(rule, fixture, &[set("vm", INFO, info)]);
    let startup = |fixture, byte: u64| {
        let edit = set("vm", "vm_->startup_cpus", byte).bytes(0, 1);
        case("startup-cpus", fixture, &[edit])
    };
    cases.extend([
        case("xcr0-loadable", OLD_AMD, &[set("vm", XCR0, 4).vcpu(1)]),
        Case {
            host: Some(HostFacts { xcr0: Some(Hex(7)), ..HostFacts::new() }),
            ..case("xcr0-host", INTEL_4, &[set("vm", XCR0, 0xe7).vcpu(2)])
        },
        case("x2apic-state", INTEL, &[set("vm", "vcpu->x2apic_state", 7)]),
        info("exitintinfo-form", INTEL, 1),
        info("exitintinfo-form", AMD, VALID | 1 << 12 | 32),
        info("exitintinfo-form", INTEL, VALID | 2 << 8 | 3),
        info("exitintinfo-svm", AMD, VALID | 1 << 8 | 32),
        info("exitintinfo-svm", OLD_AMD, VALID | 3 << 8 | 2),
        info("exitintinfo-svm", AMD, VALID | 3 << 8 | 32),
        info("exitintinfo-svm", AMD, VALID | 5 << 8 | 3),
        info("exitintinfo-vmx", INTEL, VALID | 7 << 8),
        info("exitintinfo-vmx", OLD_INTEL, VALID | 3 << 8 | 32),
        case("nextrip-rip", INTEL, &[set("vm", "vcpu->nextrip", 0x1000)]),
        startup(INTEL, 1),
        startup(INTEL, 2),
        startup(INTEL_4, 0x10),
        case(
            "startup-cpus",
            INTEL_4,
            &[write("vm", "vm_->startup_cpus", &[0; 127]), {
                set("vm", "vm_->startup_cpus", 0x80).bytes(127, 1)
            }],
        ),
    ]);
    cases.push(case(
        "nextrip-canonical",
        INTEL,
        &[set("vm", "vcpu->nextrip", 1 << 47), set("vmcx", "RIP", (1 << 47) - 8)],
    ));
    cases
}
