//! Packed name/value lists, shown, described as JSON, and made from such a description.
//!
//! The description is that of the test vectors (`spec/vectors/nvlist/README.md`). It keeps all of a
//! list: what [`describe`] gives in [`Binaries::Full`], [`parse_description`] turns into an equal
//! list. Knows nothing of files, nor of what a list means.

mod describe;
mod parse;
mod show;

pub use describe::{Binaries, describe};
pub use parse::{DescriptionError, DescriptionFault, parse_description, parse_text};
pub use show::show;
