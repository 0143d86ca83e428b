//! Threads that check extents and write their pages, while others are on their way.
//!
//! Results are taken in the order in which parts were given. At most a few parts are under way, so
//! memory is bounded by their number and size.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use snapfmt::memory::map::MemoryMap;
use snapfmt::part::extent::{DeltaExtent, Head, SettleError};

use super::ram::Ram;
use crate::core::{Code, trouble};
use crate::stream::message::Trouble;
use crate::stream::part::Arrived;

/// Parts under way for each thread.
const AHEAD: usize = 3;

/// What became of a part: its pages are written, and this is what it says of them.
pub(super) type Written = Result<Head, Trouble>;

struct Job {
    part: Arrived,
    reply: SyncSender<Written>,
}

/// The threads. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: Option<Sender<Job>>,
    pending: VecDeque<Receiver<Written>>,
    threads: Vec<JoinHandle<()>>,
}

/// What all of them work on.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ram: Ram,
    pub(super) map: MemoryMap,
}

impl Workers {
    pub(super) fn start(count: usize, shared: &Arc<Shared>) -> Result<Self, Trouble> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::new();
        for _ in 0..count.max(1) {
            let (queue, shared) = (Arc::clone(&queue), Arc::clone(shared));
            let worker = move || labour(&queue, &shared);
            let thread = thread::Builder::new().name("apply".to_owned()).spawn(worker);
            let failed = |error| trouble(Code::Internal, format!("cannot start a thread: {error}"));
            threads.push(thread.map_err(failed)?);
        }
        Ok(Self { jobs: Some(jobs), pending: VecDeque::new(), threads })
    }

    /// Gives a part, and the results of earlier ones that are there, or must be waited for.
    pub(super) fn give(&mut self, part: Arrived, taken: &mut Vec<Written>) {
        let (reply, receiver) = sync_channel(1);
        let gone = || trouble(Code::Internal, "a thread ended early");
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { part, reply }).is_ok());
        if !sent {
            taken.push(Err(gone()));
            return;
        }
        self.pending.push_back(receiver);
        while let Some(first) = self.pending.front() {
            let written = if self.pending.len() > self.threads.len() * AHEAD {
                first.recv().unwrap_or_else(|_| Err(gone()))
            } else {
                match first.try_recv() {
                    Ok(written) => written,
                    Err(std::sync::mpsc::TryRecvError::Empty) => return,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => Err(gone()),
                }
            };
            self.pending.pop_front();
            taken.push(written);
        }
    }

    /// The results of all parts that were given.
    pub(super) fn rest(&mut self, taken: &mut Vec<Written>) {
        let gone = |_| Err(trouble(Code::Internal, "a thread ended early"));
        let results = self.pending.drain(..).map(|first| first.recv().unwrap_or_else(gone));
        taken.extend(results);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A panic was reported where it happened; what it worked on is in doubt already.
            let _ = thread.join();
        }
    }
}

fn labour(queue: &Mutex<Receiver<Job>>, shared: &Shared) {
    loop {
        let next = queue.lock().map(|queue| queue.recv());
        let Ok(Ok(Job { part, reply })) = next else { return };
        // Nobody waits for it after an error.
        let _ = reply.send(write(part, shared));
    }
}

/// Checks a part, and only then writes its pages.
fn write(part: Arrived, shared: &Shared) -> Written {
    let Shared { ram, map } = shared;
    let wrong = |error: snapfmt::Error| trouble(Code::Item, error.to_string());
    let disk = |error: std::io::Error| {
        super::dir::cannot("use", std::path::Path::new("the RAM file"), &error)
    };
    let part = part.check().map_err(wrong)?;
    let extent = DeltaExtent::open_streamed(&part, map).map_err(wrong)?;
    drop(part);
    let settled = extent.settle(&mut &*ram).map_err(|error| match error {
        SettleError::Format(error) => wrong(error),
        SettleError::Parent(error) => disk(error),
    })?;
    ram.put(&settled).map_err(disk)?;
    Ok(settled.into_head())
}
