//! The loop of a source.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::parts::{self, Maker};
use super::show::{Amount, Show};
use super::{Clock, Ended, Journal, LAST_WORDS, Starter};
use crate::core::{self, Code, Outcome, SourceAction as Action, SourceInput as Input, trouble};
use crate::handover::{self, Body, Guest, Refused, Resolve, SourcePhase};
use crate::link::{self, Link, OneWay, Outbox, Rate, Unsent};
use crate::note::Note;
use crate::origin::Origin;
use crate::stream::message::Trouble;
use crate::stream::{Item, Message};
use crate::transport::{Connection, Output};

/// What a source has to do its work with.
pub struct Setup {
    /// Where the VM comes from; nothing is sent without.
    pub origin: Option<Arc<dyn Origin>>,
    /// The journal, if a VM is handed over.
    pub journal: Option<Journal>,
    /// Where the note of the session is kept, and what it says.
    pub note: Option<(PathBuf, Note)>,
    /// Resumes the VM here.
    pub resume: Option<Starter>,
    /// What a person decided, to be done as soon as it can be.
    pub decision: Option<Resolve>,
    /// Bytes per second at most.
    pub limit: Option<Rate>,
    /// How long a copy may wait for whoever reads it.
    pub timeout: Duration,
}

/// A connection, or what a copy is written to.
enum Way {
    Both(Link),
    One(OneWay),
}

impl Way {
    fn outbox(&self) -> &Outbox {
        match self {
            Self::Both(link) => link.outbox(),
            Self::One(way) => way.outbox(),
        }
    }

    fn sent(&self) -> u64 {
        match self {
            Self::Both(link) => link.sent().get(),
            Self::One(way) => way.sent().get(),
        }
    }
}

/// What happened.
pub(super) enum Event {
    /// To the connection with this number.
    Link(u64, link::Event),
    /// To what that connection had asked for.
    Made(u64, Box<Input>),
    /// To the VM.
    Guest(Guest),
    /// A person stops this process.
    Stop,
}

/// Has a source told that a person stops it. Cheap to clone.
#[derive(Clone)]
pub struct Stopper(Sender<Event>);

impl Stopper {
    /// It is to stop.
    pub fn stop(&self) {
        // It may have ended by itself.
        let _ = self.0.send(Event::Stop);
    }
}

/// A source at work.
pub struct Source<'a> {
    core: core::Source,
    setup: Setup,
    show: &'a mut dyn Show,
    clock: Clock,
    tell: Sender<Event>,
    told: Receiver<Event>,
    /// The number of the present connection, or of the last one.
    number: u64,
    link: Option<Way>,
    inputs: VecDeque<Input>,
    /// The VM is being resumed, and what becomes of it is not known.
    resuming: bool,
    refused: Option<Refused>,
    ended: Option<Outcome>,
    way: Option<String>,
    /// All of a copy is said; until then it may take to be written, unless more is.
    drains: Option<Duration>,
    scanned: Arc<AtomicU64>,
    amount: Amount,
}

impl<'a> Source<'a> {
    /// A source without a connection.
    #[must_use]
    pub fn new(core: core::Source, setup: Setup, show: &'a mut dyn Show) -> Self {
        let (tell, told) = channel();
        let memory = setup.origin.as_ref().map_or(0, |origin| origin.vm().memory.size());
        Self {
            core,
            setup,
            show,
            clock: Clock::start(),
            tell,
            told,
            number: 0,
            link: None,
            inputs: VecDeque::new(),
            resuming: false,
            refused: None,
            ended: None,
            way: None,
            drains: None,
            scanned: Arc::default(),
            amount: Amount { memory, ..Amount::default() },
        }
    }

