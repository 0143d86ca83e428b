//! `nvlist_send`.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::PollFlags;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use snapfmt::nvlist::{Nvlist, OwnedValue};

use super::wait::{Deadline, until};
use super::{Error, Kind, PACKAGE, kind};

/// The caller waits before each call, and for no longer than it likes; a closed peer is an error
/// and no signal.
const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Sends a list and the descriptors that it names by their places in `descriptors`: byte for byte
/// what libnv sends. Those are copied into the peer; the caller keeps its own.
///
/// # Errors
///
/// See [`Error`]. Nothing is sent if the descriptors are not exactly those that the list names.
pub fn send(
    socket: impl AsFd,
    list: &Nvlist,
    descriptors: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> Result<(), Error> {
    let socket = socket.as_fd();
    let named = u64::try_from(list.descriptors()).unwrap_or(u64::MAX).max(reach(list));
    if u64::try_from(descriptors.len()) != Ok(named) {
        return Err(Error::Unmatched { named, given: descriptors.len() });
    }
    send_bytes(socket, &list.pack_to_send()?, deadline)?;
    descriptors.chunks(PACKAGE).try_for_each(|package| send_package(socket, package, deadline))
}

/// Sends bytes that are no list: all of them, in one datagram or over a stream.
///
/// # Errors
///
/// See [`Error`].
pub fn send_bytes(socket: impl AsFd, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
    let socket = socket.as_fd();
    let kind = kind(socket)?;
    let what = "sending a message";
    let mut rest = bytes;
    while !rest.is_empty() {
        let call = || rustix::net::send(socket, rest, FLAGS);
        let sent = until(socket, PollFlags::OUT, deadline, what, call)?;
        if sent == 0 {
            return Err(Error::Gone { what });
        }
        rest = rest.get(sent..).unwrap_or_default();
        if kind == Kind::Datagram && !rest.is_empty() {
            return Err(Error::Datagram { found: sent, announced: bytes.len() });
        }
    }
    Ok(())
}

/// One more than the highest index in the list and those inside. No recursion is deeper than a list
/// may be.
fn reach(list: &Nvlist) -> u64 {
    let past = |index: &u64| index.saturating_add(1);
    let of = |value: &OwnedValue| match value {
        OwnedValue::Descriptor(index) => past(index),
        OwnedValue::DescriptorArray(items) => items.iter().map(past).max().unwrap_or(0),
        OwnedValue::Nvlist(list) => reach(list),
        OwnedValue::NvlistArray(items) => items.iter().map(reach).max().unwrap_or(0),
        _ => 0,
    };
    list.pairs().iter().map(|pair| of(&pair.value)).max().unwrap_or(0)
}

fn send_package(
    socket: BorrowedFd<'_>,
    descriptors: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> Result<(), Error> {
    let space = rustix::cmsg_space!(ScmRights(1)) * descriptors.len();
    let mut space = vec![MaybeUninit::uninit(); space];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // One control message for each, as libnv does it.
    let mut each = descriptors.chunks(1).map(SendAncillaryMessage::ScmRights);
    if !each.all(|message| control.push(message)) {
        return Err(Error::Package { found: 0, due: descriptors.len() });
    }
    until(socket, PollFlags::OUT, deadline, "sending descriptors", || {
        sendmsg(socket, &[IoSlice::new(&[0])], &mut control, FLAGS)
    })?;
    Ok(())
}
