//! One checksummed, versioned file for the whole state of a bhyve virtual machine.

pub mod bhyve;
pub mod digest;
pub mod limits;
pub mod nvlist;

pub use digest::Digest;
