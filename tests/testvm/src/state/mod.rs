//! The state of the machine as bhyve's three files: FreeBSD 14's records, on an Intel host.
//!
//! ```text
//! Machine ── save ──> Saved ── records ──> .kern, .meta      memory ──> file
//! Machine <── load ── Saved <── records ── .kern, .meta      memory <── file
//! ```
//!
//! What this machine has stands in the fields that bhyve has for it: registers of the virtual CPUs,
//! local APICs, I/O APIC, ACPI timer, clock chip, serial ports. What a bhyve has besides, and this
//! machine has not, is written as a reset leaves it and read by nobody: HPET, PIT, PICs, keyboard
//! controller, host bridge. What this machine has and bhyve saves nowhere, x87 and SSE, has a
//! record of its own, [`fpu::NAME`], as a device of which nothing but this program knows.

mod chips;
mod cpu;
mod error;
mod files;
pub mod fpu;
mod lapic;
mod meta;
mod pci;
mod record;
mod saved;

pub use error::StateError;
pub use files::{load, save, save_devices};
pub use saved::Saved;
