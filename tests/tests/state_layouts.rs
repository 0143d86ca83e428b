//! Records of every layout, most of which no fixture has: made by hand from the description, and
//! what becomes of bytes that are none.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::HashSet;

use arbitrary::Unstructured;
use proptest::prelude::*;
use snapfmt::bhyve::{Generation, Section};
use snapfmt::state::{Evidence, Unknown, layouts};
use tests::properties::state;
use tests::records;

/// Choices that do not repeat soon.
fn choices(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[2]
    };
    (0..20_000).map(|_| next()).collect()
}

#[test]
fn records_of_every_layout_have_its_fields() {
    let layouts = u8::try_from(layouts::all().count()).unwrap();
    for layout in 0..layouts {
        for (seed, mode) in [(1, 1), (2, 3), (3, 7), (4, 31)] {
            state(&[&[layout, mode], &choices(seed)[..]].concat());
        }
        state(&[layout, 1]);
    }
}

#[test]
fn a_record_of_fixed_size_is_known_by_its_size() {
    for layout in layouts::all().filter(|layout| layout.section == Section::Kern) {
        let (fixed, slot) = layout.size().unwrap();
        let slots = if layout.generations == [Generation::A] { 16 } else { 3 };
        let bytes = vec![1; usize::try_from(fixed + slot * u64::from(slots)).unwrap()];
        for generation in layout.generations {
            let evidence =
                Evidence { generation: *generation, slots: vec![slots], vendor: layout.vendor };
            let fields = evidence.choose(layout.section, layout.names[0], &bytes).unwrap();
            assert_eq!(fields.layout(), layout);
        }
    }
}

#[test]
fn sizes_are_those_that_bhyve_writes() {
    let size = |id| {
        let made = records::make(layouts::by_id(id).unwrap(), 16, &mut Unstructured::new(&[]));
        made.unwrap().bytes.len()
    };
    let sizes = [
        ("vmx-intel-216", 3456),
        ("vmx-intel-224", 3584),
        ("vmx-amd-3178", 50856),
        ("vm-184", 2944),
        ("vm-184-32", 2976),
        ("vmcx-intel-664", 10624),
        ("vmcx-intel-856", 13696),
        ("vlapic-4169", 66704),
        ("atkbdc", 141),
        ("hostbridge-pci452", 452),
        ("e1000-pci436", 436 + 1738),
        ("ahci-pci452-ata", 452 + 52 + 32 * 12),
    ];
    for (id, expected) in sizes {
        assert_eq!(size(id), expected, "{id}");
    }
}

#[test]
fn an_lpc_bridge_may_have_one_to_four_serial_ports() {
    let evidence = Evidence { generation: Generation::B, slots: vec![1], vendor: None };
    for uarts in 1..=4 {
        let record = vec![0; 452 + 42 * uarts];
        let fields = evidence.choose(Section::Device, "lpc@pci.0.31.0", &record).unwrap();
        assert_eq!(fields.layout().id, "lpc-pci452");
        assert_eq!(fields.root().groups("uarts").count(), uarts);
    }
    let five = vec![0; 452 + 42 * 5];
    let unknown = evidence.choose(Section::Device, "lpc@pci.0.31.0", &five).unwrap_err();
    assert!(matches!(unknown, Unknown::NoneFits { .. }), "{unknown}");
}

/// Of a generation, a record is of one of the layouts that were seen there, or of none.
#[test]
fn what_was_made_by_hand_is_recognised() {
    let mut known = HashSet::new();
    for layout in layouts::all() {
        for seed in 0..40 {
            let bytes = choices(seed);
            let made = records::make(layout, 16, &mut Unstructured::new(&bytes)).unwrap();
            for generation in layout.generations {
                let evidence =
                    Evidence { generation: *generation, slots: vec![16], vendor: layout.vendor };
                match evidence.choose(layout.section, layout.names[0], &made.bytes) {
                    Ok(fields) => {
                        assert_eq!(fields.layout(), layout, "seed {seed}");
                        known.insert(layout.id);
                    }
                    Err(Unknown::Several { fit }) => assert!(fit.contains(&layout)),
                    Err(unknown) => panic!("{}: {unknown}", layout.id),
                }
            }
        }
    }
    let unknown: Vec<_> = layouts::all().filter(|layout| !known.contains(layout.id)).collect();
    assert!(unknown.is_empty(), "never told apart: {unknown:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_a_record_or_are_refused(
        layout: u8,
        mode in (0..20_u8).prop_map(|mode| mode * 2),
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        state(&[&[layout, mode], &bytes[..]].concat());
    }

    #[test]
    fn any_choices_make_a_record(
        layout: u8,
        mode in (0..20_u8).prop_map(|mode| mode * 2 + 1),
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        state(&[&[layout, mode], &bytes[..]].concat());
    }
}
