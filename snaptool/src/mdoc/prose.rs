//! Help texts as mdoc: sentences on lines of their own, and macros for what has a meaning.

use super::escape;

/// Longer lines of text are broken.
const WIDTH: usize = 78;

/// Turns help texts into lines of mdoc.
pub(super) struct Prose<'a> {
    /// The names of arguments, which texts use.
    pub(super) names: &'a [String],
    pub(super) out: &'a mut Vec<String>,
}

impl Prose<'_> {
    /// Paragraphs, with something between each two.
    pub(super) fn paragraphs(&mut self, words: &str) {
        for (number, paragraph) in words.split("\n\n").enumerate() {
            if number > 0 {
                self.out.push(".Pp".to_owned());
            }
            self.lines(paragraph);
        }
    }

    /// A paragraph: lines that begin with blanks are items or examples.
    fn lines(&mut self, paragraph: &str) {
        let mut lines = paragraph.lines().peekable();
        let mut after_list = false;
        while let Some(first) = lines.next() {
            let indented = first.starts_with("  ");
            if after_list {
                self.out.push(".Pp".to_owned());
            }
            after_list = indented;
            let mut block = vec![first];
            while let Some(next) = lines.next_if(|line| line.starts_with("  ") == indented) {
                block.push(next);
            }
            if !indented {
                self.sentences(&block.join(" "));
            } else if block.iter().any(|line| item(line).is_some()) {
                self.items(&block);
            } else {
                self.examples(&block);
            }
        }
    }

    fn items(&mut self, lines: &[&str]) {
        self.out.push(".Bl -tag -width indent -compact".to_owned());
        let mut body = String::new();
        for line in lines {
            if let Some((tag, words)) = item(line) {
                self.sentences(&std::mem::take(&mut body));
                self.out.push(format!(".It {}", escape::argument(tag)));
                body.push_str(words);
            } else {
                body.push(' ');
                body.push_str(line.trim());
            }
        }
        self.sentences(&body);
        self.out.push(".El".to_owned());
    }

    fn examples(&mut self, lines: &[&str]) {
        self.out.push(".Bd -literal -offset indent".to_owned());
        let blanks = |line: &&str| line.len() - line.trim_start().len();
        let margin = lines.iter().map(blanks).min().unwrap_or(0);
        for line in lines {
            self.out.push(escape::line(line.get(margin..).unwrap_or(line)));
        }
        self.out.push(".Ed".to_owned());
    }

    /// Running text.
    pub(super) fn sentences(&mut self, words: &str) {
        let mut line = String::new();
        for token in tokens(words) {
            let (open, core, close) = peel(token);
            let known = self.meaning(core).filter(|_| open.len() <= 1);
            let ends = close.ends_with(['.', '?', '!']) && !token.ends_with("...");
            if let Some((name, arguments)) = known {
                self.flush(&mut line);
                let mut words = vec![format!(".{name}")];
                if !open.is_empty() {
                    // The delimiter goes first, then the macro again.
                    words = vec![".No".to_owned(), open.to_owned(), name.to_owned()];
                }
                words.extend(arguments);
                words.extend(close.chars().map(String::from));
                self.out.push(words.join(" "));
                continue;
            }
            let word = escape::text(&plain(token));
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
                self.flush(&mut line);
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
            if ends {
                self.flush(&mut line);
            }
        }
        self.flush(&mut line);
    }

    fn flush(&mut self, line: &mut String) {
        if !line.is_empty() {
            let begins = if line.starts_with('.') { "\\&" } else { "" };
            self.out.push(format!("{begins}{line}"));
            line.clear();
        }
    }

    /// The macro for a word that has a meaning, with its arguments.
    fn meaning(&self, word: &str) -> Option<(&'static str, Vec<String>)> {
        if let Some(code) = word.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
            return (!code.is_empty() && !code.contains('`'))
                .then(|| ("Ql", vec![escape::argument(code)]));
        }
        if let Some(flag) = word.strip_prefix("--") {
            let named = flag.starts_with(|c: char| c.is_ascii_lowercase())
                && flag.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            return named.then(|| ("Fl", vec![format!("\\-{}", escape::text(flag))]));
        }
        if let Some((page, section)) = word.strip_suffix(')').and_then(|w| w.split_once('(')) {
            let named = page.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let numbered = section.len() == 1 && section.chars().all(|c| c.is_ascii_digit());
            return (named && numbered && !page.is_empty())
                .then(|| ("Xr", vec![escape::argument(page), section.to_owned()]));
        }
        self.names.iter().any(|name| name == word).then(|| ("Ar", vec![escape::argument(word)]))
    }
}

/// `  0  words`: a number and what it means.
fn item(line: &str) -> Option<(&str, &str)> {
    let (tag, words) = line.trim_start().split_once("  ")?;
    tag.bytes().all(|b| b.is_ascii_digit()).then_some((tag, words.trim_start()))
}

/// Splits at blanks, but not within backticks.
fn tokens(words: &str) -> Vec<&str> {
    let mut quoted = false;
    words
        .split(move |c: char| {
            quoted ^= c == '`';
            c.is_whitespace() && !quoted
        })
        .filter(|token| !token.is_empty())
        .collect()
}

/// A word without the punctuation around it; a page's section belongs to it.
fn peel(token: &str) -> (&str, &str, &str) {
    let core = token.trim_start_matches(['(', '[']);
    let (open, _) = token.split_at(token.len() - core.len());
    let mut end = core.len();
    while let Some(c) = core.get(..end).and_then(|left| left.chars().next_back()) {
        let inner = core.get(..end).unwrap_or_default();
        let closes_own = c == ')' && inner.matches('(').count() == inner.matches(')').count();
        if closes_own || !".,:;)]?!".contains(c) {
            break;
        }
        end -= c.len_utf8();
    }
    let (core, close) = core.split_at(end);
    (open, core, close)
}

/// A word that mixes text and backticks: those become quotes.
fn plain(token: &str) -> String {
    let mut quotes = ['\u{2018}', '\u{2019}'].into_iter().cycle();
    token.chars().map(|c| if c == '`' { quotes.next().unwrap_or(c) } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prose(words: &str) -> String {
        let (names, mut out) = (["FILE".to_owned()], Vec::new());
        Prose { names: &names, out: &mut out }.paragraphs(words);
        out.join("\n")
    }

    #[test]
    fn what_has_a_meaning_gets_its_macro() {
        let page = prose("Reads FILE, or `-` (see bhyve(8)); with --map, `a b`'s maps. (`x`) ok");
        let expected = "Reads\n.Ar FILE ,\nor\n.Ql \\-\n(see\n.Xr bhyve 8 ) ;\nwith\n.Fl \\-map ,\n\
            \\[u2018]a b\\[u2019]\\(aqs maps.\n.No ( Ql x )\nok";
        assert_eq!(page, expected);
    }

    #[test]
    fn sentences_begin_lines_and_paragraphs_are_apart() {
        let page = prose("One. Two-fold?\nThree\n\n.kern first");
        assert_eq!(page, "One.\nTwo\\-fold?\nThree\n.Pp\n\\&.kern first");
    }

    #[test]
    fn lines_with_blanks_are_items_or_examples() {
        let page = prose("Exit status:\n  0  good\n     or well\n  1  bad\nSo:\n  a -b\n    .c");
        let expected = "Exit status:\n.Bl -tag -width indent -compact\n.It 0\ngood or well\n.It 1\n\
            bad\n.El\n.Pp\nSo:\n.Bd -literal -offset indent\na \\-b\n  .c\n.Ed";
        assert_eq!(page, expected);
    }
}
