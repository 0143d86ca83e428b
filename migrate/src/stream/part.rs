//! A part as it arrives: its frame was checked, what follows was not.

use std::fmt;

use snapfmt::Digest;
use snapfmt::layout::frame::Frame;
use snapfmt::part::Intact;
use snapfmt::part::stream::Incoming;

/// A part whose frame is good (§3.1). Nothing of its body can be had before [`check`](Self::check).
///
/// ```compile_fail,E0616
/// fn peek(part: &migrate::stream::Arrived) -> &[u8] {
///     &part.body
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Arrived {
    incoming: Incoming,
    body: Vec<u8>,
}

impl Arrived {
    /// `body` is what came behind the frame.
    pub(super) fn new(incoming: Incoming, body: Vec<u8>) -> Self {
        Self { incoming, body }
    }

    /// What its frame says.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        self.incoming.frame()
    }

    /// Its frame digest, which [`PartsDigest`](super::PartsDigest) takes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.incoming.digest()
    }

    /// Bytes of its payload.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.frame().payload_size
    }

    /// All its bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.incoming.length()
    }

    /// Checks all other digests and the padding; it hashes the whole part, and is for a thread that
    /// has time. Offsets in the error count from the frame.
    ///
    /// Of a raw extent the pages are checked when it is opened: see [`Intact`].
    ///
    /// # Errors
    /// A part that was damaged, or forged.
    pub fn check(self) -> Result<Intact, snapfmt::Error> {
        self.incoming.intact(self.body)
    }
}

impl fmt::Debug for Arrived {
    /// Without the body: it may be the memory of a guest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrived")
            .field("frame", self.frame())
            .field("digest", &self.digest())
            .finish_non_exhaustive()
    }
}
