//! A value in the words that its field has: the names of its bits, a date, a number.

use snapfmt::state::{FieldRef, Kind};

use super::bits;
use super::vm::event;
use super::words;
use crate::text;

/// A value with what it stands for, where that is more than the number.
pub(in crate::cmd) fn shown(field: &FieldRef<'_, '_>) -> String {
    let value = words::value(field);
    match (meant(field), field.u64()) {
        (Some(words), Some(_)) => format!("{value} ({words})"),
        _ => value,
    }
}

/// What a value stands for.
fn meant(field: &FieldRef<'_, '_>) -> Option<String> {
    let (key, number) = (field.key(), field.u64()?);
    if let Some(names) = bits::of_key(key) {
        return (number != 0).then(|| bits::set(number, names));
    }
    match key {
        "vrtc->base_rtctime" => Some(text::time(number.cast_signed())),
        "vcpu->exitintinfo" if number != 0 => Some(event(number)),
        _ => None,
    }
}

/// What changed in a value, where that is more than two numbers: `+WP -TS`.
pub(in crate::cmd) fn change(old: &FieldRef<'_, '_>, new: &FieldRef<'_, '_>) -> Option<String> {
    let (a, b) = (old.u64()?, new.u64()?);
    if let Some(names) = bits::of_key(old.key()) {
        return Some(bits::changes(a, b, names));
    }
    match old.key() {
        "vrtc->base_rtctime" => {
            Some(format!("{} -> {}", text::time(a.cast_signed()), text::time(b.cast_signed())))
        }
        _ => match old.definition().kind {
            // Counters and ring positions: how far apart they are says more than where they are.
            Kind::Number => {
                let step = i128::from(b) - i128::from(a);
                Some(format!("{step:+}"))
            }
            _ => None,
        },
    }
}
