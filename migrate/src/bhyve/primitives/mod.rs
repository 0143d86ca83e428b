//! The client of `bhyve-primitives.md`, whose sections are meant by § in these pages.
//!
//! ```text
//!   Client::offer ──▶ Offer { memory map, memory } ──▶ Vm, a [`crate::vm::Source`]
//!      │  a bhyve without primitives                    read, mark, changed, suspend ...
//!      └─▶ none
//! ```
//!
//! It believes a reply only if it has all that the specification says, and nothing that cannot be:
//! a bitmap has to fit its segment, a mark has to be new. A command whose reply does not come may
//! have been done or not; all but the end of a guest can be asked again.

mod client;
mod error;
mod reply;
mod vm;

pub use self::client::{Client, Dirty, Offer};
pub use self::error::{Doing, Failed, Refusal};
pub use self::vm::{Vm, VmError};
