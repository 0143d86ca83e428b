//! Outputs that are no files: stdout, pipes, devices. What was written to them stays written.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::{Content, Existing, cannot};
use crate::exit::Trouble;
use crate::node::{self, Identity, Node, SECTOR};

/// A stream to somewhere that cannot be staged.
#[derive(Debug)]
pub struct Direct {
    file: File,
    name: String,
    stdout: bool,
    /// Whether there is a disk behind it, so that durability means something.
    durable: bool,
    /// What waits until it fills sectors, for a disk that we opened: FreeBSD takes nothing else.
    sectors: Option<Vec<u8>>,
}

impl Direct {
    pub(super) fn stdout(content: Content) -> anyhow::Result<Self> {
        let name = String::from("stdout");
        // A copy of the descriptor, because `io::Stdout` looks for line ends in what it is given.
        let file = io::stdout().as_fd().try_clone_to_owned();
        let mut file = File::from(file.map_err(|error| cannot("use", &name, error))?);
        if content == Content::Binary && node::was_closed(&file, file.metadata()) {
            return Err(Trouble::new("stdout is closed")
                .hint("name a file with -o, or open /dev/null for writing to throw all away")
                .into());
        }
        let durable = matches!(Node::of(&mut file), Ok(Node::File | Node::Disk(_)));
        Self { file, name, stdout: true, durable, sectors: None }.unless_terminal(content)
    }

    pub(super) fn open(
        path: &Path,
        shown: String,
        block: bool,
        content: Content,
        existing: Existing,
    ) -> anyhow::Result<Self> {
        let keeps = |what| match existing {
            Existing::Force => Ok(()),
            _ => Err(Trouble::new(format!("{shown} is {what}"))
                .hint("name a file, or write over the device's contents with --force")),
        };
        if block {
            keeps("a disk")?;
        }
        let flags = OFlags::NOCTTY.bits().cast_signed();
        let file = File::options().write(true).custom_flags(flags).open(path);
        let mut file = file.map_err(|error| cannot("open", &shown, error))?;
        let node = Node::of(&mut file).map_err(|error| cannot("look at", &shown, error))?;
        match node {
            Node::Disk(_) => keeps("a disk")?,
            Node::Device => keeps("a device")?,
            Node::File | Node::Stream | Node::Void => {}
        }
        let disk = matches!(node, Node::Disk(_));
        let sectors = disk.then(Vec::new);
        Self { file, name: shown, stdout: false, durable: disk, sectors }.unless_terminal(content)
    }

    fn unless_terminal(self, content: Content) -> anyhow::Result<Self> {
        if content == Content::Binary && self.file.is_terminal() {
            return Err(Trouble::new(format!("{} is a terminal and this is binary", self.name))
                .hint("name a file with -o, or send stdout to a file or a pipe")
                .into());
        }
        Ok(self)
    }

    /// What to call it in a message, safe for a terminal.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.file.metadata().ok().map(|data| node::identity(&data))
    }

    pub(super) fn is_stdout(&self) -> bool {
        let stdout =
            || io::stdout().as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
        self.stdout || stdout().is_ok_and(|data| self.identity() == Some(node::identity(&data)))
    }

    /// Ends a disk's last sector with zeros, and makes durable what has a place to stay.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        if let Some(mut rest) = self.sectors.take().filter(|rest| !rest.is_empty()) {
            rest.resize(SECTOR, 0);
            self.file.write_all(&rest).map_err(|error| cannot("write", &self.name, error))?;
        }
        if self.durable {
            self.file.sync_all().map_err(|error| cannot("make durable", &self.name, error))?;
        }
        Ok(())
    }
}

impl Direct {
    fn write_some(&mut self, buf: &[u8]) -> io::Result<usize> {
        let Some(sectors) = &mut self.sectors else { return self.file.write(buf) };
        sectors.extend_from_slice(buf);
        let whole = sectors.len() - sectors.len() % SECTOR;
        let whole: Vec<u8> = sectors.drain(..whole).collect();
        self.file.write_all(&whole)?;
        Ok(buf.len())
    }
}

impl Write for Direct {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self.write_some(buf) {
            Ok(n) => Ok(n),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => Err(error),
                // Left as it is: `exit` makes it a quiet end.
                io::ErrorKind::BrokenPipe if self.stdout => Err(error),
                _ => Err(cannot("write", &self.name, error)),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
