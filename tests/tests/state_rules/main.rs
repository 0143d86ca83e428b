//! The rules about device state: each broken alone, in a good fixture, and nothing else complains.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test may fail as the test may"
)]

mod cases;
mod fixture;
mod good;
mod table;
