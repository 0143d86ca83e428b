//! Every bit of a file is covered (law 2): whatever is flipped, cut off or appended, a full check
//! says no and names the place; the lesser checks say no exactly to what §7.4 says they cover.
// Helpers of tests fail as tests do; offsets and page numbers of small files fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::ops::Range;
use std::thread;

use snapfmt::layout::kind::Kind;
use snapfmt::part::codec::Compression;
use snapfmt::{Error, Fault, Section};
use tests::drive::{map, quick, quick_then_map, small_image, walk};
use tests::forge::{Place, Plan, places};

const EXTENT: u32 = 32;
const MAP: u32 = 33;

/// Every bit of the file is flipped in turn, save that of `uncovered` parts only one bit of each
/// byte is; `check` sees each damaged copy, and the structure that was hit.
fn every_flip(file: &[u8], uncovered: &[u32], check: impl Fn(&[u8], usize, &Place) + Sync) {
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let step = file.len().div_ceil(workers);
    let range = |worker: usize| worker * step..file.len().min((worker + 1) * step);
    thread::scope(|scope| {
        for worker in 0..workers {
            let check = &check;
            scope.spawn(move || flips(file, range(worker), uncovered, check));
        }
    });
}

fn flips(
    file: &[u8],
    range: Range<usize>,
    uncovered: &[u32],
    check: impl Fn(&[u8], usize, &Place),
) {
    let table = places(file);
    let mut damaged = file.to_vec();
    for offset in range {
        let place = table.iter().find(|place| place.contains(offset)).unwrap();
        let all = !uncovered.contains(&place.kind);
        for bit in if all { 0..8 } else { offset % 8..offset % 8 + 1 } {
            damaged[offset] ^= 1 << bit;
            check(&damaged, offset, place);
            damaged[offset] ^= 1 << bit;
        }
    }
}

/// The structure that an error names has to be the one that holds the damaged byte.
fn names(error: &Error, place: &Place, offset: usize) {
    let at = usize::try_from(error.at()).unwrap();
    assert!(place.contains(at), "{error}: flipped {offset:#x}, in {place:x?}");
    let fits = match error.section() {
        Section::Header => place.kind == Place::HEADER,
        Section::Trailer => place.kind == Place::TRAILER,
        Section::Frame => offset < place.nvlist && at == place.at,
        Section::Part(kind) => place.kind == kind.number(),
        Section::Device { .. } => place.kind == Kind::Device.number(),
        Section::Extent { .. } => place.kind == EXTENT,
        _ => false,
    };
    assert!(fits, "{error}: flipped {offset:#x}, in {place:x?}");
    let id = error.fault().id();
    assert!(["digest", "padding", "magic", "not-a-snapshot"].contains(&id), "{error}");
}

/// Made by the library, raw and compressed; and by hand, compressed and in the form of 2020.
fn images() -> [Vec<u8>; 3] {
    let mut forged = Plan { config: None, zstd: true, ..Plan::small_a() };
    forged.extents.truncate(1);
    forged.extents[0].pages.pop_first();
    let [raw, zstd] = [Compression::None, Compression::Zstd(3)].map(small_image);
    [raw, zstd, forged.forge()]
}

#[test]
fn every_flipped_bit_is_found_and_placed_by_a_full_check() {
    for file in images() {
        walk(&file).unwrap();
        every_flip(&file, &[], |damaged, offset, place| {
            let error = walk(damaged).expect_err("a flipped bit is found");
            names(&error, place, offset);
        });
    }
}

#[test]
fn a_lesser_check_finds_every_flipped_bit_of_what_it_covers_and_no_other() {
    for file in &images()[..2] {
        every_flip(file, &[EXTENT], |damaged, offset, place| {
            let found = quick_then_map(damaged);
            for (found, covered) in
                found.into_iter().zip([![EXTENT, MAP].contains(&place.kind), place.kind != EXTENT])
            {
                match found {
                    Ok(()) => assert!(!covered, "{offset:#x} {place:x?}"),
                    Err(error) => {
                        assert!(covered, "{error}");
                        names(&error, place, offset);
                    }
                }
            }
        });
    }
}

#[test]
fn every_truncation_is_found() {
    for file in images() {
        for len in 0..file.len() {
            let error = walk(&file[..len]).expect_err("a short file is found");
            assert_eq!(error.fault().id(), "truncated", "{len}: {error}");
            assert_eq!(error.at(), len as u64, "{error}");
            let Fault::Truncated { wanted, left } = error.fault() else { unreachable!() };
            assert!(left < wanted && *wanted <= (file.len() - len) as u64 + left, "{error}");
            // The end of the file is gone, so a reader that starts there finds something else.
            let error = quick(&file[..len]).expect_err("a short file is found");
            let expected = ["truncated", "magic", "not-a-snapshot"];
            assert!(expected.contains(&error.fault().id()), "{len}: {error}");
        }
    }
}

#[test]
fn every_appended_byte_is_found() {
    for file in images() {
        for byte in 0..=255 {
            for count in [1, 64, 128] {
                let long = [&file[..], &vec![byte; count]].concat();
                let error = walk(&long).expect_err("a long file is found");
                assert_eq!((error.fault(), error.section()), (&Fault::Trailing, &Section::End));
                assert_eq!(error.at(), file.len() as u64);
                quick(&long).expect_err("a long file is found");
            }
        }
    }
}

#[test]
fn two_files_in_a_row_are_not_a_file() {
    for file in images() {
        let error = walk(&[&file[..], &file].concat()).unwrap_err();
        assert_eq!(error.fault(), &Fault::Trailing);
        // The last trailer is intact, but speaks of a file of half the size.
        let error = quick(&[&file[..], &file].concat()).unwrap_err();
        assert_eq!((error.fault().id(), error.section()), ("disagree", &Section::Trailer));
    }
}

#[test]
fn any_two_parts_swapped_are_found() {
    for file in images() {
        let table = places(&file);
        let parts = &table[1..table.len() - 1];
        for (i, a) in parts.iter().enumerate() {
            for b in &parts[i + 1..] {
                let pieces = [0..a.at, b.at..b.end, a.end..b.at, a.at..a.end, b.end..file.len()];
                let swapped = pieces.map(|range| &file[range]).concat();
                walk(&swapped).expect_err("a part out of place is found");
                if (a.kind, b.kind) != (EXTENT, EXTENT) {
                    map(&swapped).expect_err("a part out of place is found");
                }
            }
        }
    }
}

#[test]
fn any_part_left_out_or_doubled_is_found() {
    for file in images() {
        let table = places(&file);
        for part in &table[1..table.len() - 1] {
            let without = [&file[..part.at], &file[part.end..]].concat();
            walk(&without).expect_err("a missing part is found");
            quick(&without).expect_err("a missing part is found");
            let twice = [&file[..part.end], &file[part.at..]].concat();
            walk(&twice).expect_err("a doubled part is found");
            quick(&twice).expect_err("a doubled part is found");
        }
    }
}
