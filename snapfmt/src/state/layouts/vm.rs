//! Software state of the virtual CPUs: `vm`.

use super::super::dsl::*;
use super::super::schema::{Item, Kind, Layout, Part, Repeat, Width};

/// `struct vm_exit`: what the guest was doing when it was stopped.
const EXITINFO: &[Part] = &[
    piece("exitcode", 0, 4, Kind::Signed),
    piece("inst_length", 4, 4, Kind::Signed),
    part("rip", 8, Width::Eight),
    piece("u", 16, 120, Kind::Bytes),
];

const VCPU: &[Item] = &[
    i32("vcpu->x2apic_state").means("0 disabled, 1 enabled"),
    u64("vcpu->exitintinfo").bits().means(
        "event whose delivery an exit broke off: 7:0 vector, 10:8 type, 11 error code valid, \
         31 valid, 63:32 error code",
    ),
    i32("vcpu->exc_vector").means("vector of the pending exception; whether there is one is lost"),
    i32("vcpu->exc_errcode_valid").flag().means("whether that exception has an error code"),
    u32("vcpu->exc_errcode").bits().means("error code of that exception"),
    u64("vcpu->guest_xcr0")
        .bits()
        .means("XCR0, which the host loads with XSETBV before every entry"),
    bytes("vcpu->exitinfo", 136)
        .inside(EXITINFO)
        .means("`struct vm_exit` of the last exit, overwritten by the next"),
    u64("vcpu->nextrip").bits().means("where the guest goes on"),
];

const OFFSET: &[Item] = &[group(
    "vcpus",
    Repeat::Slots,
    &[
        Item::Shared(VCPU),
        u64("vcpu->tsc_offset").means("the guest's time stamp counter, not an offset"),
    ],
)];

const TSC: &[Item] = &[group(
    "vcpus",
    Repeat::Slots,
    &[Item::Shared(VCPU), u64("tsc").means("the guest's time stamp counter")],
)];

const WAITING: &str = "virtual CPUs that wait for their SIPI, a bit each";
const CPUS_32: &[Item] = &[bytes("vm_->startup_cpus", 32).means(WAITING)];
const CPUS_128: &[Item] = &[bytes("vm_->startup_cpus", 128).means(WAITING)];

const VM: &[&str] = &["vm"];

pub(super) static LAYOUTS: [Layout; 3] = [
    kernel("vm-184", VM, A, A, [OFFSET, &[], &[]]),
    kernel("vm-184-32", VM, BOTH, NEITHER, [TSC, CPUS_32, &[]]),
    kernel("vm-184-128", VM, BOTH, B, [TSC, CPUS_128, &[]]),
];
