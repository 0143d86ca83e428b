//! One checksummed, versioned file for the whole state of a bhyve virtual machine.

pub mod bhyve;
mod cursor;
pub mod digest;
pub mod error;
pub mod layout;
pub mod limits;
pub mod memory;
pub mod nvlist;
pub mod part;

pub use digest::Digest;
pub use error::{Error, Fault, Section};
