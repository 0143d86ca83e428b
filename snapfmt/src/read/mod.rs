//! The readers: bytes in, verified values out.
//!
//! [`Walk`] reads a file once from front to back, without I/O of its own; [`Seeker`] goes straight
//! to what it wants in anything that can be read at an offset. Both open parts through one gate,
//! [`Intact`](crate::part::Intact), and compare what they read with one ledger.

pub mod claim;
mod index;
mod listed;
mod seek;
mod stream;
pub mod survey;
mod tables;
mod verified;
mod walk;

pub use listed::Part;
pub use seek::{Quick, ReadAt, ReadError, Seeker};
pub use stream::{StreamError, read_all};
pub use survey::{Survey, survey};
pub use tables::Tables;
pub use verified::{DeviceState, Verified};
pub use walk::{Walk, Want};
