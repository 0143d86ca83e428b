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
//!   bytes ──▶ read::Walk    from front to back, once    ──▶ Verified ─┐
//!         ├─▶ read::Seeker  straight to one part        ──▶ Quick     │
//!         └─▶ read::Chain   a full file and its deltas  ──▶ Verified of each, pages of the state
//!                                                                     │
//!   three files ──────────── state::rules ──▶ state::gate::Judged ◀───┘
//!                                                     │
//!                                          clear(Policy) ──▶ DeviceState ──▶ what restores it
//!
//!   two states, area by area ── delta::compare ──▶ Change ──▶ write::DeltaWriter
//! ```
//!
//! Arrows between modules point one way: `limits, digest, nvlist <- error, cursor <- layout, memory
//! <- part <- ledger <- read | write`, and `bhyve`, which knows the three files and of ours only
//! limits, is used by `ledger` to hold `.meta` against the parts. `state` knows what fields a
//! device record has and which values are good; of the crate it uses `limits`, `nvlist` and
//! `bhyve`. `part::device` uses it to store records as fields, and `read` lends it records. `delta`
//! knows `memory` alone, and `read` lends it areas of chains. `read` and `write` do not know each
//! other. Two modules lie lower than the one they are in: `layout::kind` below `error`, and
//! `part::pairs` below `layout`. `tests/tests/tidy/arrows.rs` has the table of all arrows.
//!
//! The crate does no I/O of its own: it reads through [`std::io::Read`] and [`read::ReadAt`], and
//! writes by appending to a buffer. It has no clock, no threads, no random numbers and no `unsafe`.
//! Who has threads lets them do what takes long: a writer's [`write::Encoder`] makes parts of
//! memory on any of them, and [`read::WalkAhead`] gives out parts of memory to be opened.
//!
//! # What its types promise
//!
//! * [`part::Intact`]: the bytes of one part; every digest over them has matched.
//! * [`read::Verified`]: every byte of a file was read and covered by a digest that matched; every
//!   part agrees with the index, and `.meta` with the parts. Of a delta that was read without its
//!   parents, [`read::Verified::unsettled`] says what that leaves open.
//! * [`part::extent::Extent`]: pages of a full file, checked against their part.
//! * [`part::extent::DeltaExtent`]: no pages yet. [`part::extent::Settled`] is what they are over
//!   those of the parent. [`read::Chain::check`] gives the pages of a state, and there is no other
//!   road from deltas to whole memory.
//! * [`part::extent::Head`]: which leaf each page has to have, and not that it has it.
//! * [`state::gate::DeviceState`]: the device state of a machine out of a file that was checked, or
//!   out of three files, that no rule fails but those that a person has accepted. There is no other
//!   road to one, and what restores a machine takes nothing else.
//! * [`read::claim::Claim`]: nothing. It can be shown.
//!
//! None of them promises that nobody forged the file. [`state::rules`] says what is known of the
//! values that a host kernel survives; nobody has proved that it is all.

mod agreement;
pub mod bhyve;
pub mod content;
mod cursor;
pub mod delta;
pub mod digest;
pub mod error;
pub mod layout;
mod ledger;
pub mod limits;
pub mod memory;
pub mod nvlist;
pub mod part;
pub mod read;
pub mod state;
pub mod write;

pub use digest::Digest;
pub use error::{Error, Fault, Section};
