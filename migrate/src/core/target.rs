//! The target's side of a connection. Its mirror is `source.rs`.
//!
//! It is given a VM, or a copy of one. Its rules: nothing is taken that §4 does not have next; what
//! is not as it was said is refused; the hand-over begins only with the content that it computed
//! itself, durable.

use super::blocks::{self, Blocks};
use super::clock::{Clock, Due, Waits};
use super::config::{TargetConfig, refused};
use super::event::{
    Closed, Now, Outcome, TargetAction as Action, TargetInput as Input, is_drivers,
};
use super::held::{self, Held};
use super::hello;
use super::phase::TargetPhase as Phase;
use super::receipt::{self, Receipt};
use super::trouble::{self, Code, out_of_place, trouble};
use crate::handover::{self, Body, Refused};
use crate::identity::{Epoch, Identity, Session};
use crate::stream::message::{
    By, Facts, Finding, Hello, Host, Message, Needs, Operation, PartsEnd, Report, Status, Trouble,
};
use crate::stream::part::Arrived;
use snapfmt::Digest;
use snapfmt::layout::kind::Kind;
use snapfmt::part::device::RecordId;
use snapfmt::part::vm::Vm;

/// The target's machine. It does no I/O.
#[derive(Clone)]
pub struct Target {
    config: TargetConfig,
    phase: Phase,
    clock: Clock,
    /// A record of the hand-over was asked for and is not durable yet.
    writing: bool,
    talk: Talk,
}

/// What is known on this connection.
#[derive(Clone, Default)]
struct Talk {
    operation: Option<Operation>,
    needs: Option<Needs>,
    findings: Vec<Finding>,
    /// The machine that is being opened.
    vm: Option<Vm>,
    receipt: Option<Receipt>,
    /// What is being made durable for the hand-over.
    offered: Option<Identity>,
    /// The source's hand-over has spoken.
    heard: bool,
    /// The source has said all.
    bye: bool,
}

impl Target {
    /// A target without a connection.
    #[must_use]
    pub fn new(config: TargetConfig) -> Self {
        let clock = Clock::new(config.timeout);
        Self { config, phase: Phase::Apart, clock, writing: false, talk: Talk::default() }
    }

    /// Where the connection stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The hand-over, if one has begun.
    #[must_use]
    pub fn handover(&self) -> Option<&handover::Target> {
        self.config.handover.as_ref()
    }

    /// Of which machine it holds memory, and for whom.
    #[must_use]
    pub fn held(&self) -> Option<&Held> {
        self.config.held.as_ref()
    }

    /// The host is found to be this now.
    pub fn set_host(&mut self, host: Host) {
        self.config.host = host;
    }

    /// Where it stands, for another source too (§4.5).
    #[must_use]
    pub fn status(&self) -> Status {
        held::status(self.held(), self.handover())
    }

