//! Splitting a saved command line as a shell would. Nothing is expanded and nothing is run.

/// Splits a text into commands of words.
///
/// Quotes, backslashes, continued lines and comments are understood; variables and substitutions
/// stay as they are written. An open quote ends with the text.
pub(super) fn commands(text: &str) -> Vec<Vec<String>> {
    let mut splitter = Splitter::default();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some('\r') if chars.peek() == Some(&'\n') => {
                    chars.next();
                }
                Some(escaped) => splitter.push(escaped),
            },
            '\'' => {
                splitter.open();
                for quoted in chars.by_ref().take_while(|&quoted| quoted != '\'') {
                    splitter.push(quoted);
                }
            }
            '"' => {
                splitter.open();
                while let Some(quoted) = chars.next().filter(|&quoted| quoted != '"') {
                    match (quoted, chars.peek()) {
                        ('\\', Some('\n')) => {
                            chars.next();
                        }
                        ('\\', Some(&escaped @ ('"' | '\\' | '$' | '`'))) => {
                            chars.next();
                            splitter.push(escaped);
                        }
                        _ => splitter.push(quoted),
                    }
                }
            }
            '#' if splitter.word.is_none() => {
                for _ in chars.by_ref().take_while(|&comment| comment != '\n') {}
                splitter.end_command();
            }
            '\n' | ';' | '&' | '|' => splitter.end_command(),
            c if c.is_whitespace() => splitter.end_word(),
            c => splitter.push(c),
        }
    }
    splitter.end_command();
    splitter.commands
}

#[derive(Default)]
struct Splitter {
    word: Option<String>,
    command: Vec<String>,
    commands: Vec<Vec<String>>,
}

impl Splitter {
    /// Begins a word, which may stay empty.
    fn open(&mut self) {
        self.word.get_or_insert_default();
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end_word(&mut self) {
        self.command.extend(self.word.take());
    }

    fn end_command(&mut self) {
        self.end_word();
        if !self.command.is_empty() {
            self.commands.push(std::mem::take(&mut self.command));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let text = "# start\nload a; sudo bhyve -c 2 \\\n \
            -s '3,virtio-blk,/a b' \"\" x\\ \"y\\\"\" # end";
        assert_eq!(
            commands(text),
            [
                vec!["load", "a"],
                vec!["sudo", "bhyve", "-c", "2", "-s", "3,virtio-blk,/a b", "", "x y\""]
            ]
        );
    }

    #[test]
    fn an_open_quote_or_a_last_backslash_ends_with_the_text() {
        assert_eq!(commands("a 'b c"), [vec!["a", "b c"]]);
        assert_eq!(commands("a \"b\\"), [vec!["a", "b\\"]]);
        assert_eq!(commands("a \\"), [vec!["a"]]);
    }
}
