//! Records made by hand from a description: any record that a layout can have, with small counts.
//!
//! Follows the description by itself and never calls the decoder, so that what it says of the
//! places of fields is a second opinion.

use std::collections::HashMap;

use arbitrary::{Result, Unstructured};
use snapfmt::state::{Field, Group, Item, Layout, Repeat, Shape, Sign, Test};

/// A record, and where its fields are: key, offset, length.
#[derive(Debug, Default)]
pub struct Made {
    /// The record.
    pub bytes: Vec<u8>,
    /// Its fields, in order.
    pub fields: Vec<(&'static str, u64, u64)>,
}

/// A record of that layout with so many slots of virtual CPUs.
///
/// # Errors
/// Never: where there are no more choices, all are the same.
pub fn make(layout: &'static Layout, slots: u32, u: &mut Unstructured<'_>) -> Result<Made> {
    let mut maker =
        Maker { slots, roles: HashMap::new(), last: HashMap::new(), made: Made::default() };
    for item in layout.items() {
        maker.roles(item);
    }
    for (key, role) in maker.roles.clone() {
        if let Role::Told = role {
            maker.last.insert(key, vec![u.int_in_range(0..=3)?]);
        }
    }
    for item in layout.items() {
        maker.item(item, u)?;
    }
    Ok(maker.made)
}

/// What the number of a field decides about the rest of the record.
#[derive(Clone)]
enum Role {
    Count(u32),
    Told,
    Descriptors,
    /// A group is there or not, by this number.
    Switch(u64),
    /// A group is there or not, by whether this list has the number.
    Member(&'static str),
    /// Not to be met by chance.
    Mark(u64),
}

struct Maker {
    slots: u32,
    roles: HashMap<&'static str, Role>,
    /// All numbers of a key, those told beforehand first.
    last: HashMap<&'static str, Vec<u64>>,
    made: Made,
}

impl Maker {
    fn roles(&mut self, item: &Item) {
        match item {
            Item::Field(field) => {
                if let Shape::Rings(key) = field.shape {
                    self.roles.insert(key, Role::Descriptors);
                }
            }
            Item::Shared(items) => items.iter().for_each(|item| self.roles(item)),
            Item::Group(group) => {
                let role = match group.repeat {
                    Repeat::Of(key, most) => Some((key, Role::Count(most))),
                    Repeat::Told(key, _) => Some((key, Role::Told)),
                    Repeat::Until(key, value) => Some((key, Role::Mark(value))),
                    Repeat::If(Test::Bit(key, bit)) => Some((key, Role::Switch(1 << bit))),
                    Repeat::If(Test::Not(key, value)) => Some((key, Role::Switch(value))),
                    Repeat::If(Test::Among(key, list)) => Some((key, Role::Member(list))),
                    Repeat::Times(_) | Repeat::Slots | Repeat::Fill(_) => None,
                };
                // The end of a list weighs more than what it switches.
                if let Some((key, role)) = role
                    && !matches!(self.roles.get(key), Some(Role::Mark(_)))
                {
                    self.roles.insert(key, role);
                }
                group.items.iter().for_each(|item| self.roles(item));
            }
        }
    }

    fn value(&self, key: &str) -> u64 {
        self.last.get(key).and_then(|values| values.last()).copied().unwrap_or_default()
    }

    fn item(&mut self, item: &'static Item, u: &mut Unstructured<'_>) -> Result<()> {
        match item {
            Item::Field(field) => self.field(field, u),
            Item::Shared(items) => items.iter().try_for_each(|item| self.item(item, u)),
            Item::Group(group) => self.group(group, u),
        }
    }

