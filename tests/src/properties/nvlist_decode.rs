//! Any bytes as a packed list: refused, or read alike as a view and as a list of its own, which
//! packs to something that is the same list. The work is bounded by the length of the bytes.

use snapfmt::limits;
use snapfmt::nvlist::{ByteOrder, Flags, Nvlist, Options, OwnedValue, Value, View};

use super::one_line;
use crate::packed::{self, Order};

/// Descriptors that came with the message.
const RECEIVED: u64 = 64;

/// Names looked up in each list; a lookup walks the list.
const LOOKUPS: usize = 16;

/// See the module.
///
/// # Panics
/// If the property does not hold.
pub fn nvlist_decode(data: &[u8]) {
    let lenient = Options::new().any_flags().descriptors(RECEIVED);
    let strict = View::parse(data, &Options::new());
    match View::parse(data, &lenient) {
        Ok(view) => accepted(data, &view),
        Err(error) => {
            one_line(&error);
            assert!(error.at <= data.len(), "an error beyond the end");
            assert!(strict.is_err(), "refused, unless less is allowed: {error}");
            assert!(Nvlist::unpack(data, &lenient).is_err(), "a view is refused, a list is not");
        }
    }
}

fn accepted(data: &[u8], view: &View<'_>) {
    let lenient = Options::new().any_flags().descriptors(RECEIVED);
    let list = Nvlist::unpack(data, &lenient).expect("a view is accepted, a list is not");
    let mut totals = Totals::default();
    same(view, &list, 1, &mut totals);
    // A pair takes a header and the NUL of its name.
    assert!(totals.pairs <= data.len() / 20, "more pairs than bytes have room for");
    assert!(totals.counted <= limits::NVLIST_PAIRS && totals.depth <= limits::NVLIST_DEPTH);
    assert_eq!(totals.descriptors, list.descriptors());

    for flags in (0..4).filter_map(Flags::from_bits) {
        let parsed = View::parse(data, &lenient.flags(flags));
        assert_eq!(parsed.is_ok(), flags == view.flags(), "the caller's flags");
    }
    let none = View::parse(data, &Options::new().any_flags());
    assert!(none.is_err() || totals.descriptors == 0, "descriptors that never came");

    let packed = list.pack_to_send().expect("what was read can be packed");
    assert_eq!(packed.len(), list.packed_len());
    assert_eq!(list.pack().is_ok(), totals.descriptors == 0);
    let again = View::parse(&packed, &lenient).expect("what was packed can be read");
    assert_eq!(again.byte_order(), ByteOrder::Little);
    assert!(again == *view, "packing changes the list");
    assert_eq!(again.to_nvlist(), list);
    assert_eq!(again.to_nvlist().pack_to_send().as_ref(), Ok(&packed), "packing is not canonical");
    assert_eq!(packed::pack(&list, Order::Little), packed, "packed otherwise by hand");
    let big = packed::pack(&list, Order::Big);
    let big = View::parse(&big, &lenient).expect("big-endian, the same list can be read");
    assert_eq!(big.byte_order(), ByteOrder::Big);
    assert!(big == *view, "the byte order changes the list");
    assert_eq!(rebuilt(&list), list, "what was read cannot be built");
}

#[derive(Default)]
struct Totals {
    pairs: usize,
    counted: usize,
    depth: usize,
    descriptors: usize,
}

/// Holds a view against a list, and counts.
fn same(view: &View<'_>, list: &Nvlist, depth: usize, totals: &mut Totals) {
    totals.depth = totals.depth.max(depth);
    assert_eq!(view.flags(), list.flags());
    assert_eq!(view.is_empty(), list.is_empty());
    let mut pairs = list.pairs().iter();
    let mut before = None;
    for pair in view.pairs() {
        let owned = pairs.next().expect("the list has fewer pairs");
        assert_eq!(pair.name, owned.name);
        assert!(before < Some(pair.at), "pairs do not ascend");
        before = Some(pair.at);
        totals.pairs += 1;
        totals.counted += 1;
        same_value(&pair.value, &owned.value, depth, totals);
    }
    assert_eq!(pairs.next(), None, "the list has more pairs");
    for owned in list.pairs().iter().take(LOOKUPS) {
        let first = view.get(&owned.name).expect("a name that is there");
        assert_eq!(list.get(&owned.name), Some(&OwnedValue::from(&first)));
        assert!(list.flags().no_unique || first.kind() == owned.value.kind());
    }
}

fn same_value(value: &Value<'_>, owned: &OwnedValue, depth: usize, totals: &mut Totals) {
    assert_eq!(value.kind(), owned.kind());
    match (value, owned) {
        (Value::Nvlist(view), OwnedValue::Nvlist(list)) => same(view, list, depth + 1, totals),
        (Value::NvlistArray(views), OwnedValue::NvlistArray(lists)) => {
            assert_eq!(views.len(), lists.len());
            assert_eq!(views.clone().count(), lists.len());
            for (view, list) in views.clone().zip(lists) {
                totals.counted += 1;
                same(&view, list, depth + 1, totals);
            }
        }
        (Value::StringArray(strings), OwnedValue::StringArray(owned)) => {
            totals.counted += owned.len();
            assert_eq!(strings.len(), owned.len());
            assert!(strings.clone().eq(owned.iter().map(Vec::as_slice)));
        }
        (Value::NumberArray(numbers), OwnedValue::NumberArray(owned)) => {
            assert_eq!(numbers.len(), owned.len());
            assert!(numbers.clone().eq(owned.iter().copied()));
        }
        (Value::DescriptorArray(numbers), OwnedValue::DescriptorArray(owned)) => {
            totals.descriptors += owned.len();
            assert!(numbers.clone().eq(owned.iter().copied()));
            assert!(owned.iter().all(|index| *index < RECEIVED));
        }
        (Value::BoolArray(bools), OwnedValue::BoolArray(owned)) => {
            assert_eq!(bools.len(), owned.len());
            assert!(bools.clone().eq(owned.iter().copied()));
        }
        (Value::Descriptor(index), _) => {
            totals.descriptors += 1;
            assert!(*index < RECEIVED);
            assert_eq!(OwnedValue::from(value), *owned);
        }
        _ => assert_eq!(OwnedValue::from(value), *owned),
    }
}

/// The same list, built pair by pair, so that all bounds of a list that is built apply.
fn rebuilt(list: &Nvlist) -> Nvlist {
    let mut copy = Nvlist::with_flags(list.flags());
    for pair in list.pairs() {
        let value = match &pair.value {
            OwnedValue::Nvlist(list) => OwnedValue::Nvlist(rebuilt(list)),
            OwnedValue::NvlistArray(lists) => {
                OwnedValue::NvlistArray(lists.iter().map(rebuilt).collect())
            }
            value => value.clone(),
        };
        copy.add(&pair.name, value).expect("a pair that was read can be added");
    }
    copy
}
