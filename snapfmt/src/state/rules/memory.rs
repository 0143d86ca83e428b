//! Guest memory, as far as rules look at it.

/// Guest memory that can be read.
pub trait GuestRam {
    /// Fills `bytes` with what lies at a guest-physical address.
    ///
    /// # Errors
    /// Some of it is no memory, or cannot be read.
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), RamError>;
}

/// Why guest memory was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RamError {
    /// The machine has no memory there.
    #[error("no guest memory at {gpa:#x}")]
    Outside {
        /// The first address without memory.
        gpa: u64,
    },
    /// There is memory, but it cannot be had: damaged, or not at hand.
    #[error("guest memory at {gpa:#x} cannot be read")]
    Unreadable {
        /// The address.
        gpa: u64,
    },
}
