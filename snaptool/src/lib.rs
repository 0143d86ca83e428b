//! The commands of the snapshot toolkit as functions: bytes in, text out.
//!
//! Knows nothing of arguments, files and exit codes; `main.rs` does.

pub mod cmd;
