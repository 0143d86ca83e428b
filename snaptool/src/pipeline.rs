//! Work on several threads whose results are taken in the order in which it was given.
//!
//! One thread, the caller's, finds the jobs and takes the results; the others work. No more than a
//! few jobs are under way at once, so that memory is bounded by their size and number.
//!
//! [`in_order`] is for callers that can say by themselves what the jobs are, and what to do with
//! the results; [`run`] for those in which one depends on the other.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

/// By default, more threads than this would find little to do: one that reads and one that writes
/// feed them.
const MOST: usize = 4;

/// Jobs that are under way or done and not taken, for each thread.
const AHEAD: usize = 2;

/// What a command that works on several threads lets its users say about them.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[group(skip)] // There are other options of that name, which are a group.
pub struct Threads {
    /// How many threads hash and compress, besides the one that reads and writes; with 1, that one
    /// does all. Each takes memory for a few extents [default: one per processor, at most 4].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Option<u8>,
}

impl Threads {
    /// How many threads work: as many as was said, or one for each processor, up to a few.
    #[must_use]
    pub fn count(self) -> usize {
        let default = || thread::available_parallelism().map_or(1, usize::from).min(MOST);
        self.threads.map_or_else(default, usize::from)
    }
}

/// What gives a job to the threads. It waits while enough jobs are under way.
pub type Give<'a, J> = dyn FnMut(J) -> anyhow::Result<()> + 'a;

/// Runs `feed`, which gives jobs; `work` does them on so many threads, each with a `W` of its own
/// that it keeps from job to job; `take` is given the results in the order of the jobs.
///
/// With one thread, or where none can be started, the caller's does the work.
///
/// # Errors
/// The first one of `take` or `feed`. Jobs that are under way then are done, and not taken.
pub fn in_order<J: Send, R: Send, W: Default, T>(
    threads: usize,
    work: impl Fn(&mut W, J) -> R + Sync,
    mut take: impl FnMut(R) -> anyhow::Result<()>,
    feed: impl FnOnce(&mut Give<'_, J>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    run(threads, work, |line| {
        let done = feed(&mut |job| {
            while line.is_full() {
                line.wait()?.map_or(Ok(()), &mut take)?;
            }
            line.give(job)?;
            // What is done need not wait until there is no more room.
            while let Some(result) = line.done()? {
                take(result)?;
            }
            Ok(())
        })?;
        while let Some(result) = line.wait()? {
            take(result)?;
        }
        Ok(done)
    })
}

/// Runs `body` with a [`Line`], whose jobs `work` does as it does those of [`in_order`].
///
/// # Errors
/// What `body` says. Jobs that are under way then are done, and not taken.
pub fn run<J: Send, R: Send, W: Default, T>(
    threads: usize,
    work: impl Fn(&mut W, J) -> R + Sync,
    body: impl FnOnce(&mut Line<'_, J, R>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    keep_memory();
    let (queue, jobs) = sync_channel(threads.saturating_mul(AHEAD));
    let (jobs, work) = (Mutex::new(jobs), &work);
    thread::scope(|scope| {
        // Workers end when nobody can give them jobs any more, which is before the scope waits.
        let (queue, jobs) = (queue, &jobs);
        let start = |_: &usize| {
            let worker = move || labour(jobs, work);
            thread::Builder::new().spawn_scoped(scope, worker).is_ok()
        };
        let wanted = if threads > 1 { threads } else { 0 };
        let started = (0..wanted).take_while(start).count();
        let mut own = W::default();
        let mut line = Line {
            queue: (started > 0).then_some(queue),
            own: &mut |job| work(&mut own, job),
            pending: VecDeque::new(),
            ahead: started.saturating_mul(AHEAD).max(1),
        };
        body(&mut line)
    })
}

/// Jobs on their way, in order: what is given comes out again, done.
pub struct Line<'a, J, R> {
    /// Nothing if the caller's thread does the work.
    queue: Option<SyncSender<(J, SyncSender<R>)>>,
    own: &'a mut dyn FnMut(J) -> R,
    pending: VecDeque<Pending<R>>,
    ahead: usize,
}

enum Pending<R> {
    Done(R),
    Away(Receiver<R>),
}

impl<J, R> Line<'_, J, R> {
    /// Whether as many jobs are under way as may be: then [`wait`](Self::wait) comes first.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pending.len() >= self.ahead
    }

    /// Whether no job is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Gives a job. More than may be under way cost memory, and nothing else.
    ///
    /// # Errors
    /// That all workers are gone.
    pub fn give(&mut self, job: J) -> anyhow::Result<()> {
        let Some(queue) = &self.queue else {
            self.pending.push_back(Pending::Done((self.own)(job)));
            return Ok(());
        };
        let (reply, receiver) = sync_channel(1);
        self.pending.push_back(Pending::Away(receiver));
        queue.send((job, reply)).map_err(|_| gone())
    }

    /// The result of the job that was given first, waited for; nothing if none is under way.
    ///
    /// # Errors
    /// That its worker is gone.
    pub fn wait(&mut self) -> anyhow::Result<Option<R>> {
        match self.pending.pop_front() {
            None => Ok(None),
            Some(Pending::Done(result)) => Ok(Some(result)),
            Some(Pending::Away(receiver)) => receiver.recv().map(Some).map_err(|_| gone()),
        }
    }

    /// The same if that job is done; nothing if it is not.
    ///
    /// # Errors
    /// That its worker is gone.
    pub fn done(&mut self) -> anyhow::Result<Option<R>> {
        if let Some(Pending::Away(receiver)) = self.pending.front() {
            match receiver.try_recv() {
                Ok(result) => {
                    self.pending.pop_front();
                    return Ok(Some(result));
                }
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Err(gone()),
            }
        }
        self.wait()
    }
}

