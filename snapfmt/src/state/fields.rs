//! The fields of a record: in order, by key, by virtual CPU, by group.
//!
//! A key is a field's label, or its name where it has none (see [`Field::key`]). An occurrence
//! counts the fields of one key, for each virtual CPU afresh.

use std::fmt;
use std::ops::Range;

use super::plan::Symbol;
use super::schema::{Field, Group, Layout, Shape};
use super::scope::Scope;
use super::value::FieldRef;

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
        Scope::root(self)
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

    pub(super) fn element(&self, number: u32) -> Element {
        self.elements.get(number as usize).copied().unwrap_or_default()
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number as usize)
    }

    pub(super) fn at(&self, number: u32) -> Option<FieldRef<'_, 'a>> {
        self.entry(number).map(|entry| FieldRef { bytes: self.bytes, entry })
    }

    /// The numbers of all entries of a key, in order.
    pub(super) fn of_key(&self, key: &str) -> &[u32] {
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