    /// What stops it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.tell.clone())
    }

    /// The hand-over, if one has begun.
    #[must_use]
    pub fn handover(&self) -> Option<&handover::Source> {
        self.core.handover()
    }

    /// Talks over a connection until that has an end.
    ///
    /// # Errors
    /// If there can be no threads.
    pub fn run(&mut self, connection: Connection) -> io::Result<Ended> {
        self.number += 1;
        let (number, tell) = (self.number, self.tell.clone());
        let tell = move |event| tell.send(Event::Link(number, event)).is_ok();
        self.link = Some(Way::Both(Link::start(connection, self.setup.limit, tell)?));
        self.ended = None;
        // What was decided before is said at once.
        self.decide();
        self.drive(Input::Connected);
        Ok(self.turn())
    }

    /// Writes a copy, until all of it is written or that cannot be.
    ///
    /// # Errors
    /// If there can be no threads.
    pub fn copy(&mut self, output: Output) -> io::Result<Ended> {
        self.number += 1;
        let (number, tell) = (self.number, self.tell.clone());
        let failed = self.tell.clone();
        let progress = move || {
            // The loop may have ended.
            let _ = tell.send(Event::Link(number, link::Event::Progress));
        };
        let failed = move |error: io::Error| {
            let closed = link::Event::Closed(core::Closed::Broken, Some(error.to_string()));
            let _ = failed.send(Event::Link(number, closed));
        };
        self.link = Some(Way::One(OneWay::start(output, self.setup.limit, progress, failed)?));
        self.drive(Input::Connected);
        Ok(self.turn())
    }

    /// Waits for what happens, until the machine has ended and no start command is at work.
    fn turn(&mut self) -> Ended {
        loop {
            if let (Some(outcome), false) = (&self.ended, self.resuming) {
                let (outcome, way) = (outcome.clone(), self.way.take());
                return Ended { outcome, way };
            }
            let deadline = self.clock.until(self.drains.or(self.core.deadline()));
            let wait = self.show.next().map_or(deadline, |next| next.min(deadline));
            match self.told.recv_timeout(wait) {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => {
                    self.drive(Input::Tick);
                    if self.drains.is_some_and(|until| until <= self.clock.now()) {
                        self.close(Outcome::TimedOut);
                    }
                }
                // This side holds a sender itself.
                Err(RecvTimeoutError::Disconnected) => self.drive(Input::Stop),
            }
            self.decide();
            self.tell_how_far();
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Link(number, event) if number == self.number && self.link.is_some() => {
                self.take_from_link(event);
            }
            Event::Made(number, input) if number == self.number && self.link.is_some() => {
                self.drive(*input);
            }
            Event::Link(..) | Event::Made(..) => {}
            Event::Guest(guest) => {
                self.resuming = false;
                info!(?guest, "the start command has come to an end");
                self.drive(Input::Handover(handover::Input::Guest(guest)));
            }
            Event::Stop if self.drains.is_some() => {
                self.close(Outcome::Stopped(trouble(Code::Stopped, "a person stopped it")));
            }
            Event::Stop => self.drive(Input::Stop),
        }
    }

    fn take_from_link(&mut self, event: link::Event) {
        if self.drains.is_some() {
            return self.drain(event);
        }
        let input = match event {
            link::Event::Item(item, _held) => match *item {
                Item::Message(message) => {
                    debug!(message = core::name(&message), "heard");
                    Input::Message(message)
                }
                Item::Part(_) => {
                    let words = "a part came from the target, which sends none (§3.2)";
                    Input::Garbled(trouble(Code::Item, words))
                }
            },
            link::Event::Garbled(trouble) => Input::Garbled(trouble),
            link::Event::Heard => Input::Heard,
            link::Event::Progress => Input::Progress,
            link::Event::Closed(closed, why) => {
                self.way = why;
                Input::Closed(closed)
            }
        };
        self.drive(input);
    }

    /// Hands something in, and does all that comes of it.
    fn drive(&mut self, input: Input) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            for action in self.core.handle(self.clock.now(), input) {
                self.act(action);
            }
        }
        self.show.phase(self.core.phase());
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send(message) => self.send(&message),
            Action::Note { .. } => {
                let noted = self.note();
                self.inputs.push_back(noted.map_or_else(Input::Failed, |()| Input::Noted));
            }
            Action::SendVm => {
                if let Err(error) = self.send_machine() {
                    self.inputs.push_back(Input::Failed(parts::failed(&error)));
                }
            }
            Action::SendState { .. } => {
                let offers = self.setup.journal.is_some();
                self.make(|maker| maker.state(offers));
            }
            Action::SendRound { round, have } => {
                (self.amount.round, self.amount.acked) = (round, 0);
                self.make(|maker| maker.round(have));
            }
            Action::Handover(action) => self.hand_over(action),
            Action::Refused(refused) => self.refused = Some(refused),
            Action::Report(report) => self.show.report(&report),
            Action::Warnings(warnings) => self.show.warnings(&warnings),
            Action::Status(status) => self.show.status(&status),
            Action::Acked { stored, .. } => self.amount.acked = stored,
            Action::End(outcome) => self.end(outcome),
        }
    }

    fn end(&mut self, outcome: Outcome) {
        match &self.link {
            Some(Way::One(way)) if outcome == Outcome::Done && !way.outbox().is_idle() => {
                self.drains = Some(self.clock.now().saturating_add(self.setup.timeout));
            }
            _ => self.close(outcome),
        }
    }

    /// Waits for the rest of a copy to be written.
    fn drain(&mut self, event: link::Event) {
        let idle = self.link.as_ref().is_none_or(|way| way.outbox().is_idle());
        match event {
            link::Event::Closed(_, why) => {
                self.way = why;
                self.close(Outcome::Cut);
            }
            _ if idle => self.close(Outcome::Done),
            _ => self.drains = Some(self.clock.now().saturating_add(self.setup.timeout)),
        }
    }

    fn close(&mut self, outcome: Outcome) {
        self.drains = None;
        if let Some(way) = self.link.take() {
            self.amount.sent = way.sent();
            self.amount.scanned = self.scanned.load(Ordering::Relaxed);
            self.show.amount(self.amount);
            match way {
                Way::Both(link) => {
                    let way = link.close(LAST_WORDS);
                    self.way = self.way.take().or(way);
                }
                Way::One(way) => way.outbox().close(),
            }
        }
        self.ended = Some(outcome);
    }

    fn send(&mut self, message: &Message) {
        // What a person decided against is not said: a message may be lost, and this one is.
        let commit =
            |body: Body| body == Body::Commit && self.setup.decision == Some(Resolve::Back);
        if matches!(message, Message::Handover(said) if commit(said.body)) {
            return;
        }
        let Some(link) = &self.link else { return };
        debug!(message = core::name(message), "said");
        match link.outbox().message(message) {
            Err(Unsent::Message(words)) => {
                self.inputs.push_back(Input::Failed(trouble(Code::Internal, words)));
            }
            // What is not said must not be waited for.
            Err(full @ Unsent::Full) => {
                self.way = Some(full.to_string());
                self.inputs.push_back(Input::Closed(core::Closed::Broken));
            }
            // How it ended is told by the link itself.
            Ok(()) | Err(_) => {}
        }
    }

    fn note(&self) -> Result<(), Trouble> {
        let Some((path, note)) = &self.setup.note else { return Ok(()) };
        let wrong = |error| trouble(Code::Internal, format!("{}: {error}", path.display()));
        note.write(path).map_err(wrong)
    }

    fn send_machine(&self) -> anyhow::Result<()> {
        if let (Some(link), Some(origin)) = (&self.link, &self.setup.origin) {
            link.outbox().part_now(parts::machine(origin.vm())?)?;
        }
        Ok(())
    }

    /// Has a thread make parts.
    fn make(&mut self, start: impl FnOnce(Maker<Box<dyn FnOnce(Input) + Send>>) -> io::Result<()>) {
        let (Some(link), Some(origin)) = (&self.link, &self.setup.origin) else { return };
        let (number, tell) = (self.number, self.tell.clone());
        let maker = Maker {
            origin: origin.clone(),
            outbox: link.outbox().clone(),
            scanned: self.scanned.clone(),
            tell: Box::new(move |input| {
                // The loop may have ended.
                let _ = tell.send(Event::Made(number, Box::new(input)));
            }) as Box<dyn FnOnce(Input) + Send>,
        };
        if let Err(error) = start(maker) {
            let words = format!("cannot start a thread: {error}");
            self.inputs.push_back(Input::Failed(trouble(Code::Internal, words)));
        }
    }

    fn hand_over(&mut self, action: handover::Action) {
        match action {
            handover::Action::Write(entry) => {
                let journal = self.setup.journal.as_mut().ok_or("there is no journal".to_owned());
                let append = |journal: &mut Journal| {
                    journal.append(entry).map(drop).map_err(|error| error.to_string())
                };
                let input = match journal.and_then(append) {
                    Ok(()) => {
                        info!(record = entry.kind.name(), "durable");
                        handover::Input::Written
                    }
                    Err(words) => {
                        error!(record = entry.kind.name(), words, "cannot be written");
                        self.way = Some(words);
                        handover::Input::WriteFailed
                    }
                };
                self.inputs.push_back(Input::Handover(input));
            }
            handover::Action::Start => self.resume(),
            // Files that a person named are deleted by persons.
            handover::Action::Keep | handover::Action::Destroy | handover::Action::Send(_) => {}
            handover::Action::Ask(question) => self.show.question(question),
            handover::Action::Halt => warn!("nothing more is done: the journal failed"),
        }
    }

    fn resume(&mut self) {
        // Without a command, persons resume the VM; from now on they may, and then it has run.
        let Some(resume) = self.setup.resume.clone() else {
            return self.inputs.push_back(Input::Handover(handover::Input::Guest(Guest::Ran)));
        };
        self.resuming = true;
        let tell = self.tell.clone();
        let work = move || {
            // The loop waits for it.
            let _ = tell.send(Event::Guest(resume()));
        };
        if let Err(error) = thread::Builder::new().name("resume".to_owned()).spawn(work) {
            warn!(%error, "cannot start a thread");
            self.resuming = false;
            self.inputs.push_back(Input::Handover(handover::Input::Guest(Guest::NeverRan)));
        }
    }

    /// Does what a person decided, once that is possible.
    fn decide(&mut self) {
        let Some(decision) = self.setup.decision else { return };
        if self.core.handover().is_none() || self.ended.is_some() {
            return;
        }
        self.refused = None;
        let phase = self.core.handover().map(handover::Source::phase);
        self.drive(Input::Handover(handover::Input::Resolve(decision)));
        match self.refused.take() {
            None => {
                self.setup.decision = None;
                // What was kept back while the decision was pending is said by the machine itself.
                info!(?decision, ?phase, "decided");
            }
            // It waits for the peer, or for a record.
            Some(Refused::Unconfirmed | Refused::Busy | Refused::NotAwaited) => {}
            Some(refused) => {
                self.setup.decision = None;
                let words = refused.to_string();
                self.drive(Input::Failed(trouble(Code::Order, words)));
            }
        }
    }

    fn tell_how_far(&mut self) {
        if self.show.next().is_none_or(|next| !next.is_zero()) {
            return;
        }
        if let Some(way) = &self.link {
            self.amount.sent = way.sent();
        }
        self.amount.scanned = self.scanned.load(Ordering::Relaxed);
        self.show.amount(self.amount);
    }

    /// Whether it handed the VM over, or never will.
    #[must_use]
    pub fn phase(&self) -> Option<SourcePhase> {
        self.core.handover().map(handover::Source::phase)
    }

    /// How far it came.
    #[must_use]
    pub fn amount(&self) -> Amount {
        self.amount
    }
}
