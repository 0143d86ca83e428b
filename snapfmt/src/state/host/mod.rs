//! What the host has and allows that is to load a snapshot.
//!
//! ```text
//! a host ── probed elsewhere ──> HostFacts ── to_json ──> a file ── parse ──> HostFacts ──> rules
//! ```
//!
//! A snapshot says nothing of the host that wrote it, and a rule can compare it with the next one
//! only as far as that one is known. So every fact may be missing; a rule that needs it is then not
//! checked, and [`HostFacts::why_unknown`] says why.
//!
//! This module knows what the facts mean and what a file of them looks like. It does not know how
//! to find them out: that takes instructions and files that this crate keeps away from.

mod hex;
mod values;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use hex::Hex;
pub use values::{Allowed, Forbidden};

use crate::bhyve::records::Vendor;

/// The version of the file. It is raised when a fact changes its meaning or is no longer there.
pub const SCHEMA: u32 = 1;

/// A file of facts has a few hundred bytes; no more than this is looked at.
pub const MOST_BYTES: usize = 64 << 10;

/// What is known of a host. What is `None` is not known.
///
/// Numbers of bits and bytes are decimal in the file; registers and masks are strings such as
/// `"0x93ff"`, which no reader of JSON rounds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFacts {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The operating system, as uname(1) calls it.
    pub os: Option<String>,
    /// Its release.
    pub os_release: Option<String>,
    /// The machine: sysctl `hw.machine`.
    pub machine: Option<String>,
    /// The CPU in its maker's words: sysctl `hw.model`.
    pub model: Option<String>,
    /// Bytes of a page.
    pub page_size: Option<u64>,
    /// How many logical CPUs it has: sysctl `hw.ncpu`.
    pub cpus: Option<u32>,
    /// Ticks of the time stamp counter in a second.
    pub tsc_frequency: Option<u64>,
    /// Whether it counts at one rate whatever the CPU does: CPUID leaf 80000007h, EDX bit 8.
    pub tsc_invariant: Option<bool>,
    /// Who made the CPU: `GenuineIntel`, `AuthenticAMD`, or another.
    pub cpu_vendor: Option<String>,
    /// The CPU's family, with the extended family.
    pub cpu_family: Option<u32>,
    /// The CPU's model, with the extended model.
    pub cpu_model: Option<u32>,
    /// The CPU's stepping.
    pub cpu_stepping: Option<u32>,
    /// Bits of a physical address.
    pub physical_bits: Option<u32>,
    /// Bits of a linear address.
    pub linear_bits: Option<u32>,
    /// Features, by the names of FreeBSD's kernel: CPUID leaf 1, EDX.
    pub cpu_feature: Option<Hex>,
    /// CPUID leaf 1, ECX.
    pub cpu_feature2: Option<Hex>,
    /// CPUID leaf 7, EBX.
    pub cpu_stdext_feature: Option<Hex>,
    /// CPUID leaf 7, ECX.
    pub cpu_stdext_feature2: Option<Hex>,
    /// CPUID leaf 7, EDX.
    pub cpu_stdext_feature3: Option<Hex>,
    /// CPUID leaf 80000001h, EDX.
    pub amd_feature: Option<Hex>,
    /// CPUID leaf 80000001h, ECX.
    pub amd_feature2: Option<Hex>,
    /// CPUID leaf 80000008h, EBX.
    pub amd_extended_feature_extensions: Option<Hex>,
    /// The bits of XCR0 that XSETBV takes: CPUID leaf 0Dh, EDX:EAX.
    pub xcr0: Option<Hex>,
    /// The bits of CR4 that the CPU has, by its features.
    pub cr4: Option<Hex>,
    /// The bits of EFER that the CPU has, by its features.
    pub efer: Option<Hex>,
    /// `IA32_VMX_TRUE_ENTRY_CTLS`, or `IA32_VMX_ENTRY_CTLS` where there is none.
    pub entry_ctls: Option<Hex>,
    /// `IA32_VMX_TRUE_EXIT_CTLS`, or `IA32_VMX_EXIT_CTLS` where there is none.
    pub exit_ctls: Option<Hex>,
    /// `IA32_VMX_CR0_FIXED0`: bits that must be 1.
    pub cr0_fixed0: Option<Hex>,
    /// `IA32_VMX_CR0_FIXED1`: bits that may be 1.
    pub cr0_fixed1: Option<Hex>,
    /// `IA32_VMX_CR4_FIXED0`: bits that must be 1.
    pub cr4_fixed0: Option<Hex>,
    /// `IA32_VMX_CR4_FIXED1`: bits that may be 1.
    pub cr4_fixed1: Option<Hex>,
    /// Whether bhyve lets the CPU deliver interrupts: sysctl
    /// `hw.vmm.vmx.cap.virtual_interrupt_delivery`.
    pub virtual_interrupt_delivery: Option<bool>,
    /// How many address space identifiers SVM has, that of the host included.
    pub asids: Option<u32>,
    /// Why a fact is not known, by its name in the file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: BTreeMap<String, String>,
}

