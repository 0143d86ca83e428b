//! A side of a migration on disk: where its journal and note are, and what they say.

use std::fs::{self, DirBuilder};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use snaptool::exit::{Hint as _, Trouble};
use snaptool::text;

use super::options::Means;
use crate::driver::Journal;
use crate::handover::{Action, Plan, Question, Source, Standing, Target};
use crate::identity::{Epoch, Identity};
use crate::journal::{self, File, Record, Role};
use crate::note::Note;
use crate::regular;

/// The directory of a side.
#[derive(Clone, Debug)]
pub(super) struct Place {
    dir: PathBuf,
}

impl Place {
    /// That of a source: beside what is sent, whatever leads there.
    #[must_use]
    pub(super) fn of_source(source: &Path) -> Self {
        let mut dir = resolved(source).into_os_string();
        dir.push(".migrate");
        Self { dir: dir.into() }
    }

    /// That of whatever a person names: the directory of a target, or what a source sends.
    #[must_use]
    pub(super) fn named(path: &Path) -> Self {
        if path.is_dir() { Self { dir: path.to_owned() } } else { Self::of_source(path) }
    }

    /// Makes the directory, for its owner alone.
    ///
    /// # Errors
    /// If that is not possible, or others can use it.
    pub(super) fn make(&self) -> anyhow::Result<()> {
        let shown = text::path(&self.dir);
        match DirBuilder::new().mode(0o700).create(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("cannot make {shown}"));
            }
            _ => {}
        }
        // Whether it was made now, or by a process that did not live to sync it.
        regular::sync_parent(&self.dir).with_context(|| format!("cannot make {shown} durable"))?;
        let data =
            fs::symlink_metadata(&self.dir).with_context(|| format!("cannot use {shown}"))?;
        anyhow::ensure!(data.is_dir(), "{shown} is no directory");
        anyhow::ensure!(
            data.uid() == rustix::process::geteuid().as_raw(),
            "{shown} belongs to another user"
        );
        if data.mode() & 0o077 != 0 {
            let words = format!("others than its owner can use {shown}");
            return Err(Trouble::new(words).hint(format!("chmod 700 {shown}")).into());
        }
        Ok(())
    }

    /// The directory.
    #[must_use]
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The journal.
    #[must_use]
    pub(super) fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }

    /// The note.
    #[must_use]
    pub(super) fn session(&self) -> PathBuf {
        self.dir.join("session")
    }

    /// What the note says, if there is one.
    ///
    /// # Errors
    /// If it is damaged.
    pub(super) fn note(&self) -> anyhow::Result<Option<Note>> {
        let path = self.session();
        Note::read(&path).with_context(|| text::path(&path))
    }

    /// The records of the journal, read without a lock; nothing if there is no journal.
    ///
    /// # Errors
    /// If it cannot be read, or is damaged.
    pub(super) fn look(&self) -> anyhow::Result<Vec<Record>> {
        let path = self.journal();
        let shown = text::path(&path);
        let mut bytes = Vec::new();
        match fs::File::open(&path) {
            Ok(file) => {
                let most = journal::BYTES as u64 + 1;
                file.take(most).read_to_end(&mut bytes).with_context(|| shown.clone())?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context(shown),
        }
        Ok(journal::read(&bytes).context(shown)?.records)
    }

    /// Opens the journal for this process alone.
    ///
    /// # Errors
    /// [`InUse`] if another process has it; if it cannot be used.
    pub(super) fn open(&self, means: &Means) -> anyhow::Result<(Journal, Vec<Record>)> {
        let path = self.journal();
        let shown = text::path(&path);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(InUse(shown)).hint("wait until that has ended, or stop it");
            }
            Err(error) => return Err(error).with_context(|| format!("cannot open {shown}")),
        };
        let opened = Journal::open((means.storage)(file));
        let (journal, contents) = opened.with_context(|| shown)?;
        Ok((journal, contents.records))
    }
}

/// Where a file is that a symbolic link may stand for: one VM has one journal.
#[must_use]
pub(super) fn resolved(source: &Path) -> PathBuf {
    let is_link = fs::symlink_metadata(source).is_ok_and(|data| data.is_symlink());
    let file = if is_link { fs::canonicalize(source).ok() } else { None };
    file.unwrap_or_else(|| source.to_owned())
}

/// Another process has the journal.
#[derive(Debug, thiserror::Error)]
#[error("another migrate is at work with {0}")]
pub(super) struct InUse(String);

/// Who owns the VM, by one journal.
#[derive(Clone, Debug)]
pub(super) enum Machine {
    /// The source's.
    Source(Source),
    /// The target's.
    Target(Target),
}

impl Machine {
    /// What records lead to, and what is to be done first; nothing if there are none.
    ///
    /// # Errors
    /// If nobody wrote these records in this order.
    pub(super) fn replay(records: &[Record]) -> anyhow::Result<Option<(Self, Vec<Action>)>> {
        Ok(match records.first().map(|record| record.entry.role) {
            None => None,
            Some(Role::Source) => {
                Source::replay(records)?.map(|(it, actions)| (Self::Source(it), actions))
            }
            // What is started here is started by `recv`.
            Some(Role::Target) => Target::replay(records, Plan::Keep)?
                .map(|(it, actions)| (Self::Target(it), actions)),
        })
    }

    /// Whose it is, where that stands.
    #[must_use]
    pub(super) fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Source(it) => ("source", it.phase().name()),
            Self::Target(it) => ("target", it.phase().name()),
        }
    }

    /// Whether this side may run the VM.
    #[must_use]
    pub(super) fn standing(&self) -> Standing {
        match self {
            Self::Source(it) => it.standing(),
            Self::Target(it) => it.standing(),
        }
    }

    /// What it is about.
    #[must_use]
    pub(super) fn identity(&self) -> Identity {
        match self {
            Self::Source(it) => it.identity(),
            Self::Target(it) => it.identity(),
        }
    }

    /// What a person has to decide.
    #[must_use]
    pub(super) fn question(&self) -> Option<Question> {
        match self {
            Self::Source(it) => it.question(),
            Self::Target(it) => it.question(),
        }
    }

    /// Whether the other side knows how it ended.
    #[must_use]
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Source(it) => it.is_settled(),
            Self::Target(it) => it.is_settled(),
        }
    }
}

/// An epoch above all of a journal.
#[must_use]
pub(super) fn next_epoch(records: &[Record]) -> Epoch {
    let highest = records.iter().map(|record| record.entry.identity.epoch).max();
    highest.unwrap_or(0).saturating_add(1)
}
