//! Reads a snapshot file from front to back, with several threads that check, decode and hash its
//! extents. What comes of it is what one thread makes of it: see [`snapfmt::read::WalkAhead`].

use std::io::{self, Read};

use snapfmt::limits;
use snapfmt::read::{Fed, Need, Opened, Part, StreamError, Unopened, Verified, WalkAhead};

use crate::pipeline::{self, Line};

/// Memory for bytes is taken in steps of that much, as they arrive: a promise of bytes costs no
/// more. An extent takes one.
const STEP: usize = (4 << 20) + limits::PAGE;
const _: () = assert!(STEP as u64 == limits::EXTENT_MAX + limits::PAGE as u64);

/// Buffers that are kept for what is read next.
const SPARE: usize = 2;

/// Reads a whole snapshot and gives every part to `take`, in order, once the digests of the part
/// have matched; only the result says that all of the file did.
///
/// An extent was given to `look` before, on any thread, and `take` gets what came of it. `look` may
/// also be given extents behind something that turns out to be wrong. `take` gives back what it has
/// no use for.
///
/// # Errors
/// See [`StreamError`].
pub fn read_all<X: Send>(
    input: impl Read,
    threads: usize,
    look: impl Fn(&Part) -> X + Sync,
    take: impl FnMut(Part, Option<X>) -> anyhow::Result<Option<Part>>,
) -> Result<Verified, Wrong> {
    let work = |(): &mut (), extent: Unopened| {
        let opened = extent.open();
        let seen = opened.part().map(&look);
        (opened, seen)
    };
    let mut reader = Reader { input, walk: WalkAhead::new(), take, spare: Vec::new() };
    let read = pipeline::run(threads, work, |line| Ok(reader.read(line)));
    read.map_err(StreamError::Taker).flatten()?;
    reader.walk.end().map_err(StreamError::Format)
}

/// Why a file was not read to its end.
type Wrong = StreamError<anyhow::Error>;

/// An extent that was opened, and what was seen in it.
type Seen<X> = (Opened, Option<X>);

struct Reader<R, T> {
    input: R,
    walk: WalkAhead,
    take: T,
    spare: Vec<Vec<u8>>,
}

impl<R: Read, T> Reader<R, T> {
    /// Reads up to the end of the input.
    fn read<X>(&mut self, line: &mut Line<'_, Unopened, Seen<X>>) -> Result<(), Wrong>
    where
        T: FnMut(Part, Option<X>) -> anyhow::Result<Option<Part>>,
    {
        loop {
            while let Some(seen) = line.done().map_err(StreamError::Taker)? {
                self.taken(seen)?;
            }
            if line.is_full() {
                self.next(line)?;
            }
            match self.walk.need().map_err(StreamError::Format)? {
                Need::Opened => self.next(line)?,
                Need::Bytes { lead, rest } => {
                    let at = self.walk.offset();
                    let (lead, rest) = match self.pieces(lead, rest) {
                        Ok(pieces) => pieces,
                        Err(source) => {
                            // What is wrong before comes first.
                            while !line.is_empty() {
                                self.next(line)?;
                            }
                            return Err(StreamError::Io { at, source });
                        }
                    };
                    match self.walk.feed(lead, rest).map_err(StreamError::Format)? {
                        Fed::Nothing => {}
                        Fed::Part(part) => self.part(part, None)?,
                        Fed::Extent(extent) => line.give(extent).map_err(StreamError::Taker)?,
                    }
                }
                Need::End => {
                    let at = self.walk.offset();
                    let more = self.fill(Vec::new(), 1);
                    let more = more.map_err(|source| StreamError::Io { at, source })?;
                    if !more.is_empty() {
                        return Err(StreamError::Format(self.walk.excess()));
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Takes the first of the extents that are away.
    fn next<X>(&mut self, line: &mut Line<'_, Unopened, Seen<X>>) -> Result<(), Wrong>
    where
        T: FnMut(Part, Option<X>) -> anyhow::Result<Option<Part>>,
    {
        let seen = line.wait().map_err(StreamError::Taker)?;
        let lost = || StreamError::Taker(anyhow::anyhow!("an extent was lost"));
        self.taken(seen.ok_or_else(lost)?)
    }

    fn taken<X>(&mut self, (opened, seen): Seen<X>) -> Result<(), Wrong>
    where
        T: FnMut(Part, Option<X>) -> anyhow::Result<Option<Part>>,
    {
        let part = self.walk.opened(opened).map_err(StreamError::Format)?;
        self.part(part, seen)
    }

    fn part<X>(&mut self, part: Part, seen: Option<X>) -> Result<(), Wrong>
    where
        T: FnMut(Part, Option<X>) -> anyhow::Result<Option<Part>>,
    {
        let left = (self.take)(part, seen).map_err(StreamError::Taker)?;
        if let Some(Part::Extent(extent)) = left
            && self.spare.len() < SPARE
        {
            self.spare.push(extent.block.pages);
        }
        Ok(())
    }

    /// Reads two pieces of these lengths, or what there is of them.
    fn pieces(&mut self, lead: usize, rest: usize) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let before = self.fill(Vec::new(), lead)?;
        if rest == 0 || before.len() < lead {
            return Ok((before, Vec::new()));
        }
        let spare = self.spare.pop().unwrap_or_default();
        Ok((before, self.fill(spare, rest)?))
    }

    /// Reads `len` bytes, or as many as there are.
    fn fill(&mut self, mut bytes: Vec<u8>, len: usize) -> io::Result<Vec<u8>> {
        let mut read = 0;
        while read < len {
            bytes.resize(len.min(read.saturating_add(STEP)), 0);
            match self.input.read(bytes.get_mut(read..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(count) => read = read.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }
}
