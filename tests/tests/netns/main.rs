//! Over a link that is slow, loses packets and is cut. Wants Linux, root, iproute2 and nftables;
//! what cannot be tried says so in a line, and passes.

// Helpers of tests fail as tests do.
#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::unwrap_used)]

mod link;
mod migrate;
