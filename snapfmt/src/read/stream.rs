//! Feeds a [`Walk`] from anything that can be read from front to back.

use std::io::{self, Read};

use crate::error::Error;
use crate::read::{Part, Verified, Walk, Want};

/// Why a stream was not read to its end.
#[derive(Debug)]
pub enum StreamError<E> {
    /// The bytes are not a whole, intact snapshot.
    Format(Error),
    /// They could not be read.
    Io {
        /// The offset of the first byte that was not read.
        at: u64,
        /// What the system says.
        source: io::Error,
    },
    /// Whoever was given the parts had enough.
    Taker(E),
}

/// Bytes read at once; frames are small, and system calls are not free.
const BUFFER: usize = 256 << 10;

/// Reads a whole snapshot and gives every part to `take`, with the offset behind it, once the
/// digests of the part have matched. Only the result says that all of the file did.
///
/// # Errors
/// See [`StreamError`].
pub fn read_all<E>(
    input: impl Read,
    mut take: impl FnMut(Part, u64) -> Result<(), E>,
) -> Result<Verified, StreamError<E>> {
    let mut input = io::BufReader::with_capacity(BUFFER, input);
    let mut walk = Walk::new();
    loop {
        let at = walk.offset();
        let io = |source| StreamError::Io { at, source };
        match walk.want() {
            Want::Bytes(wanted) => {
                // Grows with what arrives: a promise of bytes costs nothing.
                let mut bytes = Vec::new();
                input.by_ref().take(wanted as u64).read_to_end(&mut bytes).map_err(io)?;
                if let Some(part) = walk.feed(bytes).map_err(StreamError::Format)? {
                    take(part, walk.offset()).map_err(StreamError::Taker)?;
                }
            }
            Want::End => {
                let mut one = Vec::new();
                input.by_ref().take(1).read_to_end(&mut one).map_err(io)?;
                if !one.is_empty() {
                    return Err(StreamError::Format(walk.excess()));
                }
                return walk.end().map_err(StreamError::Format);
            }
        }
    }
}
