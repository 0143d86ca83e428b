//! How much of what has come may be waiting: a reader that is too far ahead waits.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A number of bytes that may be held at a time. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Credit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    left: usize,
    /// What was taken beyond `left`: an item is let in whole.
    over: usize,
    closed: bool,
}

/// Bytes that are held; they are given back when this is dropped.
#[derive(Debug)]
pub struct Held {
    credit: Credit,
    bytes: usize,
}

impl Credit {
    /// So many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let state = Mutex::new(State { left: bytes, over: 0, closed: false });
        Self(Arc::new(Shared { state, changed: Condvar::new() }))
    }

    /// Takes so many bytes, once any are left; nothing if it was closed.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<Held> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = |state: &mut State| !state.closed && state.left == 0;
        let state = self.0.changed.wait_while(state, wait);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return None;
        }
        state.over += bytes.saturating_sub(state.left);
        state.left = state.left.saturating_sub(bytes);
        Some(Held { credit: self.clone(), bytes })
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).left == 0
    }

    /// Nobody gets anything any more, and nobody waits.
    pub fn close(&self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let shared = &self.credit.0;
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let paid = self.bytes.min(state.over);
        state.over -= paid;
        state.left += self.bytes - paid;
        shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn one_item_may_be_larger_than_all_of_it_and_the_next_waits() {
        let credit = Credit::new(10);
        let first = credit.take(4).unwrap();
        let second = credit.take(100).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| credit.take(1).is_some());
            drop(first);
            assert!(!waiter.is_finished());
            drop(second);
            assert!(waiter.join().unwrap());
        });
        assert_eq!(credit.0.state.lock().unwrap().left, 10);
    }

    #[test]
    fn closing_wakes_whoever_waits() {
        let credit = Credit::new(1);
        let _held = credit.take(1).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| credit.take(1).is_some());
            credit.close();
            assert!(!waiter.join().unwrap());
        });
    }
}
