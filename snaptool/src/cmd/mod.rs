//! One module per command.

pub mod completions;
pub mod delta;
pub mod diff;
pub mod explain;
pub mod extract;
mod help;
pub mod host_facts;
pub mod inspect;
pub mod join;
pub(crate) mod make;
pub mod man;
pub mod nvlist;
pub mod pack;
pub mod unpack;
pub mod verify;

pub use make::form::Method;
