//! Handing a virtual machine over to another host, with at most one owner whatever fails.
//!
//! Specified in `spec/stream.md` and `spec/handover.md`.
//!
//! ```text
//!   bytes ──▶ stream ──▶ core::Source ──▶ what to send, to write and to ask
//!                        core::Target          │
//!                          │   ▲               ▼
//!                    handover, journal    drivers: origin (a snapshot to be sent),
//!                                         image (a directory that a VM arrives in)
//!
//!   vm::Source, vm::Target ◀── bhyve::primitives ──▶ bhyve ──▶ msgio ──▶ bhyve's control socket
//! ```
//!
//! Arrows between modules point one way: `identity <- journal <- handover <- stream <- core`, and
//! `facts` beside it. None of these does I/O, has a clock or draws random numbers;
//! [`journal::File`] is the only thing among them that touches a disk. Around them `origin` and
//! `image` read and write snapshots, with the readers of `snaptool`; `probe`, `supervisor` and
//! `run` look at this host and start VMs on it; and `bhyve` talks to a hypervisor: as it is, or
//! with the primitives of `spec/bhyve-primitives.md`.
//!
//! Outermost are `transport`, where a stream goes; `link`, one connection as two threads; `driver`,
//! which runs the machines; and `cmd`, the program.

pub mod bhyve;
pub mod cli;
pub mod cmd;
pub mod core;
pub mod driver;
pub mod facts;
pub mod grid;
pub mod handover;
pub mod identity;
pub mod image;
pub mod journal;
pub mod link;
pub mod msgio;
pub mod note;
pub mod origin;
pub mod probe;
mod regular;
pub mod run;
pub mod stream;
pub mod supervisor;
pub mod system;
pub mod transport;
pub mod vm;

pub use identity::{Epoch, Identity, Session};
