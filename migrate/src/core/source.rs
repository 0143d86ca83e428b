//! The source's side of a connection. Its mirror is `target.rs`.
//!
//! It has a VM, and gives it away or copies it. Its rules: everything that it sends was asked for
//! or is next in §4; it judges the target as the target judges it; it offers only what the target
//! said to hold.

use snapfmt::Digest;
use snapfmt::content::content;
use snapfmt::part::device::RecordId;

use super::blocks::{Blocks, Holding, zero_root};
use super::clock::{Clock, Due, Waits};
use super::config::{Migration, Origin, SourceConfig, Task, refused};
use super::event::{
    Closed, Now, Outcome, SourceAction as Action, SourceInput as Input, is_drivers,
};
use super::hello;
use super::phase::SourcePhase as Phase;
use super::trouble::{self, Code, hinted, out_of_place, trouble};
use crate::handover::{self, Body, Refused, SourcePhase};
use crate::identity::Identity;
use crate::stream::message::{By, Have, Hello, Message, Operation, PartsEnd, Report, Trouble};

/// The source's machine. It does no I/O.
#[derive(Clone, Debug)]
pub struct Source {
    config: SourceConfig,
    phase: Phase,
    clock: Clock,
    /// A record of the hand-over was asked for and is not durable yet.
    writing: bool,
    talk: Talk,
}

/// What is known on this connection.
#[derive(Clone, Debug, Default)]
struct Talk {
    holding: Holding,
    /// The target's memory: its root, and blocks where it is not all zero.
    have: Option<(Digest, Option<Blocks>)>,
    /// The round that is next, or on its way.
    round: u64,
    /// The memory root after the round that is on its way.
    root: Option<Digest>,
    records: Vec<RecordId>,
    /// The target's hand-over has spoken.
    heard: bool,
    /// It knows nothing of this hand-over.
    lacks_record: bool,
}

impl Source {
    /// A source without a connection.
    #[must_use]
    pub fn new(config: SourceConfig) -> Self {
        let clock = Clock::new(config.timeout);
        Self { config, phase: Phase::Apart, clock, writing: false, talk: Talk::default() }
    }

    /// Where the connection stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The hand-over, if one of this session has begun.
    #[must_use]
    pub fn handover(&self) -> Option<&handover::Source> {
        let Task::Migrate(migration) = &self.config.task else { return None };
        migration.handover.as_ref().filter(|it| it.identity().session == migration.session)
    }

