//! The words in which a record is described: layouts, groups, fields.
//!
//! A description is data. Decoding, the form in a file, rendering, rules, documentation and tests
//! all follow it, and nothing else knows where a field lies. It says what C type bhyve copies and
//! what it is for; which values a host survives is for the rules to say.

use std::fmt;
use std::sync::OnceLock;

use super::plan::Plan;
use super::value::little_endian;
use crate::bhyve::records::Vendor;
use crate::bhyve::{Generation, Section};

/// One way in which bhyve writes one record.
pub struct Layout {
    /// Names the layout for ever: the record's name, then what tells it from others.
    pub id: &'static str,
    /// Raised when the description of the same bytes changes.
    pub version: u32,
    /// The list of `.meta` in which such records stand.
    pub section: Section,
    /// The names of such records; of a device, the name before `@pci.`.
    pub names: &'static [&'static str],
    /// Which generations may have written it.
    pub generations: &'static [Generation],
    /// Of which generations a snapshot was seen that has it. The others are known from reading the
    /// source, or are a combination of what is.
    pub seen: &'static [Generation],
    /// The maker of the host's CPU, where it matters.
    pub vendor: Option<Vendor>,
    pub(super) parts: [&'static [Item]; 3],
    pub(super) plan: OnceLock<Plan>,
}

impl Layout {
    /// What the record consists of, from its first byte to its last.
    pub fn items(&self) -> impl Iterator<Item = &'static Item> {
        self.parts.into_iter().flatten()
    }

    /// The pieces of the description, which other layouts may share; none is empty.
    pub fn pieces(&self) -> impl Iterator<Item = &'static [Item]> {
        self.parts.into_iter().filter(|piece| !piece.is_empty())
    }

    /// Every field that such a record can have, once each, with the groups around it.
    #[must_use]
    pub fn definitions(&'static self) -> &'static [Definition] {
        &self.plan().definitions
    }

    /// Whether the layout has a field of that [key](Field::key).
    #[must_use]
    pub fn has(&'static self, key: &str) -> bool {
        self.plan().symbols.contains_key(key)
    }

    /// Bytes of the record apart from the slots of virtual CPUs, and of one such slot; `None` if
    /// its size depends on what is in it.
    #[must_use]
    pub fn size(&'static self) -> Option<(u64, u64)> {
        let plan = self.plan();
        (!plan.open).then_some((plan.fixed, plan.slot))
    }

    pub(super) fn plan(&'static self) -> &'static Plan {
        self.plan.get_or_init(|| Plan::of(self))
    }
}

impl PartialEq for Layout {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Layout {}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layout({})", self.id)
    }
}

/// A field of a layout, and where it stands.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The field.
    pub field: &'static Field,
    /// The groups around it, the outermost first.
    pub groups: Vec<&'static Group>,
}

/// A piece of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A field.
    Field(Field),
    /// Something that is there several times, or not always.
    Group(Group),
    /// A piece that several descriptions share; nothing in the record shows it.
    Shared(&'static [Self]),
}

/// What bhyve copies with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The variable as bhyve's source calls it.
    pub name: &'static str,
    /// What it is, where `name` does not say.
    pub label: Option<&'static str>,
    /// Its name in a list of the record's fields, where neither is unique there.
    pub pair: Option<&'static str>,
    /// Its C type.
    pub shape: Shape,
    /// What its bytes stand for.
    pub kind: Kind,
    /// Whether it has a meaning on the host alone that wrote it.
    pub host: bool,
    /// Whether bhyve refuses to restore another value than its own.
    pub compared: bool,
    /// What its value shows of the layout.
    pub sign: Option<Sign>,
    /// What it is for; may be empty.
    pub meaning: &'static str,
    /// What can be told apart in it.
    pub inside: &'static [Part],
}

impl Field {
    /// What rules and renderers find it by: its label, or else its name.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self.label {
            Some(label) => label,
            None => self.name,
        }
    }

    /// What the pair is called that holds it in a list of fields.
    #[must_use]
    pub const fn pair_name(&self) -> &'static str {
        match self.pair {
            Some(pair) => pair,
            None => self.key(),
        }
    }
}

