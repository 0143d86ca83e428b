//! The test machine as a whole: a guest that runs, moves and complains.
//!
//! Nothing here depends on how fast a machine is: what is waited for comes, and the limit is far.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod dirty;
mod kit;
mod notices;
mod primitives;
mod restore;
mod verify;
