//! The fields of a record: in order, by key, by virtual CPU, by group.
//!
//! A key is a field's label, or its name where it has none (see [`Field::key`]). An occurrence
//! counts the fields of one key, for each virtual CPU afresh.

use std::fmt;
use std::ops::Range;

use super::plan::Symbol;
use super::schema::{Field, Group, Layout, Part, Shape};

/// The virtual CPU of a field that belongs to none.
pub(super) const NO_VCPU: u32 = u32::MAX;

/// Where a field is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) field: &'static Field,
    pub(super) symbol: Symbol,
    pub(super) vcpu: u32,
    pub(super) occurrence: u32,
    pub(super) offset: u32,
    pub(super) len: u32,
}

impl Entry {
    pub(super) fn range(&self) -> Range<usize> {
        let offset = self.offset as usize;
        offset..offset + self.len as usize
    }
}

/// One time that a group is there; the first is the record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Element {
    pub(super) group: Option<&'static Group>,
    pub(super) index: u32,
    pub(super) parent: u32,
    /// Its first entry.
    pub(super) first: u32,
    /// The entry after its last.
    pub(super) end: u32,
    /// The element after it and all inside it.
    pub(super) last: u32,
}

/// The fields of a record. They lie in its bytes without gap or overlap.
#[derive(Clone)]
pub struct Fields<'a> {
    layout: &'static Layout,
    bytes: &'a [u8],
    slots: u32,
    entries: Vec<Entry>,
    elements: Vec<Element>,
    /// Entries by symbol: those of symbol `s` are `starts[s]..starts[s + 1]` of `sorted`.
    starts: Vec<u32>,
    sorted: Vec<u32>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(
        layout: &'static Layout,
        bytes: &'a [u8],
        slots: u32,
        entries: Vec<Entry>,
        elements: Vec<Element>,
    ) -> Self {
        let symbols = layout.plan().symbols.len();
        let mut starts = vec![0_u32; symbols + 1];
        for entry in &entries {
            if let Some(count) = starts.get_mut(usize::from(entry.symbol) + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut sorted = vec![0; entries.len()];
        for (number, entry) in (0_u32..).zip(&entries) {
            if let Some(place) = next.get_mut(usize::from(entry.symbol)) {
                if let Some(slot) = sorted.get_mut(*place as usize) {
                    *slot = number;
                }
                *place += 1;
            }
        }
        Self { layout, bytes, slots, entries, elements, starts, sorted }
    }

    /// The layout by which they were found.
    #[must_use]
    pub const fn layout(&self) -> &'static Layout {
        self.layout
    }

    /// The record.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Slots of virtual CPUs; 0 in a record that is not per virtual CPU.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.slots
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no fields. No layout is so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All fields, in the order of their bytes.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = FieldRef<'_, 'a>> + ExactSizeIterator {
        self.entries.iter().map(|entry| FieldRef { bytes: self.bytes, entry })
    }

    /// The whole record as a scope, which finds fields by key.
    #[must_use]
    pub const fn root(&self) -> Scope<'_, 'a> {
        Scope { fields: self, element: 0 }
    }

    /// The slot of a virtual CPU.
    #[must_use]
    pub fn vcpu(&self, vcpu: u32) -> Option<Scope<'_, 'a>> {
        self.vcpus().nth(vcpu as usize)
    }

    /// The slots of virtual CPUs, in order. [`Generation::A`](crate::bhyve::Generation::A) has
    /// slots of virtual CPUs that the machine has not.
    pub fn vcpus(&self) -> impl Iterator<Item = Scope<'_, 'a>> {
        self.root().groups("vcpus")
    }

    /// A field by its key, virtual CPU and occurrence.
    #[must_use]
    pub fn find(&self, key: &str, vcpu: Option<u32>, occurrence: u32) -> Option<FieldRef<'_, 'a>> {
        let entries = self.of_key(key);
        let wanted = (vcpu.unwrap_or(NO_VCPU), occurrence);
        let place = |number: &u32| self.entry(*number).map(|entry| (entry.vcpu, entry.occurrence));
        let at = entries.partition_point(|number| place(number) < Some(wanted));
        let number = entries.get(at).filter(|number| place(number) == Some(wanted))?;
        self.at(*number)
    }

    /// The field that a byte of the record lies in.
    #[must_use]
    pub fn at_offset(&self, offset: u64) -> Option<FieldRef<'_, 'a>> {
        let after = self.entries.partition_point(|entry| u64::from(entry.offset) <= offset);
        let found = self.iter().nth(after.checked_sub(1)?)?;
        (offset < found.offset() + found.len()).then_some(found)
    }

    /// The bytes of the record again, put together from the values of the fields.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for field in self.iter() {
            match (field.definition().shape, field.u64()) {
                (Shape::Int(width), Some(value)) => {
                    let all = value.to_le_bytes();
                    bytes.extend(all.iter().take(width.bytes() as usize));
                }
                _ => bytes.extend_from_slice(field.bytes()),
            }
        }
        bytes
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number as usize)
    }

    fn at(&self, number: u32) -> Option<FieldRef<'_, 'a>> {
        self.entry(number).map(|entry| FieldRef { bytes: self.bytes, entry })
    }

    /// The numbers of all entries of a key, in order.
    fn of_key(&self, key: &str) -> &[u32] {
        let Some(symbol) = self.layout.plan().symbols.get(key) else { return &[] };
        let symbol = usize::from(*symbol);
        let bound = |at: usize| self.starts.get(at).copied().unwrap_or_default() as usize;
        self.sorted.get(bound(symbol)..bound(symbol + 1)).unwrap_or_default()
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fields of {}", self.len(), self.layout.id)
    }
}

