//! A command in the words of a person, with `{}` where a path or a name belongs.
//!
//! The shell runs the words as they are. `{}` becomes a positional parameter, quoted as its place
//! needs it, so that no byte of what it stands for is ever read as the shell's language.

use std::ffi::OsStr;
use std::process::Command;

/// What stands for the path.
const PLACE: &str = "{}";

/// Words by which the shell does more than run one program.
const COMPOUND: &[char] = &[';', '&', '|', '(', ')', '<', '>', '`', '$', '\n', '!', '{', '}', '='];

/// Commands that the shell itself has, or that change what a command is.
const KEYWORDS: [&str; 17] = [
    "if", "for", "while", "until", "case", "function", ".", "eval", "exec", "command", "set",
    "trap", "test", "[", "time", "exit", ":",
];

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    given: String,
    shell: String,
    places: usize,
}

/// Why words are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// There are none.
    #[error("the command is empty")]
    Empty,
    /// A command line cannot have one.
    #[error("the command has a NUL byte")]
    Nul,
    /// A quotation that does not end.
    #[error("a quotation mark is missing in the command")]
    Unclosed,
    /// It does not say where the path belongs.
    #[error("the command does not say with {{}} where the snapshot's path belongs")]
    NoPlace,
}

/// Where in the shell's quotations a word is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

impl Script {
    /// A command; `{}` in it, if there is any, stands for the argument that it is run with.
    ///
    /// # Errors
    /// If the shell could not run it.
    pub fn parse(given: &str) -> Result<Self, ScriptError> {
        if given.trim().is_empty() {
            return Err(ScriptError::Empty);
        }
        if given.contains('\0') {
            return Err(ScriptError::Nul);
        }
        let (mut shell, mut quote, mut places) = (String::new(), Quote::None, 0);
        let mut rest = given;
        while let Some(next) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix(PLACE) {
                shell.push_str(match quote {
                    Quote::None => "\"$1\"",
                    Quote::Double => "${1}",
                    // Leaves the quotation for the parameter and takes it up again.
                    Quote::Single => "'\"$1\"'",
                });
                places += 1;
                rest = after;
                continue;
            }
            shell.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
            quote = match (quote, next) {
                (Quote::None, '\'') => Quote::Single,
                (Quote::None, '"') => Quote::Double,
                (Quote::Single, '\'') | (Quote::Double, '"') => Quote::None,
                (Quote::None | Quote::Double, '\\') => {
                    if let Some(escaped) = rest.chars().next() {
                        shell.push(escaped);
                        rest = rest.get(escaped.len_utf8()..).unwrap_or_default();
                    }
                    quote
                }
                (same, _) => same,
            };
        }
        if quote != Quote::None {
            return Err(ScriptError::Unclosed);
        }
        Ok(Self { given: given.to_owned(), shell, places })
    }

    /// A command that starts a VM: it must say where the path belongs.
    ///
    /// # Errors
    /// If it does not, or is no command.
    pub fn with_place(given: &str) -> Result<Self, ScriptError> {
        let script = Self::parse(given)?;
        if script.places == 0 { Err(ScriptError::NoPlace) } else { Ok(script) }
    }

    /// The words as they were given.
    #[must_use]
    pub fn given(&self) -> &str {
        &self.given
    }

    /// The program that it runs, if it is one program and nothing else.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        let plain = self.given.replace(PLACE, "");
        let first = self.given.split_whitespace().next()?;
        let odd = first.contains(['"', '\'', '\\', '*', '?', '~', '#']) || first.contains(PLACE);
        let simple = !odd && !plain.contains(COMPOUND) && !KEYWORDS.contains(&first);
        simple.then_some(first)
    }

    /// The command as the shell runs it. SIGHUP is ignored, by all that it starts too: the end of a
    /// terminal or a connection ends no VM.
    pub(super) fn command(&self, argument: &OsStr) -> Command {
        shell(&format!("trap '' HUP\n{}", self.shell), argument)
    }
}

/// Words of the shell, run with an argument.
pub(super) fn shell(words: &str, argument: &OsStr) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(words).arg("sh").arg(argument);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(given: &str, argument: &str) -> String {
        let script = Script::with_place(given).unwrap();
        let output = script.command(OsStr::new(argument)).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_path_is_one_word_whatever_is_in_it_and_wherever_it_stands() {
        let path = "/a b/'\"$(echo no);*`x`\\{}";
        for given in [
            "printf '<%s>' {}",
            "printf '<%s>' \"{}\"",
            "printf '<%s>' '{}'",
            "printf '<%s>' \\\"x {}| sed 's/<\"x>//'",
        ] {
            assert_eq!(said(given, path), format!("<{path}>"), "{given}");
        }
        assert_eq!(said("printf '<%s>' \"{}1\" '{}.x' {}2", "/p"), "</p1></p.x></p2>");
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert_eq!(Script::parse(" \n"), Err(ScriptError::Empty));
        assert_eq!(Script::parse("a\0"), Err(ScriptError::Nul));
        assert_eq!(Script::parse("a 'b {}"), Err(ScriptError::Unclosed));
        assert_eq!(Script::parse("a \"b\\\""), Err(ScriptError::Unclosed));
        assert_eq!(Script::with_place("bhyve vm"), Err(ScriptError::NoPlace));
        assert!(Script::parse("bhyve 'vm'").is_ok());
    }

    #[test]
    fn only_one_plain_program_is_known_by_its_name() {
        let program = |given: &str| Script::parse(given).unwrap().program().map(str::to_owned);
        assert_eq!(program("bhyve -r {} vm").as_deref(), Some("bhyve"));
        assert_eq!(program("/usr/sbin/bhyve -s '0,a b'").as_deref(), Some("/usr/sbin/bhyve"));
        for given in ["a; b", "A=1 b", "a && b", "(a)", "$X", "if a", "exec a", "a > b", "{} a"] {
            assert_eq!(program(given), None, "{given}");
        }
    }

    #[test]
    fn a_command_outlives_the_end_of_its_terminal() {
        let script = Script::parse("kill -HUP $$; echo lives").unwrap();
        let output = script.command(OsStr::new("")).output().unwrap();
        assert_eq!(output.stdout, b"lives\n");
    }
}
