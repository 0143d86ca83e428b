//! The rules about device state: each broken alone, in a good fixture, and nothing else complains.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test may fail as the test may"
)]

mod cases;
mod classes;
mod fixture;
mod good;
mod good_cpu;
mod good_devices;
mod machines;
mod mutations;
mod replay;
mod scope;
mod spec;
mod table;
mod variants;
