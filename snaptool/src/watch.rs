//! A file that is read under watch: it fails to be read once the program was told to stop, and what
//! is read is counted. The readers of `snapfmt` know neither signals nor people who wait.

use std::io;

use snapfmt::read::ReadAt;

use crate::input::FileInput;
use crate::progress::Progress;
use crate::signal::Stop;

/// A file, whom to ask whether to go on, and whom to tell what was read.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// The file.
    pub file: &'a FileInput,
    /// Asked before each read.
    pub stop: &'a Stop,
    /// Told the bytes of each read.
    pub progress: &'a Progress,
}

impl ReadAt for Watched<'_> {
    fn size(&self) -> u64 {
        self.file.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.stop.check().map_err(io::Error::other)?;
        self.file.read_exact_at(buf, offset)?;
        self.progress.add(buf.len() as u64);
        Ok(())
    }
}
