//! What the two sides tell each other (§3). How it travels is the stream's business.
//!
//! Every message may be lost, doubled and overtaken; what a message says stays true, and is said
//! again. Only those of an earlier connection must never arrive in a later one (§3.2).

use crate::identity::{Epoch, Identity};

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// What it is about. In READY, `content` is what the target computed.
    pub identity: Identity,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Body {
    /// Source: the VM is suspended, and this is its content.
    Offer,
    /// Target: all of it is here, verified and synced.
    Ready,
    /// Source: HANDED-OVER is durable; the VM is yours.
    Commit,
    /// Target: OWNER is durable; the VM does not run yet, as far as is known.
    Owner,
    /// Target: the guest has run here.
    Running,
    /// Target: the snapshot is kept here and nothing will be started.
    Kept,
    /// Source: DONE is durable; this side will never claim the VM.
    Done,
    /// Source: give your copy up, if it has not been started.
    Release,
    /// Target: RELEASED is durable.
    Released,
    /// Target: its journal knows nothing of this hand-over. The driver's answer to anything but
    /// OFFER, while there is no [`Target`](super::Target).
    NoRecord,
    /// Both: CLAIMED is durable, with this epoch.
    Claimed(Epoch),
    /// Both: SUPERSEDED is durable.
    Superseded,
}

impl Body {
    /// Its name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Offer => "OFFER",
            Self::Ready => "READY",
            Self::Commit => "COMMIT",
            Self::Owner => "OWNER",
            Self::Running => "RUNNING",
            Self::Kept => "KEPT",
            Self::Done => "DONE",
            Self::Release => "RELEASE",
            Self::Released => "RELEASED",
            Self::NoRecord => "NO-RECORD",
            Self::Claimed(_) => "CLAIMED",
            Self::Superseded => "SUPERSEDED",
        }
    }
}
