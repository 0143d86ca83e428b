//! What a command was given: a snapshot file, a snapshot in a pipe, or bhyve's three files.

use std::io;
use std::path::Path;

use snapfmt::layout::header;
use snapfmt::layout::kind::Kind;
use snapfmt::read::ReadAt;
use snapfmt::{Error, Fault, Section};

use crate::input::{FileInput, Input, StreamInput};
use crate::signal::Stop;
use crate::three::{ThreeFiles, part_of_a_set};

/// An input, by what can be done with it.
#[derive(Debug)]
pub enum Source {
    /// One file, which may be read at any position.
    File(FileInput),
    /// One file from a pipe, which may be read once.
    Stream(StreamInput),
    /// Guest RAM with `.kern` and `.meta` beside it.
    ThreeFiles(Box<ThreeFiles>),
}

impl Source {
    /// Opens `path`. What does not begin like a snapshot file and has a `.meta` or a `.kern` beside
    /// it is taken for the RAM of three files.
    ///
    /// # Errors
    /// What cannot be opened or read.
    pub fn open(path: &Path, stop: &Stop) -> anyhow::Result<Self> {
        if path.as_os_str() != "-" && ThreeFiles::beside(path) && !begins_like_one(path, stop)? {
            return Ok(Self::ThreeFiles(Box::new(ThreeFiles::open(path, stop)?)));
        }
        Ok(match Input::open(path, stop)? {
            Input::File(file) => Self::File(file),
            Input::Stream(stream) => Self::Stream(stream),
        })
    }
}

/// Whether the file begins with the magic of a snapshot file. One that is not there does not.
fn begins_like_one(path: &Path, stop: &Stop) -> anyhow::Result<bool> {
    if !path.is_file() {
        return Ok(false);
    }
    let Input::File(file) = Input::open(path, stop)? else { return Ok(false) };
    let mut magic = [0; header::MAGIC.len()];
    let long = file.len() >= magic.len() as u64;
    if long {
        file.read_exact_at(&mut magic, 0)?;
    }
    Ok(long && &magic == header::MAGIC)
}

/// What is wrong with an input, in words that also fit one without a byte.
#[must_use]
pub fn words(error: &Error) -> String {
    if is_empty(error) { "it is empty".to_owned() } else { error.fault().to_string() }
}

/// What a person can do about it, by what was named.
#[must_use]
pub fn hint(error: &Error, path: &Path) -> Option<String> {
    let begins_wrong = matches!(error.fault(), Fault::NotASnapshot | Fault::Truncated { .. })
        && error.section() == &Section::Header;
    match part_of_a_set(path).filter(|_| begins_wrong) {
        None if is_empty(error) => None,
        None if matches!(error.section(), Section::Extent { .. } | Section::Part(Kind::Extent)) => {
            Some("`snaptool inspect --full` reads RAM, too, and shows what is damaged".to_owned())
        }
        None => error.fault().hint().map(str::to_owned),
        part => part,
    }
}

fn is_empty(error: &Error) -> bool {
    let nothing_left = matches!(error.fault(), Fault::Truncated { left: 0, .. });
    nothing_left && error.at() == 0 && error.section() == &Section::Header
}

impl ReadAt for FileInput {
    fn size(&self) -> u64 {
        self.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        Self::read_exact_at(self, buf, offset)
    }
}
