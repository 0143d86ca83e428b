//! Replies, and why a command is refused.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use snapfmt::nvlist::{Builder, Nvlist};

use crate::state::StateError;

/// What a command answers, but for what the guest is doing.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) list: Builder,
    /// The descriptor that the list names.
    pub(super) descriptor: Option<OwnedFd>,
    /// Whether the machine ends after it.
    pub(super) last: bool,
}

impl Reply {
    /// A reply with those pairs.
    pub(super) const fn new(list: Builder) -> Self {
        Self { list, descriptor: None, last: false }
    }

    /// A reply without pairs of its own.
    pub(super) fn done() -> Self {
        Self::new(Nvlist::builder())
    }
}

/// Why a command was not done.
#[derive(Debug)]
pub(super) struct Refused {
    code: &'static str,
    what: String,
    error: String,
}

impl Refused {
    /// A pair that is missing, unknown, or no good.
    pub(super) fn pair(name: &str, error: &str) -> Self {
        Self { code: "EINVAL", what: name.to_owned(), error: error.to_owned() }
    }

    /// Another reason.
    pub(super) fn new(code: &'static str, what: &str, error: &str) -> Self {
        Self { code, what: what.to_owned(), error: error.to_owned() }
    }

    /// What the system says.
    pub(super) fn io(what: &str, error: &io::Error) -> Self {
        let code = match Errno::from_io_error(error) {
            Some(Errno::EXIST) => "EEXIST",
            Some(Errno::NOSPC) => "ENOSPC",
            Some(Errno::ACCESS) => "EACCES",
            Some(Errno::NOMEM) => "ENOMEM",
            _ => "EIO",
        };
        Self { code, what: what.to_owned(), error: error.to_string() }
    }

    /// The reply that says so.
    pub(super) fn reply(self) -> Reply {
        let list = Nvlist::builder().string("error", self.error).string("code", self.code);
        // A string of a list has no NUL; the list would be refused, and no reply be sent.
        Reply::new(list.string("what", self.what.replace('\0', "?")))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.what.escape_debug(), self.error, self.code)
    }
}

impl std::error::Error for Refused {}

impl From<StateError> for Refused {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Io { path, source } => Self::io(&path.to_string_lossy(), &source),
            StateError::Kernel(source) => Self::io("KVM", &source),
            other => Self::new("EIO", "state", &other.to_string()),
        }
    }
}
