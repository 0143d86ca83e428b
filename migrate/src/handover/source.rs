//! The source's side of a hand-over. Its mirror is `target.rs`.
//!
//! It gives a VM away that it has suspended. Its rules: HANDED-OVER is durable before COMMIT is
//! sent; after that it never resumes by itself; the way back is a RELEASED that it has heard.

use super::event::{Action, Guest, Implausible, Input, Question, Refused, Resolve};
use super::message::{Body, Message};
use super::phase::{SourcePhase as Phase, Standing};
use super::side::Side;
use crate::identity::{Epoch, Identity};
use crate::journal::{Entry, Evidence, Kind, Record, Role};

/// The source's state machine. It does no I/O.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    side: Side,
    phase: Phase,
    /// A person asked for the way back since this process began.
    back: bool,
}

impl Source {
    /// Begins a hand-over. The VM is suspended, and its files are synced (§3.3).
    ///
    /// `before` is what the journal says so far, if it has records.
    ///
    /// # Errors
    /// If an earlier hand-over has not come to its end, or had this epoch or a higher one.
    pub fn begin(
        identity: Identity,
        before: Option<&Self>,
    ) -> Result<(Self, Vec<Action>), Refused> {
        if before.is_some_and(|before| !before.may_follow(identity)) {
            return Err(Refused::Unfinished);
        }
        let mut side = Side::new(Role::Source, identity);
        let actions = side.write_kind(Kind::Suspended);
        Ok((Self { side, phase: Phase::Begun, back: false }, actions))
    }

    /// The state after a restart, and what to do first; nothing, if the journal has no records.
    ///
    /// # Errors
    /// If no source wrote these records in this order.
    pub fn replay(records: &[Record]) -> Result<Option<(Self, Vec<Action>)>, Implausible> {
        let mut found: Option<Self> = None;
        for record in records {
            let Record { sequence, entry } = *record;
            if entry.role != Role::Source {
                return Err(Implausible::Role { sequence });
            }
            let fits = found.as_ref().is_some_and(|source| source.may_have(record));
            match &mut found {
                Some(source) if fits => source.enter(&entry),
                before if entry.kind == Kind::Suspended => {
                    if before.as_ref().is_some_and(|source| !source.may_follow(entry.identity)) {
                        return Err(Implausible::Order { sequence, kind: entry.kind.name() });
                    }
                    let side = Side::new(Role::Source, entry.identity);
                    *before = Some(Self { side, phase: Phase::Suspended, back: false });
                }
                _ => return Err(Implausible::Order { sequence, kind: entry.kind.name() }),
            }
        }
        Ok(found.map(|mut source| {
            source.side.forget();
            if source.phase == Phase::Resuming {
                source.phase = Phase::ResumeUnknown;
            }
            let mut actions = Vec::new();
            if source.phase == Phase::Done {
                actions.push(Action::Keep);
            }
            actions.extend(source.question().map(Action::Ask));
            (source, actions)
        }))
    }

