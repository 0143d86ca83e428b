//! Any bytes as a record of any layout, and any record that a layout can have: fields lie in it
//! without gap or overlap, give it again, and give a list that gives it again; what is no record of
//! a layout is refused with its reason.

use arbitrary::Unstructured;
use snapfmt::bhyve::{Generation, records::Vendor};
use snapfmt::nvlist::{Options, View};
use snapfmt::state::generic::{self, Outside};
use snapfmt::state::{Child, Evidence, Fields, Form, Layout, Scope, layouts};

use super::one_line;
use crate::records;

/// Above it a list would be slow to try a thousand times.
const LARGEST: usize = 1 << 20;

/// See the module.
///
/// # Panics
/// If the property does not hold.
pub fn state(data: &[u8]) {
    let Some(([layout, mode], rest)) = data.split_first_chunk::<2>() else { return };
    let all: Vec<_> = layouts::all().collect();
    let layout = all[usize::from(*layout) % all.len()];
    if mode % 2 == 0 {
        record(layout, rest);
        chosen(layout, rest, u32::from(mode / 2 % 20));
        return;
    }
    let slots = u32::from(mode / 2 % 20) + 1;
    let made = records::make(layout, slots, &mut Unstructured::new(rest)).unwrap();
    let fields = match layout.decode(&made.bytes) {
        Ok(fields) => fields,
        Err(misfit) => panic!("{} does not fit a record of it: {misfit}", layout.id),
    };
    let found: Vec<_> = fields.iter().map(|f| (f.key(), f.offset(), f.len())).collect();
    assert_eq!(found, made.fields, "{}", layout.id);
    check(&fields);
    chosen(layout, &made.bytes, slots);
    // What was cut or has something added is another record, or none.
    let longer = [&made.bytes[..], &[0]].concat();
    for other in [&made.bytes[..made.bytes.len() - 1], &made.bytes[..made.bytes.len() / 2], &longer]
    {
        record(layout, other);
    }
}

fn record(layout: &'static Layout, bytes: &[u8]) {
    let (fields, misfit) = layout.decode_as_far(bytes);
    let Some(misfit) = misfit else { return check(&fields) };
    one_line(&misfit);
    assert!(misfit.at <= bytes.len() as u64, "{misfit} in {} bytes", bytes.len());
    assert_eq!(layout.decode(bytes).err(), Some(misfit));
    let end = fields.iter().fold(0, |end, field| {
        assert_eq!(field.offset(), end, "a gap before {field:?}");
        end + field.len()
    });
    assert!(end <= bytes.len() as u64);
}

fn chosen(layout: &'static Layout, bytes: &[u8], slots: u32) {
    for generation in [Generation::A, Generation::B] {
        for vendor in [None, Some(Vendor::Intel), Some(Vendor::Amd)] {
            let evidence = Evidence { generation, slots: vec![slots], vendor };
            match evidence.choose(layout.section, layout.names[0], bytes) {
                Ok(fields) => assert!(fields.slots() == 0 || fields.slots() == slots),
                Err(unknown) => one_line(&unknown),
            }
        }
    }
}

fn check(fields: &Fields<'_>) {
    let bytes = fields.bytes();
    let end = fields.iter().fold(0, |end, field| {
        assert_eq!(field.offset(), end, "a gap or an overlap before {field:?}");
        let found = fields.find(field.key(), field.vcpu(), field.occurrence());
        assert_eq!(found.map(|found| found.offset()), Some(end), "{field:?} is not found");
        end + field.len()
    });
    assert_eq!(end, bytes.len() as u64, "bytes without field");
    assert!(fields.encode() == bytes, "fields give another record");
    assert_eq!(inside(fields.root()), fields.len(), "groups lose fields");
    if bytes.len() <= LARGEST {
        list(fields);
    }
}

fn inside(scope: Scope<'_, '_>) -> usize {
    let count = |child| match child {
        Child::Field(_) => 1,
        Child::Group(inner) => inside(inner),
    };
    scope.children().map(count).sum()
}

fn list(fields: &Fields<'_>) {
    let form = match Form::of(fields) {
        Ok(form) => form,
        Err(error) => {
            assert!(error.is_over_limit(), "{}: {error}", fields.layout().id);
            return;
        }
    };
    let packed = form.fields.pack().unwrap();
    let list = View::parse(&packed, &Options::new()).unwrap();
    let lengths: Vec<_> = form.bulk.iter().map(|bytes| bytes.len() as u64).collect();
    let bulk = form.bulk.concat();
    let outside = Outside { widths: &form.widths, lengths: &lengths, bulk: &bulk };
    let size = fields.bytes().len() as u64;
    let again = generic::encode(&list, &outside, size).expect("a list gives its record");
    assert!(again == fields.bytes(), "{}: the list gives another record", fields.layout().id);
    assert!(generic::encode(&list, &outside, size - 1).is_err());
    assert!(generic::encode(&list, &outside, size + 1).is_err());
    if let Some((_, widths)) = form.widths.split_last() {
        let outside = Outside { widths, ..outside };
        one_line(&generic::encode(&list, &outside, size).unwrap_err());
    }
}
