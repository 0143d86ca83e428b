//! Rules of the registers and controls of virtual CPUs: `vmcx`, and `vmx` where that was apart.
//!
//! What the manuals of the CPUs ask for before a guest is entered, and what bhyve relies on: a file
//! for each theme. Rules for VMX and for SVM differ, and each says whose it is.
//!
//! A CPU that stops running a guest stores what it would itself accept. So a rule out of a manual
//! can be broken by no state that a CPU has stored, as long as it does not depend on a control that
//! is not in the record: "unrestricted guest" is the one that matters.

mod argued;
mod control_registers;
mod controls_svm;
mod controls_vmx;
mod debug;
mod host;
mod intercepts;
mod msrs;
mod mtrr;
mod posted;
mod regs;
mod rflags;
mod segments;
mod segments_svm;
mod segments_vmx;
mod state_vmx;
mod svm_host_values;
mod svm_twice;
mod tables;

use super::Chapter;
use super::check::Check;
use super::rule::{Rule, Severity, Slots, rule};
use crate::bhyve::records::Vendor;
use regs::Regs;

/// All that is known, a chapter for each file.
pub(super) static CHAPTERS: &[&Chapter] = &[
    &control_registers::CHAPTER,
    &rflags::CHAPTER,
    &segments::CHAPTER,
    &segments_vmx::CHAPTER,
    &segments_svm::CHAPTER,
    &tables::CHAPTER,
    &state_vmx::CHAPTER,
    &controls_vmx::CHAPTER,
    &msrs::CHAPTER,
    &posted::CHAPTER,
    &debug::CHAPTER,
    &intercepts::CHAPTER,
    &controls_svm::CHAPTER,
    &svm_host_values::CHAPTER,
    &svm_twice::CHAPTER,
    &mtrr::CHAPTER,
    &host::CHAPTER,
    &argued::CHAPTER,
];

/// The bits that are equal in a canonical address.
const SIGN: u64 = !0 << 47;

const VMCX: &[&str] = &["vmcx"];
const VMX: &[&str] = &["vmx"];
const BOTH: &[&str] = &["vmcx", "vmx"];

/// What stock bhyve does with what the CPU refuses.
const FAILS: &str = "resumes; the first entry into the guest fails, and bhyve ends";

/// What it does with what it overwrites, or what only someone else can have written.
const TAKES: &str = "restores it, and does not look at it";

/// A rule about what no CPU accepts. To be completed.
const fn entry(id: &'static str) -> Rule {
    Rule {
        severity: Severity::Entry,
        slots: Slots::Running,
        bhyve: FAILS,
        source: "Intel SDM vol. 3, \"Checks on the Guest State Area\"; \
                 AMD APM vol. 2, \"Canonicalization and Consistency Checks\"",
        ..rule(id, VMCX)
    }
}

/// A rule about what VMX does not accept. To be completed.
const fn entry_vmx(id: &'static str) -> Rule {
    Rule {
        vendor: Some(Vendor::Intel),
        source: "Intel SDM vol. 3, \"Checks on the Guest State Area\"",
        ..entry(id)
    }
}

/// A rule about what SVM does not accept. To be completed.
const fn entry_svm(id: &'static str) -> Rule {
    Rule {
        vendor: Some(Vendor::Amd),
        source: "AMD APM vol. 2, \"Canonicalization and Consistency Checks\"",
        ..entry(id)
    }
}

/// A rule about what a guest on SVM cannot have put there. To be completed.
const fn invalid_svm(id: &'static str, records: &'static [&'static str]) -> Rule {
    Rule {
        vendor: Some(Vendor::Amd),
        bhyve: TAKES,
        source: "AMD APM vol. 2, \"Canonicalization and Consistency Checks\" and \"Layout of \
                 VMCB\"",
        ..rule(id, records)
    }
}

/// Judges a register of each virtual CPU together with others, and shows some of those.
fn registers(
    check: &mut Check<'_, '_>,
    key: &'static str,
    shown: &[&'static str],
    good: impl Fn(u64, &Regs) -> bool,
) {
    for (known, slot) in check.slots("vmcx") {
        let Some(field) = slot.get(key) else { continue };
        if let Some((value, regs)) = field.u64().zip(Regs::of(slot))
            && !good(value, &regs)
        {
            let others = shown.iter().filter_map(|key| Some((*key, slot.u64(key)?)));
            let others: Vec<_> = others.collect();
            check.breaks(known.record, &field, &others);
        }
    }
}
