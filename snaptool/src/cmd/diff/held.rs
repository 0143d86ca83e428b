//! Output that is held back while trouble may still come, as long as it is not much.

use std::io::{self, Write};

/// So much is held.
const MOST: usize = 4 << 20;

/// What is written here comes out when [`done`](Self::done) is called, or when it is too much.
pub(super) struct Held<'a> {
    out: &'a mut dyn Write,
    kept: Vec<u8>,
}

impl<'a> Held<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, kept: Vec::new() }
    }

    pub(super) fn done(mut self) -> io::Result<()> {
        self.release()?;
        self.out.flush()
    }

    fn release(&mut self) -> io::Result<()> {
        self.out.write_all(&self.kept)?;
        self.kept.clear();
        Ok(())
    }
}

impl Write for Held<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > MOST {
            self.release()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