    /// Whether the next item may be handed in. A copy does not wait for answers (§9.1): a driver
    /// reads on when what it was asked for is done.
    #[must_use]
    pub fn reads(&self) -> bool {
        !(self.copies() && self.phase.is_drivers())
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
            Input::Connected => self.connected(),
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
            Input::Part(part) => {
                self.clock.heard();
                self.part(part, &mut out);
            }
            Input::Opened { root, blocks } => self.opened(root, blocks.as_ref(), &mut out),
            Input::Applied { parts, stored } => self.applied(parts, stored, &mut out),
            Input::RoundApplied { root } => self.round_applied(root, &mut out),
            Input::StateKept { records, warnings } => {
                self.state_kept(records, warnings, &mut out);
            }
            Input::Synced => self.synced(&mut out),
            Input::Tick => {}
        }
        self.keep_time(&mut out);
        out
    }

    // The connection.

    fn connected(&mut self) {
        if self.phase != Phase::Apart {
            return;
        }
        self.clock.start();
        self.talk = Talk::default();
        self.phase = Phase::Greeting;
    }

    fn copies(&self) -> bool {
        self.talk.operation == Some(Operation::Copy)
    }

    fn plans(&self) -> bool {
        self.talk.operation == Some(Operation::Plan)
    }

    /// Which hand-over the source is here for.
    fn session(&self) -> Option<(Session, Epoch)> {
        match self.talk.operation {
            Some(Operation::Migrate { session, epoch }) => Some((session, epoch)),
            _ => None,
        }
    }

    fn waits(&self) -> Waits {
        let silent = self.copies() || matches!(self.phase, Phase::Greeting | Phase::Leaving);
        Waits {
            hears: self.phase != Phase::Apart && self.reads(),
            speaks: self.phase != Phase::Apart && !silent,
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
                self.say_why(&trouble::timeout(), out);
                self.gone(Outcome::TimedOut, out);
            }
        }
    }

    fn send(&mut self, message: Message, out: &mut Vec<Action>) {
        self.clock.said();
        out.push(Action::Send(message));
    }

    fn say_why(&mut self, trouble: &Trouble, out: &mut Vec<Action>) {
        if !self.copies() && !matches!(self.phase, Phase::Apart | Phase::Leaving) {
            self.send(Message::Error(trouble::sendable(trouble)), out);
        }
    }

    /// This side cannot go on, and says why, unless it has said all or never speaks.
    fn stop(&mut self, trouble: Trouble, out: &mut Vec<Action>) {
        self.say_why(&trouble, out);
        self.end(Outcome::Stopped(trouble), out);
    }

    /// The connection is gone. What was only asked is answered.
    fn gone(&mut self, outcome: Outcome, out: &mut Vec<Action>) {
        let answered = self.phase == Phase::Leaving && !self.copies();
        self.end(if answered { Outcome::Done } else { outcome }, out);
    }

    fn end(&mut self, outcome: Outcome, out: &mut Vec<Action>) {
        self.phase = Phase::Apart;
        // It refuses that only where the journal failed.
        let _ = self.feed(handover::Input::Disconnected, out);
        out.push(Action::End(outcome));
    }

    // What the source says.

    fn receive(&mut self, message: Message, out: &mut Vec<Action>) {
        let what = trouble::name(&message);
        match (self.phase, message) {
            (_, Message::Error(trouble)) => self.end(Outcome::Peer(trouble), out),
            (Phase::Greeting, Message::Hello(hello)) => self.greeted(hello, out),
            (Phase::Greeting, _) => self.stop(out_of_place(what, self.phase), out),
            (_, Message::Ping) => {}
            (Phase::Comparing, Message::Facts(facts)) => self.compare(&facts, out),
            (Phase::Compared, Message::Begin { overrides }) if !self.plans() => {
                self.begin(&overrides, out);
            }
            (Phase::Receiving, Message::State { rehearsal }) => self.take_state(rehearsal),
            (Phase::TakingState, Message::StateEnd(end)) => self.state_ended(end, out),
            (Phase::Receiving, Message::Round { round, parent }) => {
                self.take_round(round, parent, out);
            }
            (Phase::TakingRound, Message::RoundEnd { round, parts, root, .. }) => {
                self.round_ended(round, parts, root, out);
            }
            (Phase::Receiving, Message::Copied { content }) if self.copies() => {
                self.is_whole(content, what, out);
            }
            (_, Message::Handover(message)) => self.hear(message, out),
            (_, Message::Bye) => self.bye(out),
            _ => self.stop(out_of_place(what, self.phase), out),
        }
    }

    fn greeted(&mut self, hello: Hello, out: &mut Vec<Action>) {
        let checked = hello::check(&hello);
        let By::Source(operation) = hello.by else {
            return self.stop(trouble(Code::Order, "the peer is a target as well (§4.1)"), out);
        };
        self.talk.operation = Some(operation);
        self.clock.speaks();
        if let Err(trouble) = checked {
            return self.stop(trouble, out);
        }
        if operation == Operation::Copy {
            self.phase = Phase::Compared;
            return;
        }
        let ours = self.session().zip(self.handover().map(handover::Target::identity));
        let ours = ours.filter(|((session, _), identity)| *session == identity.session);
        let record = ours.and(self.handover()).map(|it| it.phase().name().to_owned());
        let by = By::Target { record };
        self.send(Message::Hello(hello::say(&self.config.producer, by)), out);
        self.phase = Phase::Comparing;
        match ours {
            _ if operation == Operation::Status => {
                let status = self.status();
                self.send(Message::Status(status), out);
                self.send(Message::Bye, out);
                self.phase = Phase::Leaving;
            }
            Some(((_, epoch), identity)) if epoch != identity.epoch => {
                let words = "the journal here knows this hand-over by another epoch";
                self.stop(trouble(Code::Session, words), out);
            }
            // Everything before the hand-over is done (§4.2).
            Some(_) => self.hand_over(out),
            None => {}
        }
    }

    fn compare(&mut self, facts: &Facts, out: &mut Vec<Action>) {
        let host = self.config.host.clone();
        let findings = (self.config.judge)(&facts.host, &facts.needs, &host);
        self.talk.needs = Some(facts.needs.clone());
        self.talk.findings.clone_from(&findings);
        self.phase = Phase::Compared;
        self.send(Message::Report(Report { host, findings }), out);
    }

    fn begin(&mut self, overrides: &[String], out: &mut Vec<Action>) {
        let open = refused(&self.talk.findings, overrides);
        if !open.is_empty() {
            let trouble = trouble::refused(&open);
            return self.stop(trouble, out);
        }
        self.phase = Phase::Beginning;
    }

    // State and memory.

    fn part(&mut self, part: Arrived, out: &mut Vec<Action>) {
        let kind = part.frame().kind;
        let taken = match (self.phase, &mut self.talk.receipt) {
            (Phase::Beginning, _) if kind == Kind::Vm => return self.machine(part, out),
            (Phase::TakingState, Some(receipt)) => {
                receipt.state(part).map(|part| part.map(Action::Keep))
            }
            (Phase::TakingRound, Some(receipt)) => {
                receipt.extent(part).map(Action::Apply).map(Some)
            }
            (phase, _) => Err(receipt::unannounced(&format!("{phase:?}"))),
        };
        match taken {
            Ok(action) => out.extend(action),
            Err(trouble) => self.stop(trouble, out),
        }
    }

    /// The VM part says which machine.
    fn machine(&mut self, part: Arrived, out: &mut Vec<Action>) {
        let session = self.session();
        let vm = receipt::machine(part).and_then(|vm| {
            held::check_needs(self.talk.needs.as_ref(), &vm)?;
            held::check(self.held(), self.handover(), &vm, session)?;
            Ok(vm)
        });
        let vm = match vm {
            Ok(vm) => vm,
            Err(trouble) => return self.stop(trouble, out),
        };
        self.talk.vm = Some(vm.clone());
        self.phase = Phase::Opening;
        out.push(Action::Open { vm, session });
    }

    fn opened(&mut self, root: Digest, blocks: Option<&Blocks>, out: &mut Vec<Action>) {
        let (Phase::Opening, Some(vm)) = (self.phase, self.talk.vm.take()) else { return };
        let session = self.session();
        self.config.held = Some(Held { session, vm: vm.clone() });
        self.talk.receipt = Some(Receipt::new(vm, root));
        self.phase = Phase::Receiving;
        if self.copies() {
            return self.clock.heard();
        }
        for have in blocks::messages(root, blocks) {
            self.send(Message::Have(have), out);
        }
    }

    fn take_state(&mut self, rehearsal: bool) {
        let Some(receipt) = &mut self.talk.receipt else { return };
        receipt.announce();
        receipt.rehearsal = rehearsal;
        receipt.records = None;
        self.phase = Phase::TakingState;
    }

    fn state_ended(&mut self, end: PartsEnd, out: &mut Vec<Action>) {
        let Some(receipt) = &self.talk.receipt else { return };
        if let Err(trouble) = receipt.end(end) {
            return self.stop(trouble, out);
        }
        self.phase = Phase::CheckingState;
        out.push(Action::EndState);
    }

    fn state_kept(&mut self, records: Vec<RecordId>, warnings: Vec<String>, out: &mut Vec<Action>) {
        let (Phase::CheckingState, Some(receipt)) = (self.phase, &mut self.talk.receipt) else {
            return;
        };
        receipt.records = Some(records);
        self.phase = Phase::Receiving;
        self.clock.heard();
        if !self.copies() {
            self.send(Message::StateDone { warnings }, out);
        }
    }

    fn take_round(&mut self, round: u64, parent: Digest, out: &mut Vec<Action>) {
        let Some(receipt) = &mut self.talk.receipt else { return };
        if let Err(trouble) = receipt.begin_round(round, parent) {
            return self.stop(trouble, out);
        }
        self.phase = Phase::TakingRound;
    }

    fn applied(&mut self, parts: u64, stored: u64, out: &mut Vec<Action>) {
        // What was sent was heard, however long it took to write.
        self.clock.heard();
        if matches!(self.phase, Phase::TakingRound | Phase::CheckingRound) && !self.copies() {
            self.send(Message::Ack { parts, stored }, out);
        }
    }

    fn round_ended(&mut self, round: u64, parts: PartsEnd, root: Digest, out: &mut Vec<Action>) {
        let Some(receipt) = &mut self.talk.receipt else { return };
        if let Err(trouble) = receipt.end_round(round, parts, root) {
            return self.stop(trouble, out);
        }
        self.phase = Phase::CheckingRound;
        out.push(Action::EndRound);
    }

    fn round_applied(&mut self, root: Digest, out: &mut Vec<Action>) {
        let (Phase::CheckingRound, Some(receipt)) = (self.phase, &mut self.talk.receipt) else {
            return;
        };
        let round = match receipt.applied(root) {
            Ok(round) => round,
            Err(trouble) => return self.stop(trouble, out),
        };
        self.phase = Phase::Receiving;
        self.clock.heard();
        if !self.copies() {
            self.send(Message::RoundDone { round, root }, out);
        }
    }

    /// Compares what the source says it has sent with what came (§8.2, §9.2).
    fn is_whole(&mut self, said: Digest, what: &str, out: &mut Vec<Action>) -> bool {
        let content = self.talk.receipt.as_ref().and_then(Receipt::content);
        let trouble = match content {
            Some(content) if content == said => {
                self.phase = Phase::Syncing;
                out.push(Action::Sync);
                return true;
            }
            Some(_) => {
                trouble(Code::Content, "what came is not what the source says it sent (§8.2)")
            }
            None => out_of_place(what, self.phase),
        };
        self.stop(trouble, out);
        false
    }

    fn synced(&mut self, out: &mut Vec<Action>) {
        if self.phase != Phase::Syncing {
            return;
        }
        self.clock.heard();
        if self.copies() {
            self.phase = Phase::Leaving;
            return;
        }
        let Some(identity) = self.talk.offered.take() else {
            // It was taken back meanwhile.
            self.phase = Phase::Receiving;
            return;
        };
        let (plan, before) = (self.config.plan, self.config.handover.as_ref());
        match handover::Target::begin(identity, plan, before) {
            Ok((begun, actions)) => {
                self.config.handover = Some(begun);
                self.pass(actions, out);
                self.hand_over(out);
            }
            Err(refused) => self.stop(trouble(Code::Journal, refused.to_string()), out),
        }
    }

    // The hand-over.

    fn hand_over(&mut self, out: &mut Vec<Action>) {
        self.phase = Phase::HandingOver;
        match self.feed(handover::Input::Connected, out) {
            Ok(()) => self.conclude(out),
            Err(refused) => self.stop(trouble(Code::Journal, refused.to_string()), out),
        }
    }

    fn hear(&mut self, message: handover::Message, out: &mut Vec<Action>) {
        let handover::Message { identity, body } = message;
        let Some(session) = self.session() else {
            return self.stop(out_of_place("HANDOVER", self.phase), out);
        };
        if session != (identity.session, identity.epoch) {
            let words = format!("{} is about another hand-over than HELLO", body.name());
            return self.stop(trouble(Code::Session, words), out);
        }
        match (self.phase, body) {
            (Phase::HandingOver, _) => {
                self.talk.heard = true;
                match self.feed(handover::Input::Message(message), out) {
                    Ok(()) => self.conclude(out),
                    Err(refused) => self.stop(trouble::unfit(body, refused), out),
                }
            }
            (Phase::Receiving, Body::Offer) => {
                if self.is_whole(identity.content, "OFFER", out) {
                    self.talk.offered = Some(identity);
                }
            }
            // It is being made durable.
            (Phase::Syncing, Body::Offer) => {}
            (_, Body::Offer) => self.stop(out_of_place("OFFER", self.phase), out),
            (Phase::Comparing | Phase::Receiving | Phase::Syncing, _) => {
                // There is no record of it, and it is offered no more (`handover.md` §3.4).
                self.talk.offered = None;
                let body = Body::NoRecord;
                self.send(Message::Handover(handover::Message { identity, body }), out);
            }
            _ => self.stop(out_of_place(body.name(), self.phase), out),
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
            self.say_why(&trouble::journal(), out);
            return self.end(Outcome::JournalFailed, out);
        }
        self.conclude(out);
    }

    fn feed(&mut self, input: handover::Input, out: &mut Vec<Action>) -> Result<(), Refused> {
        let handover = self.config.handover.as_mut().ok_or(Refused::NotAwaited)?;
        let actions = handover.handle(input)?;
        self.pass(actions, out);
        Ok(())
    }

    fn pass(&mut self, actions: Vec<handover::Action>, out: &mut Vec<Action>) {
        for action in actions {
            match action {
                handover::Action::Send(message) => self.send(Message::Handover(message), out),
                _ => {
                    self.writing |= matches!(action, handover::Action::Write(_));
                    if action == handover::Action::Destroy {
                        self.config.held = None;
                    }
                    out.push(Action::Handover(action));
                }
            }
        }
    }

    /// The source has said all.
    fn bye(&mut self, out: &mut Vec<Action>) {
        match self.phase {
            Phase::HandingOver => {
                self.talk.bye = true;
                self.conclude(out);
            }
            Phase::Leaving if self.copies() => {
                out.push(Action::Publish);
                self.end(Outcome::Done, out);
            }
            Phase::Leaving => self.end(Outcome::Done, out),
            // A plan ends here, and so does a hand-over that never began.
            Phase::Comparing | Phase::Compared | Phase::Receiving if !self.copies() => {
                self.send(Message::Bye, out);
                self.end(if self.plans() { Outcome::Done } else { Outcome::Back }, out);
            }
            _ => self.stop(out_of_place("BYE", self.phase), out),
        }
    }

    /// Whether only a person can go on, or all was said (§8.3).
    fn conclude(&mut self, out: &mut Vec<Action>) {
        use handover::Question::{Disputed, GivenUp, GuestUnknown};
        let Some(handover) = self.handover() else { return };
        if self.phase != Phase::HandingOver || self.writing {
            return;
        }
        match handover.question() {
            Some(question @ (Disputed | GivenUp | GuestUnknown)) if self.talk.heard => {
                self.send(Message::Error(trouble::question(question)), out);
                self.end(Outcome::Ask(question), out);
            }
            _ if self.talk.bye => {
                self.send(Message::Bye, out);
                self.end(held::outcome(self.handover()), out);
            }
            _ => {}
        }
    }
}