/// A record, or one time that a group is there, as in "queue 1" or "virtual CPU 0".
#[derive(Clone, Copy)]
pub struct Scope<'f, 'a> {
    fields: &'f Fields<'a>,
    element: u32,
}

impl<'f, 'a> Scope<'f, 'a> {
    fn element(self) -> Element {
        self.fields.elements.get(self.element as usize).copied().unwrap_or_default()
    }

    /// The fields of the whole record.
    #[must_use]
    pub const fn record(self) -> &'f Fields<'a> {
        self.fields
    }

    /// The group; `None` for the record.
    #[must_use]
    pub fn group(self) -> Option<&'static Group> {
        self.element().group
    }

    /// Which time it is, from 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.element().index
    }

    /// The scope around it.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        let parent = self.element().parent;
        (self.element > 0).then_some(Self { fields: self.fields, element: parent })
    }

    /// All fields inside, in the order of their bytes.
    pub fn iter(self) -> impl Iterator<Item = FieldRef<'f, 'a>> + use<'f, 'a> {
        let Element { first, end, .. } = self.element();
        let fields = self.fields;
        (first..end).filter_map(move |number| fields.at(number))
    }

    /// All fields of a key inside, in order.
    pub fn all(self, key: &str) -> impl Iterator<Item = FieldRef<'f, 'a>> + use<'f, 'a> {
        let Element { first, end, .. } = self.element();
        let fields = self.fields;
        let numbers = fields.of_key(key);
        let from = numbers.partition_point(|number| *number < first);
        let inside = numbers.iter().skip(from).take_while(move |number| **number < end);
        inside.filter_map(move |number| fields.at(*number))
    }

    /// The first field of a key inside.
    #[must_use]
    pub fn get(self, key: &str) -> Option<FieldRef<'f, 'a>> {
        self.all(key).next()
    }

    /// The value of the first field of a key inside.
    #[must_use]
    pub fn u64(self, key: &str) -> Option<u64> {
        self.get(key)?.u64()
    }

    /// The value of the first field of a key inside, with its sign.
    #[must_use]
    pub fn i64(self, key: &str) -> Option<i64> {
        self.get(key)?.i64()
    }

    /// The bytes of the first field of a key inside.
    #[must_use]
    pub fn bytes(self, key: &str) -> Option<&'a [u8]> {
        self.get(key).map(|field| field.bytes())
    }

    /// Every time that a group of that name is there, at any depth inside, in order.
    pub fn groups(self, name: &str) -> impl Iterator<Item = Self> + use<'f, 'a> {
        let name = name.to_owned();
        let fields = self.fields;
        (self.element + 1..self.element().last)
            .map(move |element| Self { fields, element })
            .filter(move |scope| scope.group().is_some_and(|group| group.name == name))
    }

    /// What is directly inside, in the order of the bytes: fields, and groups with what is in them.
    #[must_use]
    pub fn children(self) -> Children<'f, 'a> {
        let Element { first, end, last, .. } = self.element();
        Children { fields: self.fields, entry: first, end, element: self.element + 1, last }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group() {
            Some(group) => write!(f, "{}[{}]", group.name, self.index()),
            None => write!(f, "{:?}", self.fields),
        }
    }
}

/// A field or a group inside a scope.
#[derive(Debug, Clone, Copy)]
pub enum Child<'f, 'a> {
    /// A field.
    Field(FieldRef<'f, 'a>),
    /// One time that a group is there.
    Group(Scope<'f, 'a>),
}

