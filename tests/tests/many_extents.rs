//! More extents than one MAP part lists (§6.5): no fuzzer has the patience for these.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test may")]

use std::convert::Infallible;

use snapfmt::limits::{EXTENT_MIN, MAP_ENTRIES};
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::codec::Compression;
use snapfmt::read::{Part, StreamError, read_all};
use tests::images::{self, Plan, plans};
use tests::properties;
use tests::reseal::{Image, MAP, Tables};

const EXTENTS: u64 = MAP_ENTRIES as u64 + 3;

fn file() -> Vec<u8> {
    let mut plan: Plan = plans().remove(1);
    let segment = Segment { gpa: 0, len: EXTENTS * EXTENT_MIN };
    plan.vm.memory = MemoryMap::new(vec![segment]).unwrap();
    plan.meta = images::meta(&plan.vm, 'B', &plan.records);
    let block = |at| images::block(at * EXTENT_MIN, EXTENT_MIN, &[(3, 1)]);
    plan.blocks = (0..EXTENTS).map(block).collect();
    plan.compression = Compression::Zstd(1);
    plan.write().unwrap().0
}

#[test]
fn the_maps_list_all_extents_and_both_readers_agree() {
    let file = file();
    let mut maps = Vec::new();
    let verified = read_all::<Infallible>(&*file, |part, _| {
        if let Part::Map(map) = part {
            maps.push((map.first, map.entries.len()));
        }
        Ok(())
    });
    let verified = verified.unwrap();
    assert_eq!(maps, [(0, MAP_ENTRIES), (MAP_ENTRIES as u64, 3)]);
    assert_eq!(verified.index().totals.extents, EXTENTS);
    properties::open(&file);
}

#[test]
fn a_map_that_is_due_cannot_be_left_out() {
    let mut image = Image::parse(&file()).unwrap();
    let due = image.parts.iter().position(|part| part.kind == MAP).unwrap();
    image.parts.remove(due);
    let result = read_all::<Infallible>(&*image.bytes(Tables::Rebuilt, true), |_, _| Ok(()));
    let Err(StreamError::Format(error)) = result else { panic!("accepted") };
    assert_eq!(error.fault().id(), "order");
}
