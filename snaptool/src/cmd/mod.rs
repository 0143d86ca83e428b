//! One module per command.

mod help;
pub mod inspect;
pub mod nvlist;
pub mod pack;
pub mod unpack;
pub mod verify;