/// What is directly inside a scope; see [`Scope::children`].
#[derive(Debug, Clone)]
pub struct Children<'f, 'a> {
    fields: &'f Fields<'a>,
    entry: u32,
    end: u32,
    element: u32,
    last: u32,
}

impl<'f, 'a> Iterator for Children<'f, 'a> {
    type Item = Child<'f, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.element < self.last {
            let scope = Scope { fields: self.fields, element: self.element };
            let Element { first, end, last, .. } = scope.element();
            if first == self.entry {
                (self.element, self.entry) = (last.max(self.element + 1), end);
                return Some(Child::Group(scope));
            }
        }
        let number = self.entry;
        if number >= self.end {
            return None;
        }
        self.entry += 1;
        self.fields.at(number).map(Child::Field)
    }
}

/// A field of a record: what it is, where it is, and its value.
#[derive(Clone, Copy)]
pub struct FieldRef<'f, 'a> {
    bytes: &'a [u8],
    entry: &'f Entry,
}

impl<'a> FieldRef<'_, 'a> {
    /// Its description.
    #[must_use]
    pub const fn definition(&self) -> &'static Field {
        self.entry.field
    }

    /// Its label, or its name; see [`Field::key`].
    #[must_use]
    pub const fn key(&self) -> &'static str {
        self.entry.field.key()
    }

    /// The virtual CPU that it belongs to.
    #[must_use]
    pub fn vcpu(&self) -> Option<u32> {
        Some(self.entry.vcpu).filter(|vcpu| *vcpu != NO_VCPU)
    }

    /// How many fields of its key come before it, of the same virtual CPU.
    #[must_use]
    pub const fn occurrence(&self) -> u32 {
        self.entry.occurrence
    }

    /// Where it is in the record.
    #[must_use]
    pub fn offset(&self) -> u64 {
        u64::from(self.entry.offset)
    }

    /// How many bytes it has.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        u64::from(self.entry.len)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes.get(self.entry.range()).unwrap_or_default()
    }

    /// Its bytes as a little-endian number, if they are 1, 2, 4 or 8.
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        little_endian(self.bytes())
    }

    /// As [`u64`](Self::u64), with the highest bit of the bytes as sign.
    #[must_use]
    pub fn i64(&self) -> Option<i64> {
        signed(self.bytes())
    }

    /// The elements of an array of integers.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + use<'a> {
        let width = match self.entry.field.shape {
            Shape::Ints(width, _) | Shape::Int(width) => width.bytes() as usize,
            Shape::Bytes(_) | Shape::Rings(_) | Shape::Rest => 1,
        };
        self.bytes().chunks_exact(width).filter_map(little_endian)
    }

    /// What can be told apart in it, by name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<PartRef<'a>> {
        self.parts().find(|part| part.part.name == name)
    }

    /// All that can be told apart in it. What is in no part has no name.
    pub fn parts(&self) -> impl Iterator<Item = PartRef<'a>> + use<'a> {
        let bytes = self.bytes();
        let within = move |part: &'static Part| {
            let at = part.at as usize;
            let bytes = bytes.get(at..at + part.len as usize)?;
            Some(PartRef { part, bytes })
        };
        self.entry.field.inside.iter().filter_map(within)
    }
}

impl fmt::Debug for FieldRef<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key())?;
        if let Some(vcpu) = self.vcpu() {
            write!(f, " of vcpu {vcpu}")?;
        }
        write!(f, " ({}) at {:#x}", self.occurrence(), self.offset())?;
        match self.u64() {
            Some(value) => write!(f, " = {value:#x}"),
            None => write!(f, ", {} bytes", self.len()),
        }
    }
}

/// Something inside a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRef<'a> {
    /// Its description.
    pub part: &'static Part,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl PartRef<'_> {
    /// Its bytes as a little-endian number, if they are 1, 2, 4 or 8.
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        little_endian(self.bytes)
    }

    /// As [`u64`](Self::u64), with the highest bit of the bytes as sign.
    #[must_use]
    pub fn i64(&self) -> Option<i64> {
        signed(self.bytes)
    }
}

/// 1, 2, 4 or 8 bytes as a number.
pub(super) fn little_endian(bytes: &[u8]) -> Option<u64> {
    if !matches!(bytes.len(), 1 | 2 | 4 | 8) {
        return None;
    }
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// 1, 2, 4 or 8 bytes as a number with a sign.
pub(super) fn signed(bytes: &[u8]) -> Option<i64> {
    let unused = 64 - 8 * u32::try_from(bytes.len()).ok()?;
    let value = little_endian(bytes)?;
    Some((value << unused).cast_signed() >> unused)
}
