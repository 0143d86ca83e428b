//! Words for a shell that we do not know: the login shell of a user on another host.

/// A word as any of sh, csh, tcsh, zsh and fish takes it for exactly these characters.
///
/// Within single quotes csh still replaces `!`, and fish takes a backslash for an escape: these two
/// and the quote itself stand outside, behind a backslash, where all of them agree. No shell is
/// asked to carry control characters; see [`Dest`](super::Dest).
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("'");
    for c in word.chars() {
        if matches!(c, '\'' | '\\' | '!') {
            out.push_str("'\\");
            out.push(c);
            out.push('\'');
        } else {
            out.push(c);
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn plain_words_stay_as_they_are() {
        for word in ["/vm/a", "migrate", "a-b_c.d+e,f:g@h%i"] {
            assert_eq!(quoted(word), word);
        }
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's!"), r"'it'\''s'\!''");
    }

    #[test]
    fn a_shell_gives_back_every_character() {
        let all: String = (' '..='~').chain("äß€\u{1f600}".chars()).collect();
        let words =
            [&all, "$(touch x)", "`id`", "; rm -r .", "-n", "~", "*", "a\\'b\\\\", "#x", "!!"];
        for word in words {
            let script = format!("printf %s {}", quoted(&format!("+{word}")));
            let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("+{word}"));
        }
    }
}
