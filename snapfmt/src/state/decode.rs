//! From the bytes of a record to its fields, by a layout.
//!
//! Every byte comes to lie in exactly one field, or the layout does not fit. A count in the record
//! is compared with what there can be, and with what is left of the record, before anything follows
//! it; the number of fields is bounded besides.

use super::fields::{Element, Entry, Fields, NO_VCPU};
use super::misfit::{Misfit, Why};
use super::plan::{Plan, Step, Symbol, Times, Told};
use super::schema::{Field, Group, Layout, Shape};
use super::value::little_endian;
use crate::limits;

impl Layout {
    /// The fields of a record, if it has this layout.
    ///
    /// # Errors
    /// What does not fit, and where.
    pub fn decode<'a>(&'static self, bytes: &'a [u8]) -> Result<Fields<'a>, Misfit> {
        let plan = self.plan();
        let slots = slots(plan, bytes.len() as u64)?;
        match Decoder::new(self, bytes, slots, told(plan, bytes)?).run() {
            (fields, None) => Ok(fields),
            (_, Some(misfit)) => Err(misfit),
        }
    }

    /// As [`decode`](Self::decode); if the layout does not fit, the fields are those before the
    /// place where that shows. They are for showing only: what they stand for is a guess.
    #[must_use]
    pub fn decode_as_far<'a>(&'static self, bytes: &'a [u8]) -> (Fields<'a>, Option<Misfit>) {
        let plan = self.plan();
        let size = bytes.len() as u64;
        match (slots(plan, size), told(plan, bytes)) {
            (Ok(slots), Ok(told)) => Decoder::new(self, bytes, slots, told).run(),
            // The beginning of a record is that of a longer one.
            (Err(misfit), Ok(told)) if size <= limits::RECORD => {
                let (fields, _) = Decoder::new(self, bytes, begun(plan, size), told).run();
                (fields, Some(misfit))
            }
            (Err(misfit), _) | (_, Err(misfit)) => {
                (Decoder::new(self, bytes, 0, 0).finish(), Some(misfit))
            }
        }
    }
}

/// How often groups are there that a field counts which comes later.
fn told(plan: &Plan, bytes: &[u8]) -> Result<u32, Misfit> {
    let Some(Told { key, width, from_end, most }) = plan.told else { return Ok(0) };
    let size = bytes.len() as u64;
    let short = Why::Truncated { key, wanted: from_end, left: size };
    let at = size.checked_sub(from_end).ok_or(short.at(0))?;
    let end = at + u64::from(width);
    let range = usize::try_from(at).ok().zip(usize::try_from(end).ok());
    let field = range.and_then(|(at, end)| bytes.get(at..end));
    let found = field.and_then(little_endian).unwrap_or_default();
    let most = u64::from(most);
    match u32::try_from(found) {
        Ok(count) if found <= most => Ok(count),
        _ => Err(Why::Count { key, found, most }.at(at)),
    }
}

fn key(plan: &Plan, symbol: Symbol) -> &'static str {
    let found = plan.symbols.iter().find(|(_, number)| **number == symbol);
    found.map_or("", |(key, _)| key)
}

/// How many slots of virtual CPUs a record of that size has.
fn slots(plan: &Plan, found: u64) -> Result<u32, Misfit> {
    let Plan { fixed, slot, open, .. } = *plan;
    if found > limits::RECORD {
        return Err(Why::OverLimit { limit: limits::RECORD }.at(0));
    }
    let wrong = Why::Size { found, fixed, slot };
    let rest = found.checked_sub(fixed).ok_or(wrong.at(0))?;
    if open {
        return Ok(0);
    }
    let fits = if slot == 0 { rest == 0 } else { rest > 0 && rest % slot == 0 };
    let count = rest.checked_div(slot).unwrap_or(0);
    match u32::try_from(count) {
        Ok(count) if fits && u64::from(count) <= limits::NCPUS => Ok(count),
        _ => Err(wrong.at(0)),
    }
}

/// How many slots a record of a wrong size has at least begun.
fn begun(plan: &Plan, size: u64) -> u32 {
    if plan.slot == 0 {
        return 0;
    }
    let slots = size.saturating_sub(plan.fixed).div_ceil(plan.slot).clamp(1, limits::NCPUS);
    u32::try_from(slots).unwrap_or(1)
}

