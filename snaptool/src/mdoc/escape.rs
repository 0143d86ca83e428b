//! Text as roff takes it: without a character that means something.

use std::fmt::Write as _;

/// The characters that mdoc sets without a blank before or behind them if they are arguments.
const DELIMITERS: &str = ".,:;()[]?!|";

/// Text within a line. Every hyphen is one that can be copied to a command line.
pub(super) fn text(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '`' => out.push_str("\\(ga"),
            '\'' => out.push_str("\\(aq"),
            '"' => out.push_str("\\(dq"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            c if c.is_ascii_graphic() || c == ' ' => out.push(c),
            c if c.is_control() => out.push(' '),
            c => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\[u{:04X}]", u32::from(c));
            }
        }
    }
    out
}

/// A whole line of text: one that begins like a request is none.
pub(super) fn line(words: &str) -> String {
    let text = text(words);
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

/// One argument of a macro: never a macro, nor a delimiter, nor two arguments.
pub(super) fn argument(words: &str) -> String {
    let text = text(words);
    if text.is_empty() || words.chars().all(|c| DELIMITERS.contains(c)) || is_callable(words) {
        return format!("\\&{text}");
    }
    if text.contains(' ') { format!("\"{text}\"") } else { text }
}

/// Whether it looks like a macro: two or three letters, the first a capital. Too many may.
fn is_callable(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_uppercase() || b == b'%')
        && matches!(bytes.len(), 1 | 2)
        && bytes.all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_roff_would_take_for_its_own_is_escaped() {
        assert_eq!(text(r"a\b --c 'd'"), r"a\eb \-\-c \(aqd\(aq");
        assert_eq!(line(".Sh X"), r"\&.Sh X");
        assert_eq!(line("'x"), r"\(aqx");
        assert_eq!(line("§4.8\tb"), r"\[u00A7]4.8 b");
    }

    #[test]
    fn an_argument_stays_one_argument_and_no_macro() {
        assert_eq!(argument("FILE|-"), r"FILE|\-");
        assert_eq!(argument("|"), r"\&|");
        assert_eq!(argument(""), r"\&");
        assert_eq!(argument("Op"), r"\&Op");
        assert_eq!(argument("No Op \""), r#""No Op \(dq""#);
        assert_eq!(argument(".kern"), ".kern");
    }
}
