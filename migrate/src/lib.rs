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
//! ```text
//!   vm::Source, vm::Target ◀── bhyve::primitives ──▶ bhyve ──▶ msgio ──▶ bhyve's control socket
//! ```
//!
//! Arrows between modules point one way: `identity <- journal <- handover <- vm`, and `msgio <-
//! bhyve`. The state machines do no I/O, have no clock and draw no random numbers; of the modules
//! around them [`journal::File`] touches a disk, and `bhyve` talks to a hypervisor: as it is, or
//! with the primitives of `spec/bhyve-primitives.md`.
//!
//! What exists is the core: who owns a VM, the journal that remembers it, and the proof in `tests`.
//! There is no stream yet, no transport, and no command.

pub mod bhyve;
pub mod handover;
pub mod identity;
pub mod journal;
pub mod msgio;
pub mod vm;

pub use identity::{Epoch, Identity, Session};
