//! One checksummed, versioned file for the whole state of a bhyve virtual machine.

mod agreement;
pub mod bhyve;
pub mod content;
mod cursor;
pub mod digest;
pub mod error;
pub mod layout;
mod ledger;
pub mod limits;
pub mod memory;
pub mod nvlist;
pub mod part;
pub mod read;
pub mod write;

pub use digest::Digest;
pub use error::{Error, Fault, Section};
