//! What is to be sent, in order: messages, which never wait, and parts, which wait for room.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::stream::{Encoder, Message};

/// Bytes of parts that may wait to be sent.
const ROOM: usize = 8 << 20;

/// Bytes of messages that may wait: far more than a machine says without hearing anything. A peer
/// that makes us say more and reads nothing is one that does not read.
const MESSAGES: usize = 4 << 20;

/// Why something was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsent {
    /// The connection is gone, or was ended.
    #[error("the connection is gone")]
    Gone,
    /// No peer would take this message.
    #[error("a message cannot be sent: {0}")]
    Message(String),
}

/// The queue. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug)]
struct Queue {
    encoder: Encoder,
    waiting: VecDeque<Vec<u8>>,
    /// Bytes in `waiting`, and in what is being written.
    bytes: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Takes nothing more; what waits is still sent.
    Ending,
    /// Nothing is sent any more.
    Closed,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Outbox {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        let queue = Queue {
            encoder: Encoder::new(),
            waiting: VecDeque::new(),
            bytes: 0,
            state: State::Open,
        };
        Self(Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message behind all that waits. Never waits itself.
    ///
    /// # Errors
    /// If nothing is sent any more, or no peer would take it.
    pub fn message(&self, message: &Message) -> Result<(), Unsent> {
        let mut queue = self.lock();
        if queue.state != State::Open || queue.bytes > ROOM + MESSAGES {
            return Err(Unsent::Gone);
        }
        let mut bytes = Vec::new();
        let encoded = queue.encoder.message(message, &mut bytes);
        encoded.map_err(|fault| Unsent::Message(fault.to_string()))?;
        queue.push(bytes);
        self.0.changed.notify_all();
        Ok(())
    }

    /// Puts the pieces of a part behind all that waits, once there is room. For the thread that
    /// makes parts: the one that drives must not wait.
    ///
    /// # Errors
    /// If nothing is sent any more.
    pub fn part(&self, part: impl IntoIterator<Item = Vec<u8>>) -> Result<(), Unsent> {
        let full = |queue: &mut Queue| queue.state == State::Open && queue.bytes >= ROOM;
        let queue = self.0.changed.wait_while(self.lock(), full);
        let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
        queue.part(part)?;
        self.0.changed.notify_all();
        Ok(())
    }

    /// The same without waiting, for the one part that the driver itself sends.
    ///
    /// # Errors
    /// If nothing is sent any more.
    pub fn part_now(&self, part: impl IntoIterator<Item = Vec<u8>>) -> Result<(), Unsent> {
        self.lock().part(part)?;
        self.0.changed.notify_all();
        Ok(())
    }

    /// Whether a part would have to wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.lock().bytes >= ROOM
    }

    /// Whether nothing waits to be sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lock().bytes == 0
    }

    /// Takes nothing more, and waits until all is sent or `patience` has an end. Says whether all
    /// was sent.
    pub fn finish(&self, patience: Duration) -> bool {
        let mut queue = self.lock();
        if queue.state == State::Open {
            queue.state = State::Ending;
        }
        self.0.changed.notify_all();
        let waits = |queue: &mut Queue| queue.state != State::Closed && queue.bytes > 0;
        let waited = self.0.changed.wait_timeout_while(queue, patience, waits);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let all = queue.bytes == 0;
        queue.close();
        self.0.changed.notify_all();
        all
    }

    /// Sends nothing more, and wakes whoever waits.
    pub fn close(&self) {
        self.lock().close();
        self.0.changed.notify_all();
    }

    /// The next bytes to send, once there are any; nothing when all is over. For the writer, which
    /// says [`sent`](Self::sent) for all of them.
    pub(super) fn next(&self) -> Option<Vec<u8>> {
        let idle = |queue: &mut Queue| queue.state == State::Open && queue.waiting.is_empty();
        let queue = self.0.changed.wait_while(self.lock(), idle);
        let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
        if queue.state == State::Closed { None } else { queue.waiting.pop_front() }
    }

    /// So many bytes are sent. Says whether nothing waits.
    pub(super) fn sent(&self, bytes: usize) -> bool {
        let mut queue = self.lock();
        queue.bytes = queue.bytes.saturating_sub(bytes);
        self.0.changed.notify_all();
        queue.bytes == 0
    }

    /// Waits until then, or until nothing is to be sent any more; says whether it goes on.
    pub(super) fn pause(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let open = |queue: &mut Queue| queue.state != State::Closed;
        let waited = self.0.changed.wait_timeout_while(self.lock(), left, open);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.state != State::Closed
    }
}

impl Queue {
    fn part(&mut self, pieces: impl IntoIterator<Item = Vec<u8>>) -> Result<(), Unsent> {
        if self.state != State::Open {
            return Err(Unsent::Gone);
        }
        self.encoder.count_part();
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        pieces.for_each(|piece| self.push(piece));
        Ok(())
    }

    fn push(&mut self, bytes: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.waiting.push_back(bytes);
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.waiting.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_part_waits_for_room_and_a_message_does_not() {
        let outbox = Outbox::new();
        outbox.part([vec![0; ROOM]]).unwrap();
        outbox.message(&Message::Ping).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| outbox.part([vec![1]]));
            assert!(!waiter.is_finished());
            let first = outbox.next().unwrap();
            outbox.sent(first.len());
            waiter.join().unwrap().unwrap();
        });
        assert!(outbox.next().unwrap().len() > 128);
        assert_eq!(outbox.next().unwrap(), [1]);
    }

    #[test]
    fn what_waits_when_it_ends_is_sent_and_nothing_more() {
        let outbox = Outbox::new();
        outbox.message(&Message::Bye).unwrap();
        assert!(!outbox.finish(Duration::ZERO));
        assert_eq!(outbox.next(), None);
        let outbox = Outbox::new();
        outbox.message(&Message::Bye).unwrap();
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                while let Some(bytes) = outbox.next() {
                    outbox.sent(bytes.len());
                }
            });
            assert!(outbox.finish(Duration::from_secs(60)));
            writer.join().unwrap();
        });
        assert_eq!(outbox.message(&Message::Ping), Err(Unsent::Gone));
        assert_eq!(outbox.part([vec![]]), Err(Unsent::Gone));
    }

    #[test]
    fn closing_wakes_whoever_waits_for_room() {
        let outbox = Outbox::new();
        outbox.part([vec![0; ROOM]]).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| outbox.part([vec![1]]));
            outbox.close();
            assert_eq!(waiter.join().unwrap(), Err(Unsent::Gone));
        });
    }

    #[test]
    fn a_peer_that_never_reads_cannot_make_the_queue_grow() {
        let outbox = Outbox::new();
        let sent = (0..1_000_000).take_while(|_| outbox.message(&Message::Ping).is_ok()).count();
        assert!(sent < (ROOM + MESSAGES) / 128, "{sent}");
    }
}