/// What the value of a field is in every record of its layout. It tells apart layouts that fit the
/// same record. That a value is good is not what a sign says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// This number.
    Is(u64),
    /// This number at most.
    Most(u64),
    /// 0 or a power of two.
    PowerOfTwo,
    /// Configuration space of a PCI device: its vendor is neither 0 nor all ones.
    Vendor,
}

impl Sign {
    /// Whether bytes have the sign.
    #[must_use]
    pub fn holds(self, bytes: &[u8]) -> bool {
        let number = || little_endian(bytes).unwrap_or(u64::MAX);
        match self {
            Self::Is(value) => number() == value,
            Self::Most(most) => number() <= most,
            Self::PowerOfTwo => number() == 0 || number().is_power_of_two(),
            Self::Vendor => !matches!(bytes, [0, 0, ..] | [0xff, 0xff, ..]),
        }
    }
}

/// Something inside a field that bhyve copies as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The member, register or element.
    pub name: &'static str,
    /// Where it is in the field.
    pub at: u32,
    /// Its length.
    pub len: u32,
    /// What its bytes stand for.
    pub kind: Kind,
}

/// A C type, or what stands for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A little-endian integer.
    Int(Width),
    /// An array of little-endian integers.
    Ints(Width, u32),
    /// Bytes.
    Bytes(u32),
    /// The image of a virtqueue's rings; the key of the field that holds the number of descriptors.
    Rings(&'static str),
    /// All that is left of the record, which must be a power of two.
    Rest,
}

impl Shape {
    /// The length in bytes, if it is always the same.
    #[must_use]
    pub const fn fixed_len(self) -> Option<u32> {
        match self {
            Self::Int(width) => Some(width.bytes()),
            Self::Ints(width, count) => Some(width.bytes() * count),
            Self::Bytes(len) => Some(len),
            Self::Rings(_) | Self::Rest => None,
        }
    }
}

/// The width of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Width {
    /// 8 bits.
    One = 1,
    /// 16 bits.
    Two = 2,
    /// 32 bits.
    Four = 4,
    /// 64 bits.
    Eight = 8,
}

impl Width {
    /// The width in bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self as u32
    }

    /// The width of so many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u8) -> Option<Self> {
        match bytes {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            4 => Some(Self::Four),
            8 => Some(Self::Eight),
            _ => None,
        }
    }
}

/// What bytes stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// A number that may be negative.
    Signed,
    /// Yes or no: 0 or another number.
    Bool,
    /// A register or a set of flags.
    Bits,
    /// A guest-physical address; all ones is none.
    GuestAddress,
    /// An address in the process that wrote it. Only whether it is 0 can count.
    HostPointer,
    /// A physical address of the host that wrote it.
    HostAddress,
    /// A string, padded with NULs.
    Text,
    /// An Ethernet address.
    Mac,
    /// Bytes without structure, or with a structure that is not told here.
    Bytes,
}

/// Items that stand in a record a number of times, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// What a list of fields calls it.
    pub name: &'static str,
    /// How often.
    pub repeat: Repeat,
    /// What is repeated.
    pub items: &'static [Item],
}

/// How often a group is there. Fields are named by their [keys](Field::key); the one that was read
/// last counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Always as often.
    Times(u32),
    /// Once for each virtual CPU.
    Slots,
    /// As often as a field says, and so often at most.
    Of(&'static str, u32),
    /// As often as a field says, and so often at most, which comes later: nothing of varying length
    /// stands between it and the end of the record.
    Told(&'static str, u32),
    /// At least once, and as often as fills the record, and so often at most.
    Fill(u32),
    /// At least once, and until a field inside it has had this value.
    Until(&'static str, u64),
    /// Once or not at all.
    If(Test),
}

impl Repeat {
    /// Whether the group can be there more than once.
    #[must_use]
    pub const fn many(self) -> bool {
        !matches!(self, Self::Times(1) | Self::If(_))
    }
}

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// The field has this bit.
    Bit(&'static str, u32),
    /// The field has not this value.
    Not(&'static str, u64),
    /// The field has a value that some field of the second key has had.
    Among(&'static str, &'static str),
}
