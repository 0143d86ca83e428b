//! A delta by itself: what the writer refuses, how blocks are stored, and what is known without
//! pages.

// Helpers of tests fail as tests do; offsets of small files fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use snapfmt::delta::Side;
use snapfmt::layout::header::Header;
use snapfmt::memory::change::Change;
use snapfmt::part::codec::Compression;
use snapfmt::part::extent::{DeltaExtent, Form, Named};
use snapfmt::part::map::MapEntry;
use snapfmt::read::{Chain, Part, Seeker, survey};
use snapfmt::write::{DeltaWriter, MemoryWriter, Writer};
use snapfmt::{Digest, Error};
use tests::drive::{Watched, quick_then_map, walk, walk_in_chunks, write};
use tests::forge::{Extent, List, Piece, Plan, Step, Value, forge_with};
use tests::images;
use tests::states::{check, header, vm};

const SIZE: u64 = 64 << 10;

fn begun(header: &Header, form: impl Into<Form>, out: &mut Vec<u8>) -> Writer {
    let meta = images::meta(&vm(), 'B', &[]);
    Writer::begin(header, vm(), &meta, form, out).unwrap()
}

fn delta(form: impl Into<Form>, out: &mut Vec<u8>) -> DeltaWriter {
    begun(&header(1, Some(Digest::of(b"parent"))), form, out).changes().unwrap()
}

fn full(form: impl Into<Form>, out: &mut Vec<u8>) -> MemoryWriter {
    begun(&header(1, None), form, out).memory().unwrap()
}

fn says(error: &Error, says: &str) {
    assert!(error.to_string().contains(says), "{error}");
}

fn noise(seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..4096).map(next).collect()
}

/// The extents of the delta of one change, stored in this form.
fn extents(change: &Change, form: impl Into<Form>) -> Vec<DeltaExtent> {
    let mut out = Vec::new();
    let mut writer = delta(form, &mut out);
    writer.block(change, &mut out).unwrap();
    writer.finish(Digest::of(b"state"), &mut out).unwrap();
    assert!(quick_then_map(&out).iter().all(Result::is_ok));
    let (parts, end) = walk_in_chunks(&out[..]);
    end.unwrap();
    let extent = |part| if let Part::Delta(extent) = part { Some(extent) } else { None };
    parts.into_iter().filter_map(extent).collect()
}

#[test]
fn only_a_file_with_a_parent_takes_changes() {
    let mut out = Vec::new();
    let error = begun(&header(1, None), Compression::None, &mut out).changes().err().unwrap();
    says(&error, "§13.1");
    let with = header(1, Some(Digest::of(b"parent")));
    let error = begun(&with, Compression::None, &mut Vec::new()).memory().err().unwrap();
    says(&error, "§13.1");
}

#[test]
fn changes_that_could_not_be_read_are_not_written() {
    let mut out = Vec::new();
    let mut writer = delta(Compression::None, &mut out);
    let mut refused = |change: &Change, rule| {
        let before = out.clone();
        says(&writer.block(change, &mut out).unwrap_err(), rule);
        assert_eq!(out, before);
    };
    refused(&Change::new(0, SIZE), "§13.2.1");
    let change = |gpa, size, page| {
        let mut change = Change::new(gpa, size);
        change.zero(page).unwrap();
        change
    };
    refused(&change(0, SIZE / 2, 1), "§6.2.2");
    refused(&change(4096, SIZE, 1), "§6.2.1");
    // The first segment ends within this block.
    refused(&change(18 * SIZE, SIZE, 15), "§13.2.1");
    writer.block(&change(SIZE, SIZE, 0), &mut out).unwrap();
    for gpa in [0, SIZE] {
        says(&writer.block(&change(gpa, SIZE, 1), &mut out).unwrap_err(), "§6.2.7");
    }
    writer.finish(Digest::of(b"state"), &mut out).unwrap();
    walk(&out).unwrap();
}

