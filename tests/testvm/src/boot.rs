//! The state with which a virtual CPU starts: in 64-bit mode, at privilege level 3.
//!
//! Where the kernel's KVM has no virtualisation of the processor beneath it (`kvm_pvm`), code at
//! that level runs on the processor, and all other code is interpreted. I/O privilege lets it use
//! ports.

use kvm_bindings::{kvm_regs, kvm_segment};

use crate::guest;
use crate::kvm::CpuState;

/// Protection, monitor, extension type, numeric error, write protection, alignment mask, paging.
const CR0: u64 = 0x8005_0033;
/// Physical address extension, FXSAVE, SIMD exceptions.
const CR4: u64 = 0x620;
/// Long mode, enabled and active.
const EFER: u64 = 0x500;
/// The bit that is always set, and I/O privilege for level 3.
const RFLAGS: u64 = 0x3002;
/// x87 and SSE.
const XCR0: u64 = 3;

/// The type of a code segment that was accessed.
const CODE: u8 = 0xb;
/// The type of a data segment that was accessed.
const DATA: u8 = 3;

/// Makes the state that a reset left one that runs the guest program.
pub(crate) fn prepare(state: &mut CpuState, vcpu: u32) {
    let start = guest::start(vcpu);
    let segment = |kind, long| kvm_segment {
        limit: u32::MAX,
        selector: if long { 0x0b } else { 0x13 },
        type_: kind,
        present: 1,
        dpl: 3,
        db: u8::from(!long),
        s: 1,
        l: u8::from(long),
        g: 1,
        ..Default::default()
    };
    let data = segment(DATA, false);
    let segments = &mut state.segments;
    segments.cs = segment(CODE, true);
    (segments.ds, segments.es, segments.ss) = (data, data, data);
    segments.fs = kvm_segment { base: start.control, ..data };
    segments.gs = kvm_segment { base: start.ring, ..data };
    let [cr0, _, cr3, cr4] = &mut state.cr;
    (*cr0, *cr3, *cr4) = (CR0, start.cr3, CR4);
    state.efer = EFER;
    state.xcr0 = XCR0;
    let (rip, rsp, r15) = (start.rip, start.rsp, start.control);
    state.regs = kvm_regs { rip, rsp, r15, rflags: RFLAGS, ..Default::default() };
}
