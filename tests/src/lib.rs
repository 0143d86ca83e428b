//! What the tests of the workspace share.

pub mod fixtures;
pub mod image;
