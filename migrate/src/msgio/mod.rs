//! libnv's `nvlist_send` and `nvlist_recv`: packed lists over Unix sockets, with descriptors.
//!
//! ```text
//!   stream     list header, 19 bytes │ rest of the list │ 0 + SCM_RIGHTS │ 0 + SCM_RIGHTS ...
//!   datagram   list header and rest, one datagram       │ one datagram for each package
//! ```
//!
//! A descriptor in a list is an index into those that follow it. They follow in packages: one
//! `sendmsg` of one byte, which is 0, with one control message for each descriptor and at most
//! [`PACKAGE`] of them. Both sides have to cut packages alike, so the number is FreeBSD's on every
//! system. The name of this module is that of the file of libnv that does it.
//!
//! It knows how lists and descriptors travel. It refuses to know what they are for. What a packed
//! list is, [`snapfmt::nvlist`] knows; it takes descriptors only from a reader who says how many
//! have come, so that snapshot files, of which none says so, can have none (`snapshot.md` §1.3.2).
//!
//! Where libnv trusts its peer, this does not: sizes and counts have bounds before anything is
//! allocated, every wait has an end, every descriptor has an owner from the call that brought it,
//! is closed on exec, and can be taken once. Lists of the other byte order are read from streams
//! too, which libnv fails to do. After an error nobody knows where in the stream the next list
//! begins: the socket is to be closed.

mod error;
mod recv;
mod send;
#[cfg(test)]
mod tests;
mod wait;

pub use self::error::Error;
pub use self::recv::{Bounds, Message, recv};
pub use self::send::{send, send_bytes};
pub use self::wait::Deadline;

use std::os::fd::BorrowedFd;

use rustix::net::SocketType;

/// Descriptors of one package: a cluster of 2048 bytes by the 24 of a control message.
pub const PACKAGE: usize = 85;

/// What the packages of a list are received and sent over.
fn kind(socket: BorrowedFd<'_>) -> Result<Kind, Error> {
    match rustix::net::sockopt::socket_type(socket).map_err(Error::io("looking at the socket"))? {
        SocketType::STREAM => Ok(Kind::Stream),
        SocketType::DGRAM => Ok(Kind::Datagram),
        _ => Err(Error::Kind),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stream,
    Datagram,
}
