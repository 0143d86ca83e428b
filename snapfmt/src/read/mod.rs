//! The readers: bytes in, verified values out.
//!
//! [`Walk`] reads a file once from front to back, without I/O of its own, and [`WalkAhead`] does
//! with extents opened elsewhere; [`Seeker`] goes straight to what it wants in anything that can be
//! read at an offset; [`Chain`] reads a full file and the deltas over it side by side. All open
//! parts through one gate, [`Intact`](crate::part::Intact), and compare what they read with one
//! ledger.

mod ahead;
pub mod chain;
pub mod claim;
mod index;
mod kept;
mod listed;
mod seek;
mod stream;
pub mod survey;
mod tables;
mod verified;
mod walk;

pub use ahead::{Fed, Need, Opened, Unopened, WalkAhead};
pub use chain::{Chain, ChainError, CheckError, StoredArea};
pub use kept::Kept;
pub use listed::Part;
pub use seek::{Quick, ReadAt, ReadError, Seeker};
pub use stream::{StreamError, read_all};
pub use survey::{Survey, survey};
pub use tables::Tables;
pub use verified::{Unsettled, Verified};
pub use walk::{Walk, Want};