#[test]
fn differences_are_stored_where_they_are_shorter() {
    let mut change = Change::new(0, SIZE);
    let (old, mut new) = (noise(1), noise(1));
    new[7] ^= 1;
    change.data(2, &new, Some(&old)).unwrap();
    change.data(5, &noise(2), None).unwrap();
    let [extent] = &extents(&change, Compression::Zstd(1))[..] else { panic!("one block") };
    assert!(!extent.is_settled() && extent.stored() < 5000);
    assert_eq!(extent.head().xor().unwrap().pages().collect::<Vec<_>>(), [2]);
    // Raw pages are never differences, and neither is what does not shrink with them.
    let [extent] = &extents(&change, Compression::None)[..] else { panic!("one block") };
    assert!(extent.is_settled() && extent.head().xor().is_none() && extent.stored() == 8192);
    let mut change = Change::new(0, SIZE);
    change.data(2, &new, Some(&noise(3))).unwrap();
    let [extent] = &extents(&change, Compression::Zstd(1))[..] else { panic!("one block") };
    assert!(extent.is_settled() && extent.head().xor().is_none() && extent.stored() == 4096);
}

#[test]
fn a_block_of_zero_pages_has_no_payload_and_no_leaves() {
    let mut change = Change::new(0, SIZE);
    change.zero(3).unwrap();
    for compression in [Compression::None, Compression::Zstd(1)] {
        let [extent] = &extents(&change, compression)[..] else { panic!("one block") };
        assert_eq!((extent.stored(), extent.head().leaves()), (0, &[][..]));
        assert_eq!((extent.head().gpa(), extent.head().size()), (0, SIZE));
        assert!(extent.is_settled() && !extent.head().is_compressed());
        let named: Vec<_> = extent.head().named().collect();
        assert_eq!((named[2], named[3]), (Named::Not, Named::Zero));
    }
}

fn entries(seeker: &Seeker<&[u8]>) -> Vec<MapEntry> {
    let quick = seeker.quick(|_| ()).unwrap();
    seeker.tables(&quick).flat_map(|table| table.unwrap().entries).collect()
}

#[test]
fn leaves_are_known_from_frame_and_list_alone() {
    let plan = Plan { extents: Plan::complete().extents, ..Plan::small() };
    for (plan, zstd) in [(plan.clone(), false), (Plan { zstd: true, ..plan }, true)] {
        let file = plan.forge();
        let seeker = Seeker::open(&file[..]).unwrap();
        let watched = Watched::new(&file);
        let watching = Seeker::open(&watched).unwrap();
        let quick = watching.quick(|_| ()).unwrap();
        for entry in entries(&seeker) {
            let before = watched.reads().len();
            let head = watching.head(&quick, &entry).unwrap();
            let read: usize = watched.reads()[before..].iter().map(|(_, len)| len).sum();
            assert!(read < 1500, "{read}");
            let extent = watching.extent(&quick, &entry).unwrap();
            assert_eq!(head.leaves(), &extent.leaves);
            assert_eq!((head.root(), head.is_compressed()), (extent.root, zstd));
        }
    }
}

#[test]
fn a_stream_needs_no_aligned_pages() {
    let mut blocks = images::plans()[1].blocks.clone();
    blocks[0].pages = noise(9);
    let files = [true, false].map(|aligned| {
        let mut out = Vec::new();
        let mut writer = full(Form { aligned, ..Compression::None.into() }, &mut out);
        writer.block(&blocks[0], &mut out).unwrap();
        let sealed = writer.finish(&mut out).unwrap();
        assert_eq!(walk(&out).unwrap().index().memory_root, sealed.index.memory_root);
        (out.len(), sealed.index.content)
    });
    assert_eq!(files[0].1, files[1].1);
    assert!(files[0].0 > files[1].0 + 1000);
}

#[test]
fn parts_after_memory_are_carried_behind_it() {
    let late = vec![(0x8000_0077, List::new(), vec![7; 100], 1)];
    let file = Plan { late, ..Plan::small() }.forge();
    let (parts, end) = walk_in_chunks(&file[..]);
    end.unwrap();
    let Some(Part::Other(part)) = parts.iter().rev().nth(1) else { panic!("{parts:?}") };
    let mut out = Vec::new();
    let mut writer = full(Compression::Zstd(1), &mut out);
    let block = images::block(0, SIZE, &[(1, 1)]);
    writer.block(&block, &mut out).unwrap();
    writer.carry(part, &mut out).unwrap();
    writer.block(&images::block(SIZE, SIZE, &[(1, 1)]), &mut out).unwrap_err();
    writer.finish(&mut out).unwrap();
    let (parts, end) = walk_in_chunks(&out[..]);
    let again = |part: &Part| matches!(part, Part::Other(other) if other.payload() == [7; 100]);
    assert!(again(&parts[parts.len() - 2]));
    assert_eq!(quick_then_map(&out), [Ok(()), Ok(())]);
    let seeker = Seeker::open(&out[..]).unwrap();
    let mut seen = Vec::new();
    seeker.quick(|part| seen.push(part)).unwrap();
    assert!(again(seen.last().unwrap()));
    assert_eq!(seeker.root(), end.unwrap().root());
    let whole = survey(&out[..], |_, _, _| ()).unwrap();
    assert_eq!(whole.errors().next(), None);
}

