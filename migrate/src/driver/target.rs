//! The loop of a target.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::door::{Answer, Door};
use super::keeper::{Job, Keeper, destroy};
use super::{Check, Clock, Ended, Journal, LAST_WORDS, Starter};
use crate::core::{self, Code, Outcome, TargetAction as Action, TargetInput as Input, trouble};
use crate::handover::{self, Guest, TargetPhase};
use crate::image::{Dir, Options};
use crate::journal::{Entry, Kind};
use crate::link::{self, Held, Link, Unsent};
use crate::stream::message::Trouble;
use crate::stream::{Item, Message};
use crate::transport::Connection;

/// What a target has to do its work with.
pub struct Setup {
    /// Its directory; without one, only plans are answered.
    pub dir: Option<Dir>,
    /// How it keeps what arrives.
    pub options: Options,
    /// Its journal, which is in the directory.
    pub journal: Option<Journal>,
    /// Starts the VM.
    pub start: Option<Starter>,
    /// Looks at what is here, where an earlier process has received it (§7.3).
    pub check: Option<Check>,
    /// Program and version, for people.
    pub producer: String,
    /// How long a visitor may take to say what it wants.
    pub timeout: Duration,
}

/// How sources come.
pub enum Entrance {
    /// One is there already, and no other comes.
    Here(Connection),
    /// They come, one after another, until the VM is settled; or only one of them.
    Door {
        /// Whether the end of the first is the end.
        once: bool,
    },
}

/// What happened.
pub(super) enum Event {
    /// To the connection with this number.
    Link(u64, link::Event),
    /// To what that connection had asked for.
    Kept(u64, Box<Input>),
    /// To the VM.
    Guest(Guest),
    /// What is here was looked at again.
    Checked(Result<(), Trouble>),
    /// Somebody came.
    Came(Connection),
    /// A person stops this process.
    Stop,
}

/// Tells a target who came, and that a person stops it. Cheap to clone.
#[derive(Clone)]
pub struct Bell(Sender<Event>);

impl Bell {
    /// Somebody came. Says whether anybody is there.
    pub fn ring(&self, connection: Connection) -> bool {
        self.0.send(Event::Came(connection)).is_ok()
    }

    /// It is to stop.
    pub fn stop(&self) {
        // It may have ended by itself.
        let _ = self.0.send(Event::Stop);
    }
}

/// A target at work.
pub struct Target {
    core: core::Target,
    pub(super) setup: Setup,
    /// There until the end.
    keeper: Option<Keeper>,
    door: Door,
    clock: Clock,
    pub(super) tell: Sender<Event>,
    told: Receiver<Event>,
    /// The number of the present connection, or of the last one.
    pub(super) number: u64,
    pub(super) link: Option<Link>,
    /// Connections that are being closed.
    closing: Vec<JoinHandle<Option<String>>>,
    /// Items that came and cannot be handed in yet: a copy does not wait for answers.
    pending: VecDeque<link::Event>,
    /// What the part that is being handed in counts for.
    held: Option<Held>,
    inputs: VecDeque<Input>,
    starting: bool,
    /// This process has received and checked all of what is here.
    pub(super) whole: bool,
    /// A thread reads what an earlier process has received.
    pub(super) checking: bool,
    /// What waits for that, and the number of its connection.
    pub(super) waiting: Option<(u64, Message)>,
    published: bool,
    /// Why a copy could not be given its name.
    unpublished: Option<Trouble>,
    ended: Option<Outcome>,
    way: Option<String>,
}

impl Target {
    /// A target without a connection.
    ///
    /// # Errors
    /// If there can be no threads.
    pub fn new(core: core::Target, setup: Setup) -> io::Result<Self> {
        let (tell, told) = channel();
        let kept = tell.clone();
        let kept = move |number, input| {
            // The loop may have ended.
            let _ = kept.send(Event::Kept(number, Box::new(input)));
        };
        let keeper = Keeper::start(setup.dir.clone(), setup.options.clone(), kept)?;
        Ok(Self {
            core,
            setup,
            keeper: Some(keeper),
            door: Door::default(),
            clock: Clock::start(),
            tell,
            told,
            number: 0,
            link: None,
            closing: Vec::new(),
            pending: VecDeque::new(),
            held: None,
            inputs: VecDeque::new(),
            starting: false,
            whole: false,
            checking: false,
            waiting: None,
            published: false,
            unpublished: None,
            ended: None,
            way: None,
        })
    }

    /// What tells it of the world.
    #[must_use]
    pub fn bell(&self) -> Bell {
        Bell(self.tell.clone())
    }

