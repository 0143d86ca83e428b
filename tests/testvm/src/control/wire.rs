//! Lists as libnv sends them over a stream, with the descriptors that follow them.
//!
//! Enough for what comes and goes here: one list, and at most one descriptor in one package.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use snapfmt::nvlist::{Nvlist, Options, OwnedValue};

/// Bytes of the header of a list.
const HEADER: usize = 19;
const MAGIC: u8 = 0x6c;
const BIG_ENDIAN: u8 = 0x80;

/// The most descriptors that are taken.
const DESCRIPTORS: u64 = 1;

/// What came.
#[derive(Debug)]
pub struct Message {
    /// The list.
    pub list: Nvlist,
    descriptors: Vec<Option<OwnedFd>>,
}

impl Message {
    /// The descriptor of that name, the first time that it is asked for.
    pub fn take(&mut self, name: &str) -> Option<OwnedFd> {
        let Some(OwnedValue::Descriptor(index)) = self.list.get(name) else { return None };
        self.descriptors.get_mut(usize::try_from(*index).ok()?)?.take()
    }
}

/// Receives one list of at most so many bytes; nothing from a peer that leaves without a word.
///
/// # Errors
/// What is no list of libnv's, or too long, and trouble with the socket.
pub fn receive(mut stream: &UnixStream, longest: usize) -> io::Result<Option<Message>> {
    let wrong = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut header = [0; HEADER];
    if stream.read(&mut header[..1])? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut header[1..])?;
    let [magic, _, flags, rest @ ..] = header;
    if magic != MAGIC || flags & BIG_ENDIAN != 0 {
        return Err(wrong("not a list of this byte order"));
    }
    let (words, _) = rest.as_chunks();
    let [count, size] =
        [words.first(), words.get(1)].map(|word| word.map_or(0, |word| u64::from_le_bytes(*word)));
    if size > longest.saturating_sub(HEADER) as u64 || count > DESCRIPTORS {
        return Err(wrong("the list is too long"));
    }
    let mut bytes = header.to_vec();
    bytes.resize(HEADER + size as usize, 0);
    stream.read_exact(bytes.get_mut(HEADER..).unwrap_or_default())?;
    let descriptors = if count == 0 { Vec::new() } else { package(stream)? };
    if descriptors.len() as u64 != count {
        return Err(wrong("another number of descriptors than announced"));
    }
    let list = Nvlist::unpack(&bytes, &Options::new().descriptors(count));
    let list = list.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some(Message { list, descriptors }))
}

/// Receives one package of descriptors: they come with a byte that says nothing.
fn package(stream: &UnixStream) -> io::Result<Vec<Option<OwnedFd>>> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS as usize))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut byte)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let RecvMsg { bytes, .. } = recvmsg(stream, &mut slices, &mut ancillary, flags)?;
    let mut found = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            found.extend(descriptors.map(Some));
        }
    }
    if bytes == 1 { Ok(found) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Sends a list, and the descriptor that it names as its first.
///
/// # Errors
/// Trouble with the socket.
pub fn send(
    mut stream: &UnixStream,
    list: &Nvlist,
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    stream.write_all(&list.pack_to_send().map_err(io::Error::other)?)?;
    if let Some(descriptor) = descriptor {
        let descriptors = [descriptor];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(stream, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}
