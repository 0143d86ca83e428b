//! What each version of bhyve wants to be told, and over which kind of socket.
//!
//! Read in the sources of bhyve and bhyvectl, never tried on FreeBSD. Which release has which is
//! not certain; [`Protocol::likely`] is a guess that a person can overrule.

use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::net::SocketType;
use snapfmt::nvlist::{self, Nvlist};

/// The longest path that `struct checkpoint_op` can hold, without its NUL.
const OP_NAME: usize = 99;
/// The longest name that is taken elsewhere, extension included: `NAME_MAX`.
const NAME_MAX: usize = 255;
/// What is appended to the name that was asked for; `.meta` is as long.
const EXTENSION: usize = ".kern".len();

/// How bhyve listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// FreeBSD 13.0 and 13.1: a datagram with `struct checkpoint_op`, an `unsigned int` and 100
    /// characters.
    DatagramStruct,
    /// Between the two, in no release that is known: a datagram with a list.
    DatagramList,
    /// 13.2: a list over a stream. The name is a path, and relative to bhyve's own directory.
    Stream,
    /// 14.0 and later: the same list, a name without path, and the descriptor of a directory. Since
    /// 2025 bhyve answers a command that it did not take; before, and if it suspended, it closes.
    StreamDirectory,
}

/// What bhyve is asked to do. There are no other commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Write the three files and go on.
    Checkpoint,
    /// Write the three files, destroy the VM and exit.
    Suspend,
}

/// A request, ready to go.
#[derive(Debug)]
pub enum Request<'a> {
    /// These bytes in one datagram.
    Bytes(Vec<u8>),
    /// A list and the descriptors that it names.
    List(Nvlist, Vec<BorrowedFd<'a>>),
}

/// Why there is no such request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsuitable {
    /// The name of the files has a `/`, a NUL, or nothing in it, or is `.` or `..`.
    #[error("the name of the files has to be a plain file name")]
    Name,
    /// The directory is not given from the root on: bhyve would take it from its own.
    #[error("the directory of the files has to be an absolute path")]
    Relative,
    /// Longer than bhyve takes; it cuts or refuses such names and says nothing.
    #[error("the path of the files has {found} bytes, this bhyve takes {limit}")]
    TooLong {
        /// Bytes of the name or path.
        found: usize,
        /// Bytes that bhyve takes.
        limit: usize,
    },
    /// The list cannot be built.
    #[error(transparent)]
    List(#[from] nvlist::Error),
}

impl Protocol {
    /// All of them, the oldest first.
    pub const ALL: [Self; 4] =
        [Self::DatagramStruct, Self::DatagramList, Self::Stream, Self::StreamDirectory];

    /// What a FreeBSD of this release most likely has.
    #[must_use]
    pub const fn likely(major: u32, minor: u32) -> Self {
        match (major, minor) {
            (..=12, _) | (13, 0 | 1) => Self::DatagramStruct,
            (13, _) => Self::Stream,
            _ => Self::StreamDirectory,
        }
    }

    /// The kind of socket that bhyve has bound.
    #[must_use]
    pub const fn socket(self) -> SocketType {
        match self {
            Self::DatagramStruct | Self::DatagramList => SocketType::DGRAM,
            Self::Stream | Self::StreamDirectory => SocketType::STREAM,
        }
    }

    /// What bhyvectl of that version sends for `directory/name`, `open` being that directory's
    /// descriptor. Unlike bhyvectl it sends no relative path, nor one that bhyve would cut.
    ///
    /// # Errors
    ///
    /// See [`Unsuitable`].
    pub fn request<'a>(
        self,
        command: Command,
        directory: &Path,
        open: BorrowedFd<'a>,
        name: &str,
    ) -> Result<Request<'a>, Unsuitable> {
        if name.is_empty() || name.contains(['/', '\0']) || matches!(name, "." | "..") {
            return Err(Unsuitable::Name);
        }
        let suspend = command == Command::Suspend;
        if self == Self::StreamDirectory {
            within(name.len() + EXTENSION, NAME_MAX)?;
            let list = list("checkpoint", name.as_bytes()).boolean("suspend", suspend);
            return Ok(Request::List(list.descriptor("fddir", 0).build()?, vec![open]));
        }
        if !directory.is_absolute() {
            return Err(Unsuitable::Relative);
        }
        let path = directory.join(name);
        let path = path.as_os_str().as_encoded_bytes();
        Ok(match self {
            Self::DatagramStruct => {
                within(path.len() + EXTENSION, OP_NAME)?;
                Request::Bytes(checkpoint_op(command, path))
            }
            Self::DatagramList => {
                within(path.len() + EXTENSION, NAME_MAX)?;
                let cmd = if suspend { "START_SUSPEND" } else { "START_CHECKPOINT" };
                Request::List(list(cmd, path).build()?, Vec::new())
            }
            Self::Stream | Self::StreamDirectory => {
                within(path.len() + EXTENSION, NAME_MAX)?;
                let list = list("checkpoint", path).boolean("suspend", suspend);
                Request::List(list.build()?, Vec::new())
            }
        })
    }
}

fn within(found: usize, limit: usize) -> Result<(), Unsuitable> {
    if found <= limit { Ok(()) } else { Err(Unsuitable::TooLong { found, limit }) }
}

fn list(cmd: &str, filename: &[u8]) -> nvlist::Builder {
    Nvlist::builder().string("cmd", cmd).string("filename", filename)
}

