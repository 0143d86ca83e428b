//! One file for each rule of the spec, wrong in that rule alone while all digests match.
//!
//! The files are forged from the spec's words and never by the library: the vectors in
//! `spec/vectors/snapshot` come from here.

// Tables of what is there; a file that cannot be forged is a mistake in them.
#![allow(clippy::unreachable)]

mod deltas;
mod fields;
mod frames;
mod header;
mod index;
mod known;
mod memory;
mod order;
mod parts;
mod sound;

use std::collections::BTreeSet;

use crate::forge::{Head, Piece, Plan, Step, Tail, Value, forge_with};

pub use frames::LIMITS;
pub use sound::{Sound, chain, sound_extensions, sound_plans};

/// A file that breaks one rule.
pub struct Case {
    /// The rule's number in the spec.
    pub rule: &'static str,
    /// What is wrong.
    pub what: String,
    /// The kind of fault that the reader has to find.
    pub id: &'static str,
    /// What its text has to contain; the rule's number where faults carry one.
    pub says: &'static str,
    /// The section that it has to name.
    pub section: &'static str,
    /// The lesser checks that have to find something as well.
    pub seek: Seek,
    /// The file.
    pub file: Vec<u8>,
    /// The sound plan that is taken for the parent's, where only a check of a chain can see what is
    /// wrong; a check of the delta alone accepts it.
    pub parent: Option<&'static str>,
}

/// Which of the lesser checks covers what is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// A quick check.
    Quick,
    /// A check of the maps.
    Map,
    /// Neither.
    Walk,
    /// No check of the file alone.
    Chain,
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
    Case { rule, what: what.to_owned(), id, says, section, seek, file, parent: None }
}

impl Case {
    fn seek(self, seek: Seek) -> Self {
        Self { seek, ..self }
    }

    /// A check of the delta alone finds nothing; one over the sound plan called `parent` does.
    fn over(self, parent: &'static str) -> Self {
        Self { seek: Seek::Chain, parent: Some(parent), ..self }
    }
}

/// The small plan, changed.
pub fn plan(change: impl FnOnce(&mut Plan)) -> Plan {
    let mut plan = Plan::small();
    change(&mut plan);
    plan
}

/// The small plan's file with another header block.
pub fn head(change: impl Fn(&mut Head)) -> Vec<u8> {
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
#[must_use]
pub fn pair(kind: u32, name: &str, value: Value) -> Vec<u8> {
    piece(kind, |piece| piece.list.set(name, value.clone()))
}

/// The small plan's file with its parts rearranged.
pub fn pieces(change: impl Fn(&mut Vec<Piece>)) -> Vec<u8> {
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

/// A number.
#[must_use]
pub fn number(value: u64) -> Value {
    Value::Number(value)
}

/// A text.
#[must_use]
pub fn text(value: &str) -> Value {
    Value::Text(value.into())
}

/// All of them.
#[must_use]
pub fn cases() -> Vec<Case> {
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
        fields::fields(),
        fields::widths(),
        fields::bulk(),
        known::known(),
        memory::extents(),
        memory::leaves(),
        memory::stored(),
        memory::zstd(),
        memory::maps(),
        index::index(),
        index::parts(),
        index::maps(),
        index::trailer(),
        deltas::header(),
        deltas::extents(),
        deltas::differences(),
        deltas::tables(),
        deltas::chains(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Rules that no file can break, and why.
pub const WITHOUT_FILE: [(&str, &str); 18] = [
    ("3.7", "says what never changes; laws.rs has its tests"),
    ("4.10", "says in which order checks are made; laws.rs has its tests"),
    ("4.11", "defines a length; 7.1.6 and 7.1.7 compare it"),
    ("5.4.4", "says what a digest covers; 5.4.6 compares it"),
    ("5.4.12", "says what a digest covers; 5.4.6 compares it"),
    ("5.4.13", "says what a tool does; the tests of unpack have its files"),
    ("6.1", "a definition"),
    ("6.2.9", "the writer's duty alone; this file has its test below"),
    ("6.3", "a consequence; this file has its test below"),
    ("6.4", "a definition; every other test depends on it"),
    ("6.4.1", "a definition; 6.2.8 compares it"),
    ("7.4", "says what checks cover; damage.rs has its tests"),
    ("13.1.4", "says what is allowed; a sound file has it"),
    ("13.3", "a definition; 7.1.8 compares it"),
    ("13.5.1", "says what a tool does; chains.rs has its tests"),
    ("13.5.2", "says what a tool may do"),
    ("13.6", "says what a tool does; chains.rs has its tests"),
    ("13.7", "a duty of whoever keeps files"),
];

/// The numbers of all rules in the spec.
#[must_use]
pub fn rules() -> BTreeSet<&'static str> {
    let spec = include_str!("../../../spec/snapshot.md");
    numbers(spec, &["3", "4", "5", "6", "7", "13"])
}

/// The rules that are neither in `broken` nor excused, and those that are both.
#[must_use]
pub fn uncovered<'a>(broken: &BTreeSet<&'a str>) -> (Vec<&'a str>, Vec<&'a str>) {
    let excused = WITHOUT_FILE.iter().map(|(rule, _)| *rule).collect();
    compare(&rules(), broken, &excused)
}

/// The numbers of the rules in some chapters of a document.
#[must_use]
pub fn numbers<'a>(document: &'a str, chapters: &[&str]) -> BTreeSet<&'a str> {
    document
        .split(|c: char| c.is_whitespace() || c == '|')
        .filter(|word| chapters.contains(&word.split('.').next().unwrap_or_default()))
        .filter(|word| word.split('.').all(|n| n.parse::<u8>().is_ok()) && word.contains('.'))
        .collect()
}

/// The rules that are neither `broken` nor `excused`, and those that are both.
///
/// A rule that only heads rules of its own is broken with any of them.
#[must_use]
pub fn compare<'a>(
    rules: &BTreeSet<&'a str>,
    broken: &BTreeSet<&'a str>,
    excused: &BTreeSet<&'a str>,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let chapter = |rule: &str| {
        let sub = format!("{rule}.");
        broken.iter().chain(excused).any(|other| other.starts_with(&sub))
    };
    let covered = |rule: &&str| broken.contains(rule) || excused.contains(rule) || chapter(rule);
    let missing = rules.iter().copied().filter(|rule| !covered(rule)).collect();
    (missing, broken.intersection(excused).copied().collect())
}
