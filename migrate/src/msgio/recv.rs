//! `nvlist_recv`.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, ReturnFlags, recvmsg,
};
use snapfmt::nvlist::{Announced, Flags, Nvlist, Options, OwnedValue};

use super::wait::{Deadline, until};
use super::{Error, Kind, PACKAGE, kind};

/// What a reader expects of a list, and how much it takes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The flags that the outermost list has to have.
    pub flags: Flags,
    /// Bytes of the packed list.
    pub size: usize,
    /// Descriptors that come with it.
    pub descriptors: u64,
}

impl Default for Bounds {
    /// 1 MiB, which is far above any command, and the two packages that a command could need.
    fn default() -> Self {
        Self { flags: Flags::default(), size: 1 << 20, descriptors: 2 * PACKAGE as u64 }
    }
}

/// A list that was received, with its descriptors. Those that nobody takes are closed.
#[derive(Debug)]
pub struct Message {
    list: Nvlist,
    descriptors: Vec<Option<OwnedFd>>,
}

impl Message {
    /// The list.
    #[must_use]
    pub const fn list(&self) -> &Nvlist {
        &self.list
    }

    /// The list by itself; the descriptors are closed.
    #[must_use]
    pub fn into_list(self) -> Nvlist {
        self.list
    }

    /// The descriptor of that name in the outermost list, the first time it is asked for.
    pub fn take(&mut self, name: impl AsRef<[u8]>) -> Option<OwnedFd> {
        match self.list.get(name) {
            Some(OwnedValue::Descriptor(index)) => self.take_index(*index),
            _ => None,
        }
    }

    /// The descriptor at an index of the list, the first time it is asked for.
    pub fn take_index(&mut self, index: u64) -> Option<OwnedFd> {
        self.descriptors.get_mut(usize::try_from(index).ok()?)?.take()
    }
}

/// Receives a list and its descriptors.
///
/// # Errors
///
/// See [`Error`]. What had come is closed and forgotten.
pub fn recv(socket: impl AsFd, bounds: Bounds, deadline: Deadline) -> Result<Message, Error> {
    let socket = Socket { socket: socket.as_fd(), deadline };
    let (bytes, announced) = match kind(socket.socket)? {
        Kind::Stream => socket.stream(&bounds)?,
        Kind::Datagram => socket.datagram(&bounds)?,
    };
    let descriptors = socket.descriptors(announced.descriptors)?;
    let options = Options::new().flags(bounds.flags).descriptors(announced.descriptors);
    let list = Nvlist::unpack(&bytes, &options)?;
    Ok(Message { list, descriptors: descriptors.into_iter().map(Some).collect() })
}

impl Bounds {
    fn admit(&self, header: &[u8; Announced::HEADER]) -> Result<(Announced, usize), Error> {
        let announced = Announced::of(header)?;
        let Some(total) = announced.total().filter(|total| *total <= self.size) else {
            return Err(Error::TooLong { announced: announced.size, limit: self.size });
        };
        if announced.descriptors > self.descriptors {
            let (announced, limit) = (announced.descriptors, self.descriptors);
            return Err(Error::TooManyDescriptors { announced, limit });
        }
        Ok((announced, total))
    }
}

struct Socket<'a> {
    socket: BorrowedFd<'a>,
    deadline: Deadline,
}

impl Socket<'_> {
    fn recv(&self, into: &mut [u8], flags: RecvFlags) -> Result<usize, Error> {
        let what = "receiving a list";
        let flags = flags | RecvFlags::DONTWAIT;
        until(self.socket, PollFlags::IN, self.deadline, what, || {
            rustix::net::recv(self.socket, &mut *into, flags).map(|(got, _)| got)
        })
    }

    /// Fills `bytes` from `had` on.
    fn fill(&self, bytes: &mut [u8], mut had: usize) -> Result<(), Error> {
        let wanted = bytes.len();
        while let Some(rest) = bytes.get_mut(had..).filter(|rest| !rest.is_empty()) {
            match self.recv(rest, RecvFlags::empty()) {
                Ok(0) => return Err(Error::Closed { had, wanted }),
                Ok(got) => had += got,
                Err(Error::Gone { .. }) => return Err(Error::Closed { had, wanted }),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    fn stream(&self, bounds: &Bounds) -> Result<(Vec<u8>, Announced), Error> {
        let mut header = [0; Announced::HEADER];
        self.fill(&mut header, 0)?;
        let (announced, total) = bounds.admit(&header)?;
        let mut bytes = header.to_vec();
        bytes.resize(total, 0);
        self.fill(&mut bytes, Announced::HEADER)?;
        Ok((bytes, announced))
    }

    fn datagram(&self, bounds: &Bounds) -> Result<(Vec<u8>, Announced), Error> {
        let mut header = [0; Announced::HEADER];
        let found = self.recv(&mut header, RecvFlags::PEEK)?;
        let admitted = if found == Announced::HEADER {
            bounds.admit(&header)
        } else {
            Err(Error::Datagram { found, announced: Announced::HEADER })
        };
        let (announced, total) = match admitted {
            Ok(admitted) => admitted,
            // It goes, or it would be found again by every call.
            Err(error) => {
                self.recv(&mut header, RecvFlags::empty())?;
                return Err(error);
            }
        };
        // One byte more than is due, to see whether there is more.
        let mut bytes = vec![0; total.saturating_add(1)];
        let found = self.recv(&mut bytes, RecvFlags::empty())?;
        if found != total {
            return Err(Error::Datagram { found, announced: total });
        }
        bytes.truncate(total);
        Ok((bytes, announced))
    }

    fn descriptors(&self, announced: u64) -> Result<Vec<OwnedFd>, Error> {
        let mut all = Vec::new();
        let mut left = usize::try_from(announced).unwrap_or(usize::MAX);
        while left > 0 {
            let due = left.min(PACKAGE);
            all.append(&mut self.package(due)?);
            left -= due;
        }
        Ok(all)
    }

    fn package(&self, due: usize) -> Result<Vec<OwnedFd>, Error> {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1)) * due];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut carrier = [0];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let what = "receiving descriptors";
        let RecvMsg { bytes, flags, .. } =
            until(self.socket, PollFlags::IN, self.deadline, what, || {
                recvmsg(self.socket, &mut [IoSliceMut::new(&mut carrier)], &mut control, flags)
            })?;
        // Owned from here on, whatever is wrong with them.
        let mut found = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                found.extend(descriptors);
            }
        }
        if bytes == 0 {
            return Err(Error::Package { found: found.len(), due });
        }
        if carrier != [0] {
            let [found] = carrier;
            return Err(Error::Carrier { found });
        }
        if found.len() != due || flags.contains(ReturnFlags::CTRUNC) {
            return Err(Error::Package { found: found.len(), due });
        }
        Ok(found)
    }
}
