//! One checksummed, versioned file for the whole state of a bhyve virtual machine.
//!
//! The format is specified in `spec/snapshot.md`; § in these pages means a section there.
//!
//! ```text
//!   three files ── bhyve::Meta, check ──┐
//!                                       ▼
//!   plain values ── part::*::encode ── write::Writer ──────────────▶ bytes
//!                                         │
//!                                       ledger   (what went by, and the index over it)
//!                                         │
//!   bytes ──▶ read::Walk    from front to back, once  ──▶ Verified ──▶ DeviceState
//!         └─▶ read::Seeker  straight to one part      ──▶ Quick
//! ```
//!
//! Arrows between modules point one way: `limits, digest, nvlist <- error, cursor <- layout, memory
//! <- part <- ledger <- read | write`, and `bhyve`, which knows the three files and of ours only
//! limits, is used by `ledger` to hold `.meta` against the parts. `read` and `write` do not know
//! each other. Two modules lie lower than the one they are in: `layout::kind` below `error`, and
//! `part::pairs` below `layout`. `tests/tests/tidy/arrows.rs` has the table of all arrows.
//!
//! The crate does no I/O of its own: it reads through [`std::io::Read`] and [`read::ReadAt`], and
//! writes by appending to a buffer. It has no clock, no threads, no random numbers and no `unsafe`.
//!
//! # What its types promise
//!
//! * [`part::Intact`]: the bytes of one part; every digest over them has matched.
//! * [`read::Verified`]: every byte of a file was read and covered by a digest that matched; every
//!   part agrees with the index, and `.meta` with the parts.
//! * [`read::DeviceState`]: a device record out of a file that was checked. There is no other road
//!   to one.
//! * [`read::claim::Claim`]: nothing. It can be shown.
//!
//! None of them promises that nobody forged the file, or that a host kernel survives the state.

mod agreement;
pub mod bhyve;
pub mod content;
mod cursor;
pub mod digest;
pub mod error;
pub mod layout;
mod ledger;
pub mod limits;
pub mod memory;
pub mod nvlist;
pub mod part;
pub mod read;
pub mod write;

pub use digest::Digest;
pub use error::{Error, Fault, Section};
