//! A whole state on disk, whichever files it is in: three, or those of a chain.

use std::path::Path;

use crate::exit::Trouble;
use crate::links::{Links, Where};
use crate::node::Identity;
use crate::signal::Stop;
use crate::source::Source;
use crate::text;
use crate::three::ThreeFiles;

/// The files of a state.
#[derive(Debug)]
pub enum Whole {
    /// bhyve's three.
    Three(Box<ThreeFiles>),
    /// A full snapshot file and the deltas over it, if there are any.
    Chain(Links),
}

impl Whole {
    /// Opens what was named, and finds the parents of a delta.
    ///
    /// # Errors
    /// A pipe, a parent that is not there, and trouble with reading.
    pub fn open(path: &Path, places: &Where, stop: &Stop) -> anyhow::Result<Self> {
        match Source::open(path, stop)? {
            Source::ThreeFiles(set) => Ok(Self::Three(set)),
            Source::File(file) => Ok(Self::Chain(Links::find(file, places, stop)?)),
            Source::Stream(_) => {
                let name = text::path(path);
                let words = format!(
                    "{name} is a pipe, which can be read only once, front to back: it cannot be \
                     compared"
                );
                Err(Trouble::new(words).hint("save the snapshot to a file first").into())
            }
        }
    }

    /// Which files these are.
    pub fn identities(&self) -> Vec<Identity> {
        match self {
            Self::Three(set) => set.identities().to_vec(),
            Self::Chain(links) => links.identities().collect(),
        }
    }

    /// Asks, after all was read, whether the files are as they were.
    ///
    /// # Errors
    /// If one of them changed.
    pub fn unchanged(&self) -> anyhow::Result<()> {
        match self {
            Self::Three(set) => set.unchanged(),
            Self::Chain(links) => links.unchanged(),
        }
    }
}
