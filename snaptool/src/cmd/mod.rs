//! One module per command.

pub mod nvlist;
