//! Opening what is to be read: a file with positions, or a stream without.
//!
//! Files are read, never mapped, so a file that changes under us is an error and never a SIGBUS.

use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Seek as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags, SeekFrom as Position};

use crate::exit::Trouble;
use crate::node::{self, Identity, Node, SECTOR};
use crate::signal::Stop;
use crate::sparse::Extents;
use crate::text;

/// What was opened.
#[derive(Debug)]
pub enum Input {
    /// A regular file or a disk: any position, any number of times.
    File(FileInput),
    /// A pipe, FIFO or the like: from front to back, once.
    Stream(StreamInput),
}

impl Input {
    /// Opens `path`, or stdin if it is `-`. A regular file on stdin (`< file`) has positions too.
    ///
    /// # Errors
    /// In words that name the file: it is missing, a directory, a terminal, unreadable; for stdin,
    /// that it is closed.
    pub fn open(path: &Path, stop: &Stop) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                return Err(Trouble::new("stdin is a terminal")
                    .hint("name a file, or send one in with `< FILE` or through a pipe")
                    .into());
            }
            let name = String::from("stdin");
            let file = stdin.as_fd().try_clone_to_owned().map_err(|e| cannot_open(&name, e))?;
            let file = File::from(file);
            if node::was_closed(&file, file.metadata()) {
                return Err(Trouble::new("stdin is closed")
                    .hint("name a file, or send one in with `< FILE` or through a pipe")
                    .into());
            }
            return Self::new(name, file, stop);
        }
        let name = text::path(path);
        if path.as_os_str().is_empty() {
            return Err(Trouble::new("the name of the input is empty").into());
        }
        // Not waiting here for a FIFO's writer, because a signal could not end that.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty());
        let file = file.map_err(|error| cannot_open(&name, error.into()))?;
        Self::new(name, File::from(file), stop)
    }

    fn new(name: String, mut file: File, stop: &Stop) -> anyhow::Result<Self> {
        let data = file.metadata().map_err(|error| cannot_open(&name, error))?;
        let kind = data.file_type();
        if kind.is_dir() {
            return Err(Trouble::new(format!("{name} is a directory"))
                .hint("name a file inside it")
                .into());
        }
        let node = Node::of(&mut file).map_err(|error| cannot_open(&name, error))?;
        let (end, disk) = match node {
            Node::File => (data.len(), false),
            Node::Disk(size) => (size, true),
            _ => return Ok(Self::Stream(StreamInput { name, file, stop: stop.clone() })),
        };
        let start = file.stream_position().map_err(|error| cannot_open(&name, error))?;
        let len = end.saturating_sub(start);
        let (changed, is) = (changed(&data), node::identity(&data));
        Ok(Self::File(FileInput { name, file, start, len, disk, changed, is }))
    }

    /// What to call it in a message, safe for a terminal.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::File(file) => &file.name,
            Self::Stream(stream) => &stream.name,
        }
    }

    /// How many bytes there are, if that is known beforehand.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::File(file) => Some(file.len),
            Self::Stream(_) => None,
        }
    }

    /// The file, for commands that need positions.
    ///
    /// # Errors
    /// In words, for a stream.
    pub fn into_file(self) -> anyhow::Result<FileInput> {
        match self {
            Self::File(file) => Ok(file),
            Self::Stream(stream) => {
                Err(Trouble::new(format!("{} can be read only once, front to back", stream.name))
                    .hint("this command jumps back and forth: save the input to a file first")
                    .into())
            }
        }
    }

    /// The bytes from front to back, whichever it is.
    #[must_use]
    pub fn into_reader(self) -> Box<dyn Read + Send> {
        match self {
            Self::File(file) => Box::new(FileReader { file, at: 0 }),
            Self::Stream(stream) => Box::new(stream),
        }
    }
}

fn cannot_open(name: &str, error: io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => Some("check the name; a relative one starts where you are"),
        io::ErrorKind::PermissionDenied => Some("snapshots belong to whoever runs bhyve: root"),
        _ => None,
    };
    let trouble = Trouble::new(format!("cannot open {name}")).because(error);
    hint.into_iter().fold(trouble, Trouble::hint).into()
}

/// A regular file or a disk, as it was when it was opened. Threads may share it.
#[derive(Debug)]
pub struct FileInput {
    name: String,
    file: File,
    /// Where our position 0 is: not 0 if someone before us read the front of a shared stdin.
    start: u64,
    len: u64,
    /// Whether it has to be read in whole sectors.
    disk: bool,
    /// The times of the last change, as seen at opening.
    changed: [i64; 4],
    is: Identity,
}

/// When the contents changed and, which nobody can set back, when anything about the file did.
fn changed(data: &std::fs::Metadata) -> [i64; 4] {
    [data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()]
}

impl FileInput {
    /// What to call it in a message, safe for a terminal.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its length when it was opened.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Which file this is.
    pub(crate) fn identity(&self) -> Identity {
        self.is
    }

