//! One module per command.

pub mod diff;
pub mod inspect;
pub mod nvlist;
pub mod pack;
pub mod unpack;
pub mod verify;
