//! The rules of device state and the gate, as commands meet them: what is wrong with a snapshot,
//! for people and for programs, and how bhyve's three files are held against all rules.
//!
//! ```text
//! three files ── three ──┐
//! a snapshot file ───────┴─> Judgement ── items ──> Item: text, JSON
//! ```
//! Knows how findings are told. What may pass is for [`snapfmt::state::gate`] to say.

mod item;
mod items;
mod three;

pub(crate) use item::{Item, from_error, root_differs};
pub(crate) use items::{More, Telling, items, not_checked};
pub(crate) use three::three;