    fn group(&mut self, group: &'static Group, u: &mut Unstructured<'_>) -> Result<()> {
        let times = match group.repeat {
            Repeat::Times(times) => u64::from(times),
            Repeat::Slots => u64::from(self.slots),
            Repeat::Of(key, _) | Repeat::Told(key, _) => self.value(key),
            Repeat::Fill(most) => u64::from(u.int_in_range(1..=most)?),
            Repeat::If(Test::Bit(key, bit)) => self.value(key) >> bit & 1,
            Repeat::If(Test::Not(key, value)) => u64::from(self.value(key) != value),
            Repeat::If(Test::Among(key, list)) => {
                let list = self.last.get(list);
                u64::from(list.is_some_and(|list| list.contains(&self.value(key))))
            }
            Repeat::Until(key, value) => {
                for _ in 0..u.int_in_range(0..=3)? {
                    self.items(group, u)?;
                }
                // The last element: the mark, and nothing of what it would switch on.
                let role = self.roles.insert(key, Role::Told);
                self.last.insert(key, vec![value]);
                self.items(group, u)?;
                self.roles.extend(role.map(|role| (key, role)));
                return Ok(());
            }
        };
        (0..times).try_for_each(|_| self.items(group, u))
    }

    fn items(&mut self, group: &'static Group, u: &mut Unstructured<'_>) -> Result<()> {
        group.items.iter().try_for_each(|item| self.item(item, u))
    }

    fn field(&mut self, field: &'static Field, u: &mut Unstructured<'_>) -> Result<()> {
        let key = field.key();
        let bytes = match field.shape {
            Shape::Int(width) => {
                let width = width.bytes();
                let mask = u64::MAX >> (64 - 8 * width);
                let value = self.number(field, u)? & mask;
                self.last.entry(key).or_default().push(value);
                value.to_le_bytes()[..width as usize].to_vec()
            }
            Shape::Rings(key) => some(u, rings(self.value(key)))?,
            Shape::Rest => {
                let size = 1 << u.int_in_range(0..=14)?;
                some(u, size)?
            }
            shape => some(u, shape.fixed_len().unwrap_or_default() as usize)?,
        };
        let offset = self.made.bytes.len() as u64;
        self.made.fields.push((key, offset, bytes.len() as u64));
        self.made.bytes.extend(bytes);
        Ok(())
    }

    fn number(&self, field: &Field, u: &mut Unstructured<'_>) -> Result<u64> {
        if let Some(role) = self.roles.get(field.key()) {
            return match role {
                Role::Count(most) => u.int_in_range(0..=3.min(u64::from(*most))),
                Role::Told => Ok(self.value(field.key())),
                Role::Descriptors => u.choose(&[0, 1, 64, 256]).copied(),
                Role::Switch(value) => u.choose(&[0, *value, 1 << 20 | 1, u64::MAX]).copied(),
                Role::Member(list) => {
                    let list = self.last.get(list).map_or(&[][..], Vec::as_slice);
                    if list.is_empty() || u.ratio(15, 16)? {
                        return Ok(8);
                    }
                    u.choose(list).copied()
                }
                Role::Mark(value) => Ok(u.int_in_range(0..=200)? & !value | 7),
            };
        }
        match field.sign {
            Some(Sign::Is(value)) => Ok(value),
            Some(Sign::Most(most)) => u.int_in_range(0..=most),
            Some(Sign::PowerOfTwo) => Ok(1 << u.int_in_range(4..=20)?),
            Some(Sign::Vendor) | None => u.arbitrary(),
        }
    }
}

/// Bytes, never two zeros first.
fn some(u: &mut Unstructured<'_>, len: usize) -> Result<Vec<u8>> {
    let byte = u.int_in_range(1..=254)?;
    let mut bytes = vec![byte; len];
    let few = len.min(16);
    u.fill_buffer(&mut bytes[len - few..])?;
    Ok(bytes)
}

/// Rings of a legacy virtio device: descriptors and available ring, then on a page of its own the
/// used ring.
fn rings(descriptors: u64) -> usize {
    let pages = |bytes: u64| bytes.div_ceil(4096);
    ((pages(descriptors * 18 + 6) + pages(descriptors * 8 + 6)) * 4096) as usize
}
