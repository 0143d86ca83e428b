//! One file for each rule of the spec, wrong in that rule alone while all digests match, and what
//! the reader has to say about it.
// Helpers of tests fail as tests do; offsets and page numbers of small files fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod frames;
mod header;
mod index;
mod memory;
mod order;
mod parts;

use std::collections::BTreeSet;

use snapfmt::part::codec::Compression;
use tests::drive::{digest, map, quick, small_image, walk, walk_in_chunks, write};
use tests::forge::{Head, List, Piece, Plan, Step, Tail, Value, forge_with};

/// A file that breaks one rule.
struct Case {
    /// The rule's number in the spec.
    rule: &'static str,
    /// What is wrong.
    what: String,
    /// The kind of fault that the reader has to find.
    id: &'static str,
    /// What its text has to contain; the rule's number where faults carry one.
    says: &'static str,
    /// The section that it has to name.
    section: &'static str,
    /// The lesser checks that have to find something as well.
    seek: Seek,
    file: Vec<u8>,
}

/// Which of the lesser checks covers what is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seek {
    /// A quick check.
    Quick,
    /// A check of the maps.
    Map,
    /// Neither.
    Walk,
}

/// What the reader has to say: kind of fault, part of its text, section.
type Says = (&'static str, &'static str, &'static str);

fn case(rule: &'static str, what: &str, says: Says, file: Vec<u8>) -> Case {
    let seek = match says.2 {
        "MAP part" => Seek::Map,
        section if section.starts_with("memory extent") || section == "EXTENT part" => Seek::Walk,
        _ => Seek::Quick,
    };
    let (id, says, section) = says;
    Case { rule, what: what.to_owned(), id, says, section, seek, file }
}

impl Case {
    fn seek(self, seek: Seek) -> Self {
        Self { seek, ..self }
    }
}

/// The small plan, changed.
fn plan(change: impl FnOnce(&mut Plan)) -> Plan {
    let mut plan = Plan::small();
    change(&mut plan);
    plan
}

/// The small plan's file with another header block.
fn head(change: impl Fn(&mut Head)) -> Vec<u8> {
    forge_with(&Plan::small(), &mut |step| {
        if let Step::Head(head) = step {
            change(head);
        }
    })
}

/// The plan's file with other parts of type `kind`.
fn piece_of(plan: &Plan, kind: u32, change: impl Fn(&mut Piece)) -> Vec<u8> {
    forge_with(plan, &mut |step| match step {
        Step::Piece(piece) if piece.kind == kind => change(piece),
        _ => {}
    })
}

/// The small plan's file with other parts of type `kind`.
fn piece(kind: u32, change: impl Fn(&mut Piece)) -> Vec<u8> {
    piece_of(&Plan::small(), kind, change)
}

/// The small plan's file with another value in the parts of type `kind`.
fn pair(kind: u32, name: &str, value: Value) -> Vec<u8> {
    piece(kind, |piece| piece.list.set(name, value.clone()))
}

/// The small plan's file with its parts rearranged.
fn pieces(change: impl Fn(&mut Vec<Piece>)) -> Vec<u8> {
    forge_with(&Plan::small(), &mut |step| {
        if let Step::Pieces(pieces) = step {
            change(pieces);
        }
    })
}

/// The small plan's file with another trailer.
fn tail(change: impl Fn(&mut Tail)) -> Vec<u8> {
    forge_with(&Plan::small(), &mut |step| {
        if let Step::Tail(tail) = step {
            change(tail);
        }
    })
}

fn number(value: u64) -> Value {
    Value::Number(value)
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

fn cases() -> Vec<Case> {
    [
        header::conventions(),
        header::header(),
        header::pairs(),
        order::order(),
        order::counts(),
        frames::frames(),
        frames::limits(),
        parts::vm(),
        parts::meta(),
        parts::records(),
        parts::pairs(),
        memory::extents(),
        memory::stored(),
        memory::zstd(),
        memory::maps(),
        index::index(),
        index::parts(),
        index::maps(),
        index::trailer(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn a_file_that_breaks_one_rule_is_refused_by_that_rule() {
    let mut wrong = Vec::new();
    for Case { rule, what, id, says, section, seek, file } in cases() {
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
            Seek::Walk => quick(&file).is_ok() && map(&file).is_ok(),
        };
        if !refused {
            let (quick, map) = (quick(&file).err(), map(&file).err());
            wrong.push(format!("{rule} {what}: quick check {quick:?}, map check {map:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} of them", wrong.join("\n"), wrong.len());
}

/// Rules that no single file can break, and why.
const WITHOUT_FILE: [(&str, &str); 10] = [
    ("3.7", "says what never changes; laws.rs has its tests"),
    ("4.10", "says in which order checks are made; laws.rs has its tests"),
    ("4.11", "defines a length; 7.1.6 and 7.1.7 compare it"),
    ("5.4.4", "says what a digest covers; 5.4.6 compares it"),
    ("6.1", "a definition"),
    ("6.2.9", "the writer's duty alone; this file has its test below"),
    ("6.3", "a consequence; this file has its test below"),
    ("6.4", "a definition; every other test depends on it"),
    ("6.4.1", "a definition; 6.2.8 compares it"),
    ("7.4", "says what checks cover; damage.rs has its tests"),
];

#[test]
fn every_numbered_rule_has_a_file_that_breaks_it() {
    let spec = include_str!("../../../spec/snapshot.md");
    let rules: BTreeSet<&str> = spec
        .split(|c: char| c.is_whitespace() || c == '|')
        .filter(|word| word.starts_with(['3', '4', '5', '6', '7']))
        .filter(|word| word.split('.').all(|n| n.parse::<u8>().is_ok()) && word.contains('.'))
        .collect();
    assert!(rules.len() > 50, "{rules:?}");
    let cases = cases();
    let broken: BTreeSet<&str> = cases.iter().map(|case| case.rule).collect();
    let excused: BTreeSet<&str> = WITHOUT_FILE.iter().map(|(rule, _)| *rule).collect();
    let chapter = |rule: &&str| {
        let sub = format!("{rule}.");
        !broken.iter().chain(&excused).any(|other| other.starts_with(&sub))
    };
    let missing: Vec<_> = rules
        .iter()
        .copied()
        .filter(|rule| !broken.contains(rule) && !excused.contains(rule) && chapter(rule))
        .collect();
    assert!(missing.is_empty(), "no file for {missing:?}");
    let doubled: Vec<_> = broken.intersection(&excused).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
}

#[test]
fn the_forged_files_are_sound_before_they_are_broken() {
    let unknown = List::new().number("n", 1);
    let carried = (0x8000_1234, unknown.clone(), vec![7; 100], 4096);
    let host = (0x8000_0004, unknown, Vec::new(), 1);
    let plans = [
        Plan::small(),
        Plan::small_a(),
        Plan::small_zstd(),
        plan(|p| p.per_map = 1),
        plan(|p| p.config = None),
        plan(|p| p.optional = vec![host, carried]),
        plan(|p| p.records.clear()),
        plan(|p| p.extents.clear()),
        plan(|p| p.vm_uuid = Some("FFFFFFFF-4455-6677-8899-aabbccddeeff".to_owned())),
        plan(|p| p.name.clear()),
        plan(|p| p.name = "n".repeat(255)),
        plan(|p| p.ncpus = 1024),
        plan(|p| p.memflags = u64::from(u32::MAX)),
        plan(|p| p.records[1].bytes.clear()),
        plan(|p| p.segments = vec![(0, 40 * 4096), (1 << 32, (1 << 52) - (1 << 32))]),
    ];
    for plan in plans {
        let file = plan.forge();
        let verified = walk(&file).unwrap();
        assert_eq!(verified.index().content, digest(plan.content()));
        assert_eq!(verified.index().memory_root, digest(plan.memory().root()));
        quick(&file).unwrap();
        map(&file).unwrap();
    }
}

#[test]
fn what_need_not_be_there_and_what_is_new_in_an_optional_place_is_accepted() {
    let head = head(|head| {
        head.list.set("a-new-pair", number(1));
        head.list.set("compatible", Value::Texts(vec!["shiny".to_owned()]));
    });
    let config = pair(0x8000_0003, "a-new-pair", number(1));
    for file in [head, config] {
        walk(&file).unwrap();
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
    ];
    for plan in plans {
        assert_eq!(write(&plan, Compression::None), plan.forge());
        let zstd = Plan { zstd: true, ..plan };
        let (ours, theirs) = (zstd.forge(), write(&zstd, Compression::Zstd(3)));
        let (ours, theirs) = (walk_in_chunks(&ours[..]), walk_in_chunks(&theirs[..]));
        assert_eq!(ours.0, theirs.0);
        assert_eq!(ours.1.unwrap(), theirs.1.unwrap());
    }
}
