//! Each file that breaks one rule of the spec, and what the reader has to say about it.
// Helpers of tests fail as tests do; offsets and page numbers of small files fit every type.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use snapfmt::part::codec::Compression;
use tests::drive::{self, digest, map, quick, small_image, walk, walk_in_chunks, write};
use tests::forge::{List, Piece, Plan, tree};
use tests::spec_rules::{
    Case, LIMITS, Seek, cases, chain, pieces, plan, rules, sound_extensions, sound_plans, text,
    uncovered,
};

#[test]
fn a_file_that_breaks_one_rule_is_refused_by_that_rule() {
    let mut wrong = Vec::new();
    for case in cases() {
        let Case { rule, what, id, says, section, seek, file, parent } = case;
        if let Some(parent) = parent {
            let files = [chain(parent), vec![file.clone()]].concat();
            match drive::chain(&files) {
                Err((link, error))
                    if link + 1 == files.len()
                        && error.fault().id() == id
                        && error.fault().to_string().contains(says)
                        && error.section().to_string() == section => {}
                other => wrong.push(format!("{rule} {what}, as a chain: {other:.300?}")),
            }
            let alone = [walk(&file).err(), quick(&file).err(), map(&file).err()];
            if let Some(error) = alone.into_iter().flatten().next() {
                wrong.push(format!("{rule} {what}: refused alone: {error}"));
            }
            continue;
        }
        let found = match walk(&file) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => {
                let fits = error.fault().id() == id
                    && error.fault().to_string().contains(says)
                    && error.section().to_string() == section
                    && error.at() <= file.len() as u64;
                if fits { String::new() } else { format!("[{}] {error}", error.fault().id()) }
            }
        };
        if !found.is_empty() {
            wrong.push(format!("{rule} {what}: [{id}] {section} {says} expected: {found}"));
        }
        let refused = match seek {
            Seek::Quick => quick(&file).is_err() && map(&file).is_err(),
            Seek::Map => quick(&file).is_ok() && map(&file).is_err(),
            Seek::Walk | Seek::Chain => quick(&file).is_ok() && map(&file).is_ok(),
        };
        if !refused {
            let (quick, map) = (quick(&file).err(), map(&file).err());
            wrong.push(format!("{rule} {what}: quick check {quick:?}, map check {map:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} of them", wrong.join("\n"), wrong.len());
}

#[test]
fn every_numbered_rule_has_a_file_that_breaks_it() {
    assert!(rules().len() > 70, "{:?}", rules());
    let cases = cases();
    let (missing, doubled) = uncovered(&cases.iter().map(|case| case.rule).collect());
    assert!(missing.is_empty(), "no file for {missing:?}");
    assert!(doubled.is_empty(), "{doubled:?}");
}

#[test]
fn the_forged_files_are_sound_before_they_are_broken() {
    for sound in sound_plans() {
        let plan = sound.plan;
        let file = plan.forge();
        let verified = walk(&file).unwrap_or_else(|error| panic!("{}: {error}", sound.what));
        let delta = verified.index().delta.map(|delta| delta.delta_root);
        assert_eq!(delta, plan.parent.as_ref().map(|_| digest(plan.tree().root())));
        assert_eq!(verified.index().content, digest(plan.content()));
        assert_eq!(verified.index().memory_root, digest(plan.memory().root()));
        quick(&file).unwrap();
        map(&file).unwrap();
        assert_eq!(verified.unsettled().is_some(), plan.parent.is_some(), "{}", sound.what);
        let last = drive::chain(&chain(sound.what)).unwrap().pop().unwrap();
        assert_eq!(last.index(), verified.index());
        assert_eq!(last.unsettled(), None);
    }
}

#[test]
fn what_need_not_be_there_and_what_is_new_in_an_optional_place_is_accepted() {
    for (what, file) in sound_extensions() {
        walk(&file).unwrap_or_else(|error| panic!("{what}: {error}"));
        map(&file).unwrap();
    }
}

#[test]
fn a_stored_page_of_zeros_changes_no_identity() {
    let with = plan(|p| drop(p.extents[0].pages.insert(4, vec![0; 4096])));
    let (with, without) = (walk(&with.forge()).unwrap(), walk(&Plan::small().forge()).unwrap());
    assert_eq!(with.index().memory_root, without.index().memory_root);
    assert_eq!(with.index().content, without.index().content);
    assert_eq!(with.index().totals.pages_data, without.index().totals.pages_data + 1);
    assert_ne!(with.root(), without.root());
    // §6.2.9: the library's writer does not store it.
    let mut zeros = Plan::small();
    zeros.extents[0].pages.insert(4, vec![0; 4096]);
    assert_eq!(write(&zeros, Compression::None), small_image(Compression::None));
}

#[test]
fn the_library_writes_the_very_bytes_that_the_spec_gives() {
    let plans = [
        Plan::small(),
        Plan::small_a(),
        plan(|p| p.config = None),
        plan(|p| p.records.clear()),
        plan(|p| p.extents.clear()),
        plan(|p| p.vm_uuid = Some("00112233-4455-6677-8899-aabbccddeeff".to_owned())),
        plan(|p| p.records[1].bytes.clear()),
        plan(|p| p.arch = "arm64".to_owned()),
        plan(|p| p.described = false),
        plan(|p| p.align = 1),
        Plan::small_delta(),
    ];
    for plan in &plans {
        assert!(write(plan, Compression::None) == plan.forge(), "{plan:.200?}");
    }
    for plan in plans.into_iter().chain([Plan::small_xor()]) {
        let zstd = Plan { zstd: true, ..plan };
        let (ours, theirs) = (zstd.forge(), write(&zstd, Compression::Zstd(3)));
        let (ours, theirs) = (walk_in_chunks(&ours[..]), walk_in_chunks(&theirs[..]));
        assert_eq!(ours.0, theirs.0);
        assert_eq!(ours.1.unwrap(), theirs.1.unwrap());
    }
}

#[test]
fn sizes_at_their_limits_are_believed() {
    for (kind, section, nvlist, payload) in LIMITS {
        for (offset, bytes) in
            [(16, nvlist.to_le_bytes().to_vec()), (24, payload.to_le_bytes().to_vec())]
        {
            let file = pieces(|pieces| {
                let known = pieces.iter().position(|piece| piece.kind == kind);
                let at = known.unwrap_or_else(|| {
                    pieces.insert(3, Piece::new(kind, List::new(), Vec::new()));
                    3
                });
                pieces[at].over.push((offset, bytes.clone()));
            });
            // Not as long as it says, but the size itself is no fault.
            if let Err(error) = walk(&file) {
                assert_ne!(error.fault().id(), "limit", "{section}: {error}");
            }
        }
    }
}

#[test]
fn records_of_more_than_one_gibibyte_are_refused() {
    let zeros = vec![0; 64 << 20];
    let list = List::new()
        .text("section", "devices")
        .text("name", "d00")
        .number("size", zeros.len() as u64)
        .bytes("sha256", &tree::sum(&[&zeros]))
        .text("encoding", "zstd");
    let size = list.pack().len() as u64;
    let largest = Piece::new(16, list, zstd::bulk::compress(&zeros, 1).unwrap());
    let file = pieces(|pieces| {
        let at = pieces.iter().position(|piece| piece.kind == 16).unwrap();
        for number in 0..16 {
            let mut piece = largest.clone();
            piece.list.set("name", text(&format!("d{number:02}")));
            pieces.insert(at + number, piece);
        }
    });
    let error = walk(&file).unwrap_err();
    assert_eq!(error.section().to_string(), "device record devices/d15");
    let limit = snapfmt::Fault::OverLimit {
        what: "the size of all records and their nvlists",
        found: (1 << 30) + 16 * size,
        limit: 1 << 30,
    };
    assert_eq!(error.fault(), &limit);
}
