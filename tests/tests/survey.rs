//! The survey of damaged files: every byte is accounted for, and nothing damaged is called intact.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeMap;

use snapfmt::error::Section;
use snapfmt::layout::kind::Kind;
use snapfmt::part::codec::Compression;
use snapfmt::read::survey::{Span, Survey, What, survey};
use snapfmt::read::{Part, Seeker};
use tests::image;

fn small(compression: Compression) -> Vec<u8> {
    image::pack(&image::Plain { compression, ..image::small().unwrap() }).unwrap()
}

/// The survey, and the intact parts by offset.
fn look(bytes: &[u8]) -> (Survey, BTreeMap<u64, Part>) {
    let mut parts = BTreeMap::new();
    let result = survey(bytes, |at, _, part| {
        parts.insert(at, part);
    });
    let result = result.unwrap();
    tiles(&result, bytes.len() as u64);
    (result, parts)
}

fn tiles(survey: &Survey, size: u64) {
    let mut free = 0;
    for span in &survey.spans {
        assert_eq!(span.at, free, "{:#?}", survey.spans);
        free = span.end();
    }
    assert_eq!(free, size, "{:#?}", survey.spans);
}

fn damaged(survey: &Survey) -> Vec<&Span> {
    survey.spans.iter().filter(|span| matches!(span.what, What::Damaged { .. })).collect()
}

/// What is called intact in a damaged file is what was there before, at the same place.
fn same_or_less(before: &BTreeMap<u64, Part>, after: &BTreeMap<u64, Part>) {
    for (at, part) in after {
        assert_eq!(before.get(at), Some(part), "at {at:#x}");
    }
}

#[test]
fn an_intact_file_is_intact_to_the_last_byte() {
    for compression in [Compression::None, Compression::default()] {
        let bytes = small(compression);
        let (survey, parts) = look(&bytes);
        assert_eq!(survey.errors().next(), None);
        let intact = |span: &Span| match &span.what {
            What::Header | What::Part { scanned: false, .. } | What::Trailer => true,
            What::Memory(run) => run.checked && !run.scanned,
            _ => false,
        };
        assert!(survey.spans.iter().all(intact), "{:#?}", survey.spans);
        assert_eq!(parts.values().filter(|part| matches!(part, Part::Record(_))).count(), 12);
        let root = Seeker::open(bytes.as_slice()).ok().unwrap().root();
        assert_eq!(survey.index.unwrap().show().root, root.to_string());
    }
}

#[test]
fn any_flip_is_found_and_costs_at_most_the_part_around_it() {
    let bytes = small(Compression::None);
    let (before, parts) = look(&bytes);
    for at in (0..bytes.len()).step_by(7) {
        let mut copy = bytes.clone();
        copy[at] ^= 1 << (at % 8);
        let (survey, left) = look(&copy);
        same_or_less(&parts, &left);
        let bad = damaged(&survey);
        assert!(!bad.is_empty(), "{at:#x}");
        let at = at as u64;
        assert!(bad.iter().any(|s| (s.at..s.end()).contains(&at)), "{at:#x} {bad:#?}");
        let lost = parts.keys().filter(|offset| !left.contains_key(offset)).count();
        let vm = matches!(bad[0].what, What::Damaged { ref error, .. }
            if *error.section() == Section::Part(Kind::Vm));
        // Without the memory map, extents cannot be checked.
        assert!(lost <= if vm { 3 } else { 1 }, "{at:#x}: {bad:#?}");
        assert!(survey.spans.len() <= before.spans.len() + 3);
    }
}