    /// Reads at a position, at most to the length that the file had when it was opened.
    ///
    /// # Errors
    /// With the name; also if bytes are missing that were there at opening.
    pub fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let want = buf.len().min(left);
        let Some(buf) = buf.get_mut(..want).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        loop {
            match self.read_some(buf, self.start.saturating_add(at)) {
                Ok(0) => return Err(self.changed_while_read().into()),
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cannot_read(&self.name, error)),
            }
        }
    }

    /// A disk is read in whole sectors, as FreeBSD wants it, a few at a time.
    fn read_some(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        if !self.disk {
            return self.file.read_at(buf, at);
        }
        let skip = usize::try_from(at % SECTOR as u64).unwrap_or_default();
        let len = skip.saturating_add(buf.len()).next_multiple_of(SECTOR).min(16 * SECTOR);
        let mut sectors = vec![0; len];
        let n = self.file.read_at(&mut sectors, at - skip as u64)?;
        let read = sectors.get(skip..n).unwrap_or_default();
        let n = read.len().min(buf.len());
        let (to, from) = (buf.get_mut(..n), read.get(..n));
        to.unwrap_or_default().copy_from_slice(from.unwrap_or_default());
        Ok(n)
    }

    /// Fills `buf` from a position.
    ///
    /// # Errors
    /// As [`Self::read_at`]; and `UnexpectedEof` if the range does not lie inside the file.
    pub fn read_exact_at(&self, mut buf: &mut [u8], mut at: u64) -> io::Result<()> {
        let wanted = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        if at.checked_add(wanted).is_none_or(|end| end > self.len) {
            let words = format!(
                "{} ends at {:#x}, before {wanted} bytes at {at:#x} are complete",
                self.name, self.len
            );
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, Trouble::new(words)));
        }
        while !buf.is_empty() {
            let n = self.read_at(buf, at)?;
            buf = buf.get_mut(n..).unwrap_or_default();
            at += u64::try_from(n).unwrap_or_default();
        }
        Ok(())
    }

    /// The bytes from front to back.
    pub fn reader(&self) -> impl Read + '_ {
        FileReader { file: self, at: 0 }
    }

    /// Brings what others wrote to the disk, so that the file system knows its own holes.
    ///
    /// # Errors
    /// If it cannot. A file system that has no notion of that is no error.
    pub fn sync(&self) -> io::Result<()> {
        match self.file.sync_data() {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result.map_err(|error| cannot_read(&self.name, error)),
        }
    }

    /// Asks, after all was read, whether the file still is as it was at opening.
    ///
    /// # Errors
    /// If its length or the times of its last change differ.
    pub fn unchanged(&self) -> anyhow::Result<()> {
        let data = self.file.metadata().map_err(|error| cannot_read(&self.name, error))?;
        let same_len = !data.is_file() || data.len() == self.start.saturating_add(self.len);
        let same_time = !data.is_file() || changed(&data) == self.changed;
        if same_len && same_time { Ok(()) } else { Err(self.changed_while_read().into()) }
    }

    /// Asks, besides, whether `path` still names it.
    ///
    /// # Errors
    /// As [`Self::unchanged`]; and if the name is gone or means another file.
    pub fn unchanged_at(&self, path: &Path) -> anyhow::Result<()> {
        self.unchanged()?;
        match std::fs::metadata(path) {
            Ok(data) if node::identity(&data) == self.is => Ok(()),
            _ => Err(Trouble::new(format!("{} was replaced while it was read", self.name))
                .hint("wait until whatever writes it has finished, or work on a copy")
                .into()),
        }
    }

    fn changed_while_read(&self) -> Trouble {
        Trouble::new(format!("{} changed while it was read", self.name))
            .hint("wait until whatever writes it has finished, or work on a copy")
    }
}

impl Extents for FileInput {
    fn next_data(&self, from: u64) -> io::Result<u64> {
        self.seek(Position::Data(self.start.saturating_add(from)))
    }

    fn next_hole(&self, from: u64) -> io::Result<u64> {
        self.seek(Position::Hole(self.start.saturating_add(from)))
    }
}

impl FileInput {
    /// Moves the shared position of the file, which is harmless: all our reads name theirs.
    fn seek(&self, to: Position) -> io::Result<u64> {
        Ok(rustix::fs::seek(&self.file, to)?.saturating_sub(self.start))
    }
}

/// A file read from front to back.
#[derive(Debug)]
struct FileReader<F> {
    file: F,
    at: u64,
}

impl<F: Borrow<FileInput>> Read for FileReader<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.borrow().read_at(buf, self.at)?;
        self.at += u64::try_from(n).unwrap_or_default();
        Ok(n)
    }
}

/// A pipe or the like. A signal ends even a read that waits for data.
#[derive(Debug)]
pub struct StreamInput {
    name: String,
    file: File,
    stop: Stop,
}

impl Read for StreamInput {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stop.wait_readable(self.file.as_fd())?;
            match self.file.read(buf) {
                // Someone else who reads the same pipe was quicker.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(cannot_read(&self.name, error));
                }
                result => return result,
            }
        }
    }
}

fn cannot_read(name: &str, error: io::Error) -> io::Error {
    Trouble::new(format!("cannot read {name}")).because(error).into()
}
