//! The commands, each one request and one reply over a connection of its own.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use snapfmt::memory::map::MemoryMap;
use snapfmt::nvlist::{Builder, Nvlist};

use super::error::{Doing, Failed};
use super::reply::{Answer, Placed, Reply};
use crate::bhyve::control::{Connection, Unsent};
use crate::bhyve::protocol::{Protocol, Request};
use crate::msgio::{self, Bounds, Deadline};
use crate::vm::{Mark, Written};

/// The version of the specification.
const VERSION: u64 = 1;
/// Bytes of a reply, its bitmaps not counted (§1.7).
const REPLY: u64 = 64 << 10;

/// A VM's server.
#[derive(Clone, Debug)]
pub struct Client {
    /// The directory of bhyve's sockets.
    pub run_dir: PathBuf,
    /// The name of the VM.
    pub vm: String,
    /// How long a reply may take. That of `suspend` takes as long as writing the device state.
    pub patience: Duration,
}

/// What a server with primitives says of its VM.
#[derive(Debug)]
pub struct Offer {
    /// Where the guest has memory.
    pub map: MemoryMap,
    pub(super) placed: Vec<Placed>,
    /// That memory, to be read at [`Offer::offset`]. The server need not give it.
    pub memory: Option<OwnedFd>,
    /// What the guest was doing.
    pub guest: Doing,
}

impl Offer {
    /// Where the byte at a guest-physical address lies in `memory`, and how many follow it there.
    #[must_use]
    pub fn offset(&self, gpa: u64) -> Option<(u64, u64)> {
        let holds = |placed: &&Placed| (placed.segment.gpa..placed.segment.end()).contains(&gpa);
        let placed = self.placed.iter().find(holds)?;
        let into = gpa.checked_sub(placed.segment.gpa)?;
        Some((placed.offset.checked_add(into)?, placed.segment.len.checked_sub(into)?))
    }
}

/// What was written between two marks (§3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// The later mark.
    pub mark: Mark,
    /// The pages.
    pub written: Written,
    /// What the guest was doing. The set is the last one if it was suspended.
    pub guest: Doing,
}

fn command(cmd: &str) -> Builder {
    Nvlist::builder().string("cmd", cmd)
}

impl Client {
    /// Whether the server has primitives, and what it says of its VM; none if it has none (§2.2).
    ///
    /// # Errors
    ///
    /// See [`Failed`]; also if a device of the VM forbids them.
    pub fn offer(&self) -> Result<Option<Offer>, Failed> {
        let mut reply = match self.ask(command("primitives"), &[], 0) {
            Ok(Answer::Reply(reply)) => reply,
            Ok(Answer::Foreign) | Err(Failed::Unsent(Unsent::OtherKind { .. })) => return Ok(None),
            Err(Failed::NoReply(error)) if error.is_end() => return Ok(None),
            Err(error) => return Err(error),
        };
        if reply.version()? != VERSION {
            return Ok(None);
        }
        let (map, placed) = reply.segments()?;
        Ok(Some(Offer { map, placed, memory: reply.memory(), guest: reply.guest }))
    }

    /// Makes a mark and forgets those before it.
    ///
    /// # Errors
    ///
    /// See [`Failed`].
    pub fn mark(&self) -> Result<Mark, Failed> {
        self.reply(command("dirty"), &[], 0)?.mark()
    }

    /// What was written since a mark, in the memory of `map`.
    ///
    /// # Errors
    ///
    /// See [`Failed`]; `ESTALE` if the mark is not known.
    pub fn dirty(&self, since: Mark, map: &MemoryMap) -> Result<Dirty, Failed> {
        let Mark(number) = since;
        let request = command("dirty").number("since", number);
        let reply = self.reply(request, &[], Written::size(map))?;
        let dirty = Dirty { mark: reply.mark()?, written: reply.dirty(map)?, guest: reply.guest };
        if dirty.mark <= since {
            return Err(Failed::Garbled("mark"));
        }
        Ok(dirty)
    }

    /// Forgets all marks.
    ///
    /// # Errors
    ///
    /// See [`Failed`].
    pub fn stop_watching(&self) -> Result<(), Failed> {
        self.reply(command("dirty").boolean("stop", true), &[], 0).map(|_| ())
    }

    /// Stops the guest and has its device state written, as `name.kern` and `name.meta`.
    ///
    /// # Errors
    ///
    /// See [`Failed`].
    pub fn suspend(&self, directory: BorrowedFd<'_>, name: &str) -> Result<(), Failed> {
        let request = command("suspend").string("filename", name).descriptor("fddir", 0);
        self.left(self.reply(request, &[directory], 0)?, Doing::Suspended)
    }

    /// Lets a suspended guest go on.
    ///
    /// # Errors
    ///
    /// See [`Failed`]; `EALREADY` if it runs.
    pub fn resume(&self) -> Result<(), Failed> {
        self.left(self.reply(command("resume"), &[], 0)?, Doing::Running)
    }

    /// Ends a suspended guest and its process.
    ///
    /// # Errors
    ///
    /// See [`Failed`]; `EBUSY` if it runs.
    pub fn destroy(&self) -> Result<(), Failed> {
        self.reply(command("destroy"), &[], 0).map(|_| ())
    }

    /// A command that was done leaves the guest in one way.
    fn left(&self, reply: Reply, guest: Doing) -> Result<(), Failed> {
        if reply.guest == guest { Ok(()) } else { Err(Failed::Garbled("guest")) }
    }

    fn reply(
        &self,
        request: Builder,
        descriptors: &[BorrowedFd<'_>],
        bitmaps: u64,
    ) -> Result<Reply, Failed> {
        match self.ask(request, descriptors, bitmaps)? {
            Answer::Reply(reply) => Ok(reply),
            Answer::Foreign => Err(Failed::Garbled("guest")),
        }
    }

    fn ask(
        &self,
        request: Builder,
        descriptors: &[BorrowedFd<'_>],
        bitmaps: u64,
    ) -> Result<Answer, Failed> {
        let list = request.build().map_err(msgio::Error::from).map_err(Unsent::from)?;
        let connection = Connection::open(&self.run_dir, &self.vm, Protocol::StreamDirectory)?;
        connection.send(&Request::List(list, descriptors.to_vec()))?;
        let size = usize::try_from(REPLY.saturating_add(bitmaps)).unwrap_or(usize::MAX);
        let bounds = Bounds { size, descriptors: 1, ..Bounds::default() };
        let deadline = Deadline::after(self.patience);
        let message = msgio::recv(connection.socket(), bounds, deadline);
        Answer::of(message.map_err(Failed::NoReply)?)
    }
}