#[test]
fn any_cut_is_found_and_what_is_before_it_stays() {
    let bytes = small(Compression::None);
    let (_, parts) = look(&bytes);
    let ends: Vec<u64> = {
        let mut ends = Vec::new();
        survey(bytes.as_slice(), |at, len, _| ends.push(at + len)).unwrap();
        ends
    };
    for len in (0..bytes.len()).step_by(61).chain((0..bytes.len()).step_by(64)) {
        let (survey, left) = look(&bytes[..len]);
        same_or_less(&parts, &left);
        assert!(survey.errors().next().is_some(), "{len}");
        let whole = ends.iter().filter(|end| **end <= len as u64).count();
        assert_eq!(left.len(), whole, "{len} {:#?}", survey.spans);
    }
}

#[test]
fn lost_and_added_bytes_cost_what_is_around_them() {
    for compression in [Compression::None, Compression::default()] {
        let bytes = small(compression);
        let (_, parts) = look(&bytes);
        for at in (4096..bytes.len() - 128).step_by(64) {
            let lost = [&bytes[..at], &bytes[at + 64..]].concat();
            let (survey, left) = look(&lost);
            assert!(survey.errors().next().is_some());
            assert!(left.len() + 4 >= parts.len(), "{at:#x} {:#?}", survey.spans);
            let added = [&bytes[..at], &[0xa5; 64], &bytes[at..]].concat();
            let (survey, left) = look(&added);
            assert!(survey.errors().next().is_some());
            assert!(left.len() + 4 >= parts.len(), "{at:#x} {:#?}", survey.spans);
        }
    }
}

#[test]
fn bytes_after_the_end_are_told_from_the_file() {
    let mut bytes = small(Compression::default());
    let size = bytes.len() as u64;
    bytes.extend([7; 1000]);
    let (survey, _) = look(&bytes);
    let bad = damaged(&survey);
    assert_eq!(bad.len(), 1);
    assert_eq!((bad[0].at, bad[0].len), (size, 1000));
}

#[test]
fn the_index_names_what_a_damaged_frame_was_of() {
    let bytes = small(Compression::None);
    let (_, parts) = look(&bytes);
    for (at, part) in &parts {
        let expected = match part {
            Part::Record(record) => record.id().place(),
            Part::Extent(extent) => Section::Extent { gpa: extent.block.gpa },
            Part::Config(_) => Section::Part(Kind::Config),
            _ => continue,
        };
        let mut copy = bytes.clone();
        copy[usize::try_from(*at).unwrap() + 50] ^= 1;
        let (survey, _) = look(&copy);
        let error = survey.errors().next().unwrap();
        assert_eq!(*error.section(), expected);
    }
}

#[test]
fn without_an_index_a_damaged_frame_is_searched_past_and_shown_as_a_claim() {
    let bytes = small(Compression::None);
    let (_, parts) = look(&bytes);
    let (at, record) = parts
        .iter()
        .find_map(|(at, part)| match part {
            Part::Record(record) => Some((usize::try_from(*at).unwrap(), record)),
            _ => None,
        })
        .unwrap();
    let mut copy = bytes[..bytes.len() - 128].to_vec();
    copy[at + 50] ^= 1;
    let (survey, left) = look(&copy);
    assert_eq!(left.len(), parts.len() - 1);
    let What::Damaged { error, claim: Some(claim) } = &damaged(&survey)[0].what else {
        panic!("{:#?}", survey.spans);
    };
    assert_eq!(*error.section(), Section::Frame);
    let claim = claim.show();
    assert_eq!(claim.label, Some(record.id().place().to_string()));
    let scanned = |span: &&Span| matches!(span.what, What::Part { scanned: true, .. });
    assert!(survey.spans.iter().any(|span| scanned(&span)));
}

#[test]
fn what_is_no_snapshot_is_not_searched() {
    for bytes in [&b""[..], b"hello", &[0; 100_000]] {
        let (survey, parts) = look(bytes);
        assert_eq!(survey.errors().next().unwrap().fault().id(), "not-a-snapshot");
        assert!(parts.is_empty());
    }
}

