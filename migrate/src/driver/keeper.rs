//! The thread that keeps what arrives at a target: its files are touched by nobody else.
//!
//! It does one thing after another, in the order in which that was asked for, so that the loop
//! never waits for a disk. How much may be under way is bounded by what the connection holds.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use snapfmt::part::vm::Vm;
use tracing::{debug, warn};

use crate::core::{Code, TargetInput as Input, hinted, trouble};
use crate::identity::{Epoch, Session};
use crate::image::{self, Dir, Image, Options};
use crate::link::Held;
use crate::stream::Arrived;
use crate::stream::message::Trouble;

/// Between two reports of what is written.
const REPORT: Duration = Duration::from_millis(250);

/// What is to be done.
pub(super) enum Job {
    Open(Vm, Option<(Session, Epoch)>),
    Apply(Arrived, Option<Held>),
    EndRound,
    Keep(Arrived, Option<Held>),
    EndState,
    Sync,
    /// The connection has ended.
    Leave,
    /// The copy is given up.
    Destroy,
}

/// The thread, from outside.
pub(super) struct Keeper {
    jobs: Sender<(u64, Job)>,
    thread: JoinHandle<()>,
    /// The number of the connection whose work is wanted.
    wanted: Arc<AtomicU64>,
}

/// What came of it: for which connection, and what its machine is told.
pub(super) trait Tell: Fn(u64, Input) + Send + 'static {}

impl<T: Fn(u64, Input) + Send + 'static> Tell for T {}

impl Keeper {
    pub(super) fn start(dir: Option<Dir>, options: Options, tell: impl Tell) -> io::Result<Self> {
        let (jobs, work) = channel();
        let wanted = Arc::new(AtomicU64::new(0));
        let files = Files { dir, options, image: None, wanted: wanted.clone(), told: None, tell };
        let thread = thread::Builder::new().name("keep".to_owned());
        let thread = thread.spawn(move || files.run(&work))?;
        Ok(Self { jobs, thread, wanted })
    }

    /// Waits until all is done that was asked for and is still wanted.
    pub(super) fn finish(self) {
        drop(self.jobs);
        // A panic was shown already.
        let _ = self.thread.join();
    }

    /// What was asked for by earlier connections is not wanted any more.
    pub(super) fn begin(&self, number: u64) {
        self.wanted.store(number, Ordering::Relaxed);
    }

    pub(super) fn give(&self, number: u64, job: Job) {
        // The thread ends after this.
        let _ = self.jobs.send((number, job));
    }
}

struct Files<T> {
    dir: Option<Dir>,
    options: Options,
    image: Option<Opened>,
    wanted: Arc<AtomicU64>,
    told: Option<Instant>,
    tell: T,
}

/// What is open, and for whom.
struct Opened {
    image: Image,
    vm: Vm,
    session: Option<(Session, Epoch)>,
    /// It is complete, or was being made so: not to be written over without being opened anew.
    synced: bool,
}

impl<T: Tell> Files<T> {
    fn run(mut self, jobs: &Receiver<(u64, Job)>) {
        while let Ok((number, job)) = jobs.recv() {
            let wanted = self.wanted.load(Ordering::Relaxed) == number;
            let always = matches!(job, Job::Leave | Job::Destroy);
            if !wanted && !always {
                continue;
            }
            match self.act(number, job) {
                Ok(Some(input)) => (self.tell)(number, input),
                Ok(None) => {}
                // That a person stops this process is told by itself.
                Err(_) if self.options.stop.check().is_err() => {}
                Err(trouble) => {
                    debug!(words = %trouble.words, "what arrives cannot be kept");
                    (self.tell)(number, Input::Failed(trouble));
                }
            }
        }
    }

    fn act(&mut self, number: u64, job: Job) -> Result<Option<Input>, Trouble> {
        match job {
            Job::Open(vm, session) => return self.open(vm, session).map(Some),
            Job::Leave => self.leave(),
            Job::Destroy => {
                self.image = None;
                self.dir.as_ref().map_or(Ok(()), Dir::destroy)?;
            }
            job => {
                let Some(opened) = &mut self.image else { return Ok(None) };
                return match job {
                    Job::Apply(part, held) => {
                        let applied = opened.image.apply(part);
                        drop(held);
                        applied?;
                        self.applied(number);
                        Ok(None)
                    }
                    Job::EndRound => {
                        let (parts, stored) = opened.image.applied();
                        (self.tell)(number, Input::Applied { parts, stored });
                        let root = opened.image.end_round()?;
                        Ok(Some(Input::RoundApplied { root }))
                    }
                    Job::Keep(part, held) => {
                        let kept = opened.image.keep(part);
                        drop(held);
                        kept.map(|()| None)
                    }
                    Job::EndState => {
                        let (records, warnings) = opened.image.end_state()?;
                        Ok(Some(Input::StateKept { records, warnings }))
                    }
                    Job::Sync => {
                        opened.synced = true;
                        opened.image.sync()?;
                        Ok(Some(Input::Synced))
                    }
                    Job::Open(..) | Job::Leave | Job::Destroy => Ok(None),
                };
            }
        }
        Ok(None)
    }

    fn open(&mut self, vm: Vm, session: Option<(Session, Epoch)>) -> Result<Input, Trouble> {
        let Some(dir) = &self.dir else {
            let words = "only plans are answered here";
            return Err(trouble(Code::Order, words));
        };
        let goes_on = |opened: &Opened| {
            !opened.synced && opened.session == session && opened.vm == vm && session.is_some()
        };
        if !self.image.as_ref().is_some_and(goes_on) {
            self.image = None;
            let mut options = self.options.clone();
            options.discard |= session.is_none() && is_part_of_a_copy(dir)?;
            let image = Image::open(dir.path(), &vm, session, options)?;
            // Once is enough: what comes now is what was wanted in its place.
            self.options.discard = false;
            self.image = Some(Opened { image, vm, session, synced: false });
        }
        let held = self.image.as_mut().map(|opened| opened.image.held());
        let (root, blocks) = held.ok_or_else(|| trouble(Code::Internal, "nothing was opened"))?;
        Ok(Input::Opened { root, blocks })
    }

    /// Takes in what was written of a round that will not end. If that is not known any more, it
    /// is read when it is opened next.
    fn leave(&mut self) {
        if let Some(opened) = &mut self.image
            && (opened.synced || opened.image.settle().is_err())
        {
            self.image = None;
        }
    }

    fn applied(&mut self, number: u64) {
        if self.told.is_some_and(|at| at.elapsed() < REPORT) {
            return;
        }
        self.told = Some(Instant::now());
        if let Some(opened) = &self.image {
            let (parts, stored) = opened.image.applied();
            (self.tell)(number, Input::Applied { parts, stored });
        }
    }
}

/// Whether there is a copy that never became whole: another one begins with all zero (§9.1).
fn is_part_of_a_copy(dir: &Dir) -> Result<bool, Trouble> {
    let Ok(Some(note)) = image::note(dir.path()) else { return Ok(false) };
    if note.session.is_none() && dir.meta().exists() {
        let words = "a copy is kept here already";
        let hint = "`--discard` throws it away; or take another directory";
        return Err(hinted(Code::Session, words, hint));
    }
    Ok(note.session.is_none())
}

/// Gives up what `dir` holds, for whoever has no thread for it.
pub(super) fn destroy(dir: &Dir) {
    if let Err(trouble) = dir.destroy() {
        warn!(words = %trouble.words, "the copy that was given up is still there");
    }
}
