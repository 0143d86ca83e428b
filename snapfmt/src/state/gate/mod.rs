//! The gate: from state that was read to state that may be restored.
//!
//! ```text
//! read::Verified, its records ──┐
//! three files ── of_files ──────┴──> Judged ── clear(Policy) ──> DeviceState ──> what restores it
//!                                      │                  └────> Judged, refused
//!                                      └─> Judgement: findings, what could not be checked
//! ```
//!
//! Whatever hands state to something that will load it takes a [`DeviceState`], and nothing makes
//! one but [`Judged::clear`]. The gate knows what rules say, and what a person has accepted. It
//! does not know where the state goes.

mod acceptance;
mod device_state;
mod judged;
mod judgement;

pub use acceptance::{Acceptance, AcceptanceError};
pub use device_state::{DeviceRecord, DeviceState};
pub use judged::Judged;
pub(crate) use judged::Origin;
pub use judgement::{Judgement, Policy, Standing, UnknownRecord};
