//! Items out of bytes, wherever the bytes are cut.
//!
//! It does no I/O and copies nothing: a reader reads into [`Decoder::space`], which is where the
//! bytes will stay, and says how many came.

use snapfmt::Digest;
use snapfmt::layout::frame::MAGIC as PART;
use snapfmt::part::stream::Incoming;

use super::error::{Breach, Fault};
use super::frame::{Frame, LEN, MAGIC as MESSAGE};
use super::message::Message;
use super::part::Arrived;
use super::wire;

/// What is allocated for a body of which nothing has come: the extents that are usual need no
/// second step. From there on, no more than has come already.
const FIRST: usize = 1 << 20;

/// One item of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub enum Item {
    /// The peer says something.
    Message(Message),
    /// A part whose frame is good.
    Part(Arrived),
}

/// Reads one direction of one connection. One that has found a breach finds nothing else any more.
#[derive(Debug)]
pub struct Decoder {
    /// The offset in the stream at which the present item begins.
    at: u64,
    /// Bytes of the last item.
    length: u64,
    /// How many items came before it.
    items: u64,
    head: [u8; LEN],
    /// How much of `head` has come.
    have: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first bytes of an item.
    Head,
    /// The nvlist of a message.
    Message(Frame, Body),
    /// What stands behind the frame of a part.
    Part(Incoming, Body),
    /// Nothing may follow.
    Last,
    Failed(Breach),
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Starts before the first item.
    #[must_use]
    pub fn new() -> Self {
        Self { at: 0, length: 0, items: 0, head: [0; LEN], have: 0, state: State::Head }
    }

    /// Where the next bytes belong: at least one, and never more than those of the present item, so
    /// that every item is given out when its last byte has come.
    pub fn space(&mut self) -> &mut [u8] {
        match &mut self.state {
            State::Message(_, body) | State::Part(_, body) => body.space(),
            // What has ended needs room to see that something follows all the same.
            State::Last | State::Failed(_) => &mut self.head,
            State::Head => self.head.get_mut(self.have..).unwrap_or_default(),
        }
    }

    /// Says that the first `n` bytes of [`space`](Self::space) have come.
    ///
    /// # Errors
    /// What is wrong with the stream, for good.
    pub fn filled(&mut self, n: usize) -> Result<Option<Item>, Breach> {
        let n = n.min(self.space().len());
        let item = match &self.state {
            State::Failed(breach) => return Err(breach.clone()),
            _ if n == 0 => return Ok(None),
            _ => self.step(n),
        };
        item.map_err(|(offset, fault)| {
            let breach = self.breach(offset, fault);
            self.state = State::Failed(breach.clone());
            breach
        })
    }

    /// How many bytes the item had that was given out last.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The stream has ended. Between two items that may be an error all the same (§1.4): which one
    /// was the last is not looked at here.
    ///
    /// # Errors
    /// An end within an item, and whatever was found before.
    pub fn ended(&self) -> Result<(), Breach> {
        let (before, have, wanted) = match &self.state {
            State::Failed(breach) => return Err(breach.clone()),
            State::Last => return Ok(()),
            State::Head if self.have == 0 => return Ok(()),
            State::Head => (0, self.have, LEN),
            State::Message(_, body) | State::Part(_, body) => (LEN, body.have, body.len),
        };
        let fault = Fault::Truncated { wanted: wanted as u64, left: have as u64 };
        Err(self.breach((before + have) as u64, fault))
    }

    /// What is wrong at this offset of the present item.
    fn breach(&self, offset: u64, fault: Fault) -> Breach {
        let message = match &self.state {
            State::Message(frame, _) => Some(frame.kind),
            _ => None,
        };
        Breach { at: self.at.saturating_add(offset), item: self.items, message, fault }
    }

    /// Takes `n` bytes, at least one. An error has its offset in the item.
    fn step(&mut self, n: usize) -> Result<Option<Item>, (u64, Fault)> {
        let length = |body: &Body| (LEN + body.len) as u64;
        let (item, length) = match &mut self.state {
            State::Head => {
                self.have += n;
                return self.head().map(|()| None);
            }
            State::Message(frame, body) => {
                let Some(list) = body.filled(n) else { return Ok(None) };
                if Digest::of(&list) != frame.nvlist_digest {
                    let fault = Fault::Digest { what: "nvlist", rule: "§2.6" };
                    return Err((LEN as u64, fault));
                }
                let message = wire::decode(frame.kind, &list);
                let last = frame.kind.is_last();
                let item = Item::Message(message.map_err(|fault| (LEN as u64, fault))?);
                let length = length(body);
                self.state = if last { State::Last } else { State::Head };
                (item, length)
            }
            State::Part(incoming, body) => {
                let Some(bytes) = body.filled(n) else { return Ok(None) };
                let item = Item::Part(Arrived::new(*incoming, bytes));
                let length = length(body);
                self.state = State::Head;
                (item, length)
            }
            State::Last | State::Failed(_) => return Err((0, Fault::Excess)),
        };
        self.at = self.at.saturating_add(length);
        self.length = length;
        self.items += 1;
        self.have = 0;
        Ok(Some(item))
    }

    /// Looks at what has come of a frame.
    fn head(&mut self) -> Result<(), (u64, Fault)> {
        let came = self.head.get(..self.have).unwrap_or_default();
        let begins = |magic: [u8; 8]| came.iter().zip(magic).all(|(byte, other)| *byte == other);
        let message = begins(MESSAGE);
        if !message && !begins(PART) {
            let found = (self.items == 0).then(|| came.escape_ascii().to_string());
            return Err((0, Fault::NoItem { found }));
        }
        if self.have < LEN {
            return Ok(());
        }
        self.state = if message {
            let frame = Frame::check(&self.head, self.items);
            let frame = frame.map_err(|(at, fault)| (at as u64, fault))?;
            State::Message(frame, Body::new(frame.nvlist_size.into()))
        } else {
            let incoming = Incoming::check(&self.head);
            let incoming = incoming.map_err(|error| (error.at(), Fault::Part(error)))?;
            State::Part(incoming, Body::new(incoming.rest()))
        };
        Ok(())
    }
}

/// Bytes behind a frame, as they come.
struct Body {
    bytes: Vec<u8>,
    have: usize,
    /// How many there will be; it was compared with its limit.
    len: usize,
}

impl Body {
    fn new(len: u64) -> Self {
        Self { bytes: Vec::new(), have: 0, len: usize::try_from(len).unwrap_or(usize::MAX) }
    }

    fn space(&mut self) -> &mut [u8] {
        if self.have == self.bytes.len() {
            let len = FIRST.max(self.have.saturating_mul(2)).min(self.len);
            if self.have == 0 {
                // Not `resize`: what comes zeroed from the system is not written before it is used.
                self.bytes = vec![0; len];
            } else {
                self.bytes.reserve_exact(len - self.have);
                self.bytes.resize(len, 0);
            }
        }
        self.bytes.get_mut(self.have..).unwrap_or_default()
    }

    /// All bytes, if these were the last ones.
    fn filled(&mut self, n: usize) -> Option<Vec<u8>> {
        self.have += n;
        (self.have >= self.len).then(|| std::mem::take(&mut self.bytes))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} of {})", self.have, self.len)
    }
}
