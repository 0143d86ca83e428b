//! The groups of a record: a queue, a port, a virtual CPU, and what is in each.

use std::fmt;

use super::fields::{Element, Fields};
use super::schema::Group;
use super::value::FieldRef;

/// A record, or one time that a group is there, as in "queue 1" or "virtual CPU 0".
#[derive(Clone, Copy)]
pub struct Scope<'f, 'a> {
    fields: &'f Fields<'a>,
    element: u32,
}

impl<'f, 'a> Scope<'f, 'a> {
    pub(super) const fn root(fields: &'f Fields<'a>) -> Self {
        Self { fields, element: 0 }
    }

    fn element(self) -> Element {
        self.fields.element(self.element)
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