/// The number of bytes of the rings of a virtqueue, with the gaps that align them.
pub(super) fn rings_len(descriptors: u64) -> u64 {
    const ALIGN: u64 = 4096;
    let available = 2 + 2 + 2 * descriptors + 2;
    let used = 2 + 2 + 8 * descriptors + 2;
    let driver = (16 * descriptors + available).next_multiple_of(ALIGN);
    (driver + used).next_multiple_of(ALIGN)
}

struct Decoder<'a> {
    layout: &'static Layout,
    plan: &'static Plan,
    bytes: &'a [u8],
    at: usize,
    slots: u32,
    told: u32,
    vcpu: u32,
    parent: u32,
    entries: Vec<Entry>,
    elements: Vec<Element>,
    /// The number that was read last, by symbol.
    last: Vec<u64>,
    /// How often a symbol was read, for this virtual CPU.
    seen: Vec<u32>,
}

impl<'a> Decoder<'a> {
    fn new(layout: &'static Layout, bytes: &'a [u8], slots: u32, told: u32) -> Self {
        let plan = layout.plan();
        let symbols = plan.symbols.len();
        let copies = usize::try_from(slots.max(1)).unwrap_or(1);
        let expected = plan.definitions.len().saturating_mul(copies);
        Self {
            layout,
            plan,
            bytes,
            at: 0,
            slots,
            told,
            vcpu: NO_VCPU,
            parent: 0,
            entries: Vec::with_capacity(expected.min(bytes.len())),
            elements: vec![Element::default()],
            last: vec![0; symbols],
            seen: vec![0; symbols],
        }
    }

    fn run(mut self) -> (Fields<'a>, Option<Misfit>) {
        let plan = self.plan;
        let misfit = self.steps(&plan.steps).and_then(|()| self.end()).err();
        (self.finish(), misfit)
    }

