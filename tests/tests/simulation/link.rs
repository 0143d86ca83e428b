//! The network between the hosts: one connection at a time, two ways.

use std::collections::VecDeque;

use migrate::core::Now;
use tests::machine::Who;

use crate::rng::Rng;

/// What one way holds before its sender has to wait.
const HOLDS: usize = 64 << 10;

/// One way.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    pub(crate) bytes: VecDeque<u8>,
    /// Nothing comes out before.
    pub(crate) stalled: Now,
    /// Nothing will go in any more.
    pub(crate) ended: bool,
}

impl Pipe {
    /// Takes in as much as there is room for.
    pub(crate) fn push(&mut self, out: &mut VecDeque<u8>, most: usize) -> usize {
        let n = out.len().min(most).min(HOLDS.saturating_sub(self.bytes.len()));
        self.bytes.extend(out.drain(..n));
        n
    }

    /// Whether there is something to be had for who reads, be it the end.
    pub(crate) fn gives(&self, now: Now) -> bool {
        self.stalled <= now && (!self.bytes.is_empty() || self.ended)
    }
}

/// A connection.
#[derive(Debug, Default)]
pub(crate) struct Link {
    to_source: Pipe,
    to_target: Pipe,
    /// Who still uses it.
    pub(crate) source: bool,
    pub(crate) target: bool,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self { source: true, target: true, ..Self::default() }
    }

    pub(crate) fn used_by(&mut self, who: Who) -> &mut bool {
        match who {
            Who::Source => &mut self.source,
            Who::Target => &mut self.target,
        }
    }

    /// What goes to `who`.
    pub(crate) fn to(&mut self, who: Who) -> &mut Pipe {
        match who {
            Who::Source => &mut self.to_source,
            Who::Target => &mut self.to_target,
        }
    }

    /// Both find out at once; what is on its way arrives in part.
    pub(crate) fn cut(&mut self, rng: &mut Rng) {
        for pipe in [&mut self.to_source, &mut self.to_target] {
            let left = rng.index(pipe.bytes.len() + 1);
            pipe.bytes.truncate(left);
            pipe.ended = true;
        }
    }

    /// Nothing arrives any more, and nobody is told.
    pub(crate) fn vanish(&mut self) {
        self.to_source.stalled = Now::MAX;
        self.to_target.stalled = Now::MAX;
    }

    /// Turns one bit on its way; whether there was one.
    pub(crate) fn flip(&mut self, who: Who, rng: &mut Rng) -> bool {
        let bytes = &mut self.to(who).bytes;
        if bytes.is_empty() {
            return false;
        }
        let at = rng.index(bytes.len());
        bytes[at] ^= 1 << rng.below(8);
        true
    }
}
