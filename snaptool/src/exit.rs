//! How the program ends: its answer, its exit code, and what it says when it is in trouble.
//!
//! | ends with | means |
//! |---|---|
//! | 0 | yes |
//! | 1 | no: invalid, or different |
//! | 2 | trouble: no answer could be found; stderr says why |
//! | a signal | it was told to stop, or the reader of its stdout went away (SIGPIPE) |
//!
//! Death by signal is real, by the signal's default action, so that shells and scripts see what
//! they expect (130 for Ctrl-C, 141 for a closed pipe); it comes after every destructor has run.

use std::error::Error;
use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::OnceLock;

use crate::signal::{Stop, Stopped};
use crate::text;

static PROGRAM: OnceLock<&'static str> = OnceLock::new();

/// Says which program this is, for what goes to stderr. Once, from `main`; `snaptool` otherwise.
pub fn program_is(name: &'static str) {
    // The first name stands.
    let _ = PROGRAM.set(name);
}

/// The name of this program.
#[must_use]
pub fn program() -> &'static str {
    PROGRAM.get().copied().unwrap_or("snaptool")
}

/// What a command found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so: valid, the same, done.
    Yes,
    /// It is not so: invalid, different. The details are on stdout.
    No,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::SUCCESS,
            Answer::No => Self::from(1),
        }
    }
}

/// An error for people: one sentence, and what they could do about it.
#[derive(Debug)]
pub struct Trouble {
    message: String,
    hints: Vec<String>,
    cause: Option<anyhow::Error>,
}

impl Trouble {
    /// One line, lower case, no full stop.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), cause: None }
    }

    /// Adds what the reader could do; each hint gets a line of its own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds why; it is shown on the same line, after a colon.
    #[must_use]
    pub fn because(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Trouble {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| -> &(dyn Error + 'static) { cause })
    }
}

impl From<Trouble> for io::Error {
    fn from(trouble: Trouble) -> Self {
        Self::other(trouble)
    }
}

/// Hints for any error on its way up.
pub trait Hint<T> {
    /// Adds what the reader could do about it.
    ///
    /// # Errors
    /// The same as before, with the hint.
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| {
            let error = error.into();
            // The message is repeated by the cause; `line` drops the repetition.
            Trouble::new(error.to_string()).hint(hint).because(error).into()
        })
    }
}

/// Every error in the chain, also those that an `io::Error` hides inside itself.
fn causes(error: &anyhow::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    error.chain().flat_map(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        [Some(cause), inner.map(|inner| -> &(dyn Error + 'static) { inner })].into_iter().flatten()
    })
}

/// The whole chain on one line, outermost first, joined by `: `, nothing said twice.
#[must_use]
pub fn line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let words = text::one_line(without_errno(&cause.to_string()));
        if words.is_empty() || line.ends_with(&words) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&words);
    }
    line
}

/// `std` ends a system error with ` (os error 2)`, which helps nobody.
fn without_errno(words: &str) -> &str {
    words.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (os error ")).map_or(words, |p| p.0)
}

/// All hints of the chain, outermost first.
#[must_use]
pub fn hints(error: &anyhow::Error) -> Vec<String> {
    let mut all = Vec::new();
    for trouble in causes(error).filter_map(|cause| cause.downcast_ref::<Trouble>()) {
        for hint in &trouble.hints {
            let hint = text::one_line(hint);
            if !all.contains(&hint) {
                all.push(hint);
            }
        }
    }
    all
}

/// Says on stderr what went wrong. If stderr is gone too, there is nobody left to tell.
pub fn report(error: &anyhow::Error) {
    let program = program();
    let mut words = format!("{program}: error: {}\n", line(error));
    for hint in hints(error) {
        words.push_str(program);
        words.push_str(": hint: ");
        words.push_str(&hint);
        words.push('\n');
    }
    let _ = io::stderr().lock().write_all(words.as_bytes());
}

/// Says something on stderr that is no error, as `snaptool: note: …`.
pub fn note(words: &str) {
    say("note", words);
}

/// Says something on stderr that is no error, and that should not be overlooked.
pub fn warn(words: &str) {
    say("warning", words);
}

fn say(what: &str, words: &str) {
    let words = format!("{}: {what}: {}\n", program(), text::one_line(words));
    let _ = io::stderr().lock().write_all(words.as_bytes());
}

/// Whether the error is only that nobody reads our stdout any more.
///
/// A broken pipe elsewhere is not told this way: `output` gives that error words of its own.
fn reader_gone(error: &anyhow::Error) -> bool {
    causes(error).any(|cause| {
        let kind = cause
            .downcast_ref::<io::Error>()
            .map(io::Error::kind)
            .or_else(|| cause.downcast_ref::<serde_json::Error>().and_then(|e| e.io_error_kind()));
        kind == Some(io::ErrorKind::BrokenPipe)
    })
}

/// Runs the program and turns its result into the way it ends. Call it from `main` and return it.
///
/// All that `program` owned is gone when the process dies by a signal, so no temporary stays.
#[must_use]
pub fn run(program: impl FnOnce(&Stop) -> anyhow::Result<Answer>) -> ExitCode {
    let result = Stop::install().map_err(anyhow::Error::from).and_then(|stop| program(&stop));
    let result = result.and_then(|answer| {
        // `std` keeps the last line of stdout in a buffer and loses errors when it flushes at exit.
        io::stdout().flush()?;
        Ok(answer)
    });
    let error = match result {
        Ok(answer) => return answer.into(),
        Err(error) => error,
    };
    if let Some(stopped) = causes(&error).find_map(|cause| cause.downcast_ref::<Stopped>()) {
        stopped.die();
    } else if reader_gone(&error) {
        Stopped::by_closed_pipe().die();
    } else {
        report(&error);
    }
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn missing() -> io::Error {
        io::Error::from_raw_os_error(2)
    }

    #[test]
    fn a_chain_becomes_one_line_without_repetition_or_errno() {
        let error = anyhow::Error::from(missing()).context("cannot open a").context("cannot pack");
        assert_eq!(line(&error), "cannot pack: cannot open a: No such file or directory");
        let error = Err::<(), _>(error).hint("try b").unwrap_err();
        assert_eq!(line(&error), "cannot pack: cannot open a: No such file or directory");
        assert_eq!(hints(&error), ["try b"]);
    }

    #[test]
    fn a_line_stays_one_line_whatever_the_error_says() {
        let error = anyhow::anyhow!("bad name a\nsnaptool: hint: run rm\x1b[2J");
        assert_eq!(line(&error), "bad name a\\nsnaptool: hint: run rm\\u{1b}[2J");
    }

    #[test]
    fn hints_survive_contexts_and_io_errors() {
        let inner = io::Error::from(Trouble::new("no room").hint("make room").because(missing()));
        let error = Err::<(), _>(inner).context("cannot write x").hint("elsewhere").unwrap_err();
        assert_eq!(line(&error), "cannot write x: no room: No such file or directory");
        assert_eq!(hints(&error), ["elsewhere", "make room"]);
    }

    #[test]
    fn a_closed_stdout_is_seen_through_every_wrapping() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(reader_gone(&anyhow::Error::from(broken()).context("printing")));
        assert!(reader_gone(&Trouble::new("x").because(broken()).into()));
        assert!(reader_gone(&serde_json::Error::io(broken()).into()));
        assert!(!reader_gone(&missing().into()));
    }

    #[test]
    fn a_stop_is_found_inside_an_io_error() {
        let error = anyhow::Error::from(io::Error::other(Stopped::by_closed_pipe())).context("x");
        assert!(causes(&error).any(|cause| cause.is::<Stopped>()));
    }
}
