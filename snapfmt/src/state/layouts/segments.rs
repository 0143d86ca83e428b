//! Segments and registers as both vendors' `vmcx` has them.

use super::super::dsl::*;
use super::super::schema::Item;

/// A register that is read and stored as 64 bits.
pub(super) const fn val(label: &'static str) -> Item {
    u64("val").label(label).bits()
}

/// A descriptor table.
macro_rules! table {
    ($name:literal) => {
        Item::Shared(&[
            u64("desc.base").label(concat!($name, ".base")).bits(),
            u32("desc.limit").label(concat!($name, ".limit")).bits(),
            u32("desc.access").label(concat!($name, ".access")).bits(),
        ])
    };
}

/// A segment.
macro_rules! segment {
    ($name:literal) => {
        Item::Shared(&[val($name).means("selector"), table!($name)])
    };
}

/// Access rights of segments are in the format of VMX on either vendor's hosts.
pub(super) const SEGMENTS: &[Item] = &[
    segment!("ES"),
    segment!("CS"),
    segment!("SS"),
    segment!("DS"),
    segment!("FS"),
    segment!("GS"),
    segment!("TR"),
    segment!("LDTR"),
    val("EFER"),
];

/// The access rights of tables are not set before they are saved.
pub(super) const TABLES: &[Item] = &[table!("IDTR"), table!("GDTR")];
