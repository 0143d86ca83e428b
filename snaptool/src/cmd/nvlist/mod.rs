//! Packed name/value lists, shown, described as JSON, and made from such a description.
//!
//! The description is that of the test vectors (`spec/vectors/nvlist/README.md`). It keeps all of a
//! list: what [`describe`] gives in [`Binaries::Full`], [`parse_description`] turns into an equal
//! list. Only `run` knows files; nothing here knows what a list means.

mod describe;
mod parse;
mod run;
mod show;

pub use describe::{Binaries, describe};
pub use parse::{DescriptionError, DescriptionFault, parse_description, parse_text};
pub use run::{Args, run};
pub use show::show;
