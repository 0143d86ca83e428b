//! Why a list could not be sent or received.

use std::io;

use rustix::io::Errno;
use snapfmt::nvlist;

/// Why a list could not be sent or received. The socket is of no more use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The time is over.
    #[error("nothing more went over the socket in time")]
    TimedOut,
    /// The peer had closed its end before the call.
    #[error("{what}: the peer has closed the socket")]
    Gone {
        /// What was being done.
        what: &'static str,
    },
    /// The peer closed its end, and so much of the message had come.
    #[error("the peer closed the socket after {had} of {wanted} bytes")]
    Closed {
        /// Bytes that came of this part of the message.
        had: usize,
        /// Bytes it has.
        wanted: usize,
    },
    /// The socket is neither a stream nor one for datagrams.
    #[error("the socket is neither a stream nor one for datagrams")]
    Kind,
    /// The message claims to be longer than its reader allows.
    #[error("the list claims {announced} bytes, {limit} are allowed")]
    TooLong {
        /// Bytes after the header.
        announced: u64,
        /// Bytes the reader allows.
        limit: usize,
    },
    /// The message claims to come with more descriptors than its reader allows.
    #[error("the list claims to come with {announced} descriptors, {limit} are allowed")]
    TooManyDescriptors {
        /// Descriptors it claims.
        announced: u64,
        /// Descriptors the reader allows.
        limit: u64,
    },
    /// A datagram is not as long as the list in it.
    #[error("a datagram of {found} bytes holds a list of {announced}")]
    Datagram {
        /// Bytes of the datagram; at least so many, if it is longer.
        found: usize,
        /// Bytes of the list, header and all.
        announced: usize,
    },
    /// A package does not have the descriptors that are due.
    #[error("{found} descriptors came where {due} were due")]
    Package {
        /// Descriptors that came.
        found: usize,
        /// Descriptors that were due.
        due: usize,
    },
    /// The byte that carries a package is not 0: it belongs to something else.
    #[error("the byte that carries descriptors is {found:#04x}, not 0")]
    Carrier {
        /// The byte.
        found: u8,
    },
    /// A list to be sent names other descriptors than those that came with it.
    #[error("the list names {named} descriptors, and {given} go with it")]
    Unmatched {
        /// Descriptors in the list, or one more than the highest index.
        named: u64,
        /// Descriptors to be sent.
        given: usize,
    },
    /// The list is malformed, or cannot be packed.
    #[error(transparent)]
    List(#[from] nvlist::Error),
}

impl Error {
    /// Names the call that fails. What a closed socket gives is told as that.
    pub(super) fn io(what: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| match errno {
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => Self::Gone { what },
            errno => Self::Io { what, source: errno.into() },
        }
    }

    /// Whether the peer closed the socket where a message would begin, and so said nothing.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Closed { had: 0, .. })
    }
}
