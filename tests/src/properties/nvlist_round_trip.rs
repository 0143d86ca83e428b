//! Any list that can be built: it packs, reads back equal, and packs to the same bytes; what cannot
//! be packed cannot be added.

use std::collections::HashSet;

use arbitrary::{Result, Unstructured};
use snapfmt::limits;
use snapfmt::nvlist::{Flags, Nvlist, Options, OwnedValue, Type, View};

use crate::packed::{self, Order};

/// Descriptors that came with the message.
const RECEIVED: u64 = 1 << 16;

/// Lists inside each other.
const DEPTH: usize = 6;

/// See the module.
///
/// # Panics
/// If the property does not hold.
pub fn nvlist_round_trip(data: &[u8]) {
    if let Ok(list) = list(&mut Unstructured::new(data), DEPTH) {
        check(&list);
    }
}

fn check(list: &Nvlist) {
    let options = Options::new().flags(list.flags()).descriptors(RECEIVED);
    let mut indexes = Vec::new();
    descriptors(list, &mut indexes);
    assert_eq!(indexes.len(), list.descriptors());
    let distinct: HashSet<_> = indexes.iter().collect();
    let packed = match list.pack_to_send() {
        Ok(packed) => packed,
        Err(error) => {
            assert!(distinct.len() < indexes.len(), "a list cannot be packed: {error}");
            return;
        }
    };
    assert_eq!(distinct.len(), indexes.len(), "a descriptor is sent twice");
    assert_eq!(list.pack().ok(), indexes.is_empty().then(|| packed.clone()));
    assert_eq!(packed.len(), list.packed_len());
    assert_eq!(packed::pack(list, Order::Little), packed, "packed otherwise by hand");
    let view = View::parse(&packed, &options).expect("what was packed can be read");
    let read = view.to_nvlist();
    assert_eq!(read, *list);
    assert_eq!(read.pack_to_send(), Ok(packed.clone()), "packing is not canonical");
    let big = packed::pack(list, Order::Big);
    let big = View::parse(&big, &options).expect("big-endian, the same list can be read");
    assert!(big == view, "the byte order changes the list");
    // Cut anywhere, it is no list: a header says how much is left.
    for cut in [packed.len() - 1, packed.len() / 2, packed.len().saturating_sub(20)] {
        assert!(View::parse(&packed[..cut], &options).is_err(), "cut at {cut}");
    }
}

fn descriptors(list: &Nvlist, indexes: &mut Vec<u64>) {
    for pair in list.pairs() {
        match &pair.value {
            OwnedValue::Descriptor(index) => indexes.push(*index),
            OwnedValue::DescriptorArray(items) => indexes.extend(items),
            OwnedValue::Nvlist(list) => descriptors(list, indexes),
            OwnedValue::NvlistArray(lists) => lists.iter().for_each(|l| descriptors(l, indexes)),
            _ => {}
        }
    }
}

/// A list of pairs, some of which it has to refuse.
fn list(u: &mut Unstructured<'_>, depth: usize) -> Result<Nvlist> {
    let flags = Flags::from_bits(u.int_in_range(0..=3)?).unwrap_or_default();
    let mut list = Nvlist::with_flags(flags);
    for _ in 0..u.int_in_range(0..=12)? {
        let name = name(u)?;
        let value = value(u, depth)?;
        let taken = list.pairs().iter().any(|pair| {
            !flags.no_unique
                && if flags.ignore_case {
                    pair.name.eq_ignore_ascii_case(&name)
                } else {
                    pair.name == name
                }
        });
        let bad = name.len() > limits::NVLIST_NAME || name.contains(&0) || taken || bad(&value);
        let before = list.len();
        let result = list.add(&name, value);
        assert_eq!(result.is_err(), bad, "{result:?}");
        assert_eq!(list.len(), before + usize::from(!bad));
    }
    Ok(list)
}

/// Whether no list may have such a value.
fn bad(value: &OwnedValue) -> bool {
    let nul = |bytes: &Vec<u8>| bytes.contains(&0);
    let index = |index: &u64| *index >= i64::MAX.unsigned_abs();
    match value {
        OwnedValue::String(bytes) => nul(bytes),
        OwnedValue::Binary(bytes) => bytes.is_empty(),
        OwnedValue::BoolArray(items) => items.is_empty(),
        OwnedValue::NumberArray(items) => items.is_empty(),
        OwnedValue::StringArray(items) => items.is_empty() || items.iter().any(nul),
        OwnedValue::NvlistArray(items) => items.is_empty(),
        OwnedValue::Descriptor(item) => index(item),
        OwnedValue::DescriptorArray(items) => items.is_empty() || items.iter().any(index),
        _ => false,
    }
}

fn name(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    if u.ratio(1, 64)? {
        let length = u.int_in_range(limits::NVLIST_NAME - 1..=limits::NVLIST_NAME + 1)?;
        return Ok(vec![u.int_in_range(b'a'..=b'z')?; length]);
    }
    bytes(u, 6)
}

fn bytes(u: &mut Unstructured<'_>, most: usize) -> Result<Vec<u8>> {
    let length = u.int_in_range(0..=most)?;
    Ok(u.bytes(length.min(u.len()))?.to_vec())
}

fn many<T>(
    u: &mut Unstructured<'_>,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    (0..u.int_in_range(0..=5)?).map(|_| one(u)).collect()
}

fn value(u: &mut Unstructured<'_>, depth: usize) -> Result<OwnedValue> {
    let index = |u: &mut Unstructured<'_>| {
        Ok(if u.ratio(1, 64)? { u64::MAX } else { u64::from(u.arbitrary::<u16>()?) })
    };
    let kind = *u.choose(&Type::ALL)?;
    Ok(match kind {
        Type::Nvlist | Type::NvlistArray if depth <= 1 => OwnedValue::Null,
        Type::Null => OwnedValue::Null,
        Type::Bool => OwnedValue::Bool(u.arbitrary()?),
        Type::Number => OwnedValue::Number(u.arbitrary()?),
        Type::String => OwnedValue::String(bytes(u, 20)?),
        Type::Nvlist => OwnedValue::Nvlist(list(u, depth - 1)?),
        Type::Descriptor => OwnedValue::Descriptor(index(u)?),
        Type::Binary => OwnedValue::Binary(bytes(u, 40)?),
        Type::BoolArray => OwnedValue::BoolArray(many(u, |u| u.arbitrary())?),
        Type::NumberArray => OwnedValue::NumberArray(many(u, |u| u.arbitrary())?),
        Type::StringArray => OwnedValue::StringArray(many(u, |u| bytes(u, 8))?),
        Type::NvlistArray => OwnedValue::NvlistArray(many(u, |u| list(u, depth - 1))?),
        Type::DescriptorArray => OwnedValue::DescriptorArray(many(u, index)?),
    })
}
