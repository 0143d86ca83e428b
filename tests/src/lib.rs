//! What the tests of the workspace share.

// A test may stop at what it does not expect, and so may what it stands on.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

pub mod fixtures;
pub mod images;
pub mod packed;
pub mod properties;
pub mod reseal;
pub mod vectors;
