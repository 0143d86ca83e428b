//! What is known of the host that is to restore a snapshot.

use crate::bhyve::records::Vendor;

/// Facts of a host. What is `None` is not known, and rules that need it are not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The maker of its CPU.
    pub vendor: Vendor,
    /// Bits of XCR0 that it supports: EDX:EAX of CPUID leaf 0xd.
    pub xcr0: Option<u64>,
}
