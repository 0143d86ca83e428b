//! Outputs that are no files: stdout, pipes, devices. What was written to them stays written.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl};

use super::{Content, Existing, cannot};
use crate::exit::Trouble;

/// A stream to somewhere that cannot be staged.
#[derive(Debug)]
pub struct Direct {
    file: File,
    name: String,
    stdout: bool,
    /// Whether there is a disk behind it, so that durability means something.
    durable: bool,
}

impl Direct {
    pub(super) fn stdout(content: Content) -> anyhow::Result<Self> {
        let name = String::from("stdout");
        // A copy of the descriptor, because `io::Stdout` looks for line ends in what it is given.
        let file = io::stdout().as_fd().try_clone_to_owned();
        let file = File::from(file.map_err(|error| cannot("use", &name, error))?);
        if content == Content::Binary && was_closed(&file) {
            return Err(Trouble::new("stdout is closed")
                .hint("name a file with -o, or open /dev/null for writing to throw all away")
                .into());
        }
        let durable = file.metadata().is_ok_and(|data| data.is_file());
        Self { file, name, stdout: true, durable }.unless_terminal(content)
    }

    pub(super) fn open(
        path: &Path,
        shown: String,
        block: bool,
        content: Content,
        existing: Existing,
    ) -> anyhow::Result<Self> {
        if block && existing == Existing::Refuse {
            return Err(Trouble::new(format!("{shown} is a disk"))
                .hint("name a file, or allow the disk's contents to be replaced")
                .into());
        }
        let file = File::options().write(true).open(path);
        let file = file.map_err(|error| cannot("open", &shown, error))?;
        Self { file, name: shown, stdout: false, durable: block }.unless_terminal(content)
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

    pub(super) fn finish(self) -> anyhow::Result<()> {
        if self.durable {
            self.file.sync_all().map_err(|error| cannot("make durable", &self.name, error))?;
        }
        Ok(())
    }
}

/// Whether stdout was closed when we were started: Rust then opens `/dev/null` in its place, for
/// reading and writing, and everything that is written would be lost without an error.
fn was_closed(file: &File) -> bool {
    let device = |data: io::Result<std::fs::Metadata>| data.map(|data| data.rdev()).ok();
    let ours = device(file.metadata()).filter(|&device| device != 0);
    let both_ways = fcntl_getfl(file).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR);
    both_ways && ours.is_some() && ours == device(std::fs::metadata("/dev/null"))
}

impl Write for Direct {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self.file.write(buf) {
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
