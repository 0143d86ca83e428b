//! What a register may hold on a host.

/// Which bits of a VMX control must be 1, and which may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Bits that must be 1.
    pub must: u32,
    /// Bits that may be 1.
    pub may: u32,
}

/// What is wrong with a value of a VMX control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden {
    /// Bits that are 0 and must be 1.
    pub missing: u64,
    /// Bits that are 1 and must be 0.
    pub excess: u64,
}

impl Allowed {
    /// Out of a capability MSR: its low half has the bits that must be 1, its high half those that
    /// may be.
    #[must_use]
    pub const fn of_msr(value: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        Self { must: u32::from_le_bytes([a, b, c, d]), may: u32::from_le_bytes([e, f, g, h]) }
    }

    /// What the host would object to in a value.
    #[must_use]
    pub fn objection(self, value: u64) -> Option<Forbidden> {
        let missing = u64::from(self.must) & !value;
        let excess = value & !u64::from(self.may);
        (missing | excess != 0).then_some(Forbidden { missing, excess })
    }
}
