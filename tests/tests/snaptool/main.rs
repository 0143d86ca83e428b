//! The program from end to end: what it prints, how it ends, and what it leaves behind.

// The lints know `#[test]` functions, but not their helpers; lengths of fixtures fit every type.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod accept;
mod atomic;
mod deltas;
mod explain;
mod extract;
mod host_facts;
mod kills;
mod kit;
mod large;
mod manners;
mod names;
mod nvlist;
mod partial;
mod round_trip;
mod state;
mod streams;
mod variants;
mod verdicts;
