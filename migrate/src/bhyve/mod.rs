//! bhyve as it is: how to tell it what to do, and how to find out whether it did.
//!
//! ```text
//!   Protocol ──request──▶ Connection ──▶ bhyve ──▶ vm.ckp, vm.ckp.kern, vm.ckp.meta
//!                              │           │               │
//!                              ▼           ▼               ▼
//!                            Heard      Presence        Sighting ──▶ watch ──▶ Report
//! ```
//!
//! bhyve listens at a Unix socket for two commands and answers neither, so whether one succeeded is
//! inferred, and told as such: [`Report::verdict`] is what follows from [`Report::seen`] and the
//! rest. It knows what bhyve's sources say, which `spec/bhyve-control.md` sums up. It refuses to
//! know what is in the files, which is for [`snapfmt`] to judge, and who owns the VM. Nothing here
//! has run on FreeBSD yet. [`stock`] and [`primitives`] make sources of a migration out of it.

pub mod ask;
pub mod control;
pub mod files;
pub mod host;
pub mod primitives;
pub mod protocol;
pub mod stock;
#[cfg(test)]
mod tests;
pub mod vmm;
pub mod watch;

pub use self::ask::{Failed, Listener, ask};
pub use self::control::{Connection, Heard, Line, RUN_DIR, Unsent};
pub use self::files::{Directory, Files, Incomplete, Sighting};
pub use self::protocol::{Command, Protocol, Request, Unsuitable};
pub use self::watch::{Cause, Clock, Patience, Presence, Process, Report, Verdict, watch};
