//! Extents as MAP parts list them: one read by itself (§6.5.1), and what its entry may say.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use snapfmt::part::extent::Extent;
use snapfmt::part::map::MapEntry;
use snapfmt::read::{Part, Quick, ReadError, Seeker, read_all};
use snapfmt::{Digest, Section};
use tests::forge::{Plan, Step, forge_with};
use tests::{drive, images};

fn entries(seeker: &Seeker<&[u8]>) -> (Quick, Vec<MapEntry>) {
    let quick = seeker.quick(|_| ()).unwrap();
    let mut entries = Vec::new();
    seeker.maps(&quick, |table| entries.extend(table.entries)).unwrap();
    (quick, entries)
}

fn walked(bytes: &[u8]) -> Vec<Extent> {
    let mut extents = Vec::new();
    let each = |part, _| {
        if let Part::Extent(extent) = part {
            extents.push(extent);
        }
        Ok::<_, std::convert::Infallible>(())
    };
    read_all(bytes, each).unwrap();
    extents
}

#[test]
fn an_extent_by_itself_is_the_one_that_a_walk_finds() {
    for plan in images::plans() {
        let (bytes, _) = plan.write().unwrap();
        let seeker = Seeker::open(bytes.as_slice()).unwrap();
        let (quick, entries) = entries(&seeker);
        let alone: Vec<_> =
            entries.iter().map(|entry| seeker.extent(&quick, entry).unwrap()).collect();
        assert_eq!(alone, walked(&bytes));
        assert_eq!(alone.len(), plan.blocks.len());
    }
}

#[test]
fn no_bit_of_an_extent_may_differ() {
    for plan in images::plans() {
        let (bytes, _) = plan.write().unwrap();
        let seeker = Seeker::open(bytes.as_slice()).unwrap();
        let (quick, entries) = entries(&seeker);
        for entry in &entries {
            for at in (entry.offset..entry.offset + entry.length).step_by(97) {
                let mut copy = bytes.clone();
                copy[usize::try_from(at).unwrap()] ^= 1 << (at % 8);
                // Header, index and maps are as they were.
                let seeker = Seeker::open(copy.as_slice()).unwrap();
                let Err(ReadError::Format(error)) = seeker.extent(&quick, entry) else {
                    panic!("a flip at {at:#x} was not found")
                };
                let gpa = entry.gpa;
                assert!(
                    matches!(error.section(), Section::Extent { gpa: found } if *found == gpa)
                        || matches!(error.section(), Section::Part(_)),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn an_entry_that_lists_something_else_is_refused() {
    let (bytes, _) = images::plans()[2].write().unwrap();
    let seeker = Seeker::open(bytes.as_slice()).unwrap();
    let (quick, entries) = entries(&seeker);
    let (first, second) = (entries[0], entries[1]);
    let other = Digest::of(b"other");
    for (wrong, id) in [
        (MapEntry { digest: other, ..first }, "disagree"),
        (MapEntry { root: other, ..first }, "disagree"),
        (MapEntry { gpa: second.gpa, ..first }, "disagree"),
        (MapEntry { size: first.size * 2, ..first }, "disagree"),
        (MapEntry { data_pages: first.data_pages + 1, ..first }, "disagree"),
        (MapEntry { length: first.length + 64, ..first }, "disagree"),
        (MapEntry { offset: second.offset, ..first }, "disagree"),
        (MapEntry { offset: seeker.index().parts[0].offset, ..first }, "disagree"),
        (MapEntry { offset: bytes.len() as u64, ..first }, "value"),
        (MapEntry { offset: u64::MAX, length: 128, ..first }, "value"),
    ] {
        let Err(ReadError::Format(error)) = seeker.extent(&quick, &wrong) else {
            panic!("{wrong:?} was not refused")
        };
        assert_eq!(error.fault().id(), id, "{error}");
    }
}

#[test]
fn tables_end_after_an_error() {
    let (bytes, _) = images::plans()[2].write().unwrap();
    let seeker = Seeker::open(bytes.as_slice()).unwrap();
    let quick = seeker.quick(|_| ()).unwrap();
    let map = usize::try_from(seeker.index().maps[0].offset).unwrap();
    let mut copy = bytes.clone();
    copy[map + 200] ^= 1;
    let damaged = Seeker::open(copy.as_slice()).unwrap();
    let mut tables = damaged.tables(&quick);
    assert!(matches!(tables.next(), Some(Err(ReadError::Format(_)))));
    assert!(tables.next().is_none());
    assert_eq!(seeker.tables(&quick).map(|table| table.unwrap().entries.len()).sum::<usize>(), 2);
}

/// A file whose first extent stores `pages` of a block of which the first eight are RAM; its entry
/// says `listed`.
fn listed(pages: u64, listed: u32) -> Vec<u8> {
    let mut plan = Plan::small();
    plan.extents[0].gpa = 32 << 12;
    plan.extents[0].pages = (0..pages).map(|page| (page, vec![1; 4096])).collect();
    forge_with(&plan, &mut |step| {
        if let Step::Piece(piece) = step
            && piece.kind == 33
        {
            piece.payload[28..32].copy_from_slice(&listed.to_le_bytes());
        }
    })
}

#[test]
fn an_entry_has_up_to_as_many_data_pages_as_its_block_has_ram() {
    drive::map(&listed(8, 8)).unwrap();
    drive::walk(&listed(8, 8)).unwrap();
    for more in [9, 16] {
        let error = drive::map(&listed(8, more)).unwrap_err();
        assert_eq!(error.fault().id(), "value", "{error}");
        assert!(error.to_string().contains("§6.2.3"), "{error}");
    }
    // Fewer than there are is for the totals to say.
    assert_eq!(drive::map(&listed(8, 7)).unwrap_err().fault().id(), "disagree");
}
