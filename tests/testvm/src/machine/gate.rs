//! Whether the threads of the virtual CPUs may run the guest, and who of them does not.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why a machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was suspended: its state is in files.
    Suspended,
    /// The guest made an error that it cannot handle.
    TripleFault,
    /// Its virtual CPUs did something that this machine does not do, or the host has trouble.
    Failed(String),
    /// Whoever had it let it go.
    Stopped,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Order {
    #[default]
    Pause,
    Run,
}

#[derive(Debug, Default)]
struct State {
    order: Order,
    /// Threads that are not running the guest and will not before they are told to.
    parked: usize,
    end: Option<End>,
}

/// The gate before the guest.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the guest may run, and clears the flag that keeps the virtual CPU out of it,
    /// before anyone can set it anew. Says no when the machine ended.
    pub(super) fn enter(&self, clear: impl FnOnce()) -> bool {
        let mut state = self.lock();
        state.parked += 1;
        self.changed.notify_all();
        while state.order == Order::Pause && state.end.is_none() {
            state = self.wait(state);
        }
        if state.end.is_some() {
            return false;
        }
        state.parked -= 1;
        clear();
        true
    }

    /// Waits a while, unless the guest is to stop.
    pub(super) fn idle(&self, time: Duration) {
        let state = self.lock();
        if state.order == Order::Run && state.end.is_none() {
            drop(self.changed.wait_timeout(state, time));
        }
    }

    /// Whether the guest may run now.
    pub(super) fn is_open(&self) -> bool {
        let state = self.lock();
        state.order == Order::Run && state.end.is_none()
    }

    pub(super) fn resume(&self) {
        self.lock().order = Order::Run;
        self.changed.notify_all();
    }

    pub(super) fn pause(&self, kick: impl FnOnce()) {
        self.lock().order = Order::Pause;
        self.changed.notify_all();
        kick();
    }

    /// Ends the machine, for the first reason that there is.
    pub(super) fn end(&self, end: End, kick: impl FnOnce()) {
        self.lock().end.get_or_insert(end);
        self.changed.notify_all();
        kick();
    }

    /// Waits until so many threads are parked.
    pub(super) fn wait_parked(&self, threads: usize) {
        let mut state = self.lock();
        while state.parked < threads {
            state = self.wait(state);
        }
    }

    pub(super) fn ended(&self) -> Option<End> {
        self.lock().end.clone()
    }

    pub(super) fn wait_ended(&self) -> End {
        let mut state = self.lock();
        loop {
            if let Some(end) = &state.end {
                return end.clone();
            }
            state = self.wait(state);
        }
    }
}
