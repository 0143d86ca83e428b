//! The three files that `bhyvectl --suspend` writes: guest memory, `.kern` and `.meta`.
//!
//! ```text
//! .meta text ─ Meta::parse ─> Meta ─┐
//! length of .kern, of memory ───────┴─ check ─> findings
//! ```
//!
//! Both layouts are known: that of FreeBSD 13 and that of 14.0 and later. Nothing is read or
//! written here: the caller brings the text of `.meta` and the lengths of the other two files.
//! Nothing is known of any other snapshot format, nor of what the fields of a record mean.

mod check;
pub mod config;
mod finding;
mod json;
pub mod limits;
mod meta;
mod meta_error;
pub mod records;
pub mod rules;
pub mod set;

pub use check::check;
pub use config::{Config, disagreements};
pub use finding::{Basis, Finding, Place, Rule, Severity, Value};
pub use meta::{Generation, Meta, Note, Record, Section, VmMetadata};
pub use meta_error::{Entry, MetaError, MetaFault};
pub use set::{Files, RamLayout, Segment};