/// Why bytes are no file of facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// More than [`MOST_BYTES`].
    #[error("facts of a host take a few hundred bytes, and these are more than {MOST_BYTES}")]
    TooLong,
    /// It is not the JSON that it should be.
    #[error("no facts of a host: {0}")]
    Json(String),
    /// Another version.
    #[error("facts of a host in version {0}; this reader knows version {SCHEMA}")]
    Schema(u32),
    /// A fact that no CPU has.
    #[error("the fact {name:?} is {found}; it must be {must}")]
    Value {
        /// Its name in the file.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it can be.
        must: &'static str,
    },
}

impl HostFacts {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self { schema: SCHEMA, ..Self::default() }
    }

    /// Reads a file of facts.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, HostError> {
        /// Whatever else another version says.
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        if bytes.len() > MOST_BYTES {
            return Err(HostError::TooLong);
        }
        let json = |error: serde_json::Error| HostError::Json(error.to_string());
        let Version { schema } = serde_json::from_slice(bytes).map_err(json)?;
        known(schema)?;
        let facts: Self = serde_json::from_slice(bytes).map_err(json)?;
        facts.check()?;
        Ok(facts)
    }

    /// The file: JSON with a newline at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and a map with strings for keys: all of that is JSON.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The vendor whose records such a host loads, if it is one of the two.
    #[must_use]
    pub fn vendor(&self) -> Option<Vendor> {
        match self.cpu_vendor.as_deref()? {
            "GenuineIntel" => Some(Vendor::Intel),
            "AuthenticAMD" | "HygonGenuine" => Some(Vendor::Amd),
            _ => None,
        }
    }

    /// What VM-entry controls may be.
    #[must_use]
    pub fn entry_controls(&self) -> Option<Allowed> {
        self.entry_ctls.map(|msr| Allowed::of_msr(msr.0))
    }

    /// What VM-exit controls may be.
    #[must_use]
    pub fn exit_controls(&self) -> Option<Allowed> {
        self.exit_ctls.map(|msr| Allowed::of_msr(msr.0))
    }

    /// The bits of CR4 that a guest may have: those that the CPU has and VMX allows.
    #[must_use]
    pub fn guest_cr4(&self) -> Option<u64> {
        match (self.cr4, self.cr4_fixed1) {
            (Some(Hex(has)), Some(Hex(allows))) => Some(has & allows),
            (one, other) => one.or(other).map(|mask| mask.0),
        }
    }

    /// Why a fact is not known, for people.
    #[must_use]
    pub fn why_unknown(&self, name: &str) -> &str {
        self.unknown.get(name).map_or("the facts of the host do not tell", String::as_str)
    }

    /// Checks facts that did not come out of a file of them.
    ///
    /// # Errors
    /// Another version, or a fact that no CPU has.
    pub fn check(&self) -> Result<(), HostError> {
        known(self.schema)?;
        let value = |name, found: Option<u64>, must, good: fn(u64) -> bool| match found {
            Some(found) if !good(found) => {
                Err(HostError::Value { name, found: found.to_string(), must })
            }
            _ => Ok(()),
        };
        let bits = |bits: Option<u32>| bits.map(u64::from);
        value("page_size", self.page_size, "a power of two", u64::is_power_of_two)?;
        value("physical_bits", bits(self.physical_bits), "from 32 to 52", |bits| {
            (32..=52).contains(&bits)
        })?;
        value("linear_bits", bits(self.linear_bits), "48 or 57", |bits| matches!(bits, 48 | 57))?;
        value("xcr0", self.xcr0.map(|mask| mask.0), "odd: every CPU has x87", |mask| mask & 1 == 1)
    }
}

fn known(schema: u32) -> Result<(), HostError> {
    if schema == SCHEMA { Ok(()) } else { Err(HostError::Schema(schema)) }
}

#[cfg(test)]
mod tests;
