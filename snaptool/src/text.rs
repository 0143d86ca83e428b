//! Words for people: names, sizes, durations and times as a terminal may show them.
//!
//! Knows nothing of streams or files. Whatever comes from a file passes through here before it
//! reaches a terminal, because a name may carry escape sequences or turn the writing direction.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

/// Shows a name from a file: one line, harmless, and without two names looking the same by
/// accident.
///
/// A backslash is doubled, so that what starts with one is always an escape of ours.
#[must_use]
pub fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        push(&mut out, c, true);
    }
    out
}

/// Like [`escape`], for bytes that should be UTF-8 but may not be; those that are not become
/// `\xNN`.
#[must_use]
pub fn escape_bytes(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut out, c, true);
        }
        for byte in chunk.invalid() {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Like [`escape_bytes`], for a path; the common case of a harmless path is shown as it is.
#[must_use]
pub fn path(path: &Path) -> String {
    escape_bytes(path.as_os_str().as_bytes())
}

/// Makes a finished sentence safe: one line, no control characters. Escapes in it stay as they are.
#[must_use]
pub fn one_line(sentence: &str) -> String {
    let mut out = String::with_capacity(sentence.len());
    for c in sentence.chars() {
        push(&mut out, c, false);
    }
    out
}

fn push(out: &mut String, c: char, double_backslash: bool) {
    match c {
        '\\' if double_backslash => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c.is_control() || is_deceptive(c) => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Invisible characters and those that reorder what is around them.
fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// A number of bytes as people read it: `512 B`, `4 KiB`, `1.5 GiB`.
///
/// One decimal, rounded; none if it is exact.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 1_u128;
    for name in UNITS {
        unit *= 1024;
        let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
        if tenths >= 10_240 && name != "EiB" {
            continue;
        }
        return if u128::from(bytes).is_multiple_of(unit) {
            format!("{} {name}", tenths / 10)
        } else {
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        };
    }
    // Only reached by arithmetic that cannot happen: 2^64 is 16 EiB.
    format!("{bytes} B")
}

/// A span of time: `0.4 s`, `12.0 s`, `3 min 20 s`, `1 h 05 min`.
#[must_use]
pub fn duration(span: Duration) -> String {
    let tenths = (span.as_millis() + 50) / 100;
    if tenths < 600 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let seconds = (span.as_millis() + 500) / 1000;
    if seconds < 3600 {
        return format!("{} min {:02} s", seconds / 60, seconds % 60);
    }
    let minutes = (seconds + 30) / 60;
    format!("{} h {:02} min", minutes / 60, minutes % 60)
}

/// Seconds since 1970 as `2026-11-23T06:27:13Z`; as `@N` if no calendar has that day.
#[must_use]
pub fn time(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds)
        .map_or_else(|_| format!("@{unix_seconds}"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in ["vcpu", "virtio-blk 0", "Grüße", "日本", "a{b}\"c'"] {
            assert_eq!(escape(name), name);
            assert_eq!(escape_bytes(name.as_bytes()), name);
        }
    }

    #[test]
    fn what_could_move_the_cursor_or_the_reader_is_spelt_out() {
        assert_eq!(escape("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escape("a\nb\tc\rd\0"), "a\\nb\\tc\\rd\\u{0}");
        assert_eq!(escape("\u{9b}31m\u{7f}"), "\\u{9b}31m\\u{7f}");
        assert_eq!(escape("x\u{202e}gpj.exe"), "x\\u{202e}gpj.exe");
        assert_eq!(escape("\u{2066}\u{2069}\u{200b}"), "\\u{2066}\\u{2069}\\u{200b}");
        assert_eq!(escape_bytes(b"a\xff\xc3(\xc3\xbc"), "a\\xff\\xc3(\u{fc}");
    }

    #[test]
    fn a_name_that_looks_like_an_escape_differs_from_the_escape() {
        assert_ne!(escape("\\u{1b}"), escape("\x1b"));
        assert_ne!(escape_bytes(b"\\xff"), escape_bytes(b"\xff"));
    }

    #[test]
    fn a_sentence_keeps_the_escapes_it_has() {
        assert_eq!(one_line("bad \\u{1b}\x1b\nend"), "bad \\u{1b}\\u{1b}\\nend");
    }

    #[test]
    fn sizes_read_well_at_every_edge() {
        for (bytes, words) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1025, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (1_610_612_736, "1.5 GiB"),
            (1 << 40, "1 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), words);
        }
    }

    #[test]
    fn durations_and_times_read_well() {
        assert_eq!(duration(Duration::from_millis(449)), "0.4 s");
        assert_eq!(duration(Duration::from_millis(59_949)), "59.9 s");
        assert_eq!(duration(Duration::from_millis(59_960)), "1 min 00 s");
        assert_eq!(duration(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(duration(Duration::from_secs(3900)), "1 h 05 min");
        assert_eq!(time(1_795_415_233), "2026-11-23T06:27:13Z");
        assert_eq!(time(i64::MIN), format!("@{}", i64::MIN));
    }
}