/// Has the allocator of glibc keep what is freed between jobs. It gives blocks of a MiB back to the
/// system one by one, and clears new ones, until it has seen a larger one come and go. Nothing of
/// this one is touched; other allocators do not care.
fn keep_memory() {
    let mut block = Vec::<u8>::new();
    // Where there is not so much memory, it goes without.
    let _ = block.try_reserve_exact(16 << 20);
    drop(std::hint::black_box(block));
}

type Jobs<J, R> = Mutex<Receiver<(J, SyncSender<R>)>>;

/// A worker: does jobs until there are no more.
fn labour<J, R, W: Default>(jobs: &Jobs<J, R>, work: impl Fn(&mut W, J) -> R) {
    let mut own = W::default();
    loop {
        let next = jobs.lock().map(|jobs| jobs.recv());
        let Ok(Ok((job, reply))) = next else { return };
        // Nobody waits for it after an error.
        let _ = reply.send(work(&mut own, job));
    }
}

/// Only a panic ends a worker early, and leaving the scope passes that on.
fn gone() -> anyhow::Error {
    anyhow::anyhow!("a thread ended early")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Gives `count` numbers to so many threads, and returns what was taken.
    fn squares(threads: usize, count: u64) -> Vec<u64> {
        let mut taken = Vec::new();
        let work = |(): &mut (), n: u64| n * n;
        let take = |square| {
            taken.push(square);
            Ok(())
        };
        in_order(threads, work, take, |give| (0..count).try_for_each(&mut *give)).unwrap();
        taken
    }

    #[test]
    fn results_come_in_the_order_of_the_jobs_whatever_the_number_of_threads() {
        let expected: Vec<_> = (0..200).map(|n| n * n).collect();
        for threads in 0..5 {
            assert_eq!(squares(threads, 200), expected);
            assert!(squares(threads, 0).is_empty());
        }
    }

    #[test]
    fn no_more_than_a_few_jobs_are_under_way() {
        let (given, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let take = |()| {
            let before = given.fetch_sub(1, Ordering::Relaxed);
            most.fetch_max(before, Ordering::Relaxed);
            Ok(())
        };
        let count = |(): &mut (), ()| ();
        in_order(2, count, take, |give| {
            for _ in 0..1000 {
                given.fetch_add(1, Ordering::Relaxed);
                give(())?;
            }
            Ok(())
        })
        .unwrap();
        assert!(most.load(Ordering::Relaxed) <= 2 * AHEAD + 1);
    }

    #[test]
    fn an_error_ends_all_and_is_the_one_that_came_first() {
        for threads in [0, 2] {
            let work = |(): &mut (), n: u32| n;
            let take = |n| if n == 7 { Err(anyhow::anyhow!("taken {n}")) } else { Ok(()) };
            let error = in_order(threads, work, take, |give| (0..1000).try_for_each(&mut *give));
            assert_eq!(error.unwrap_err().to_string(), "taken 7");
            let feed = |give: &mut Give<'_, u32>| -> anyhow::Result<()> {
                give(1)?;
                anyhow::bail!("fed")
            };
            let error = in_order(threads, work, |_| Ok(()), feed);
            assert_eq!(error.unwrap_err().to_string(), "fed");
        }
    }

    #[test]
    fn what_comes_out_of_a_line_may_decide_what_goes_in() {
        for threads in 0..5 {
            let half = |(): &mut (), n: u64| n / 2;
            let taken = run(threads, half, |line| {
                line.give(1000)?;
                let mut taken = Vec::new();
                while let Some(n) = line.wait()? {
                    taken.push(n);
                    if n > 0 {
                        line.give(n)?;
                    }
                }
                assert!(line.is_empty() && !line.is_full() && line.done()?.is_none());
                Ok(taken)
            });
            assert_eq!(taken.unwrap(), [500, 250, 125, 62, 31, 15, 7, 3, 1, 0]);
        }
    }

    #[test]
    fn each_thread_keeps_what_is_its_own() {
        let mut last = 0;
        let work = |own: &mut u32, ()| {
            *own += 1;
            *own
        };
        let take = |n| {
            last = n;
            Ok(())
        };
        in_order(1, work, take, |give| (0..50).try_for_each(|_| give(()))).unwrap();
        assert_eq!(last, 50);
    }
}
