//! Chains on disk: which files they are made of, and how they are opened.
//!
//! What the files have to say to each other is for [`snapfmt::read::Chain`] to check; here their
//! names are kept, so that an error tells which of them it is about.

mod search;

use std::fmt;
use std::path::{Path, PathBuf};

use snapfmt::Fault;
use snapfmt::read::{Chain, ChainError, CheckError, Part, ReadError};

use crate::exit::{Trouble, report};
use crate::input::{FileInput, Input};
use crate::node::Identity;
use crate::progress::Progress;
use crate::signal::Stop;
use crate::source;
use crate::watch::Watched;

/// Where to look for the parents of a delta.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Where {
    /// Where the parents of deltas are: a folder, or a file; may be given more than once. A parent
    /// is found by what it is the state of, whatever its name.
    #[arg(long = "chain", value_name = "DIR|FILE")]
    places: Vec<PathBuf>,
}

impl Where {
    /// These folders and files.
    pub fn of(places: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { places: places.into_iter().collect() }
    }

    /// The folders and files.
    #[must_use]
    pub fn named(&self) -> &[PathBuf] {
        &self.places
    }

    /// Whether none was named.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.places.is_empty()
    }
}

/// The files of a chain, the full one first; a full file alone is a chain, too.
#[derive(Debug)]
pub struct Links {
    files: Vec<FileInput>,
}

impl Links {
    /// The chain of one file, whose parents are looked for.
    ///
    /// # Errors
    /// A parent that is not there, and trouble with reading.
    pub fn find(newest: FileInput, places: &Where, stop: &Stop) -> anyhow::Result<Self> {
        Ok(Self { files: search::chain(newest, &places.places, stop)? })
    }

    /// These files in this order, the oldest first; its parents are looked for if it is a delta.
    ///
    /// # Errors
    /// As [`find`](Self::find), and an input that is no file.
    pub fn given(paths: &[PathBuf], places: &Where, stop: &Stop) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            let file = open(path, stop)?;
            match files.is_empty() {
                true => files = search::chain(file, &places.places, stop)?,
                false => files.push(file),
            }
        }
        Ok(Self { files })
    }

    /// The files, the full one first.
    #[must_use]
    pub fn files(&self) -> &[FileInput] {
        &self.files
    }

    /// What to call the newest one.
    #[must_use]
    pub fn name(&self) -> &str {
        self.files.last().map_or("", FileInput::name)
    }

    /// The number of the newest one.
    #[must_use]
    pub fn last(&self) -> usize {
        self.files.len().saturating_sub(1)
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(FileInput::len).fold(0, u64::saturating_add)
    }

    /// Which files these are.
    pub(crate) fn identities(&self) -> impl Iterator<Item = Identity> + '_ {
        self.files.iter().map(FileInput::identity)
    }

    /// Opens the chain, as [`Chain::open`] does.
    ///
    /// # Errors
    /// What is wrong, and with which file.
    pub fn chain<'a>(
        &'a self,
        stop: &'a Stop,
        progress: &'a Progress,
        each: impl FnMut(usize, Part),
    ) -> Result<Chain<Watched<'a>>, ChainError> {
        let watched = |file| Watched { file, stop, progress };
        Chain::open(self.files.iter().map(watched), each)
    }

    /// The same, with an error for people.
    ///
    /// # Errors
    /// What is wrong, with the name of the file.
    pub fn open<'a>(
        &'a self,
        stop: &'a Stop,
        progress: &'a Progress,
        each: impl FnMut(usize, Part),
    ) -> anyhow::Result<Chain<Watched<'a>>> {
        self.chain(stop, progress, each).map_err(|error| self.wrong(error))
    }

    /// Asks, after all was read, whether the files are as they were.
    ///
    /// # Errors
    /// If one of them changed.
    pub fn unchanged(&self) -> anyhow::Result<()> {
        self.files.iter().try_for_each(FileInput::unchanged)
    }

    /// An error about one of the files, as an error for people.
    pub fn wrong(&self, error: ChainError) -> anyhow::Error {
        let ChainError { link, error } = error;
        let name = |number: usize| self.files.get(number).map_or("", FileInput::name);
        let error = match error {
            ReadError::Format(error) => error,
            ReadError::Io { source, .. } => return source.into(),
        };
        let file = name(link);
        if let (Fault::Disagree { rule: "§13.1.1", here, there, .. }, true) =
            (error.fault(), link > 0)
        {
            let before = name(link - 1);
            let words = format!(
                "{file} does not belong over {before}: its parent has the content {here}, and \
                 {before} has {there}"
            );
            let hint = "`--chain DIR` finds parents by content; `snaptool inspect` shows it";
            return Damaged(Trouble::new(words).hint(hint)).into();
        }
        if let (Fault::Disagree { rule: "§13.1.3", .. }, true) = (error.fault(), link > 0) {
            let words = format!("{file} is of another machine than {}", name(link - 1));
            return Damaged(Trouble::new(words).because(error)).into();
        }
        let (section, at, words) = (error.section(), error.at(), source::words(&error));
        let mut trouble = Trouble::new(format!("{file}: {section}, offset {at:#x}: {words}"));
        if link + 1 < self.files.len() {
            trouble = trouble.hint(format!("{} takes {file} to be read", self.name()));
        }
        Damaged(source::hint(&error, Path::new(file)).into_iter().fold(trouble, Trouble::hint))
            .into()
    }

    /// The same of a check of the chain.
    pub fn failed(&self, error: CheckError<anyhow::Error>) -> anyhow::Error {
        match error {
            CheckError::Chain(error) => self.wrong(error),
            CheckError::Taker(error) => error,
        }
    }
}

/// Opens a file that is part of a chain.
fn open(path: &Path, stop: &Stop) -> anyhow::Result<FileInput> {
    Input::open(path, stop)?.into_file()
}

/// An input that is damaged, or does not belong where it is: an answer, and no trouble.
#[derive(Debug)]
pub struct Damaged(pub Trouble);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Damaged {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Says what is damaged, which makes the answer no; any other error is passed on.
///
/// # Errors
/// Trouble.
pub fn unless_damaged<T>(result: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is::<Damaged>() => {
            report(&error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