/// `struct checkpoint_op` as a little-endian host lays it out.
fn checkpoint_op(command: Command, path: &[u8]) -> Vec<u8> {
    let op: u32 = match command {
        Command::Checkpoint => 0,
        Command::Suspend => 1,
    };
    let mut bytes = op.to_le_bytes().to_vec();
    bytes.extend_from_slice(path);
    bytes.resize(size_of::<u32>() + OP_NAME + 1, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    fn bytes(protocol: Protocol, command: Command) -> (String, usize) {
        let root = File::open("/").unwrap();
        match protocol.request(command, Path::new("/vm"), root.as_fd(), "a.ckp").unwrap() {
            Request::Bytes(bytes) => (hex::encode(bytes), 0),
            Request::List(list, fds) => (hex::encode(list.pack_to_send().unwrap()), fds.len()),
        }
    }

    /// A pair as libnv lays it out: type, name with NUL, data.
    fn pair(kind: u8, name: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend((u16::try_from(name.len()).unwrap() + 1).to_le_bytes());
        bytes.extend((data.len() as u64).to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.extend(data);
        bytes
    }

    fn message(descriptors: u64, pairs: &[Vec<u8>]) -> String {
        let body = pairs.concat();
        let mut bytes = b"l\0\0".to_vec();
        bytes.extend(descriptors.to_le_bytes());
        bytes.extend((body.len() as u64).to_le_bytes());
        bytes.extend(body);
        hex::encode(bytes)
    }

    #[test]
    fn version_14_is_sent_a_name_and_a_directory() {
        for (command, suspend) in [(Command::Checkpoint, 0), (Command::Suspend, 1)] {
            let wanted = message(
                1,
                &[
                    pair(4, "cmd", b"checkpoint\0"),
                    pair(4, "filename", b"a.ckp\0"),
                    pair(2, "suspend", &[suspend]),
                    pair(6, "fddir", &[0; 8]),
                ],
            );
            assert_eq!(bytes(Protocol::StreamDirectory, command), (wanted, 1));
        }
    }

    #[test]
    fn version_13_2_is_sent_a_path() {
        let wanted = message(
            0,
            &[
                pair(4, "cmd", b"checkpoint\0"),
                pair(4, "filename", b"/vm/a.ckp\0"),
                pair(2, "suspend", &[1]),
            ],
        );
        assert_eq!(bytes(Protocol::Stream, Command::Suspend), (wanted, 0));
    }

    #[test]
    fn the_version_between_is_sent_another_word_for_each_command() {
        let words =
            [(Command::Checkpoint, "START_CHECKPOINT\0"), (Command::Suspend, "START_SUSPEND\0")];
        for (command, word) in words {
            let pairs = [pair(4, "cmd", word.as_bytes()), pair(4, "filename", b"/vm/a.ckp\0")];
            assert_eq!(bytes(Protocol::DatagramList, command), (message(0, &pairs), 0));
        }
    }

    #[test]
    fn version_13_0_is_sent_a_structure_of_104_bytes() {
        for (command, op) in [(Command::Checkpoint, 0), (Command::Suspend, 1)] {
            let mut wanted = vec![op, 0, 0, 0];
            wanted.extend(b"/vm/a.ckp");
            wanted.resize(104, 0);
            assert_eq!(bytes(Protocol::DatagramStruct, command), (hex::encode(wanted), 0));
        }
    }

    #[test]
    fn names_that_bhyve_would_cut_or_take_elsewhere_are_not_sent() {
        let root = File::open("/").unwrap();
        let ask = |protocol: Protocol, directory: &str, name: &str| {
            protocol
                .request(Command::Checkpoint, Path::new(directory), root.as_fd(), name)
                .map(|_| ())
        };
        for protocol in Protocol::ALL {
            for name in ["", ".", "..", "a/b", "a\0b"] {
                assert_eq!(ask(protocol, "/vm", name), Err(Unsuitable::Name), "{protocol:?}");
            }
        }
        let long = |length: usize| "n".repeat(length);
        let too_long = |found, limit| Err(Unsuitable::TooLong { found, limit });
        assert_eq!(ask(Protocol::StreamDirectory, "vm", &long(250)), Ok(()));
        assert_eq!(ask(Protocol::StreamDirectory, "vm", &long(251)), too_long(256, 255));
        assert_eq!(ask(Protocol::Stream, "vm", "a"), Err(Unsuitable::Relative));
        assert_eq!(ask(Protocol::Stream, "/vm", &long(246)), Ok(()));
        assert_eq!(ask(Protocol::DatagramList, "/vm", &long(247)), too_long(256, 255));
        assert_eq!(ask(Protocol::DatagramStruct, "/vm", &long(90)), Ok(()));
        assert_eq!(ask(Protocol::DatagramStruct, "/vm", &long(91)), too_long(100, 99));
    }

    #[test]
    fn a_release_has_a_likely_protocol() {
        let likely = [(12, 4), (13, 0), (13, 1), (13, 2), (14, 0), (15, 1)];
        let likely = likely.map(|(major, minor)| Protocol::likely(major, minor));
        let [old, oldest, old_too, stream, directory, newest] = likely;
        assert_eq!([old, oldest, old_too], [Protocol::DatagramStruct; 3]);
        assert_eq!((stream, directory), (Protocol::Stream, newest));
        assert_eq!(newest, Protocol::StreamDirectory);
    }
}
