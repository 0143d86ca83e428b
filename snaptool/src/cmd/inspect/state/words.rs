//! Values for people, whatever record they are in.

use snapfmt::state::{FieldRef, Kind, PartRef, Shape};

use crate::text::escape_bytes;

/// Bytes that are shown one by one.
const SHOWN: usize = 16;

/// Numbers of an array that are shown one by one.
const NUMBERS: usize = 8;

/// The value of a field.
pub(in crate::cmd) fn value(field: &FieldRef<'_, '_>) -> String {
    let definition = field.definition();
    if let Shape::Ints(width, _) = definition.shape {
        return numbers(field, definition.kind, width.bytes() as usize);
    }
    of_kind(definition.kind, field.bytes(), field.u64())
}

/// The value of a part of a field.
pub(in crate::cmd) fn part(part: &PartRef<'_>) -> String {
    of_kind(part.part.kind, part.bytes, part.u64())
}

fn of_kind(kind: Kind, bytes: &[u8], number: Option<u64>) -> String {
    match (kind, number) {
        (Kind::Text, _) => text(bytes),
        (Kind::Mac, _) => mac(bytes),
        (_, Some(number)) => number_of(kind, number, bytes.len()),
        _ => some_bytes(bytes),
    }
}

fn number_of(kind: Kind, number: u64, len: usize) -> String {
    match kind {
        Kind::Bool if number < 2 => (if number == 1 { "yes" } else { "no" }).to_owned(),
        Kind::Signed => signed(number, len).to_string(),
        Kind::GuestAddress if number == u64::MAX => "none".to_owned(),
        Kind::Number | Kind::Bool => number.to_string(),
        _ => hex(number),
    }
}

/// As C takes the bytes for an `int`.
fn signed(number: u64, len: usize) -> i64 {
    let unused = u32::try_from(len).map_or(0, |len| 64_u32.saturating_sub(8 * len));
    number.wrapping_shl(unused).cast_signed().wrapping_shr(unused)
}

fn numbers(field: &FieldRef<'_, '_>, kind: Kind, width: usize) -> String {
    let all: Vec<u64> = field.numbers().collect();
    if all.len() > NUMBERS {
        let set = all.iter().filter(|number| **number != 0).count();
        return format!("{} numbers, {set} not zero", all.len());
    }
    let shown = all.iter().map(|number| number_of(kind, *number, width));
    shown.collect::<Vec<_>>().join(" ")
}

/// A number with its base, but for those that are the same in both.
pub(super) fn hex(number: u64) -> String {
    if number < 10 { number.to_string() } else { format!("{number:#x}") }
}

/// A C string: what comes before the first NUL.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = bytes.get(..end).unwrap_or_default();
    format!("\"{}\"", escape_bytes(text).replace('"', "\\\""))
}

/// An Ethernet address.
pub(super) fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn some_bytes(bytes: &[u8]) -> String {
    if bytes.len() <= SHOWN {
        return bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    match bytes.iter().filter(|byte| **byte != 0).count() {
        0 => format!("{} bytes, all zero", bytes.len()),
        set => format!("{} bytes, {set} not zero", bytes.len()),
    }
}

/// Ascending numbers, runs of them joined: `0-3 7`.
pub(super) fn ranges(numbers: impl IntoIterator<Item = u64>) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let shown = runs.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// The numbers of the bits that are set.
pub(super) fn bits(value: u64) -> impl Iterator<Item = u64> {
    (0..64).filter(move |bit| value >> bit & 1 == 1)
}

/// One thing or several of them.
pub(super) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Vectors: `0x30 0x41`.
pub(super) fn vectors(vectors: &[u64]) -> String {
    match vectors {
        [] => "none".to_owned(),
        _ => vectors.iter().map(|vector| format!("{vector:#x}")).collect::<Vec<_>>().join(" "),
    }
}

/// A frequency.
pub(super) fn hertz(hertz: u64) -> String {
    for (unit, name) in [(1_000_000, "MHz"), (1000, "kHz")] {
        if hertz >= unit {
            let thousandths = u128::from(hertz) * 1000 / u128::from(unit);
            return format!("{}.{:03} {name}", thousandths / 1000, thousandths % 1000);
        }
    }
    format!("{hertz} Hz")
}

/// So many events in so much time: `99.998 Hz`.
pub(super) fn rate(of: u64, divided: u64) -> String {
    match of.checked_div(divided) {
        None => "for ever".to_owned(),
        Some(whole) if whole >= 1000 || of.is_multiple_of(divided) => hertz(whole),
        Some(whole) => {
            let rest = u128::from(of % divided) * 1000 / u128::from(divided);
            format!("{whole}.{rest:03} Hz")
        }
    }
}

/// A span of so many ticks.
pub(super) fn span(ticks: u64, hertz: u64) -> String {
    if hertz == 0 {
        return "for ever".to_owned();
    }
    let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(hertz);
    for (unit, name) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us")] {
        if nanoseconds >= unit {
            let thousandths = nanoseconds * 1000 / unit;
            return format!("{}.{:03} {name}", thousandths / 1000, thousandths % 1000);
        }
    }
    format!("{nanoseconds} ns")
}

/// A little-endian number in bytes.
pub(super) fn number_at(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(len)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_a_file_cannot_leave_their_quotes() {
        assert_eq!(text(b"BHYVE-1\0\0rest"), "\"BHYVE-1\"");
        assert_eq!(text(b"a\x1b[31m\"\xff"), "\"a\\u{1b}[31m\\\"\\xff\"");
    }

    #[test]
    fn runs_are_joined() {
        assert_eq!(ranges([0, 1, 2, 5, 7, 8]), "0-2 5 7-8");
        assert_eq!(ranges([]), "");
        assert_eq!(ranges([u64::MAX]), u64::MAX.to_string());
    }

    #[test]
    fn spans_and_rates_read_well() {
        assert_eq!(hertz(16_777_216), "16.777 MHz");
        assert_eq!(hertz(100), "100 Hz");
        assert_eq!(rate(1_193_182, 11_932), "99.998 Hz");
        assert_eq!(
            [rate(100, 0), rate(100, 50), rate(u64::MAX, 1 << 63)],
            ["for ever", "2 Hz", "1.999 Hz"]
        );
        assert_eq!(span(1 << 24, 1 << 24), "1.000 s");
        assert_eq!(span(3, 1 << 27), "22 ns");
        assert_eq!(span(1, 0), "for ever");
        assert_eq!(span(u64::MAX, 1).len(), "18446744073709551615.000 s".len());
    }

    #[test]
    fn an_int_has_a_sign() {
        assert_eq!(signed(0xffff_ffff, 4), -1);
        assert_eq!(signed(0x7f, 1), 127);
        assert_eq!(signed(u64::MAX, 8), -1);
    }
}