    /// When it wants a `Tick` at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Now> {
        self.clock.deadline(self.waits())
    }

    /// Takes in what happened and says what to do.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Action> {
        self.clock.advance(now);
        let mut out = Vec::new();
        match input {
            Input::Handover(input) => self.decide(input, &mut out),
            Input::Connected => self.connected(&mut out),
            Input::Stop => self.stop(trouble::stopped(), &mut out),
            _ if self.phase == Phase::Apart => {}
            Input::Closed(Closed::Ended | Closed::Broken) => self.gone(Outcome::Cut, &mut out),
            Input::Garbled(trouble) | Input::Failed(trouble) => self.stop(trouble, &mut out),
            Input::Heard => self.clock.heard(),
            Input::Progress => self.clock.moved(),
            Input::Message(message) => {
                self.clock.heard();
                self.receive(message, &mut out);
            }
            Input::Noted => self.noted(&mut out),
            Input::StateSent { end, records } => self.state_sent(end, records, &mut out),
            Input::RoundSent { end, stored, root } => self.round_sent(end, stored, root, &mut out),
            Input::Tick => {}
        }
        self.keep_time(&mut out);
        out
    }

    // The connection.

    fn connected(&mut self, out: &mut Vec<Action>) {
        if self.phase != Phase::Apart {
            return;
        }
        self.clock.start();
        self.talk = Talk::default();
        self.phase = Phase::Greeting;
        if let Err(trouble) = self.check_journal() {
            return self.stop(trouble, out);
        }
        let operation = match &self.config.task {
            Task::Status => Operation::Status,
            Task::Plan(_) => Operation::Plan,
            Task::Copy(_) => Operation::Copy,
            Task::Migrate(it) => Operation::Migrate { session: it.session, epoch: it.epoch },
        };
        let hello = hello::say(&self.config.producer, By::Source(operation));
        self.send(Message::Hello(hello), out);
        if let Task::Copy(_) = self.config.task {
            self.send(Message::Begin { overrides: Vec::new() }, out);
            out.push(Action::SendVm);
            self.send_state(out);
        }
    }

    /// Whether the journal lets this session go on, or begin (`handover.md` §4.4).
    fn check_journal(&self) -> Result<(), Trouble> {
        let Task::Migrate(migration) = &self.config.task else { return Ok(()) };
        let Some(before) = &migration.handover else { return Ok(()) };
        let Identity { session, epoch, content } = before.identity();
        let identity = Identity { session: migration.session, epoch: migration.epoch, content };
        let fits = if session == migration.session {
            epoch == migration.epoch
        } else {
            handover::Source::begin(identity, Some(before)).is_ok()
        };
        if fits { Ok(()) } else { Err(trouble(Code::Journal, Refused::Unfinished.to_string())) }
    }

    fn waits(&self) -> Waits {
        let copies = matches!(self.config.task, Task::Copy(_));
        Waits {
            hears: self.phase != Phase::Apart && !copies,
            speaks: !matches!(self.phase, Phase::Apart | Phase::Leaving),
        }
    }

    fn keep_time(&mut self, out: &mut Vec<Action>) {
        match self.clock.due(self.waits()) {
            Due::Nothing => {}
            Due::Say => {
                let before = out.len();
                if self.phase == Phase::HandingOver && !self.writing {
                    // It says again what it says on a connection; the peer may have been writing.
                    let _ = self.feed(handover::Input::Connected, out);
                }
                if out.len() == before {
                    self.send(Message::Ping, out);
                }
                self.clock.said();
            }
            Due::Gone => {
                if self.phase != Phase::Leaving {
                    self.send(Message::Error(trouble::timeout()), out);
                }
                self.gone(Outcome::TimedOut, out);
            }
        }
    }

    fn send(&mut self, message: Message, out: &mut Vec<Action>) {
        self.clock.said();
        out.push(Action::Send(message));
    }

    /// This side cannot go on, and says why, unless it has said all.
    fn stop(&mut self, trouble: Trouble, out: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Apart | Phase::Leaving) {
            self.send(Message::Error(trouble::sendable(&trouble)), out);
        }
        self.end(Outcome::Stopped(trouble), out);
    }

    /// The connection is gone. What was only asked is answered; that the target is to settle a
    /// hand-over is not certain before its BYE.
    fn gone(&mut self, outcome: Outcome, out: &mut Vec<Action>) {
        let asked = matches!(self.config.task, Task::Status | Task::Plan(_));
        let answered = asked && self.phase == Phase::Leaving;
        self.end(if answered { Outcome::Done } else { outcome }, out);
    }

    fn end(&mut self, outcome: Outcome, out: &mut Vec<Action>) {
        self.phase = Phase::Apart;
        // It refuses that only where the journal failed.
        let _ = self.feed(handover::Input::Disconnected, out);
        out.push(Action::End(outcome));
    }

    // What the target says.

    fn receive(&mut self, message: Message, out: &mut Vec<Action>) {
        let what = trouble::name(&message);
        match (self.phase, message) {
            (_, Message::Error(trouble)) => self.end(Outcome::Peer(trouble), out),
            (Phase::Leaving, Message::Bye) => self.end(self.outcome(), out),
            // They were under way.
            (Phase::Leaving, Message::Ping | Message::Handover(_)) => {}
            (Phase::Greeting, Message::Hello(hello)) => self.greeted(hello, out),
            (Phase::Greeting, _) => self.stop(out_of_place(what, self.phase), out),
            (_, Message::Ping) => {}
            (Phase::Asking, Message::Status(status)) => {
                out.push(Action::Status(status));
                self.leave(out);
            }
            (Phase::Comparing, Message::Report(report)) => self.reported(report, out),
            (Phase::Opening, Message::Have(have)) => self.told(have, out),
            (Phase::CheckingState, Message::StateDone { warnings }) => {
                out.push(Action::Warnings(warnings));
                self.state_done(out);
            }
            (Phase::SendingRound | Phase::CheckingRound, Message::Ack { parts, stored }) => {
                out.push(Action::Acked { parts, stored });
            }
            (Phase::CheckingRound, Message::RoundDone { round, root }) => {
                self.round_done(round, root, out);
            }
            (Phase::HandingOver, Message::Handover(message)) => self.hear(message, out),
            _ => self.stop(out_of_place(what, self.phase), out),
        }
    }

    fn greeted(&mut self, hello: Hello, out: &mut Vec<Action>) {
        if let Err(trouble) = hello::check(&hello) {
            return self.stop(trouble, out);
        }
        let By::Target { record } = hello.by else {
            return self.stop(trouble(Code::Order, "the peer is a source as well (§4.1)"), out);
        };
        let facts = match &self.config.task {
            Task::Status => {
                self.phase = Phase::Asking;
                return;
            }
            Task::Copy(_) => return self.stop(out_of_place("HELLO", self.phase), out),
            // Everything before the hand-over is done (§4.2).
            Task::Migrate(_) if record.is_some() || self.is_past_suspended() => {
                return self.hand_over(out);
            }
            Task::Migrate(migration) if migration.back => return self.take_back(out),
            Task::Migrate(migration) => migration.facts.clone(),
            Task::Plan(facts) => (**facts).clone(),
        };
        self.phase = Phase::Comparing;
        self.send(Message::Facts(facts), out);
    }

    fn is_past_suspended(&self) -> bool {
        let early = [SourcePhase::Begun, SourcePhase::Suspended];
        self.handover().is_some_and(|it| !early.contains(&it.phase()))
    }

    /// HELLO came from whoever has the target's journal, and that has no record: it is as if
    /// NO-RECORD was said, and a person's decision can be done.
    fn take_back(&mut self, out: &mut Vec<Action>) {
        let Some(identity) = self.handover().map(handover::Source::identity) else {
            let words = "this side never offered the VM: there is nothing to take back";
            return self.stop(trouble(Code::Order, words), out);
        };
        self.phase = Phase::HandingOver;
        self.hear(handover::Message { identity, body: Body::NoRecord }, out);
    }

    fn reported(&mut self, report: Report, out: &mut Vec<Action>) {
        let (facts, overrides) = match &self.config.task {
            Task::Plan(facts) => (&**facts, None),
            Task::Migrate(migration) => (&migration.facts, Some(&migration.overrides)),
            Task::Status | Task::Copy(_) => return,
        };
        let Report { host, mut findings } = report;
        for finding in (self.config.judge)(&facts.host, &facts.needs, &host) {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        let open = overrides.map(|overrides| refused(&findings, overrides));
        let open = open.map(|open| (!open.is_empty()).then(|| trouble::refused(&open)));
        let note = match &self.config.task {
            Task::Migrate(it) => Some(Action::Note { session: it.session, epoch: it.epoch }),
            _ => None,
        };
        out.push(Action::Report(Report { host, findings }));
        match (open, note) {
            (Some(Some(trouble)), _) => self.stop(trouble, out),
            (Some(None), Some(note)) => {
                self.phase = Phase::Noting;
                out.push(note);
            }
            _ => self.leave(out),
        }
    }

    fn noted(&mut self, out: &mut Vec<Action>) {
        let Some(migration) = self.migration(Phase::Noting) else { return };
        let overrides = migration.overrides.clone();
        self.phase = Phase::Opening;
        self.send(Message::Begin { overrides }, out);
        out.push(Action::SendVm);
    }

    fn told(&mut self, have: Have, out: &mut Vec<Action>) {
        let Some(migration) = self.migration(Phase::Opening) else { return };
        let (map, origin) = (migration.vm.memory.clone(), migration.origin);
        match self.talk.holding.take(have, &map) {
            Err(trouble) => self.stop(trouble, out),
            Ok(None) => {}
            Ok(Some(told)) => {
                self.talk.have = Some(told);
                match origin {
                    // What the target will refuse is refused before any memory is sent (§7.2).
                    Origin::Still => self.send_state(out),
                }
            }
        }
    }

    // State and memory.

    fn send_state(&mut self, out: &mut Vec<Action>) {
        let rehearsal = false;
        self.phase = Phase::SendingState;
        self.send(Message::State { rehearsal }, out);
        out.push(Action::SendState { rehearsal });
    }

    fn state_sent(&mut self, end: PartsEnd, records: Vec<RecordId>, out: &mut Vec<Action>) {
        if self.phase != Phase::SendingState {
            return;
        }
        self.talk.records = records;
        self.send(Message::StateEnd(end), out);
        match &self.config.task {
            Task::Copy(vm) => {
                self.talk.have = Some((zero_root(&vm.memory), None));
                self.send_round(out);
            }
            _ => self.phase = Phase::CheckingState,
        }
    }

    fn state_done(&mut self, out: &mut Vec<Action>) {
        let Some(migration) = self.migration(Phase::CheckingState) else { return };
        match migration.origin {
            Origin::Still => self.send_round(out),
        }
    }

    fn send_round(&mut self, out: &mut Vec<Action>) {
        let Some((parent, have)) = self.talk.have.clone() else { return };
        let round = self.talk.round;
        self.phase = Phase::SendingRound;
        self.send(Message::Round { round, parent }, out);
        out.push(Action::SendRound { round, have });
    }

    fn round_sent(&mut self, parts: PartsEnd, stored: u64, root: Digest, out: &mut Vec<Action>) {
        if self.phase != Phase::SendingRound {
            return;
        }
        let round = self.talk.round;
        self.talk.root = Some(root);
        self.send(Message::RoundEnd { round, parts, stored, root }, out);
        if let Task::Copy(vm) = &self.config.task {
            let content = content(vm, &root, &self.talk.records);
            self.send(Message::Copied { content }, out);
            self.send(Message::Bye, out);
            return self.end(Outcome::Done, out);
        }
        self.phase = Phase::CheckingRound;
    }

    fn round_done(&mut self, round: u64, root: Digest, out: &mut Vec<Action>) {
        let Some(migration) = self.migration(Phase::CheckingRound) else { return };
        let origin = migration.origin;
        if (round, Some(root)) != (self.talk.round, self.talk.root) {
            let words = "the target has applied another round, or to other memory (§6.4)";
            return self.stop(trouble(Code::Root, words), out);
        }
        self.talk.round += 1;
        match origin {
            Origin::Still => self.offer(root, out),
        }
    }

    /// The task, if it is a hand-over in this phase.
    fn migration(&self, phase: Phase) -> Option<&Migration> {
        match &self.config.task {
            Task::Migrate(migration) if self.phase == phase => Some(migration),
            _ => None,
        }
    }

    // The hand-over.

    /// Everything is at the target: what is offered is this and nothing else (§8.2).
    fn offer(&mut self, root: Digest, out: &mut Vec<Action>) {
        let Task::Migrate(migration) = &mut self.config.task else { return };
        let (session, epoch) = (migration.session, migration.epoch);
        let content = content(&migration.vm, &root, &self.talk.records);
        let identity = Identity { session, epoch, content };
        let ours = migration.handover.as_ref().filter(|it| it.identity().session == session);
        if let Some(before) = ours {
            if before.identity() != identity {
                let words = "the VM is not in the state any more that was offered first";
                let hint = "take it back, and begin anew";
                return self.stop(hinted(Code::Content, words, hint), out);
            }
        } else {
            if migration.gone.contains(&content) {
                let words = "this very state was handed over before: what is here is a stale copy";
                let hint =
                    "send a newer snapshot; `--peer-vm-is-gone` if the VM is lost for certain";
                return self.stop(hinted(Code::Content, words, hint), out);
            }
            match handover::Source::begin(identity, migration.handover.as_ref()) {
                Ok((begun, actions)) => {
                    migration.handover = Some(begun);
                    self.pass(actions, out);
                }
                Err(refused) => {
                    return self.stop(trouble(Code::Journal, refused.to_string()), out);
                }
            }
        }
        self.hand_over(out);
    }

    fn hand_over(&mut self, out: &mut Vec<Action>) {
        if self.handover().is_none() {
            let words = "the target's journal knows this hand-over, and this side's does not";
            return self.stop(trouble(Code::Journal, words), out);
        }
        self.phase = Phase::HandingOver;
        match self.feed(handover::Input::Connected, out) {
            Ok(()) => self.conclude(out),
            Err(refused) => self.stop(trouble(Code::Journal, refused.to_string()), out),
        }
    }

    fn hear(&mut self, message: handover::Message, out: &mut Vec<Action>) {
        self.talk.heard = true;
        self.talk.lacks_record |= message.body == Body::NoRecord;
        match self.feed(handover::Input::Message(message), out) {
            Ok(()) => self.conclude(out),
            Err(refused) => self.stop(trouble::unfit(message.body, refused), out),
        }
    }

    /// Hands the driver's answer to the hand-over.
    fn decide(&mut self, input: handover::Input, out: &mut Vec<Action>) {
        if !is_drivers(input) {
            return;
        }
        if matches!(input, handover::Input::Written | handover::Input::WriteFailed) {
            self.writing = false;
        }
        if let Err(refused) = self.feed(input, out) {
            return out.push(Action::Refused(refused));
        }
        if input == handover::Input::WriteFailed {
            if self.phase == Phase::HandingOver {
                self.send(Message::Error(trouble::journal()), out);
            }
            return self.end(Outcome::JournalFailed, out);
        }
        self.conclude(out);
    }

    fn feed(&mut self, input: handover::Input, out: &mut Vec<Action>) -> Result<(), Refused> {
        let Task::Migrate(migration) = &mut self.config.task else {
            return Err(Refused::NotAwaited);
        };
        let session = migration.session;
        let ours = migration.handover.as_mut().filter(|it| it.identity().session == session);
        let actions = ours.ok_or(Refused::NotAwaited)?.handle(input)?;
        self.pass(actions, out);
        Ok(())
    }

    fn pass(&mut self, actions: Vec<handover::Action>, out: &mut Vec<Action>) {
        for action in actions {
            match action {
                handover::Action::Send(message) => self.send(Message::Handover(message), out),
                _ => {
                    self.writing |= matches!(action, handover::Action::Write(_));
                    out.push(Action::Handover(action));
                }
            }
        }
    }

    /// Whether the source's part has come to its end for this connection (§8.3).
    fn conclude(&mut self, out: &mut Vec<Action>) {
        let Some(handover) = self.handover() else { return };
        if self.phase != Phase::HandingOver || self.writing {
            return;
        }
        let question = handover.question();
        let over = match handover.phase() {
            SourcePhase::Done | SourcePhase::Disputed => true,
            SourcePhase::Superseded => self.talk.heard,
            SourcePhase::ResumeUnknown | SourcePhase::Resumed | SourcePhase::Claimed => {
                handover.is_settled() || self.talk.lacks_record
            }
            _ => question == Some(handover::Question::GivenUp),
        };
        match question {
            _ if !over => {}
            Some(question) => {
                self.send(Message::Error(trouble::question(question)), out);
                self.end(Outcome::Ask(question), out);
            }
            None => self.leave(out),
        }
    }

    fn leave(&mut self, out: &mut Vec<Action>) {
        self.phase = Phase::Leaving;
        self.send(Message::Bye, out);
    }

    /// What has become of it, once both have said all.
    fn outcome(&self) -> Outcome {
        match self.handover().map(handover::Source::phase) {
            Some(SourcePhase::Resumed) => Outcome::Back,
            Some(SourcePhase::Superseded) => Outcome::GivenUp,
            _ => Outcome::Done,
        }
    }
}
