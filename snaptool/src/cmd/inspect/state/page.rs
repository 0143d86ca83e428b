//! Lines for people, folded at the width of the screen.
//!
//! Knows nothing of snapshots. Whatever is put here has to be safe for a terminal already.

use std::io::{self, Write};

use super::super::table::Table;

/// Columns of an output that is no terminal, or of a terminal that does not tell.
pub(in crate::cmd) const WIDTH: usize = 80;

/// The columns that are used of a screen: below, nothing can be read; above, lines are too long.
const USED: std::ops::RangeInclusive<usize> = 40..=132;

/// The least width of the column of names.
const NAMES: usize = 10;

/// Lines in the making.
pub(in crate::cmd) struct Page {
    width: usize,
    lines: Vec<String>,
}

impl Page {
    pub(in crate::cmd) fn new(width: usize) -> Self {
        Self { width: width.clamp(*USED.start(), *USED.end()), lines: Vec::new() }
    }

    /// What the next lines are about, after an empty line.
    pub(super) fn head(&mut self, title: &str) {
        if !self.lines.is_empty() {
            self.lines.push(String::new());
        }
        self.lines.push(title.to_owned());
    }

    /// A sentence.
    pub(super) fn line(&mut self, text: &str) {
        self.fold("  ", text, 4);
    }

    /// A name and its value. What does not fit goes on under the value.
    pub(super) fn pair(&mut self, name: &str, value: impl AsRef<str>) {
        let start = format!("  {name:<NAMES$}  ");
        let indent = start.chars().count().min(16);
        self.fold(&start, value.as_ref(), indent);
    }

    /// As [`pair`](Self::pair), if there is a value.
    pub(super) fn some(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.pair(name, value);
        }
    }

    /// A table. Its rows are not folded.
    pub(super) fn table(&mut self, table: &Table) {
        let mut text = Vec::new();
        // Writing to memory cannot fail.
        if table.print(&mut text).is_ok() {
            self.lines.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
        }
    }

    /// Prints the lines; each begins with `mark` that is not empty.
    pub(super) fn print(&self, mark: &str, out: &mut dyn Write) -> io::Result<()> {
        for line in &self.lines {
            let mark = if line.is_empty() { "" } else { mark };
            writeln!(out, "{mark}{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Breaks `start` and the words of `text` into lines.
    fn fold(&mut self, start: &str, text: &str, indent: usize) {
        let mut line = start.to_owned();
        let mut empty = true;
        for word in text.split(' ') {
            let columns = line.chars().count() + word.chars().count() + usize::from(!empty);
            if !empty && columns > self.width {
                self.lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.lines.push(line);
    }
}

/// Cuts a line where the screen ends.
pub(super) fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let kept: String = line.chars().take(width.saturating_sub(3)).collect();
    format!("{}...", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(width: usize, draw: impl Fn(&mut Page)) -> Vec<String> {
        let mut page = Page::new(width);
        draw(&mut page);
        let mut out = Vec::new();
        page.print("", &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_value_goes_on_under_itself() {
        let words = "word ".repeat(12);
        let shown = lines(40, |page| page.pair("name", words.trim_end()));
        assert_eq!(shown[0], "  name        word word word word word");
        assert_eq!(shown[1], "              word word word word word");
        assert!(shown.iter().all(|line| line.chars().count() <= 40));
    }

    #[test]
    fn a_word_that_is_too_long_is_not_lost() {
        let shown = lines(40, |page| page.line(&format!("a {} b", "x".repeat(90))));
        assert_eq!(
            shown,
            ["  a".to_owned(), format!("    {}", "x".repeat(90)), "    b".to_owned()]
        );
    }

    #[test]
    fn odd_screens_get_lines_that_can_be_read() {
        for width in [0, 1, usize::MAX] {
            let shown = lines(width, |page| page.line(&"word ".repeat(60)));
            assert!(shown.iter().all(|line| (30..=132).contains(&line.len()) || line.len() < 40));
        }
    }

    #[test]
    fn a_cut_line_says_so() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abc...");
    }
}
