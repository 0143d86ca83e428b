//! Why a side cannot go on, as it is told to the other one (§11.1).

use std::fmt;

use super::message::Trouble;

impl Trouble {
    /// With a code of §11.1, and a sentence.
    pub fn new(code: &str, words: impl Into<String>) -> Self {
        Self { code: code.to_owned(), words: words.into(), hint: None, lines: Vec::new() }
    }

    /// With what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With findings and the like.
    #[must_use]
    pub fn lines(self, lines: Vec<String>) -> Self {
        Self { lines, ..self }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Trouble {}