#[test]
fn a_part_that_is_bound_to_its_file_is_not_carried() {
    let file = Plan { optional: vec![(0xc000_0077, List::new(), vec![7], 1)], ..Plan::small() };
    let (parts, end) = walk_in_chunks(&file.forge()[..]);
    end.unwrap();
    let mut others = parts.iter().filter_map(|part| match part {
        Part::Other(part) => Some(part),
        _ => None,
    });
    let part = others.next().unwrap();
    assert!(part.kind().is_bound() && !part.kind().is_private());
    let mut out = Vec::new();
    let mut writer = begun(&header(1, None), Compression::None, &mut out);
    let before = out.len();
    says(&writer.carry(part, &mut out).unwrap_err(), "§4.12");
    assert_eq!(out.len(), before);
}

#[test]
fn a_survey_knows_the_extents_of_a_delta_also_without_its_header_block() {
    let plan = Plan::small_xor();
    for mut file in [plan.forge(), write(&plan, Compression::Zstd(3))] {
        let count = |file: &[u8]| {
            let (mut deltas, mut others) = (0, 0);
            let survey = survey(file, |_, _, part| match part {
                Part::Delta(_) => deltas += 1,
                Part::Extent(_) => others += 1,
                _ => {}
            });
            (deltas, others, survey.unwrap())
        };
        let (deltas, others, survey) = count(&file);
        assert_eq!((deltas, others, survey.errors().count()), (2, 0, 0));
        let inherited = survey.index.unwrap().show().delta.as_ref().map(|delta| delta.0);
        assert_eq!(inherited, Some(60));
        // A letter of the producer.
        file[116] ^= 1;
        let (deltas, others, survey) = count(&file);
        assert_eq!((deltas, others, survey.errors().count()), (2, 0, 1));
        let parent = survey.header.unwrap().show().parent.clone();
        assert!(parent.is_some_and(|p| p.content.as_bytes() == &Plan::small().content()));
    }
}

fn forged(plan: &Plan, change: impl Fn(&mut Piece)) -> Vec<u8> {
    forge_with(plan, &mut |step| match step {
        Step::Piece(piece) if piece.kind == 32 => change(piece),
        _ => {}
    })
}

#[test]
fn leaves_that_do_not_make_the_root_are_refused_without_a_page() {
    for plan in [Plan::small(), Plan::small_zstd()] {
        let file = forged(&plan, |piece| {
            let leaves = piece.list.get("leaves").cloned();
            if let Some(Value::Bytes(mut leaves)) = leaves {
                leaves[0] ^= 1;
                piece.list.set("leaves", Value::Bytes(leaves));
            }
        });
        let seeker = Seeker::open(&file[..]).unwrap();
        let quick = seeker.quick(|_| ()).unwrap();
        for entry in entries(&seeker) {
            let error = seeker.head(&quick, &entry).unwrap_err();
            assert!(error.to_string().contains("§6.2.8"), "{error}");
        }
        says(&walk(&file).unwrap_err(), "§6.2.8");
    }
}

