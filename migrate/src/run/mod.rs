//! The command that starts a VM, and hooks that a person gives (`spec/handover.md` §4.2).
//!
//! ```text
//!   Script ──▶ start ──▶ Started { guest: ran | never ran | unknown, why }
//!                ▲
//!         Ready, Contract: what shows that it runs, which exit codes say that it never did
//!
//!   Script ──▶ hook ──▶ done, or why not        fencing; stopping a supervisor
//! ```
//! A wrong "never ran" lets a second copy of the VM run. So it is said only where it is proved: the
//! command was not executed at all, or it ended with an exit code that a person declared to mean
//! so, and left no process behind. All else that is not seen to run is unknown, which a person
//! decides.

mod hook;
mod ready;
mod script;
mod start;
#[cfg(test)]
mod tests;

pub use hook::{HookError, hook};
pub use ready::Ready;
pub use script::{Script, ScriptError};
pub use start::{Contract, Plan, Started, Why, start};
