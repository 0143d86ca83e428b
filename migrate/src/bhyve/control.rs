//! A connection to bhyve's control socket.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use snapfmt::nvlist::Nvlist;

use super::protocol::{Protocol, Request};
use crate::msgio::{self, Bounds, Deadline};

/// Where bhyve binds its sockets, each under the name of its VM.
pub const RUN_DIR: &str = "/var/run/bhyve";

/// How long a request may take to get into a socket. bhyve reads it between two commands.
const SENDING: Duration = Duration::from_secs(10);

/// What a socket says after a command.
#[derive(Debug)]
pub enum Heard {
    /// Nothing yet.
    Nothing,
    /// It was closed: this bhyve has come to the end of the command, or of its life.
    Closed,
    /// An answer.
    Answer(Nvlist),
    /// It failed, or said what is no answer.
    Broken(msgio::Error),
}

/// Whoever may say something after a command; a socket, or what a test puts in its place.
pub trait Line {
    /// What is said within this time. After anything but [`Heard::Nothing`] it is asked no more.
    fn hear(&mut self, time: Duration) -> Heard;
}

/// Why a command did not get to bhyve. Then nothing has happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unsent {
    /// Nobody listens: the VM does not run, its bhyve has no snapshot option, or it is another
    /// socket's path.
    #[error("nobody listens at {}: {source}", path.display())]
    Nobody {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// bhyve listens in another way: it is of another version.
    #[error("bhyve listens at {} with another kind of socket than {protocol:?}", path.display())]
    OtherKind {
        /// The socket's path.
        path: PathBuf,
        /// What was tried.
        protocol: Protocol,
    },
    /// The socket cannot be made, or its path is too long.
    #[error("{}: {source}", path.display())]
    Socket {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The request did not go.
    #[error(transparent)]
    Message(#[from] msgio::Error),
}

/// A socket that is connected to bhyve's.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    kind: SocketType,
}

impl Connection {
    /// Connects to the socket of a VM in `run_dir`, as bhyvectl does.
    ///
    /// # Errors
    ///
    /// See [`Unsent`].
    pub fn open(run_dir: &Path, vm: &str, protocol: Protocol) -> Result<Self, Unsent> {
        let path = run_dir.join(vm);
        let kind = protocol.socket();
        let failed = |errno: rustix::io::Errno| {
            let source = io::Error::from(errno);
            let path = path.clone();
            match errno {
                rustix::io::Errno::PROTOTYPE => Unsent::OtherKind { path, protocol },
                rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT => {
                    Unsent::Nobody { path, source }
                }
                _ => Unsent::Socket { path, source },
            }
        };
        let address = SocketAddrUnix::new(&path).map_err(failed)?;
        // Nothing waits but `msgio`, which knows when to stop; a full queue is an error.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None);
        let socket = socket.map_err(failed)?;
        rustix::net::connect(&socket, &address).map_err(failed)?;
        Ok(Self { socket, kind })
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// See [`Unsent`].
    pub fn send(&self, request: &Request<'_>) -> Result<(), Unsent> {
        let deadline = Deadline::after(SENDING);
        match request {
            Request::List(list, fds) => msgio::send(&self.socket, list, fds, deadline)?,
            Request::Bytes(bytes) => msgio::send_bytes(&self.socket, bytes, deadline)?,
        }
        Ok(())
    }

    /// The connected socket.
    #[must_use]
    pub fn socket(&self) -> impl AsFd {
        &self.socket
    }
}

impl Line for Connection {
    fn hear(&mut self, time: Duration) -> Heard {
        if self.kind == SocketType::DGRAM {
            // bhyve never says anything to it, and its end cannot be seen.
            std::thread::sleep(time);
            return Heard::Nothing;
        }
        // An answer has no descriptors.
        let bounds = Bounds { descriptors: 0, ..Bounds::default() };
        match msgio::recv(&self.socket, bounds, Deadline::after(time)) {
            Ok(message) => Heard::Answer(message.into_list()),
            Err(msgio::Error::TimedOut) => Heard::Nothing,
            Err(error) if error.is_end() => Heard::Closed,
            Err(error) => Heard::Broken(error),
        }
    }
}
