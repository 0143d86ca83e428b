//! The program `migrate` from end to end: both sides as processes, over real transports.

// The lints know `#[test]` functions, but not their helpers; lengths of fixtures fit every type.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod commands;
mod copies;
mod damaged;
mod guards;
mod kills;
#[path = "../snaptool/kit.rs"]
#[allow(dead_code)]
mod kit;
mod manual;
mod peers;
mod ssh;
mod stops;
mod transports;
mod world;
