//! Compares records of one layout field by field.
//!
//! Fields are held against each other by their places: the groups around them and their names, so
//! that a queue whose rings are gone does not shift those behind it.

use std::collections::HashMap;

use serde::Serialize;
use snapfmt::Digest;
use snapfmt::state::{FieldRef, Fields, PartRef, base};

use super::ignore::Ignore;
use crate::cmd::inspect::state::{Place, change, part_words, places, shown};

/// Longer values are shown by their digest.
const SHORT: usize = 64;

/// Two records of the same layout.
#[derive(Debug, Default, Serialize)]
pub(super) struct Compared {
    /// The fields that differ, but for those that are left out.
    pub(super) fields: Vec<Change>,
    /// How many were left out.
    pub(super) ignored: u64,
}

/// A field, or a part of one, that is not the same on both sides.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    /// The groups around it, and its name there.
    pub(super) field: String,
    name: &'static str,
    label: Option<&'static str>,
    pub(super) vcpu: Option<u32>,
    /// The member, register or element that differs, where it can be told apart.
    pub(super) part: Option<&'static str>,
    /// Where it is in the record, on each side.
    offset_a: Option<u64>,
    offset_b: Option<u64>,
    a: Option<Value>,
    b: Option<Value>,
    /// Of values that are no numbers: how many bytes differ, as far as both go.
    bytes: Option<u64>,
    #[serde(skip)]
    pub(super) words: String,
}

/// A value, as `inspect.md` has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Value {
    U(String),
    Hex(String),
    Sha256(String),
}

impl Value {
    fn of(bytes: &[u8], number: Option<u64>) -> Self {
        match number {
            Some(number) => Self::U(number.to_string()),
            None if bytes.len() <= SHORT => Self::Hex(hex::encode(bytes)),
            None => Self::Sha256(Digest::of(bytes).to_string()),
        }
    }
}

/// Compares the records of that name.
pub(super) fn compare(name: &str, a: &Fields<'_>, b: &Fields<'_>, ignore: &[Ignore]) -> Compared {
    let record = base(a.layout().section, name);
    let mut compared = Compared::default();
    let (mine, theirs) = (places(a), places(b));
    let mut by_place: HashMap<_, _> = theirs.iter().map(|place| (key(place), place)).collect();
    let ignored = |field: &FieldRef<'_, '_>, part: Option<&str>| {
        ignore.iter().any(|ignore| ignore.covers(record, field, part))
    };
    let mut add = |change: Change, field: &FieldRef<'_, '_>| {
        if ignored(field, change.part) {
            compared.ignored += 1;
        } else {
            compared.fields.push(change);
        }
    };
    for ours in &mine {
        match by_place.remove(&key(ours)) {
            Some(theirs) if ours.field.bytes() == theirs.field.bytes() => {}
            Some(theirs) => {
                for change in differing(ours, theirs) {
                    add(change, &ours.field);
                }
            }
            None => {
                let words = format!("{} -> none", shown(&ours.field));
                add(one_side(ours, true, words), &ours.field);
            }
        }
    }
    for place in theirs.iter().filter(|place| by_place.contains_key(&key(place))) {
        let words = format!("none -> {}", shown(&place.field));
        add(one_side(place, false, words), &place.field);
    }
    compared
}

fn key<'p>(place: &'p Place<'_, '_>) -> (Option<u32>, &'p str) {
    (place.field.vcpu(), place.path.as_str())
}

fn blank(place: &Place<'_, '_>, words: String) -> Change {
    let definition = place.field.definition();
    Change {
        field: place.path.clone(),
        name: definition.name,
        label: definition.label,
        vcpu: place.field.vcpu(),
        part: None,
        offset_a: None,
        offset_b: None,
        a: None,
        b: None,
        bytes: None,
        words,
    }
}

fn one_side(place: &Place<'_, '_>, first: bool, words: String) -> Change {
    let mut change = blank(place, words);
    let value = Value::of(place.field.bytes(), place.field.u64());
    let (offset, side) = match first {
        true => (&mut change.offset_a, &mut change.a),
        false => (&mut change.offset_b, &mut change.b),
    };
    (*offset, *side) = (Some(place.field.offset()), Some(value));
    change
}

/// What differs in a field that both have: its parts where they can be told apart, and what is in
/// none of them as one.
fn differing(ours: &Place<'_, '_>, theirs: &Place<'_, '_>) -> Vec<Change> {
    let (a, b) = (&ours.field, &theirs.field);
    let mut changes = Vec::new();
    let mut known = vec![false; a.bytes().len().max(b.bytes().len())];
    for (old, new) in a.parts().zip(b.parts()) {
        let at = old.part.at as usize;
        let covered = known.get_mut(at..at.saturating_add(old.bytes.len()));
        covered.unwrap_or_default().fill(true);
        if old.bytes != new.bytes {
            changes.push(part(ours, theirs, &old, &new));
        }
    }
    let bytes = a.bytes().iter().zip(b.bytes()).zip(&known);
    let rest = bytes.filter(|((a, b), known)| a != b && !**known).count();
    if rest > 0 || a.len() != b.len() {
        let number = a.u64().zip(b.u64());
        let (old, new) = (shown(a), shown(b));
        let words = match number {
            Some(_) => {
                let more = change(a, b).filter(|words| !words.is_empty());
                let more = more.map(|words| format!("  {words}")).unwrap_or_default();
                format!("{} -> {}{more}", plain(a), plain(b))
            }
            None if old == new => format!("{rest} of {} bytes differ", a.len()),
            None => format!("{old} -> {new}"),
        };
        changes.push(Change {
            offset_a: Some(a.offset()),
            offset_b: Some(b.offset()),
            a: Some(Value::of(a.bytes(), a.u64())),
            b: Some(Value::of(b.bytes(), b.u64())),
            bytes: number.is_none().then_some(rest as u64),
            ..blank(ours, words)
        });
    }
    changes
}

/// A number without what it stands for: what changed is said behind both.
fn plain(field: &FieldRef<'_, '_>) -> String {
    let words = shown(field);
    words.split_once(" (").map_or(words.clone(), |(number, _)| number.to_owned())
}

fn part(
    ours: &Place<'_, '_>,
    theirs: &Place<'_, '_>,
    old: &PartRef<'_>,
    new: &PartRef<'_>,
) -> Change {
    let at = u64::from(old.part.at);
    let (shown, other) = (part_words(old), part_words(new));
    let count = old.bytes.iter().zip(new.bytes).filter(|(a, b)| a != b).count();
    let words = if shown == other {
        format!("{count} of {} bytes differ", old.bytes.len())
    } else {
        format!("{shown} -> {other}")
    };
    Change {
        part: Some(old.part.name),
        offset_a: Some(ours.field.offset().saturating_add(at)),
        offset_b: Some(theirs.field.offset().saturating_add(at)),
        a: Some(Value::of(old.bytes, old.u64())),
        b: Some(Value::of(new.bytes, new.u64())),
        bytes: old.u64().is_none().then_some(count as u64),
        ..blank(ours, words)
    }
}
