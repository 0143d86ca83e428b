//! The two machines of a migration, without I/O: what is said when, what is asked of the driver,
//! and how a run ends (`spec/stream.md` §4 to §11).
//!
//! ```text
//!   source                                   target
//!   HELLO ─────────────────────────────────▶
//!         ◀───────────────────────────────── HELLO
//!   FACTS ─────────────────────────────────▶            judged
//!         ◀───────────────────────────────── REPORT
//!   BEGIN, VM ─────────────────────────────▶            opened
//!         ◀───────────────────────────────── HAVE
//!   STATE, parts, STATE-END ───────────────▶            held against all rules
//!         ◀───────────────────────────────── STATE-DONE
//!   ROUND, parts, ROUND-END ───────────────▶            applied
//!         ◀───────────────────────────────── ROUND-DONE
//!   HANDOVER, as handover::Source says ◀───▶ HANDOVER, as handover::Target says
//!   BYE ───────────────────────────────────▶
//!         ◀───────────────────────────────── BYE
//! ```
//!
//! They are driven: [`Source::handle`] and [`Target::handle`] take the time and an input, and give
//! actions, which a driver does in this order. It hands in what comes of them; `Tick`, at the
//! latest at [`Source::deadline`]; `Progress` whenever bytes go; and `Heard` whenever bytes come,
//! or are left for later because there is enough to do. A machine lives as long as its process:
//! after `End` there may be another `Connected`, and what is asked for the hand-over is answered
//! with or without a connection.
//!
//! Who owns the VM is decided in [`handover`](crate::handover), which they embed, and nowhere else.
//! They know nothing of bytes, sockets, files and clocks.
//!
//! § in these modules means a section of `spec/stream.md`.

mod blocks;
mod clock;
mod config;
mod event;
mod held;
mod hello;
mod phase;
mod receipt;
mod source;
mod target;
mod trouble;

#[cfg(test)]
mod tests;

pub use blocks::Blocks;
pub use config::{Judge, Migration, Origin, SourceConfig, TargetConfig, Task};
pub use event::{Closed, Now, Outcome, SourceAction, SourceInput, TargetAction, TargetInput};
pub use held::Held;
pub use phase::{SourcePhase, TargetPhase};
pub use source::Source;
pub use target::Target;
pub use trouble::{Code, hinted, name, trouble};
