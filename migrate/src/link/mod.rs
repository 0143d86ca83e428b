//! One connection as threads: one that reads, one that writes, and what they tell.
//!
//! ```text
//!   bytes ──▶ reader ──▶ Decoder ──▶ [`Event`]s for the driver     (waits while too much is held)
//!   bytes ◀── writer ◀── Outbox  ◀── messages and parts           (parts wait for room)
//! ```
//!
//! Nothing here waits without an end but the threads, for the peer; [`Link::close`] ends that. Time
//! limits are the business of the machines: they hear of every item that came, and of every write
//! that went through.

mod credit;
mod limit;
mod outbox;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use self::credit::{Credit, Held};
pub use self::limit::{BadRate, Bucket, Rate};
pub use self::outbox::{Outbox, Unsent};
use crate::core::Closed;
use crate::stream::Item;
use crate::stream::message::Trouble;
use crate::transport::{Closer, Connection, Output};

/// Between two reports that bytes came, or went.
const REPORT: Duration = Duration::from_millis(100);

/// Bytes of items that have come and are not dealt with.
const HELD: usize = 32 << 20;

/// How long what a broken pipe carried the other way is still waited for: the peer may have said
/// why it does not read any more.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What happened to a connection.
#[derive(Debug)]
pub enum Event {
    /// An item came. It counts as held until the second field is dropped.
    Item(Box<Item>, Held),
    /// What came is no item, and nothing more is read.
    Garbled(Trouble),
    /// Bytes came, of an item that is not whole yet.
    Heard,
    /// Bytes were written.
    Progress,
    /// It has ended, and why, if it is known.
    Closed(Closed, Option<String>),
}

/// Whom a connection tells what happened. Says whether anybody still listens.
pub trait Tell: Fn(Event) -> bool + Clone + Send + 'static {}

impl<T: Fn(Event) -> bool + Clone + Send + 'static> Tell for T {}

/// Bytes that went through a connection.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    /// So far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A connection at work.
#[derive(Debug)]
pub struct Link {
    outbox: Outbox,
    credit: Credit,
    closer: Closer,
    ends: reader::Ends,
    sent: Count,
    received: Count,
}

impl Link {
    /// Starts both threads.
    ///
    /// # Errors
    /// If there can be none.
    pub fn start(connection: Connection, limit: Option<Rate>, tell: impl Tell) -> io::Result<Self> {
        let Connection { input, output, closer } = connection;
        let (sent, received) = (Count::default(), Count::default());
        let (outbox, credit) = (Outbox::new(), Credit::new(HELD));
        let ends = reader::Ends::default();
        let reader = reader::Reader {
            input,
            credit: credit.clone(),
            count: received.clone(),
            ends: ends.clone(),
        };
        reader.start(tell.clone())?;
        let writer = writer::Writer::new(output, outbox.clone(), limit, sent.clone());
        let (ended, on_error) = (ends.clone(), tell.clone());
        writer.start(
            move || {
                tell(Event::Progress);
            },
            move |error| {
                if !ended.wait(LAST_WORDS) {
                    on_error(Event::Closed(Closed::Broken, Some(words(&error))));
                }
            },
        )?;
        Ok(Self { outbox, credit, closer, ends, sent, received })
    }

    /// What is to be sent.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Bytes written.
    #[must_use]
    pub fn sent(&self) -> &Count {
        &self.sent
    }

    /// Bytes read.
    #[must_use]
    pub fn received(&self) -> &Count {
        &self.received
    }

    /// Whether so much has come that nothing more is read before some of it is dealt with: then it
    /// is not the peer that is slow.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.credit.is_spent()
    }

    /// Ends it: what waits is sent, and what still comes is read and thrown away until the peer
    /// ends it too, for `patience` at most. (A socket that is closed with bytes unread loses what
    /// was sent last.) Says how a program on the way ended, if that was not well.
    pub fn close(self, patience: Duration) -> Option<String> {
        let until = Instant::now().checked_add(patience);
        let left = || until.map_or(patience, |at| at.saturating_duration_since(Instant::now()));
        self.ends.discard();
        self.credit.close();
        self.outbox.hurry();
        if self.outbox.finish(patience) && self.closer.half_close() {
            self.ends.wait(left());
        }
        self.closer.close(left().max(patience / 4))
    }
}

/// Writes to something that gives no answers.
#[derive(Debug)]
pub struct OneWay {
    outbox: Outbox,
    sent: Count,
}

impl OneWay {
    /// Starts the thread. `done` hears of the end: of an error, or that all was written.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(
        output: Output,
        limit: Option<Rate>,
        progress: impl Fn() + Send + 'static,
        failed: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let (outbox, sent) = (Outbox::new(), Count::default());
        writer::Writer::new(output, outbox.clone(), limit, sent.clone()).start(progress, failed)?;
        Ok(Self { outbox, sent })
    }

    /// What is to be sent.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Bytes written.
    #[must_use]
    pub fn sent(&self) -> &Count {
        &self.sent
    }
}

/// What the system says, without its number.
fn words(error: &io::Error) -> String {
    let words = error.to_string();
    let words = words.rsplit_once(" (os error ").map_or(words.as_str(), |(before, _)| before);
    words.to_owned()
}
