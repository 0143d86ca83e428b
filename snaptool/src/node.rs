//! What stands behind an open descriptor: which file it is, and whether it has positions.

use std::borrow::Borrow;
use std::fs::{File, Metadata};
use std::io::{self, IsTerminal as _, Seek as _, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use rustix::fs::{OFlags, fcntl_getfl};

/// Which file a name or a descriptor means: device and inode.
pub(crate) type Identity = (u64, u64);

pub(crate) fn identity(data: impl Borrow<Metadata>) -> Identity {
    let data = data.borrow();
    (data.dev(), data.ino())
}

/// Bytes that a disk is read and written in: sectors of any common size fit.
pub(crate) const SECTOR: usize = 4096;

/// What can be done with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// A regular file.
    File,
    /// A disk and its size. FreeBSD has them, and its zvols, as character devices.
    Disk(u64),
    /// A FIFO, a socket, a terminal.
    Stream,
    /// A device of size zero: it keeps nothing, as `/dev/null`.
    Void,
    /// Any other device.
    Device,
}

impl Node {
    /// Looks at an open file, and leaves its position where it is.
    pub(crate) fn of(file: &mut File) -> io::Result<Self> {
        let kind = file.metadata()?.file_type();
        if kind.is_file() {
            return Ok(Self::File);
        }
        let block = kind.is_block_device();
        if !block && (!kind.is_char_device() || file.is_terminal()) {
            return Ok(Self::Stream);
        }
        match size(file) {
            Err(error) if block => Err(error),
            size => Ok(Self::of_device(block, size.ok())),
        }
    }

    /// A device by what a seek to its end says.
    fn of_device(block: bool, size: Option<u64>) -> Self {
        match size {
            Some(0) if !block => Self::Void,
            Some(size) => Self::Disk(size),
            None => Self::Device,
        }
    }
}

fn size(file: &mut File) -> io::Result<u64> {
    let here = file.stream_position()?;
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(here))?;
    Ok(size)
}

/// Whether a standard stream was closed when we were started: Rust then opens `/dev/null` in its
/// place, for reading and writing. Whatever else gives `/dev/null` for both looks the same.
pub(crate) fn was_closed(file: impl AsFd, data: io::Result<Metadata>) -> bool {
    let device = |data: io::Result<Metadata>| data.map(|data| data.rdev()).ok();
    let ours = device(data).filter(|&device| device != 0);
    let both_ways = fcntl_getfl(file).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR);
    both_ways && ours.is_some() && ours == device(std::fs::metadata("/dev/null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_device_with_a_size_is_a_disk() {
        assert_eq!(Node::of_device(false, Some(512)), Node::Disk(512));
        assert_eq!(Node::of_device(true, Some(0)), Node::Disk(0));
        assert_eq!(Node::of_device(false, Some(0)), Node::Void);
        assert_eq!(Node::of_device(false, None), Node::Device);
        let mut null = File::open("/dev/null").unwrap();
        assert_eq!(Node::of(&mut null).unwrap(), Node::Void);
    }

    #[test]
    fn files_and_pipes_are_what_they_are() {
        let mut file = tempfile::tempfile().unwrap();
        assert_eq!(Node::of(&mut file).unwrap(), Node::File);
        let (reader, _writer) = io::pipe().unwrap();
        let mut reader = File::from(std::os::fd::OwnedFd::from(reader));
        assert_eq!(Node::of(&mut reader).unwrap(), Node::Stream);
    }
}
