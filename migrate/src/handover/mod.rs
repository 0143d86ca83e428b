//! Who owns the VM: two mirrored state machines without I/O (§2 to §6).
//!
//! ```text
//!   source                                        target
//!   SUSPENDED durable ── OFFER ─────────────────▶
//!                     ◀───────────────── READY ── READY durable
//!   HANDED-OVER durable ── COMMIT ──────────────▶ OWNER durable
//!                     ◀───────────────── OWNER ── STARTING durable, start
//!   DONE durable      ◀─────────────── RUNNING ── the guest has run: RUNNING durable
//!   keep the files    ── DONE ──────────────────▶ SETTLED durable
//! ```
//!
//! They are driven: [`Source::handle`] and [`Target::handle`] take an [`Input`] and give
//! [`Action`]s. A driver does these in order, and then hands in what came of them; while a record
//! is not durable, a machine hears nothing, since its peer will say it again. A record that an
//! action depends on is always durable before the action comes out; after a crash, `replay`
//! rebuilds the state from the journal alone.
//!
//! They know nothing of disks, sockets, clocks and start commands. What they prevent, and what they
//! cannot, is in §1 and §7.

mod event;
mod message;
mod phase;
mod side;
mod source;
mod target;
#[cfg(test)]
mod tests;

pub use self::event::{Action, Guest, Implausible, Input, Question, Refused, Resolve};
pub use self::message::{Body, Message};
pub use self::phase::{SourcePhase, Standing, TargetPhase};
pub use self::source::Source;
pub use self::target::{Plan, Target};