    fn finish(mut self) -> Fields<'a> {
        let (entries, elements) = (self.entries.len(), self.elements.len());
        if let Some(root) = self.elements.first_mut() {
            root.end = number(entries);
            root.last = number(elements);
        }
        Fields::new(self.layout, self.bytes, self.slots, self.entries, self.elements)
    }

    fn end(&self) -> Result<(), Misfit> {
        let left = self.left();
        if left > 0 {
            return Err(Why::Left { left }.at(self.at as u64));
        }
        Ok(())
    }

    fn left(&self) -> u64 {
        self.bytes.len().saturating_sub(self.at) as u64
    }

    fn value(&self, symbol: Symbol) -> u64 {
        self.last.get(usize::from(symbol)).copied().unwrap_or_default()
    }

    fn steps(&mut self, steps: &'static [Step]) -> Result<(), Misfit> {
        steps.iter().try_for_each(|step| match step {
            Step::Field(field, symbol) => self.field(field, *symbol),
            Step::Group(group, times, steps) => self.group(group, *times, steps),
        })
    }

    fn group(
        &mut self,
        group: &'static Group,
        times: Times,
        steps: &'static [Step],
    ) -> Result<(), Misfit> {
        let count = match times {
            Times::Slots => return self.slots(group, steps),
            Times::Fill(most) => return self.fill(group, most, steps),
            Times::Until(symbol, value) => {
                let mut index = 0;
                loop {
                    self.element(group, index, steps)?;
                    index += 1;
                    if self.value(symbol) == value {
                        return Ok(());
                    }
                }
            }
            Times::Of(symbol, most) => self.counted(symbol, most)?,
            Times::Fixed(times) => times,
            Times::Told => self.told,
            Times::Bit(symbol, bit) => u32::from(self.value(symbol) >> bit & 1 == 1),
            Times::Not(symbol, value) => u32::from(self.value(symbol) != value),
            Times::Among(symbol, list) => u32::from(self.among(self.value(symbol), list)),
        };
        (0..count).try_for_each(|index| self.element(group, index, steps))
    }

    fn slots(&mut self, group: &'static Group, steps: &'static [Step]) -> Result<(), Misfit> {
        for slot in 0..self.slots {
            self.vcpu = slot;
            self.seen.fill(0);
            self.element(group, slot, steps)?;
        }
        self.vcpu = NO_VCPU;
        Ok(())
    }

    fn fill(
        &mut self,
        group: &'static Group,
        most: u32,
        steps: &'static [Step],
    ) -> Result<(), Misfit> {
        self.element(group, 0, steps)?;
        for index in 1..most {
            if self.left() == 0 {
                break;
            }
            self.element(group, index, steps)?;
        }
        Ok(())
    }

    /// What a field counts. Each of it takes a byte at least.
    fn counted(&self, symbol: Symbol, most: u32) -> Result<u32, Misfit> {
        let found = self.value(symbol);
        let most = u64::from(most).min(self.left());
        match u32::try_from(found) {
            Ok(count) if found <= most => Ok(count),
            _ => {
                let at = self.entries.iter().rfind(|entry| entry.symbol == symbol);
                let at = at.map_or(0, |entry| u64::from(entry.offset));
                Err(Why::Count { key: key(self.plan, symbol), found, most }.at(at))
            }
        }
    }

    fn among(&self, value: u64, list: Symbol) -> bool {
        self.entries.iter().filter(|entry| entry.symbol == list).any(|entry| {
            let bytes = self.bytes.get(entry.range());
            bytes.and_then(little_endian) == Some(value)
        })
    }

    fn element(
        &mut self,
        group: &'static Group,
        index: u32,
        steps: &'static [Step],
    ) -> Result<(), Misfit> {
        let (this, parent) = (self.elements.len(), self.parent);
        let first = number(self.entries.len());
        let opened = Element { group: Some(group), index, parent, first, end: first, last: 0 };
        self.elements.push(opened);
        self.parent = number(this);
        let result = self.steps(steps);
        self.parent = parent;
        let (end, last) = (number(self.entries.len()), number(self.elements.len()));
        if let Some(element) = self.elements.get_mut(this) {
            (element.end, element.last) = (end, last);
        }
        result
    }

    fn field(&mut self, field: &'static Field, symbol: Symbol) -> Result<(), Misfit> {
        let at = self.at as u64;
        let wanted = match field.shape {
            Shape::Int(width) => u64::from(width.bytes()),
            Shape::Ints(width, count) => u64::from(width.bytes()) * u64::from(count),
            Shape::Bytes(len) => u64::from(len),
            Shape::Rings(key) => {
                let symbol = self.plan.symbols.get(key).copied().unwrap_or(Symbol::MAX);
                rings_len(self.value(symbol))
            }
            Shape::Rest => {
                let found = self.left();
                if !found.is_power_of_two() {
                    return Err(Why::Rest { key: field.key(), found }.at(at));
                }
                found
            }
        };
        let left = self.left();
        if wanted > left {
            return Err(Why::Truncated { key: field.key(), wanted, left }.at(at));
        }
        if self.entries.len() >= limits::FIELDS {
            return Err(Why::OverLimit { limit: limits::FIELDS as u64 }.at(at));
        }
        let end = self.at + usize::try_from(wanted).unwrap_or(usize::MAX);
        if let Shape::Int(_) = field.shape
            && let Some(last) = self.last.get_mut(usize::from(symbol))
        {
            let bytes = self.bytes.get(self.at..end);
            *last = bytes.and_then(little_endian).unwrap_or_default();
        }
        let occurrence = self.seen.get_mut(usize::from(symbol)).map_or(0, |seen| {
            *seen += 1;
            *seen - 1
        });
        let (offset, len) = (number(self.at), number(end - self.at));
        let vcpu = self.vcpu;
        self.entries.push(Entry { field, symbol, vcpu, occurrence, offset, len });
        self.at = end;
        Ok(())
    }
}

/// A number of bytes, fields or elements of a record, all of which are below its limit.
fn number(found: usize) -> u32 {
    u32::try_from(found).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::layouts::by_id;
    use super::rings_len;

    #[test]
    fn a_record_that_was_cut_off_shows_the_slots_before() {
        let layout = by_id("vm-184-128").unwrap();
        let whole = vec![7; 3 * 184 + 128];
        for (len, slots, fields) in
            [(3 * 184 + 100, 3, 3 * 9), (2 * 184 + 60, 2, 2 * 9), (30, 1, 5), (0, 1, 0)]
        {
            let (found, misfit) = layout.decode_as_far(&whole[..len]);
            assert!(misfit.is_some(), "{len}");
            assert_eq!((found.slots(), found.len()), (slots, fields), "{len}");
            assert!(found.iter().all(|field| field.bytes().iter().all(|byte| *byte == 7)));
        }
        assert_eq!(layout.decode_as_far(&whole).0.len(), 3 * 9 + 1);
    }

    #[test]
    fn rings_are_as_long_as_in_snapshots() {
        assert_eq!([64, 128, 256, 1024].map(rings_len), [8192, 8192, 12288, 32768]);
    }
}
