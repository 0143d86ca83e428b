//! The thread that writes: what the outbox has, no faster than it may.

use std::io::{self, Write as _};
use std::thread;
use std::time::Instant;

use super::{Bucket, Count, Outbox, REPORT, Rate};
use crate::transport::Output;

/// What is written at once without a limit: a peer that reads slowly is still seen to read.
const PIECE: usize = 64 << 10;

pub(super) struct Writer {
    output: Output,
    outbox: Outbox,
    count: Count,
    piece: usize,
    bucket: Option<Bucket>,
    begin: Instant,
}

impl Writer {
    pub(super) fn new(output: Output, outbox: Outbox, limit: Option<Rate>, count: Count) -> Self {
        let piece = limit.map_or(PIECE, Rate::piece);
        let bucket = limit.map(Bucket::new);
        Self { output, outbox, count, piece, bucket, begin: Instant::now() }
    }

    /// Writes until the outbox is closed; `progress` hears now and then that something was written,
    /// `failed` that nothing can be written any more.
    pub(super) fn start(
        mut self,
        progress: impl Fn() + Send + 'static,
        failed: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<()> {
        let work = move || {
            let written = self.write(&progress);
            self.outbox.close();
            // Whoever reads sees the end now, and not when `failed` has had its patience.
            drop(self.output);
            if let Err(error) = written {
                failed(error);
            }
        };
        thread::Builder::new().name("write".to_owned()).spawn(work).map(drop)
    }

    fn write(&mut self, progress: &impl Fn()) -> io::Result<()> {
        let mut told: Option<Instant> = None;
        while let Some(bytes) = self.outbox.next() {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                if !self.may() {
                    return Ok(());
                }
                let piece = rest.get(..self.piece).unwrap_or(rest);
                let count = match self.output.write(piece) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                };
                rest = rest.get(count..).unwrap_or_default();
                self.count.add(count);
                let idle = self.outbox.sent(count);
                if let Some(bucket) = &mut self.bucket {
                    bucket.take(self.begin.elapsed(), count as u64);
                }
                if idle {
                    self.output.flush()?;
                }
                if idle || told.is_none_or(|at| at.elapsed() >= REPORT) {
                    told = Some(Instant::now());
                    progress();
                }
            }
        }
        Ok(())
    }

    /// Waits until something may be sent; says whether anything is to be.
    fn may(&self) -> bool {
        let Some(bucket) = &self.bucket else { return true };
        let wait = bucket.wait(self.begin.elapsed());
        let until = Instant::now().checked_add(wait);
        wait.is_zero() || until.is_some_and(|until| self.outbox.pause(until))
    }
}
