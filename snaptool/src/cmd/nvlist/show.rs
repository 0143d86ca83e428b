//! A list for people: one line per pair, nested lists indented, everything safe to print.
//!
//! Names and strings come from a file nobody vouches for: whatever is not printable is escaped, and
//! what is long is cut and says so. Recursion as deep as the list, which its reader bounds.

use std::io::{self, Write};

use snapfmt::nvlist::{Pair, Value, View};

/// Bytes of a string that are shown.
const STRING_SHOWN: usize = 256;
/// Bytes of a binary that are shown.
const BINARY_SHOWN: usize = 64;
/// Bytes of a binary in a line.
const BINARY_LINE: usize = 16;
/// Items of an array that are shown, lists excepted.
const ITEMS_SHOWN: usize = 16;

/// Shows a list.
///
/// # Errors
///
/// Those of `out`.
pub fn show(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "nvlist{}", flags(view))?;
    pairs(view, 1, out)
}

fn flags(view: &View<'_>) -> &'static str {
    match (view.flags().ignore_case, view.flags().no_unique) {
        (false, false) if view.is_empty() => " (empty)",
        (false, false) => "",
        (true, false) => " (ignores case)",
        (false, true) => " (names not unique)",
        (true, true) => " (ignores case, names not unique)",
    }
}

fn indent(level: usize, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{:width$}", "", width = level * 2)
}

fn pairs(view: &View<'_>, level: usize, out: &mut dyn Write) -> io::Result<()> {
    view.pairs().try_for_each(|pair| one(&pair, level, out))
}

fn one(pair: &Pair<'_>, level: usize, out: &mut dyn Write) -> io::Result<()> {
    indent(level, out)?;
    write!(out, "\"{}\": {}", escape(pair.name), pair.value.kind())?;
    match &pair.value {
        Value::Null => writeln!(out),
        Value::Bool(value) => writeln!(out, " {value}"),
        Value::Number(number) => writeln!(out, " {}", decimal_and_hex(*number)),
        Value::String(bytes) => writeln!(out, " {}", quoted(bytes)),
        Value::Descriptor(index) => writeln!(out, " #{index}"),
        Value::Nvlist(view) => {
            writeln!(out, "{}", flags(view))?;
            pairs(view, level + 1, out)
        }
        Value::NvlistArray(items) => {
            writeln!(out, " of {}", items.len())?;
            for (i, view) in items.clone().enumerate() {
                indent(level + 1, out)?;
                writeln!(out, "[{i}]{}", flags(&view))?;
                pairs(&view, level + 2, out)?;
            }
            Ok(())
        }
        Value::Binary(bytes) => {
            writeln!(out, " of {} bytes", bytes.len())?;
            dump(bytes, level + 1, out)
        }
        Value::BoolArray(items) => array(items.clone().map(|item| item.to_string()), out),
        Value::NumberArray(items) => array(items.clone().map(decimal_and_hex), out),
        Value::StringArray(items) => array(items.clone().map(quoted), out),
        Value::DescriptorArray(items) => array(items.clone().map(|item| format!("#{item}")), out),
    }
}

fn array(mut items: impl ExactSizeIterator<Item = String>, out: &mut dyn Write) -> io::Result<()> {
    write!(out, " of {}:", items.len())?;
    for item in items.by_ref().take(ITEMS_SHOWN) {
        write!(out, " {item}")?;
    }
    more(items.len(), "", out)?;
    writeln!(out)
}

fn more(left: usize, what: &str, out: &mut dyn Write) -> io::Result<()> {
    if left == 0 { Ok(()) } else { write!(out, " … {left} more{what}") }
}

/// Flags and addresses read better in hexadecimal, counts in decimal; small numbers need no choice.
fn decimal_and_hex(number: u64) -> String {
    if number < 256 { number.to_string() } else { format!("{number} ({number:#x})") }
}

fn dump(bytes: &[u8], level: usize, out: &mut dyn Write) -> io::Result<()> {
    let shown = bytes.get(..BINARY_SHOWN).unwrap_or(bytes);
    for (i, line) in shown.chunks(BINARY_LINE).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = line.iter().map(|byte| printable(*byte)).collect();
        indent(level, out)?;
        writeln!(out, "{:06x}  {:<47}  {text}", i * BINARY_LINE, hex.join(" "))?;
    }
    let left = bytes.len() - shown.len();
    if left > 0 {
        indent(level, out)?;
        writeln!(out, "… {left} more bytes")?;
    }
    Ok(())
}

fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' }
}

fn quoted(bytes: &[u8]) -> String {
    match bytes.get(..STRING_SHOWN) {
        Some(shown) if shown.len() < bytes.len() => {
            format!("\"{}\" … {} more bytes", escape(shown), bytes.len() - shown.len())
        }
        _ => format!("\"{}\"", escape(bytes)),
    }
}

/// Text with everything escaped that could act on a terminal, and bytes that are no text.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' => text.push(c),
                _ => text.extend(c.escape_debug()),
            }
        }
        text.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    text
}