    /// What this hand-over is about.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.side.identity
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.side.halted {
            Phase::Halted
        } else if self.side.dispute.is_some() {
            Phase::Disputed
        } else {
            self.phase
        }
    }

    /// Whether this side may run the VM.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let side = &self.side;
        let giving = side.writing.map(|entry| entry.kind);
        if side.halted {
            return Standing::Unconfirmed;
        }
        if side.dispute.is_some() {
            return Standing::Disputed;
        }
        if matches!(giving, Some(Kind::HandedOver | Kind::Superseded)) {
            return Standing::No;
        }
        match self.phase {
            Phase::HandedOver | Phase::Done | Phase::Superseded => Standing::No,
            _ if side.trusted() => Standing::Owner,
            _ => Standing::Unconfirmed,
        }
    }

    /// Whether the VM is this side's for good: the peer knows, and can never claim it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.side.settled && self.side.writing.is_none() && self.standing() == Standing::Owner
    }

    /// What a person has to be asked now, and why.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let side = &self.side;
        let alone = !side.connected;
        match self.phase() {
            Phase::Halted => Some(Question::JournalFailed),
            Phase::Disputed => Some(Question::Disputed),
            _ if side.nobody => Some(Question::GivenUp),
            Phase::HandedOver => alone.then_some(Question::PeerUnreachable),
            Phase::ResumeUnknown => Some(Question::GuestUnknown),
            Phase::Claimed if side.trusted() => Some(Question::MayBeStale),
            Phase::Suspended | Phase::Resumed | Phase::Claimed if !side.trusted() => {
                alone.then_some(Question::PeerMayHaveClaimed)
            }
            _ => None,
        }
    }

    /// Takes in what happened and says what to do.
    ///
    /// # Errors
    /// If it does not fit; then nothing has changed.
    pub fn handle(&mut self, input: Input) -> Result<Vec<Action>, Refused> {
        if self.side.halted {
            return Err(Refused::Halted);
        }
        let before = self.question();
        let mut actions = self.take(input)?;
        let after = self.question();
        if after != before {
            actions.extend(after.map(Action::Ask));
        }
        Ok(actions)
    }

    fn take(&mut self, input: Input) -> Result<Vec<Action>, Refused> {
        let writing = self.side.writing.is_some();
        match input {
            Input::Written => self.written(),
            Input::WriteFailed if writing => {
                self.side.halted = true;
                Ok(vec![Action::Halt])
            }
            Input::WriteFailed => Err(Refused::NotAwaited),
            Input::Connected => {
                self.side.connected = true;
                Ok(if writing { Vec::new() } else { self.say() })
            }
            Input::Disconnected => {
                self.side.connected = false;
                Ok(Vec::new())
            }
            Input::Message(message) => self.receive(message),
            // What is being written is said when it is durable.
            Input::Timeout if writing => Ok(Vec::new()),
            Input::Timeout => Ok(self.timeout()),
            Input::KeepExpired if self.phase == Phase::Done => Ok(vec![Action::Destroy]),
            Input::KeepExpired => Err(Refused::NotAwaited),
            Input::Guest(_) | Input::Resolve(_) if writing => Err(Refused::Busy),
            Input::Guest(guest) => self.guest(guest),
            Input::Resolve(resolve) => self.resolve(resolve),
        }
    }

    fn written(&mut self) -> Result<Vec<Action>, Refused> {
        let entry = self.side.writing.take().ok_or(Refused::NotAwaited)?;
        self.enter(&entry);
        let mut actions = self.say();
        match entry.kind {
            Kind::Resuming => actions.push(Action::Start),
            Kind::Done => actions.push(Action::Keep),
            _ => {}
        }
        Ok(actions)
    }

    /// Moves to where a durable record leads.
    fn enter(&mut self, entry: &Entry) {
        self.side.enter(entry);
        self.phase = match entry.kind {
            Kind::Suspended => Phase::Suspended,
            Kind::HandedOver => Phase::HandedOver,
            Kind::Done => Phase::Done,
            Kind::Resuming => {
                // After HANDED-OVER only RELEASED leads here, and a released copy stays so.
                self.side.settled |= self.phase == Phase::HandedOver;
                Phase::Resuming
            }
            Kind::Resumed => Phase::Resumed,
            Kind::Claimed => Phase::Claimed,
            Kind::Superseded => Phase::Superseded,
            _ => self.phase,
        };
    }

    /// Whether a record can follow in the journal, within one hand-over.
    fn may_have(&self, record: &Record) -> bool {
        use Kind::{Claimed, Done, HandedOver, Resumed, Resuming, Settled, Superseded};
        let next: &[Kind] = match self.phase {
            Phase::Suspended => &[HandedOver, Resuming, Claimed, Superseded],
            Phase::HandedOver => &[Done, Resuming, Claimed, Superseded],
            Phase::Resuming => &[Resuming, Resumed, Claimed, Superseded, Settled],
            Phase::Resumed | Phase::Claimed => &[Claimed, Superseded, Settled],
            Phase::Superseded => &[Claimed],
            _ => &[],
        };
        next.contains(&record.entry.kind) && self.side.has(record)
    }

    /// Whether another hand-over can begin: this one is over, and nobody can claim its VM.
    fn may_follow(&self, next: Identity) -> bool {
        let over = match self.phase {
            Phase::Done | Phase::Superseded | Phase::Claimed => true,
            Phase::Resumed => self.side.settled,
            _ => false,
        };
        over && self.side.writing.is_none()
            && next.epoch > self.side.highest
            && next.session != self.side.identity.session
    }

    /// What this side says on every connection, and again.
    fn say(&self) -> Vec<Action> {
        let body = match self.phase {
            Phase::Suspended => Body::Offer,
            Phase::HandedOver if self.back => Body::Release,
            Phase::HandedOver => Body::Commit,
            Phase::Done => Body::Done,
            Phase::Resuming | Phase::ResumeUnknown | Phase::Resumed if !self.side.settled => {
                Body::Release
            }
            Phase::Claimed => Body::Claimed(self.side.highest),
            Phase::Superseded => Body::Superseded,
            _ => return Vec::new(),
        };
        self.side.send(body)
    }

    fn receive(&mut self, message: Message) -> Result<Vec<Action>, Refused> {
        let ours = matches!(message.body, Body::Offer | Body::Commit | Body::Done | Body::Release);
        if ours {
            return Err(Refused::WrongRole);
        }
        self.side.check(&message)?;
        if self.side.writing.is_some() || self.phase == Phase::Begun {
            return Ok(Vec::new());
        }
        if let Body::Claimed(epoch) = message.body {
            return Ok(self.claimed_there(epoch));
        }
        self.side.confirmed = true;
        let same = message.identity.content == self.side.identity.content;
        Ok(match (self.phase, message.body) {
            (_, Body::Superseded) => self.superseded_there(),
            // READY was durable there before it was heard: that journal is gone.
            (Phase::HandedOver | Phase::Superseded, Body::NoRecord) => {
                self.side.nobody = true;
                Vec::new()
            }
            (_, Body::NoRecord) => Vec::new(),
            (Phase::Suspended, _) => self.heard_while_suspended(message.body, same),
            (Phase::HandedOver, Body::Ready) => self.say(),
            (Phase::HandedOver, Body::Running | Body::Kept) => self.side.write_kind(Kind::Done),
            (Phase::HandedOver, Body::Released) => self.side.write_kind(Kind::Resuming),
            (Phase::Done, Body::Ready | Body::Owner | Body::Running | Body::Kept) => self.say(),
            (Phase::ResumeUnknown | Phase::Resumed, Body::Released) => self.side.settle(),
            (Phase::Resuming | Phase::ResumeUnknown | Phase::Resumed, body) => {
                match body {
                    Body::Ready => self.say(),
                    // It was never told COMMIT: this journal has lost what it promised.
                    Body::Owner | Body::Running | Body::Kept if !self.side.settled => {
                        self.side.contest(self.side.identity.epoch, Vec::new())
                    }
                    _ => Vec::new(),
                }
            }
            (Phase::Claimed, Body::Released) => self.side.settle(),
            (Phase::Claimed | Phase::Superseded, _) => self.say(),
            _ => Vec::new(),
        })
    }

    fn heard_while_suspended(&mut self, body: Body, same: bool) -> Vec<Action> {
        match body {
            _ if self.side.dispute.is_some() => Vec::new(),
            Body::Ready if same => self.side.write_kind(Kind::HandedOver),
            Body::Ready | Body::Released => self.side.write_kind(Kind::Resuming),
            // It was never told COMMIT: this journal has lost what it promised.
            _ => self.side.contest(self.side.identity.epoch, Vec::new()),
        }
    }

    fn claimed_there(&mut self, epoch: Epoch) -> Vec<Action> {
        self.side.nobody = false;
        match self.phase {
            // No guest runs here, and none will: the claim stands.
            Phase::Suspended | Phase::HandedOver => self.side.write_superseded(epoch),
            Phase::Done | Phase::Superseded => self.say(),
            _ => self.side.contest(epoch, self.say()),
        }
    }

    fn superseded_there(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::ResumeUnknown | Phase::Resumed | Phase::Claimed => self.side.settle(),
            Phase::HandedOver | Phase::Superseded => {
                self.side.nobody = true;
                Vec::new()
            }
            _ => {
                self.side.dispute = None;
                Vec::new()
            }
        }
    }

    fn timeout(&mut self) -> Vec<Action> {
        if self.phase() == Phase::Suspended && self.side.trusted() {
            return self.side.write_kind(Kind::Resuming);
        }
        let mut actions = self.say();
        if self.phase == Phase::HandedOver {
            actions.push(Action::Ask(Question::PeerUnreachable));
        }
        actions
    }

    fn guest(&mut self, guest: Guest) -> Result<Vec<Action>, Refused> {
        match (self.phase, guest) {
            (Phase::Resuming | Phase::ResumeUnknown, Guest::Ran) => {
                Ok(self.side.write_kind(Kind::Resumed))
            }
            (Phase::Resuming, _) => {
                self.phase = Phase::ResumeUnknown;
                Ok(Vec::new())
            }
            (Phase::ResumeUnknown, Guest::NeverRan) if self.side.dispute.is_some() => {
                Err(Refused::Unconfirmed)
            }
            (Phase::ResumeUnknown, Guest::NeverRan) if self.side.trusted() => {
                Ok(self.side.write_kind(Kind::Resuming))
            }
            (Phase::ResumeUnknown, Guest::NeverRan) => Err(Refused::Unconfirmed),
            _ => Err(Refused::NotAwaited),
        }
    }

    fn resolve(&mut self, resolve: Resolve) -> Result<Vec<Action>, Refused> {
        match (resolve, self.phase) {
            (Resolve::Claim(evidence), _) => self.claim(evidence),
            (Resolve::GiveUp, _) => {
                let epoch = self.side.dispute.ok_or(Refused::NoDispute)?;
                if self.phase == Phase::Resuming {
                    return Err(Refused::Starting);
                }
                Ok(self.side.write_superseded(epoch))
            }
            (_, Phase::Begun) => Err(Refused::Busy),
            (Resolve::Forward, Phase::Suspended | Phase::HandedOver) => {
                self.back = false;
                Ok(self.say())
            }
            (Resolve::Forward, _) => Err(Refused::NotAwaited),
            (Resolve::Back, Phase::Suspended) if self.side.dispute.is_some() => {
                Err(Refused::NoWayBack)
            }
            (Resolve::Back, Phase::Suspended) if self.side.trusted() => {
                Ok(self.side.write_kind(Kind::Resuming))
            }
            (Resolve::Back, Phase::Suspended) => Err(Refused::Unconfirmed),
            (Resolve::Back, Phase::HandedOver) => {
                self.back = true;
                Ok(self.say())
            }
            (Resolve::Back, Phase::Done) => Err(Refused::NoWayBack),
            (Resolve::Back, Phase::Superseded) => Err(Refused::NotClaimable),
            (Resolve::Back, _) => Err(Refused::AlreadyOwner),
        }
    }

    fn claim(&mut self, evidence: Evidence) -> Result<Vec<Action>, Refused> {
        let may = match self.phase {
            Phase::HandedOver => Ok(()),
            // The target, whose claim stood, may count on it for ever; unless it gave up too.
            Phase::Superseded if self.side.nobody => Ok(()),
            Phase::Resuming => Err(Refused::Starting),
            Phase::Done | Phase::Superseded => Err(Refused::NotClaimable),
            Phase::ResumeUnknown | Phase::Resumed if !self.side.settled => Ok(()),
            Phase::Suspended | Phase::Claimed if !self.side.trusted() => Ok(()),
            _ if self.side.dispute.is_some() => Ok(()),
            _ => Err(Refused::AlreadyOwner),
        };
        may?;
        self.side.check_evidence(evidence)?;
        self.side.write_claim(evidence)
    }
}
