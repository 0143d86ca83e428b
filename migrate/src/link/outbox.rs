//! What is to be sent, in order: messages, which never wait, and parts, which wait for room.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::stream::{Encoded, Encoder, Kind, Message};

/// Bytes of parts that may wait to be sent.
const ROOM: usize = 8 << 20;

/// Bytes of messages that may wait: far more than a machine says without hearing anything. A peer
/// that makes us say more and reads nothing is one that does not read. HAVE does not count: it is
/// said once, and as long as the memory is large (32 bytes for each MiB: 256 MiB for 8 TiB).
const MESSAGES: usize = 4 << 20;

/// Why something was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsent {
    /// The connection is gone, or was ended.
    #[error("the connection is gone")]
    Gone,
    /// So much waits that the peer cannot be reading.
    #[error("the other side does not read what it is told")]
    Full,
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
    waiting: VecDeque<Waiting>,
    /// Bytes in `waiting`, and in what is being written.
    bytes: usize,
    /// Those of them that count as messages.
    said: usize,
    /// Whether what is being written does.
    saying: bool,
    state: State,
}

/// What waits. An item has its number when its turn comes: others before it may be dropped.
#[derive(Debug)]
enum Waiting {
    Message(Encoded),
    /// Of a part; the pieces of one stand together.
    Piece {
        bytes: Vec<u8>,
        first: bool,
    },
}

impl Waiting {
    fn length(&self) -> usize {
        match self {
            Self::Message(encoded) => encoded.length(),
            Self::Piece { bytes, .. } => bytes.len(),
        }
    }

    fn counts(&self) -> bool {
        matches!(self, Self::Message(encoded) if encoded.kind() != Kind::Have)
    }

    fn is_error(&self) -> bool {
        matches!(self, Self::Message(encoded) if encoded.kind() == Kind::Error)
    }
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
            said: 0,
            saying: false,
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
    /// If nothing is sent any more, too much waits, or no peer would take it.
    pub fn message(&self, message: &Message) -> Result<(), Unsent> {
        let encoded = Encoded::new(message).map_err(|fault| Unsent::Message(fault.to_string()))?;
        let mut queue = self.lock();
        if queue.state != State::Open {
            return Err(Unsent::Gone);
        }
        if queue.said > MESSAGES {
            return Err(Unsent::Full);
        }
        queue.push(Waiting::Message(encoded));
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

    /// If an error waits to be told, drops the parts before it, which nobody will want, and what is
    /// said of them. A part that was begun is sent whole: the error stands behind it.
    pub(super) fn hurry(&self) {
        let mut queue = self.lock();
        if !queue.waiting.iter().any(Waiting::is_error) {
            return;
        }
        let (mut begun, mut dropped) = (true, false);
        let waiting = std::mem::take(&mut queue.waiting);
        for one in waiting {
            begun &= matches!(one, Waiting::Piece { first: false, .. });
            let of_a_part = matches!(one, Waiting::Piece { .. });
            dropped |= of_a_part && !begun;
            if dropped && !one.is_error() {
                queue.bytes = queue.bytes.saturating_sub(one.length());
                let counts = if one.counts() { one.length() } else { 0 };
                queue.said = queue.said.saturating_sub(counts);
            } else {
                queue.waiting.push_back(one);
            }
        }
        self.0.changed.notify_all();
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
        if queue.state == State::Closed { None } else { queue.pop() }
    }

    /// So many bytes are sent. Says whether nothing waits.
    pub(super) fn sent(&self, bytes: usize) -> bool {
        let mut queue = self.lock();
        queue.bytes = queue.bytes.saturating_sub(bytes);
        if queue.saying {
            queue.said = queue.said.saturating_sub(bytes);
        }
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
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        for (index, bytes) in pieces.enumerate() {
            self.push(Waiting::Piece { bytes, first: index == 0 });
        }
        Ok(())
    }

    fn push(&mut self, one: Waiting) {
        self.bytes = self.bytes.saturating_add(one.length());
        if one.counts() {
            self.said = self.said.saturating_add(one.length());
        }
        self.waiting.push_back(one);
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let one = self.waiting.pop_front()?;
        self.saying = one.counts();
        Some(match one {
            Waiting::Message(encoded) => self.encoder.number(&encoded),
            Waiting::Piece { bytes, first } => {
                if first {
                    self.encoder.count_part();
                }
                bytes
            }
        })
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.waiting.clear();
        (self.bytes, self.said) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use snapfmt::Digest;
    use snapfmt::memory::map::{MemoryMap, Segment};
    use snapfmt::part::vm::Vm;

    use super::*;
    use crate::core::{Code, trouble};
    use crate::stream::message::Have;
    use crate::stream::{Decoder, Item, Outgoing, PartsDigest};

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
        assert!(sent <= MESSAGES / 128, "{sent}");
        assert_eq!(outbox.message(&Message::Ping), Err(Unsent::Full));
        let first = outbox.next().unwrap();
        outbox.sent(first.len());
        outbox.message(&Message::Ping).unwrap();
    }

    fn have(first: u64) -> Message {
        let roots = vec![Digest::from_bytes([7; 32]); 4096];
        let root = Digest::from_bytes([1; 32]);
        Message::Have(Have { root, block: 1 << 20, first, roots, last: false })
    }

    #[test]
    fn the_roots_of_a_very_large_machine_may_all_wait_and_other_messages_too() {
        let outbox = Outbox::new();
        // 256 GiB of RAM in blocks of 1 MiB: more than other messages may be.
        for first in 0..64 {
            outbox.message(&have(first * 4096)).unwrap();
        }
        assert!(outbox.lock().bytes > 2 * MESSAGES);
        outbox.message(&Message::Ping).unwrap();
    }

    #[test]
    fn an_error_does_not_wait_behind_parts_and_every_item_is_whole() {
        let part = |byte: u8| Outgoing::new(machine(byte).encode().unwrap()).unwrap().into_pieces();
        let outbox = Outbox::new();
        outbox.message(&Message::State { rehearsal: false }).unwrap();
        for byte in 0..3 {
            outbox.part(part(byte)).unwrap();
        }
        let end = PartsDigest::new().end();
        outbox.message(&Message::StateEnd(end)).unwrap();
        // Without an error, nothing is dropped.
        outbox.hurry();
        // The first part is begun.
        let mut came = outbox.next().unwrap();
        came.extend(outbox.next().unwrap());
        let why = trouble(Code::Room, "there is no room");
        outbox.message(&Message::Error(why.clone())).unwrap();
        outbox.hurry();
        let left = outbox.lock().waiting.len();
        (0..left).for_each(|_| came.extend(outbox.next().unwrap()));
        outbox.sent(came.len());
        assert!(outbox.is_idle());
        let (mut decoder, mut rest, mut items) = (Decoder::new(), came.as_slice(), Vec::new());
        while !rest.is_empty() {
            let space = decoder.space();
            let len = space.len().min(rest.len());
            space[..len].copy_from_slice(&rest[..len]);
            rest = &rest[len..];
            items.extend(decoder.filled(len).unwrap());
        }
        let [Item::Message(Message::State { .. }), Item::Part(_), Item::Message(last)] = &items[..]
        else {
            panic!("{items:?}");
        };
        assert_eq!(*last, Message::Error(why));
    }

    fn machine(byte: u8) -> Vm {
        let memory = MemoryMap::new(vec![Segment { gpa: 0, len: 1 << 20 }]).unwrap();
        let (arch, name) = ("amd64".to_owned(), format!("vm{byte}"));
        Vm { arch, name, ncpus: 1, memflags: 0, memory }
    }
}