    /// The hand-over, if one has begun.
    #[must_use]
    pub fn handover(&self) -> Option<&handover::Target> {
        self.core.handover()
    }

    /// Does what `replay` of the journal asked for, then answers who comes, until the end.
    ///
    /// # Errors
    /// If there can be no threads.
    pub fn run(&mut self, entrance: Entrance, first: Vec<handover::Action>) -> io::Result<Ended> {
        for action in first {
            self.hand_over(action);
        }
        let (here, once) = match entrance {
            Entrance::Here(connection) => {
                self.connect(connection)?;
                (true, true)
            }
            Entrance::Door { once } => (false, once),
        };
        let ended = self.turn(here, once);
        if let Some(keeper) = self.keeper.take() {
            keeper.finish();
        }
        for closing in self.closing.drain(..) {
            // What was said last is to arrive before the process ends.
            self.way = self.way.take().or(closing.join().ok().flatten());
        }
        Ok(Ended { outcome: ended, way: self.way.take() })
    }

    fn connect(&mut self, connection: Connection) -> io::Result<()> {
        self.number += 1;
        let (number, tell) = (self.number, self.tell.clone());
        let tell = move |event| tell.send(Event::Link(number, event)).is_ok();
        self.link = Some(Link::start(connection, None, tell)?);
        if let Some(keeper) = &self.keeper {
            keeper.begin(number);
        }
        self.pending.clear();
        self.ended = None;
        info!(number, "a source is here");
        self.drive(Input::Connected);
        Ok(())
    }

    fn turn(&mut self, here: bool, once: bool) -> Outcome {
        loop {
            if let (Some(outcome), false) = (&self.ended, self.starting) {
                let outcome = outcome.clone();
                // Whoever only asked is answered, and is no source; a VM that came is over.
                let came = once && outcome != Outcome::Done;
                if here || came || self.is_over(&outcome) {
                    return outcome;
                }
            }
            let wait = self.clock.until(self.core.deadline());
            match self.told.recv_timeout(wait) {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => {
                    // It is this side that is slow.
                    if self.link.as_ref().is_some_and(Link::is_full) {
                        self.drive(Input::Heard);
                    }
                    self.drive(Input::Tick);
                }
                // This side holds a sender itself.
                Err(RecvTimeoutError::Disconnected) => self.drive(Input::Stop),
            }
            self.resume_reading();
        }
    }

    /// Whether nobody has to come any more.
    fn is_over(&self, outcome: &Outcome) -> bool {
        let handover = self.core.handover();
        match outcome {
            Outcome::Done => self.published || handover.is_some_and(handover::Target::is_settled),
            Outcome::Back => handover.map(handover::Target::phase) == Some(TargetPhase::Released),
            Outcome::GivenUp | Outcome::JournalFailed => true,
            Outcome::Stopped(trouble) => trouble.code == Code::Stopped.name(),
            _ => false,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Link(number, event) if number == self.number && self.link.is_some() => {
                self.pending.push_back(event);
            }
            Event::Kept(number, input) if number == self.number && self.link.is_some() => {
                match *input {
                    Input::Opened { .. } => self.whole = false,
                    Input::Synced => self.whole = true,
                    _ => {}
                }
                self.drive(*input);
            }
            Event::Link(..) => {}
            Event::Kept(_, input) => {
                if let Input::Failed(trouble) = *input {
                    warn!(words = %trouble.words, "what was asked for earlier cannot be done");
                }
            }
            Event::Guest(guest) => {
                self.starting = false;
                info!(?guest, "the start command has come to an end");
                self.drive(Input::Handover(handover::Input::Guest(guest)));
            }
            Event::Checked(result) => self.checked(result),
            Event::Came(connection) if self.link.is_none() && !self.starting => {
                if let Err(error) = self.connect(connection) {
                    warn!(%error, "a source cannot be answered");
                }
            }
            Event::Came(connection) => {
                let (producer, patience) = (self.setup.producer.clone(), self.setup.timeout);
                let answer = Answer { producer, status: self.core.status(), patience };
                self.door.answer(connection, answer);
            }
            Event::Stop => self.drive(Input::Stop),
        }
    }

    /// Hands in what came, as far as it can be taken now.
    fn resume_reading(&mut self) {
        while self.core.reads()
            && self.link.is_some()
            && let Some(event) = self.pending.pop_front()
        {
            self.take_from_link(event);
        }
    }

