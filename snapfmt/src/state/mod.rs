//! Device state as named fields.
//!
//! ```text
//! .meta ── Evidence::of ──┐
//! name, bytes ────────────┴─ choose ──> Fields ──┬── find, vcpus, groups, children
//!                            (layouts)           ├── encode ─────────> the same bytes
//!                                                └── Form::of ───────> list for the file
//!                                                    generic::encode <──┘ ──> the same bytes
//! ```
//!
//! bhyve writes each record by copying one variable after another, with no names, counts or
//! versions. Each way in which a record is known to be written is described once, as data, in
//! [`layouts`]; all else follows that description. Which description is right for a record is told
//! by what the snapshot shows ([`Evidence`]); if none is, the record is kept as it is, and
//! [`Unknown`] says why.
//!
//! A field of a record that is known is found by its key:
//!
//! ```
//! # use snapfmt::bhyve::{Generation, Section};
//! # use snapfmt::state::{Evidence, layouts};
//! let evidence = Evidence { generation: Generation::B, slots: vec![2], vendor: None };
//! let record = [0; 2 * 184 + 128];
//! let fields = evidence.choose(Section::Kern, "vm", &record)?;
//! assert_eq!(fields.layout().id, "vm-184-128");
//! for vcpu in fields.vcpus() {
//!     assert_eq!(vcpu.u64("vcpu->guest_xcr0"), Some(0));
//! }
//! let xcr0 = fields.find("vcpu->guest_xcr0", Some(1), 0).unwrap();
//! assert_eq!((xcr0.offset(), xcr0.len()), (208, 8));
//! # Ok::<(), snapfmt::state::Unknown>(())
//! ```
//!
//! All of this knows what fields there are and what they are for, and does not know which values
//! are good. That is for [`rules`], and what may be restored therefore for the [`gate`].

mod decode;
mod difference;
mod dsl;
mod evidence;
mod fields;
mod form;
pub mod gate;
pub mod generic;
pub mod host;
pub mod layouts;
mod misfit;
mod plan;
pub mod rules;
mod schema;
mod scope;
#[cfg(test)]
mod tests;
mod value;

pub use difference::{Difference, Is};
pub use evidence::{Evidence, base};
pub use fields::Fields;
pub use form::{Form, FormError};
pub use host::HostFacts;
pub use misfit::{Misfit, Unknown, Why};
pub use schema::{
    Definition, Field, Group, Item, Kind, Layout, Part, Repeat, Shape, Sign, Test, Width,
};
pub use scope::{Child, Children, Scope};
pub use value::{FieldRef, PartRef};
