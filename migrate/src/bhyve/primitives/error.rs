//! Why a command has no result.

use std::fmt;

use crate::bhyve::control::Unsent;
use crate::msgio;

/// What the guest is doing after a command, in the server's words (§1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doing {
    /// Its vCPUs run, or may.
    Running,
    /// It stands still, and its process keeps it.
    Suspended,
    /// It cannot be helped.
    Lost,
}

impl Doing {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Lost => "lost",
        }
    }

    pub(super) fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Running, Self::Suspended, Self::Lost]
            .into_iter()
            .find(|doing| doing.name().as_bytes() == name)
    }
}

/// What a server says of a command that failed (§1.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// What failed, for people; made safe to show.
    pub error: String,
    /// Why: a name of §6, or another; made safe to show.
    pub code: String,
    /// The record, device, file or pair concerned; made safe to show.
    pub what: Option<String>,
    /// What the guest is doing now.
    pub guest: Doing,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.error, self.code)?;
        if let Some(what) = &self.what {
            write!(f, ", {what}")?;
        }
        write!(f, "; the guest is {})", self.guest.name())
    }
}

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// It did not get to the server. If it is [`Unsent::Message`], it may have in part, and then
    /// it was not done.
    #[error(transparent)]
    Unsent(#[from] Unsent),
    /// No reply came. Whether the command was done is not known.
    #[error("no reply came: {0}")]
    NoReply(msgio::Error),
    /// The server says that it failed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The reply is not what the specification says.
    #[error("the reply is not as it has to be: {0}")]
    Garbled(&'static str),
}

impl Failed {
    /// The server's reason, if it gave one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}
