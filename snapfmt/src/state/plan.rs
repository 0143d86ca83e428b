//! A layout made ready for decoding: keys become numbers, sizes are summed up.
//!
//! Made once for each layout that is used.

use std::collections::HashMap;

use super::schema::{Definition, Field, Group, Item, Layout, Repeat, Shape, Test};

/// The number of a key in its layout.
pub(super) type Symbol = u16;

/// A layout, ready for decoding.
pub(super) struct Plan {
    /// What to read, in order.
    pub(super) steps: Vec<Step>,
    /// The number of every key.
    pub(super) symbols: HashMap<&'static str, Symbol>,
    /// Every field once, with the groups around it.
    pub(super) definitions: Vec<Definition>,
    /// Bytes outside of slots of virtual CPUs, as far as they do not depend on what is in them.
    pub(super) fixed: u64,
    /// Bytes of a slot of a virtual CPU; 0 if there are none.
    pub(super) slot: u64,
    /// Whether the size depends on what is in the record.
    pub(super) open: bool,
    /// The field that tells beforehand how often some groups are there.
    pub(super) told: Option<Told>,
}

/// A field that is needed before it is read.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) key: &'static str,
    pub(super) width: u32,
    /// Bytes from its first to the end of the record.
    pub(super) from_end: u64,
    /// The most that it may say.
    pub(super) most: u32,
}

/// One thing to read.
pub(super) enum Step {
    Field(&'static Field, Symbol),
    Group(&'static Group, Times, Vec<Step>),
}

/// [`Repeat`] with numbers in place of keys.
#[derive(Clone, Copy)]
pub(super) enum Times {
    Fixed(u32),
    Slots,
    Of(Symbol, u32),
    Told,
    Fill(u32),
    Until(Symbol, u64),
    Bit(Symbol, u32),
    Not(Symbol, u64),
    Among(Symbol, Symbol),
}

impl Plan {
    pub(super) fn of(layout: &'static Layout) -> Self {
        let mut plan = Self {
            steps: Vec::new(),
            symbols: HashMap::new(),
            definitions: Vec::new(),
            fixed: 0,
            slot: 0,
            open: false,
            told: None,
        };
        for part in layout.parts {
            plan.number(part, &mut Vec::new());
        }
        for part in layout.parts {
            let steps = plan.steps(part);
            plan.steps.extend(steps);
            let (fixed, slot) = plan.size(part);
            plan.fixed += fixed;
            plan.slot += slot;
        }
        let groups = plan.definitions.iter().flat_map(|definition| &definition.groups);
        plan.told = groups.into_iter().find_map(|group| match group.repeat {
            Repeat::Told(key, most) => told(&plan.steps, key, most),
            _ => None,
        });
        plan
    }

    fn number(&mut self, items: &'static [Item], groups: &mut Vec<&'static Group>) {
        for item in items {
            match item {
                Item::Field(field) => {
                    let next = Symbol::try_from(self.symbols.len()).unwrap_or(Symbol::MAX);
                    self.symbols.entry(field.key()).or_insert(next);
                    self.definitions.push(Definition { field, groups: groups.clone() });
                }
                Item::Group(group) => {
                    groups.push(group);
                    self.number(group.items, groups);
                    groups.pop();
                }
                Item::Shared(items) => self.number(items, groups),
            }
        }
    }

    /// The number of a key. That descriptions name only keys they have is tested.
    fn symbol(&self, key: &'static str) -> Symbol {
        self.symbols.get(key).copied().unwrap_or(Symbol::MAX)
    }

    fn steps(&self, items: &'static [Item]) -> Vec<Step> {
        let mut steps = Vec::new();
        for item in items {
            match item {
                Item::Field(field) => steps.push(Step::Field(field, self.symbol(field.key()))),
                Item::Group(group) => {
                    let times = self.times(group.repeat);
                    let inside = self.steps(group.items);
                    steps.push(Step::Group(group, times, inside));
                }
                Item::Shared(items) => steps.extend(self.steps(items)),
            }
        }
        steps
    }

    fn times(&self, repeat: Repeat) -> Times {
        match repeat {
            Repeat::Times(times) => Times::Fixed(times),
            Repeat::Slots => Times::Slots,
            Repeat::Of(key, most) => Times::Of(self.symbol(key), most),
            Repeat::Told(..) => Times::Told,
            Repeat::Fill(most) => Times::Fill(most),
            Repeat::Until(key, value) => Times::Until(self.symbol(key), value),
            Repeat::If(Test::Bit(key, bit)) => Times::Bit(self.symbol(key), bit),
            Repeat::If(Test::Not(key, value)) => Times::Not(self.symbol(key), value),
            Repeat::If(Test::Among(key, list)) => Times::Among(self.symbol(key), self.symbol(list)),
        }
    }

    /// Bytes outside of slots, and of a slot.
    fn size(&mut self, items: &'static [Item]) -> (u64, u64) {
        let mut sum = (0, 0);
        for item in items {
            let (fixed, slot) = match item {
                Item::Field(field) => {
                    self.open |= matches!(field.shape, Shape::Rings(_) | Shape::Rest);
                    (field.shape.fixed_len().map_or(0, u64::from), 0)
                }
                Item::Shared(items) => self.size(items),
                Item::Group(group) => {
                    let (fixed, slot) = self.size(group.items);
                    match group.repeat {
                        Repeat::Times(times) => (fixed * u64::from(times), slot),
                        Repeat::Slots => (0, fixed),
                        _ => {
                            self.open = true;
                            (0, 0)
                        }
                    }
                }
            };
            sum = (sum.0 + fixed, sum.1 + slot);
        }
        sum
    }
}

/// Where the field is, counted from the end: only fields of fixed length come after it.
fn told(steps: &[Step], key: &'static str, most: u32) -> Option<Told> {
    let mut from_end = 0;
    for step in steps.iter().rev() {
        let Step::Field(field, _) = step else { return None };
        let len = field.shape.fixed_len()?;
        from_end += u64::from(len);
        if field.key() == key {
            return Some(Told { key, width: len, from_end, most });
        }
    }
    None
}
