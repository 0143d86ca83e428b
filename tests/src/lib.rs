//! What the tests of the workspace share.
//!
//! [`forge`] builds snapshot files by hand, from the spec, and never calls the library; [`drive`]
//! gives files to the library's readers.

// A test that cannot go on has failed: panics are the way to say so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

pub mod drive;
pub mod facts_doc;
pub mod fake_bhyve;
pub mod fixtures;
pub mod forge;
pub mod image;
pub mod images;
pub mod layouts_doc;
pub mod machine;
#[cfg(target_os = "linux")]
pub mod netns;
pub mod packed;
pub mod peers;
pub mod points;
pub mod properties;
pub mod records;
pub mod reseal;
pub mod sets;
pub mod snapshot_vectors;
pub mod spec_rules;
pub mod states;
pub mod stream_rules;
pub mod vector_files;
pub mod vectors;
