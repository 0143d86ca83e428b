//! The thread that reads: bytes in, items out.

use std::io::{self, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Count, Credit, Event, REPORT, Tell, words};
use crate::core::Closed;
use crate::stream::Decoder;
use crate::transport::Input;

/// Fewer bytes of an item are nothing to speak of: a peer that drips is as slow as a silent one.
const WORTH: u64 = 16 << 10;

/// What an item costs at least: its place in a queue is not free.
const LEAST: usize = 512;

/// Whether the reader is at its end, and whether anybody cares what it reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    ended: Mutex<bool>,
    changed: Condvar,
    discard: AtomicBool,
}

impl Ends {
    /// What comes from now on is not looked at.
    pub(super) fn discard(&self) {
        self.0.discard.store(true, Ordering::Relaxed);
    }

    fn discards(&self) -> bool {
        self.0.discard.load(Ordering::Relaxed)
    }

    /// Waits for the end of what comes, and says whether it is there.
    pub(super) fn wait(&self, patience: Duration) -> bool {
        let ended = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.changed.wait_timeout_while(ended, patience, |ended| !*ended);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn set(&self) {
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

pub(super) struct Reader {
    pub(super) input: Input,
    pub(super) credit: Credit,
    pub(super) count: Count,
    pub(super) ends: Ends,
}

impl Reader {
    pub(super) fn start(mut self, tell: impl Tell) -> io::Result<()> {
        let work = move || {
            if let Some(last) = self.read(&tell) {
                // The end is known before it is told, so that it is told once.
                self.ends.set();
                tell(last);
            }
            self.discard();
            self.ends.set();
        };
        thread::Builder::new().name("read".to_owned()).spawn(work).map(drop)
    }

    /// Reads items until the stream ends, or until nobody wants any.
    fn read(&mut self, tell: &impl Tell) -> Option<Event> {
        let mut decoder = Decoder::new();
        let (mut told, mut since) = (Instant::now(), 0);
        while !self.ends.discards() {
            let count = match self.input.read(decoder.space()) {
                Ok(0) if decoder.ended().is_ok() => {
                    return Some(Event::Closed(Closed::Ended, None));
                }
                Ok(0) => {
                    let why = "it ended within an item".to_owned();
                    return Some(Event::Closed(Closed::Broken, Some(why)));
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Some(Event::Closed(Closed::Broken, Some(words(&error))));
                }
            };
            self.count.add(count);
            since += count as u64;
            match decoder.filled(count) {
                Ok(None) if since < WORTH || told.elapsed() < REPORT => {}
                Ok(None) => {
                    (told, since) = (Instant::now(), 0);
                    if !tell(Event::Heard) {
                        return None;
                    }
                }
                Ok(Some(item)) => {
                    (told, since) = (Instant::now(), 0);
                    let held = self.credit.take(cost(decoder.length()))?;
                    if !tell(Event::Item(Box::new(item), held)) {
                        return None;
                    }
                }
                Err(breach) => {
                    tell(Event::Garbled((&breach).into()));
                    return None;
                }
            }
        }
        None
    }

    /// Reads on and forgets: what is left unread when a socket is closed costs the peer the last
    /// words that it was sent.
    fn discard(&mut self) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.input.read(&mut buffer) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                _ => {}
            }
        }
    }
}

/// What an item of so many bytes counts for, part or message: a peer may send any number of either.
fn cost(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX).max(LEAST)
}