#[test]
fn a_newer_file_says_who_wrote_it() {
    let mut bytes = small(Compression::None);
    bytes[56] = 9;
    let digest = snapfmt::Digest::of(&bytes[..4064]);
    bytes[4064..4096].copy_from_slice(digest.as_bytes());
    let (survey, parts) = look(&bytes);
    assert!(parts.is_empty());
    let claim = survey.header.as_ref().unwrap().show();
    assert_eq!((claim.version, claim.producer.as_str()), (9, "test 1.0"));
    assert!(matches!(survey.spans[1].what, What::Unread));
}

#[test]
fn whatever_is_done_to_a_file_the_account_is_whole_and_nothing_is_made_up() {
    let bytes = small(Compression::None);
    let (_, parts) = look(&bytes);
    let known: Vec<_> = parts.values().collect();
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for _ in 0..300 {
        let mut copy = bytes.clone();
        for _ in 0..=random(4) {
            let (at, len) = (random(copy.len()), random(2000));
            let end = (at + len).min(copy.len());
            match random(5) {
                0 => copy[at..end].fill(0),
                1 => copy.truncate(at),
                2 => drop(copy.splice(at..at, bytes[..len].iter().copied())),
                3 => drop(copy.drain(at..end)),
                _ => copy[at] ^= 1,
            }
            if copy.is_empty() {
                break;
            }
        }
        let (_, left) = look(&copy);
        assert!(left.values().all(|part| known.contains(&part)));
    }
}

#[test]
fn a_file_of_nothing_but_damage_has_a_short_account() {
    let mut bytes = small(Compression::None)[..4096].to_vec();
    let frame = small(Compression::None)[4096..4096 + 64].to_vec();
    for _ in 0..20_000 {
        bytes.extend(&frame);
    }
    let (survey, parts) = look(&bytes);
    assert_eq!(parts.len(), 1);
    assert!(survey.spans.len() < 5000);
}

/// A machine whose RAM holds a snapshot of another machine, and data above it.
fn nested() -> Vec<u8> {
    let mut plain = image::small().unwrap();
    let mut other = image::small().unwrap();
    let meta = String::from_utf8(other.meta).unwrap().replace("small", "other");
    other.meta = meta.into_bytes();
    let inner = image::pack(&other).unwrap();
    plain.ram[0x1_0000..][..inner.len()].copy_from_slice(&inner);
    for block in 3..12 {
        plain.ram[block * 0x1_0000 + 0x3000] = 1;
    }
    image::pack(&plain).unwrap()
}

#[test]
fn a_snapshot_in_guest_memory_is_not_taken_for_parts_of_this_one() {
    let bytes = nested();
    let (_, parts) = look(&bytes);
    let at = parts.iter().find_map(|(at, part)| match part {
        Part::Extent(extent) if extent.block.gpa == 0x1_0000 => Some(*at),
        _ => None,
    });
    let at = usize::try_from(at.unwrap()).unwrap();
    let mut copy = bytes.clone();
    copy[at..at + 64].fill(0);
    let (_, left) = look(&copy);
    assert_eq!(left.len(), parts.len() - 1);
    same_or_less(&parts, &left);
    // Without the trailer, MAP parts are not known beforehand, and RAM is searched.
    copy.truncate(bytes.len() - 128);
    let (survey, left) = look(&copy);
    for (at, part) in parts.iter().filter(|(offset, _)| **offset != at as u64) {
        assert_eq!(left.get(at), Some(part), "{at:#x} {:#?}", survey.spans);
    }
    for (at, part) in left.iter().filter(|(at, _)| !parts.contains_key(at)) {
        assert!(matches!(part, Part::Extent(_) | Part::Map(_)), "{at:#x} {part:?}");
    }
    let root = Seeker::open(bytes.as_slice()).ok().unwrap().root().to_string();
    assert_eq!(survey.index.unwrap().show().root, root);
    // Only the ends of the runs say so in the account.
    let scanned = |span: &Span| matches!(span.what, What::Memory(run) if run.scanned);
    assert!(survey.spans.iter().any(scanned));
}
