//! The migration stream, `spec/stream.md`: what two hosts say to each other, as bytes and values.
//!
//! ```text
//!   bytes ──▶ Decoder ──▶ Item::Message ──────────────────▶ core::Source, core::Target
//!                    └──▶ Item::Part(Arrived) ── check ──▶ Intact     (any thread)
//!
//!   Message ── Encoder ──▶ bytes
//!   part::Encoded ── Outgoing::new ──▶ bytes; Encoder::count_part, PartsDigest::add
//! ```
//!
//! Knows how items are laid out, and what is wrong with one looked at by itself. It refuses to know
//! which item may come when, and what any of them is good for. It does no I/O and has no clock; a
//! decoder holds one item at a time.
//!
//! § in these modules means a section of `spec/stream.md`.

mod decode;
mod encode;
mod error;
mod frame;
mod kind;
pub mod message;
pub mod part;
mod values;
mod wire;

pub use decode::{Decoder, Item};
pub use encode::{Encoded, Encoder, PartsDigest};
pub use error::{Breach, Fault};
pub use kind::Kind;
pub use message::Message;
pub use part::Arrived;
pub use snapfmt::part::stream::Outgoing;

#[cfg(test)]
mod tests;
