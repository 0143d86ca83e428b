//! Handing a virtual machine over to another host, with at most one owner whatever fails.
//!
//! Specified in `spec/stream.md` and `spec/handover.md`.
//!
//! ```text
//!   bytes ──▶ stream ──▶ core::Source ──▶ what to send, to write and to ask
//!                        core::Target          │
//!                          │   ▲               ▼
//!                    handover, journal    drivers: origin (a snapshot to be sent),
//!                                         image (a directory that a VM arrives in), links
//! ```
//!
//! Arrows between modules point one way: `identity <- journal <- handover <- stream <- facts, core`.
//! None of these does I/O, has a clock or draws random numbers; [`journal::File`] is the only thing
//! among them that touches a disk. `origin` and `image` read and write snapshots, and use the
//! readers of `snaptool` for it.

pub mod core;
pub mod facts;
pub mod grid;
pub mod handover;
pub mod identity;
pub mod image;
pub mod journal;
pub mod note;
pub mod origin;
pub mod probe;
pub mod run;
pub mod stream;
pub mod supervisor;
pub mod system;

pub use identity::{Epoch, Identity, Session};
