//! Short names for writing descriptions down as constants.

use std::sync::OnceLock;

use super::schema::{Field, Group, Item, Kind, Layout, Part, Repeat, Shape, Sign, Width};
use crate::bhyve::records::Vendor;
use crate::bhyve::{Generation, Section};

const fn field(name: &'static str, shape: Shape, kind: Kind) -> Item {
    Item::Field(Field {
        name,
        label: None,
        pair: None,
        shape,
        kind,
        host: matches!(kind, Kind::HostPointer | Kind::HostAddress),
        compared: false,
        sign: None,
        meaning: "",
        inside: &[],
    })
}

/// A number of 8 bits.
pub(super) const fn u8(name: &'static str) -> Item {
    field(name, Shape::Int(Width::One), Kind::Number)
}

/// A number of 16 bits.
pub(super) const fn u16(name: &'static str) -> Item {
    field(name, Shape::Int(Width::Two), Kind::Number)
}

/// A number of 32 bits.
pub(super) const fn u32(name: &'static str) -> Item {
    field(name, Shape::Int(Width::Four), Kind::Number)
}

/// A number of 64 bits.
pub(super) const fn u64(name: &'static str) -> Item {
    field(name, Shape::Int(Width::Eight), Kind::Number)
}

/// An `int` or an enumeration.
pub(super) const fn i32(name: &'static str) -> Item {
    field(name, Shape::Int(Width::Four), Kind::Signed)
}

/// A signed number of 64 bits.
pub(super) const fn i64(name: &'static str) -> Item {
    field(name, Shape::Int(Width::Eight), Kind::Signed)
}

/// A C `bool`.
pub(super) const fn bool(name: &'static str) -> Item {
    field(name, Shape::Int(Width::One), Kind::Bool)
}

/// A pointer into guest memory, stored as a guest-physical address.
pub(super) const fn gpa(name: &'static str) -> Item {
    field(name, Shape::Int(Width::Eight), Kind::GuestAddress)
}

/// A pointer of the process that wrote it.
pub(super) const fn pointer(name: &'static str) -> Item {
    field(name, Shape::Int(Width::Eight), Kind::HostPointer)
}

/// Bytes.
pub(super) const fn bytes(name: &'static str, len: u32) -> Item {
    field(name, Shape::Bytes(len), Kind::Bytes)
}

/// An Ethernet address.
pub(super) const fn mac(name: &'static str) -> Item {
    field(name, Shape::Bytes(6), Kind::Mac)
}

/// A string in an array of `char`.
pub(super) const fn text(name: &'static str, len: u32) -> Item {
    field(name, Shape::Bytes(len), Kind::Text)
}

/// An array of integers.
pub(super) const fn ints(name: &'static str, width: Width, count: u32) -> Item {
    field(name, Shape::Ints(width, count), Kind::Number)
}

/// A field of another shape.
pub(super) const fn shaped(name: &'static str, shape: Shape) -> Item {
    field(name, shape, Kind::Bytes)
}

/// A group.
pub(super) const fn group(name: &'static str, repeat: Repeat, items: &'static [Item]) -> Item {
    Item::Group(Group { name, repeat, items })
}

/// An element of a field: an integer.
pub(super) const fn part(name: &'static str, at: u32, width: Width) -> Part {
    Part { name, at, len: width.bytes(), kind: Kind::Bits }
}

/// An element of a field: bytes.
pub(super) const fn piece(name: &'static str, at: u32, len: u32, kind: Kind) -> Part {
    Part { name, at, len, kind }
}

impl Item {
    const fn with(self, change: Change) -> Self {
        let Self::Field(mut field) = self else { return self };
        match change {
            Change::Label(label) => field.label = Some(label),
            Change::Pair(pair) => field.pair = Some(pair),
            Change::Kind(kind) => field.kind = kind,
            Change::Host => field.host = true,
            Change::Compared => field.compared = true,
            Change::Sign(sign) => field.sign = Some(sign),
            Change::Meaning(meaning) => field.meaning = meaning,
            Change::Inside(inside) => field.inside = inside,
        }
        Self::Field(field)
    }

    /// What the field is, where its name does not say.
    pub(super) const fn label(self, label: &'static str) -> Self {
        self.with(Change::Label(label))
    }

    /// What tells it from another field of the same name in the same list.
    pub(super) const fn pair(self, pair: &'static str) -> Self {
        self.with(Change::Pair(pair))
    }

    /// A register or a set of flags.
    pub(super) const fn bits(self) -> Self {
        self.with(Change::Kind(Kind::Bits))
    }

    /// Yes or no, in an `int`.
    pub(super) const fn flag(self) -> Self {
        self.with(Change::Kind(Kind::Bool))
    }

    /// The numbers may be negative.
    pub(super) const fn signed(self) -> Self {
        self.with(Change::Kind(Kind::Signed))
    }

    /// A physical address of the host.
    pub(super) const fn host_address(self) -> Self {
        self.with(Change::Kind(Kind::HostAddress)).host()
    }

    /// Means something on the host alone that wrote it.
    pub(super) const fn host(self) -> Self {
        self.with(Change::Host)
    }

    /// bhyve compares it with its own on restore.
    pub(super) const fn compared(self) -> Self {
        self.with(Change::Compared)
    }

    /// What its value shows of the layout.
    pub(super) const fn sign(self, sign: Sign) -> Self {
        self.with(Change::Sign(sign))
    }

    /// What it is for.
    pub(super) const fn means(self, meaning: &'static str) -> Self {
        self.with(Change::Meaning(meaning))
    }

    /// What can be told apart in it.
    pub(super) const fn inside(self, inside: &'static [Part]) -> Self {
        self.with(Change::Inside(inside))
    }
}

#[derive(Clone, Copy)]
enum Change {
    Label(&'static str),
    Pair(&'static str),
    Kind(Kind),
    Host,
    Compared,
    Sign(Sign),
    Meaning(&'static str),
    Inside(&'static [Part]),
}

pub(super) const A: &[Generation] = &[Generation::A];
pub(super) const B: &[Generation] = &[Generation::B];
pub(super) const BOTH: &[Generation] = &[Generation::A, Generation::B];
pub(super) const NEITHER: &[Generation] = &[];

/// A layout of a record of the kernel.
pub(super) const fn kernel(
    id: &'static str,
    names: &'static [&'static str],
    generations: &'static [Generation],
    seen: &'static [Generation],
    parts: [&'static [Item]; 3],
) -> Layout {
    Layout {
        id,
        version: 1,
        section: Section::Kern,
        names,
        generations,
        seen,
        vendor: None,
        parts,
        plan: OnceLock::new(),
    }
}

/// A layout of a record of the kernel that one vendor's hosts write.
pub(super) const fn cpu(
    id: &'static str,
    names: &'static [&'static str],
    vendor: Vendor,
    [generations, seen]: [&'static [Generation]; 2],
    parts: [&'static [Item]; 3],
) -> Layout {
    Layout {
        id,
        version: 1,
        section: Section::Kern,
        names,
        generations,
        seen,
        vendor: Some(vendor),
        parts,
        plan: OnceLock::new(),
    }
}

/// A layout of a record of a device.
pub(super) const fn device(
    id: &'static str,
    names: &'static [&'static str],
    generations: &'static [Generation],
    seen: &'static [Generation],
    parts: [&'static [Item]; 3],
) -> Layout {
    Layout {
        id,
        version: 1,
        section: Section::Device,
        names,
        generations,
        seen,
        vendor: None,
        parts,
        plan: OnceLock::new(),
    }
}
