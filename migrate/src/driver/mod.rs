//! What drives the machines: one loop per side, over one queue of what happened.
//!
//! ```text
//!   link (reader, writer) ─┐                       ┌─▶ messages and parts, to the link
//!   threads that make parts│   ┌────────────────┐  ├─▶ records, to the journal
//!   keeper (target's files)├──▶│ core::Source,  │──┼─▶ work for threads
//!   start command          │   │ core::Target   │  ├─▶ words, to people
//!   a signal, the clock   ─┘   └────────────────┘  └─▶ the end
//! ```
//!
//! The loop waits in one place only, with the machine's next deadline for a limit. It writes the
//! journal itself, since nothing may be heard while that is done; everything else that can take
//! long is done by threads, which say what came of it. What comes of something that a connection
//! asked for, and that has ended since, is dropped by the number of the connection.

mod door;
mod keeper;
mod parts;
mod recheck;
mod show;
mod source;
mod target;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::show::{Amount, Show};
pub use self::source::{Setup as SourceSetup, Source, Stopper};
pub use self::target::{Bell, Entrance, Setup as TargetSetup, Target};
use snapfmt::Digest;

pub use self::door::{Answer, turn_away};
use crate::core::Outcome;
use crate::handover::Guest;
use crate::journal::{self, Storage};
use crate::stream::message::Trouble;

/// A journal, wherever it is kept.
pub type Journal = journal::Journal<Box<dyn Storage + Send>>;

/// Starts or resumes the VM, and says what became of it; it may take long.
pub type Starter = Arc<dyn Fn() -> Guest + Send + Sync>;

/// Holds what a target's directory has against the content that was handed over, for a process that
/// did not receive it itself.
pub type Check = Arc<dyn Fn(Digest) -> Result<(), Trouble> + Send + Sync>;

/// How long what was said last may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What the machine says.
    pub outcome: Outcome,
    /// What the system or the program on the way says about the end of the connection.
    pub way: Option<String>,
}

/// Time since this was made.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn now(self) -> Duration {
        self.0.elapsed()
    }

    /// How long it is until then; for ever is a day, after which the loop looks again.
    fn until(self, deadline: Option<Duration>) -> Duration {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        deadline.map_or(DAY, |at| at.saturating_sub(self.now()))
    }
}
