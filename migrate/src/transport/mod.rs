//! Where a stream goes: two streams of bytes each, and a way to end both at once.
//!
//! Knows names of places and how to reach them. What is said there is not its business, and neither
//! is how long: whoever reads and writes has the clock, and calls [`Closer::close`], which wakes
//! both. Reaching a place takes a bounded time.

mod child;
mod dest;
mod local;
mod quote;
mod ssh;
mod tcp;
mod unix;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

pub use self::child::Child;
pub use self::dest::{BadDest, Dest, Listen, Remote};
pub use self::local::{file, standard, stdout};
pub use self::quote::quoted;
pub use self::ssh::{Ssh, command, connect as over_ssh};
pub use self::tcp::{connect as over_tcp, listen as on_tcp};
pub use self::unix::{Socket, connect as over_unix, listen as on_unix};

/// Something that bytes come out of.
pub type Input = Box<dyn Read + Send>;
/// Something that bytes go into.
pub type Output = Box<dyn Write + Send>;

/// One connection.
pub struct Connection {
    /// What the peer says.
    pub input: Input,
    /// What the peer is told.
    pub output: Output,
    /// Ends both.
    pub closer: Closer,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("closer", &self.closer).finish_non_exhaustive()
    }
}

/// Ends a connection, whoever is reading or writing it.
#[derive(Debug)]
pub enum Closer {
    /// Pipes that we were given: they end with the process.
    Process,
    /// A Unix socket.
    Unix(UnixStream),
    /// A TCP socket.
    Tcp(TcpStream),
    /// The pipes of a program that we started.
    Child(Child),
}

impl Closer {
    /// Tells the peer that nothing more comes, and keeps what it says. Whether that can be told
    /// apart from the end of both.
    #[must_use]
    pub fn half_close(&self) -> bool {
        match self {
            // The writer has closed the pipe.
            Self::Child(_) => true,
            Self::Unix(socket) => socket.shutdown(Shutdown::Write).is_ok(),
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write).is_ok(),
            Self::Process => false,
        }
    }

    /// Ends both streams. What was written before may still arrive. Says how the program on the way
    /// ended, if there is one and it did not end well.
    pub fn close(self, patience: Duration) -> Option<String> {
        // An error says that the peer has closed it already.
        match self {
            Self::Process => None,
            Self::Unix(socket) => {
                let _ = socket.shutdown(Shutdown::Both);
                None
            }
            Self::Tcp(socket) => {
                let _ = socket.shutdown(Shutdown::Both);
                None
            }
            Self::Child(child) => child.finish(patience),
        }
    }
}

impl Connection {
    /// A connection through a Unix socket that is connected.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub fn unix(socket: UnixStream) -> io::Result<Self> {
        let (input, output) = (socket.try_clone()?, socket.try_clone()?);
        Ok(Self { input: Box::new(input), output: Box::new(output), closer: Closer::Unix(socket) })
    }

    /// A connection through a TCP socket that is connected. Messages are not held back to fill
    /// packets.
    ///
    /// # Errors
    /// If the system has no descriptors left, or the connection is gone.
    pub fn tcp(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let (input, output) = (socket.try_clone()?, socket.try_clone()?);
        Ok(Self { input: Box::new(input), output: Box::new(output), closer: Closer::Tcp(socket) })
    }
}

/// Why a place cannot be reached, in words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address beyond this machine, for a stream that nothing encrypts.
    #[error(
        "{0} is not on this machine, and TCP neither encrypts nor knows who is there (§13.1); \
         ssh:// does both, --insecure insists"
    )]
    OffLoopback(String),
    /// A name without addresses.
    #[error("{0} has no address")]
    NoAddress(String),
    /// The system says no.
    #[error("{place}: {error}")]
    System {
        /// Which place.
        place: String,
        /// What it says.
        error: io::Error,
    },
    /// Nothing answered.
    #[error("{place}: no answer within {patience:?}")]
    NoAnswer {
        /// Which place.
        place: String,
        /// How long that was waited for.
        patience: Duration,
    },
    /// A file is there that is not ours to replace.
    #[error("{0} exists already and is no socket that was left over")]
    Taken(String),
}

impl Error {
    fn system(place: &impl ToString) -> impl FnOnce(io::Error) -> Self {
        let place = place.to_string();
        |error| Self::System { place, error }
    }
}

/// Runs what may wait without a time limit of its own: a name server, a full backlog. Its thread is
/// left behind if it does not end in time.
fn within<T: Send + 'static>(
    patience: Duration,
    place: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let (tell, told) = mpsc::sync_channel(1);
    let worker = thread::Builder::new().name("connect".to_owned()).spawn(move || {
        // Nobody waits for it any more if that fails.
        let _ = tell.send(work());
    });
    worker.map_err(Error::system(&place))?;
    match told.recv_timeout(patience) {
        Ok(result) => result.map_err(Error::system(&place)),
        Err(RecvTimeoutError::Timeout) => {
            Err(Error::NoAnswer { place: place.to_owned(), patience })
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(Error::system(&place)(io::Error::other("the thread that connects ended early")))
        }
    }
}
