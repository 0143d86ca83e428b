//! The program from end to end: what it prints, how it ends, and what it leaves behind.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod atomic;
mod deltas;
mod kills;
mod kit;
mod large;
mod manners;
mod names;
mod nvlist;
mod partial;
mod round_trip;
mod streams;
mod verdicts;
