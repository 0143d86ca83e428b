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
//! Arrows between modules point one way: `identity <- journal <- handover`. The state machines do
//! no I/O, have no clock and draw no random numbers; [`journal::File`] is the only thing here that
//! touches a disk.
//!
//! What exists is the core: who owns a VM, the journal that remembers it, and the proof in `tests`.
//! There is no stream yet, no transport, and no command.

pub mod handover;
pub mod identity;
pub mod journal;
pub mod msgio;

pub use identity::{Epoch, Identity, Session};
