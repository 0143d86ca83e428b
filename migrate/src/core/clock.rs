//! The waits of one connection (§11.3, §11.4): how long nothing has come, gone, or been said.

use std::time::Duration;

use super::event::Now;

/// When things last happened.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    timeout: Duration,
    pub(super) now: Now,
    /// Bytes came.
    heard: Now,
    /// Bytes went: the peer reads.
    moved: Now,
    /// Something was given to be sent.
    said: Now,
}

/// Which waits count now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waits {
    /// The peer has to say something.
    pub(super) hears: bool,
    /// This side has to say something, and the peer to read it.
    pub(super) speaks: bool,
}

/// What a wait that ended asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// This side has to say something (§11.3).
    Say,
    /// The connection is gone (§11.4).
    Gone,
}

impl Clock {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, now: Now::ZERO, heard: Now::ZERO, moved: Now::ZERO, said: Now::ZERO }
    }

    /// A connection begins.
    pub(super) fn start(&mut self) {
        (self.heard, self.moved, self.said) = (self.now, self.now, self.now);
    }

    /// Time never goes back.
    pub(super) fn advance(&mut self, now: Now) {
        self.now = self.now.max(now);
    }

    pub(super) fn heard(&mut self) {
        self.heard = self.now;
    }

    pub(super) fn moved(&mut self) {
        (self.moved, self.said) = (self.now, self.now);
    }

    pub(super) fn said(&mut self) {
        self.said = self.now;
    }

    /// A side that was silent by its role begins to speak: nothing was unread till now.
    pub(super) fn speaks(&mut self) {
        (self.moved, self.said) = (self.now, self.now);
    }

    pub(super) fn due(&self, waits: Waits) -> Due {
        let gone = self.ends(waits).is_some_and(|end| end <= self.now);
        let say = waits.speaks && self.say_at() <= self.now;
        match (gone, say) {
            (true, _) => Due::Gone,
            (false, true) => Due::Say,
            (false, false) => Due::Nothing,
        }
    }

    /// When `due` has something to say at the latest.
    pub(super) fn deadline(&self, waits: Waits) -> Option<Now> {
        let say = waits.speaks.then(|| self.say_at());
        [self.ends(waits), say].into_iter().flatten().min()
    }

    fn ends(&self, waits: Waits) -> Option<Now> {
        let heard = waits.hears.then_some(self.heard);
        let moved = waits.speaks.then_some(self.moved);
        let last = [heard, moved].into_iter().flatten().min()?;
        Some(last.saturating_add(self.timeout))
    }

    fn say_at(&self) -> Now {
        self.said.saturating_add(self.timeout / 3)
    }
}