#[test]
fn pages_beside_differences_are_held_against_their_leaves_without_the_parent() {
    let plan = Plan::small_xor();
    walk(&plan.forge()).unwrap();
    let file = forged(&plan, |piece| {
        if piece.list.get("xor").is_some() {
            // Page 1 is a difference, page 2 is none.
            let mut pages = zstd::bulk::decompress(&piece.payload, 8192).unwrap();
            pages[5000] ^= 1;
            piece.payload = zstd::bulk::compress(&pages, 3).unwrap();
        }
    });
    says(&walk(&file).unwrap_err(), "§6.2.8");
    // What differs in a difference is found with the parent, and not before.
    let file = forged(&plan, |piece| {
        if piece.list.get("xor").is_some() {
            let mut pages = zstd::bulk::decompress(&piece.payload, 8192).unwrap();
            pages[50] ^= 1;
            piece.payload = zstd::bulk::compress(&pages, 3).unwrap();
        }
    });
    assert_eq!(walk(&file).unwrap().unsettled().map(|open| open.pages), Some(1));
    let error = check(&[Plan::small().forge(), file]).unwrap_err();
    assert!(error.link == 1 && error.to_string().contains("§6.2.8"), "{error}");
}

#[test]
fn a_page_read_by_itself_is_held_against_its_leaf() {
    let file = Plan::small().forge();
    let entry = entries(&Seeker::open(&file[..]).unwrap())[0];
    // Two pages are stored, raw, at the end of the part.
    let first = (entry.offset + entry.length) as usize - 8192;
    let wanted = |file: &[u8], wanted: &[usize]| {
        let chain = Chain::open([file], |_, _| ()).unwrap();
        let mut area = chain.area(entry.gpa, entry.size.into(), vec![(0, entry)]);
        area.pages(wanted).map(|read| read.iter().map(|page| page.0).collect::<Vec<_>>())
    };
    assert_eq!(wanted(&file, &[1, 2]).unwrap(), [4096]);
    for (byte, refused) in [(first, 1), (first + 4096, 15)] {
        let mut copy = file.clone();
        copy[byte] ^= 1;
        let error = wanted(&copy, &[refused]).unwrap_err();
        assert!(error.to_string().contains("§6.2.8"), "{error}");
        // The other one is as good as ever, and nobody asked for this one.
        assert_eq!(wanted(&copy, &[16 - refused]).unwrap().len(), 1);
    }
}

#[test]
fn of_an_area_only_the_extents_of_wanted_pages_are_read() {
    let extents = vec![Extent::new(0, &[(0, 1)]), Extent::new(SIZE, &[(0, 2), (1, 3)])];
    let file = Plan { segments: vec![(0, 2 * SIZE)], extents, ..Plan::small() }.forge();
    let watched = Watched::new(&file);
    let chain = Chain::open([&watched], |_, _| ()).unwrap();
    let entries = entries(&Seeker::open(&file[..]).unwrap());
    for page in [16, 17] {
        let pieces = entries.iter().map(|entry| (0, *entry)).collect();
        let before = watched.reads().len();
        let read = chain.area(0, 2 * SIZE, pieces).pages(&[page]).unwrap();
        assert_eq!(read.iter().map(|page| page.0).collect::<Vec<_>>(), [page as u64 * 4096]);
        let end = entries[0].offset + entries[0].length;
        assert!(watched.reads()[before..].iter().all(|(at, _)| *at >= end), "page {page}");
    }
}

#[test]
fn a_compressed_page_that_is_read_by_itself_is_held_against_its_leaf() {
    // Its digest covers the payload, and the second of its two pages is not that of its leaf.
    let plan = Plan::small_zstd();
    let file = forge_with(&plan, &mut |step| {
        if let Step::Piece(piece) = step
            && piece.kind == 32
        {
            let mut pages = zstd::bulk::decompress(&piece.payload, 2 * 4096).unwrap();
            // Of the other extent it is the only one.
            *pages.last_mut().unwrap() ^= 1;
            piece.payload = zstd::bulk::compress(&pages, 3).unwrap();
        }
    });
    let entry = entries(&Seeker::open(&file[..]).unwrap())[0];
    let chain = Chain::open([&file[..]], |_, _| ()).unwrap();
    let area = || chain.area(entry.gpa, entry.size.into(), vec![(0, entry)]);
    let good = area().pages(&[1]).unwrap();
    assert_eq!(good.iter().map(|page| page.0).collect::<Vec<_>>(), [4096]);
    for wanted in [&[15][..], &[1, 15]] {
        let error = area().pages(wanted).unwrap_err();
        assert!(error.to_string().contains("§6.2.8"), "{error}");
    }
    // A check of the file takes no such page, wanted or not.
    says(&walk(&file).unwrap_err(), "§6.2.8");
}
