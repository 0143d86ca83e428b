//! For each rule the ways to break it alone. A list for each file of rules.

mod clocks;
pub(crate) mod cpu;
pub(crate) mod cpu_host;
mod cpu_svm;
mod cpu_vmx;
mod device;
mod vlapic;
mod vm;

use snapfmt::state::rules::{GuestRam, HostFacts};

use crate::fixture::Edit;

/// A way to break one rule.
pub(crate) struct Case {
    pub(crate) rule: &'static str,
    pub(crate) fixture: &'static str,
    /// Edits that mend what the fixture itself breaks.
    pub(crate) first: Vec<Edit>,
    pub(crate) edits: Vec<Edit>,
    /// Rules that cannot but be broken with it.
    pub(crate) also: &'static [&'static str],
    /// Guest memory, for rules that look at it.
    pub(crate) ram: Option<fn() -> Box<dyn GuestRam>>,
    /// Facts of a host, for rules about it.
    pub(crate) host: Option<HostFacts>,
}

pub(crate) const INTEL: &str = "intel-1cpu-fbsd";
pub(crate) const AMD: &str = "amd-2cpu-linux";
pub(crate) const INTEL_4: &str = "intel-4cpu-highmem";
pub(crate) const OLD_INTEL: &str = "older-2020-intel-1cpu";
pub(crate) const OLD_AMD: &str = "older-2020-amd-2cpu";

/// A rule that edits of a fixture break.
pub(crate) fn case(rule: &'static str, fixture: &'static str, edits: &[Edit]) -> Case {
    let (first, edits) = (Vec::new(), edits.to_vec());
    Case { rule, fixture, first, edits, also: &[], ram: None, host: None }
}

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    let cpu = [cpu::cases(), cpu_vmx::cases(), cpu_svm::cases(), cpu_host::cases()];
    let others = [clocks::cases(), vlapic::cases(), vm::cases(), device::cases()];
    others.into_iter().chain(cpu).flatten().collect()
}
