//! Handing a virtual machine over to another host, with at most one owner whatever fails.
//!
//! Specified in `spec/handover.md`; § in these pages means a section there.
//!
//! ```text
//!   messages, durable records,      ┌──────────────────┐   records to write, messages to send,
//!   outcomes, a person's answers ──▶│ handover::Source │──▶ starts, files to keep or destroy,
//!   (all from a driver)             │ handover::Target │   questions (all for a driver)
//!                                   └──────────────────┘
//!                                            ▲ after a restart
//!   journal::Storage ──▶ journal::Journal ───┘
//! ```
//!
//! Around them, [`core::Source`] and [`core::Target`] decide what is said when on a connection, in
//! the same way; [`stream`] is what two hosts say to each other, as bytes (`spec/stream.md`).
//!
//! Arrows between modules point one way: `identity <- journal <- handover <- stream <- core`. None
//! of them does I/O, has a clock or draws random numbers; [`journal::File`] is the only thing here
//! that touches a disk.
//!
//! What exists is the core: who owns a VM, the journal that remembers it, the stream, the order of
//! things on it, and the proofs in `tests`. There is no transport yet, and no command.

pub mod core;
pub mod handover;
pub mod identity;
pub mod journal;
pub mod stream;

pub use identity::{Epoch, Identity, Session};