    fn take_from_link(&mut self, event: link::Event) {
        let input = match event {
            link::Event::Item(item, held) => match *item {
                Item::Message(message) => {
                    debug!(message = core::name(&message), "heard");
                    drop(held);
                    if self.needs_check(&message) {
                        return self.check(message);
                    }
                    Input::Message(message)
                }
                Item::Part(part) => {
                    self.held = Some(held);
                    Input::Part(part)
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
        self.held = None;
    }

    /// Hands something in, and does all that comes of it.
    pub(super) fn drive(&mut self, input: Input) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            for action in self.core.handle(self.clock.now(), input) {
                self.act(action);
            }
        }
    }

    fn keep(&self, job: Job) {
        if let Some(keeper) = &self.keeper {
            keeper.give(self.number, job);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send(message) => self.send(&message),
            Action::Open { vm, session } => self.keep(Job::Open(vm, session)),
            Action::Apply(part) => {
                let held = self.held.take();
                self.keep(Job::Apply(part, held));
            }
            Action::EndRound => self.keep(Job::EndRound),
            Action::Keep(part) => {
                let held = self.held.take();
                self.keep(Job::Keep(part, held));
            }
            Action::EndState => self.keep(Job::EndState),
            Action::Sync => self.keep(Job::Sync),
            Action::Publish => {
                self.unpublished = self.publish().err();
                self.published = self.unpublished.is_none();
            }
            Action::Handover(action) => self.hand_over(action),
            Action::Refused(refused) => warn!(%refused, "what was decided cannot be"),
            Action::End(outcome) => self.end(outcome),
        }
    }

    fn end(&mut self, outcome: Outcome) {
        info!(?outcome, "the connection has ended");
        self.keep(Job::Leave);
        if let Some(link) = self.link.take() {
            // Another source may be at the door meanwhile.
            let close = move || link.close(LAST_WORDS);
            if let Ok(closing) = thread::Builder::new().name("close".to_owned()).spawn(close) {
                self.closing.retain(|closing| !closing.is_finished());
                self.closing.push(closing);
            }
        }
        self.ended = Some(match outcome {
            Outcome::Done => match self.unpublished.take() {
                Some(Trouble { words, .. }) => {
                    let words = format!("the copy is complete, and has not its name: {words}");
                    Outcome::Stopped(trouble(Code::Internal, words))
                }
                None => Outcome::Done,
            },
            outcome => outcome,
        });
    }

    fn send(&mut self, message: &Message) {
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

    fn hand_over(&mut self, action: handover::Action) {
        match action {
            handover::Action::Write(entry) => {
                let input = match self.write(entry) {
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
            handover::Action::Start => self.start(),
            handover::Action::Destroy => {
                info!("this copy was given up, and is removed");
                if self.link.is_some() {
                    self.keep(Job::Destroy);
                } else if let Some(dir) = &self.setup.dir {
                    destroy(dir);
                }
            }
            handover::Action::Ask(question) => warn!("a person has to decide: {question}"),
            handover::Action::Halt => error!("nothing more is done: the journal failed"),
            handover::Action::Keep | handover::Action::Send(_) => {}
        }
    }

    /// Makes a record durable, or says what keeps it from that.
    fn write(&mut self, entry: Entry) -> Result<(), String> {
        // What is kept can be started by people, and what is started is read by its name. Where it
        // cannot have that, nothing was promised yet.
        if matches!(entry.kind, Kind::Kept | Kind::Starting) {
            self.publish().map_err(|trouble| trouble.words)?;
        }
        let journal = self.setup.journal.as_mut().ok_or("there is no journal")?;
        journal.append(entry).map(drop).map_err(|error| error.to_string())
    }

    fn publish(&self) -> Result<(), Trouble> {
        let dir = self.setup.dir.as_ref();
        dir.map_or_else(|| Err(trouble(Code::Internal, "there is no directory")), Dir::publish)
    }

    /// Has a thread start the VM.
    fn start(&mut self) {
        let guest = |guest| Input::Handover(handover::Input::Guest(guest));
        let Some(start) = self.setup.start.clone() else {
            return self.inputs.push_back(guest(Guest::NeverRan));
        };
        self.starting = true;
        let tell = self.tell.clone();
        let work = move || {
            // The loop waits for it.
            let _ = tell.send(Event::Guest(start()));
        };
        if let Err(error) = thread::Builder::new().name("start".to_owned()).spawn(work) {
            warn!(%error, "cannot start a thread");
            self.starting = false;
            self.inputs.push_back(guest(Guest::NeverRan));
        }
    }
}
