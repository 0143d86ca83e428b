//! The target's side of a hand-over. Its mirror is `source.rs`.
//!
//! It is given a VM. Its rules: READY never expires; nothing is started before OWNER is durable and
//! COMMIT was heard by this very process; what was given up by RELEASED is never started.

use super::event::{Action, Guest, Implausible, Input, Question, Refused, Resolve};
use super::message::{Body, Message};
use super::phase::{Standing, TargetPhase as Phase};
use super::side::Side;
use crate::identity::{Epoch, Identity};
use crate::journal::{Entry, Evidence, Kind, Record, Role};

/// What the target does with a VM that has become its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    /// Starts it.
    Start,
    /// Keeps its snapshot for a person to start.
    Keep,
}

/// The target's state machine. It does no I/O.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    side: Side,
    phase: Phase,
    plan: Plan,
}

impl Target {
    /// Takes part in a hand-over. All of `identity.content` has arrived, is verified and synced,
    /// and is what the source's OFFER said (§3.4).
    ///
    /// `before` is what the journal says so far, if it has records.
    ///
    /// # Errors
    /// If an earlier hand-over has not come to its end, or had this epoch or a higher one.
    pub fn begin(
        identity: Identity,
        plan: Plan,
        before: Option<&Self>,
    ) -> Result<(Self, Vec<Action>), Refused> {
        if before.is_some_and(|before| !before.may_follow(identity)) {
            return Err(Refused::Unfinished);
        }
        let mut side = Side::new(Role::Target, identity);
        let actions = side.write_kind(Kind::Ready);
        Ok((Self { side, phase: Phase::Begun, plan }, actions))
    }

    /// The state after a restart, and what to do first; nothing, if the journal has no records.
    ///
    /// # Errors
    /// If no target wrote these records in this order.
    pub fn replay(
        records: &[Record],
        plan: Plan,
    ) -> Result<Option<(Self, Vec<Action>)>, Implausible> {
        let mut found: Option<Self> = None;
        for record in records {
            let Record { sequence, entry } = *record;
            if entry.role != Role::Target {
                return Err(Implausible::Role { sequence });
            }
            let fits = found.as_ref().is_some_and(|target| target.may_have(record));
            match &mut found {
                Some(target) if fits => target.enter(&entry),
                before if entry.kind == Kind::Ready => {
                    if before.as_ref().is_some_and(|target| !target.may_follow(entry.identity)) {
                        return Err(Implausible::Order { sequence, kind: entry.kind.name() });
                    }
                    let side = Side::new(Role::Target, entry.identity);
                    *before = Some(Self { side, phase: Phase::Ready, plan });
                }
                _ => return Err(Implausible::Order { sequence, kind: entry.kind.name() }),
            }
        }
        Ok(found.map(|mut target| {
            target.side.forget();
            if target.phase == Phase::Starting {
                target.phase = Phase::StartUnknown;
            }
            let mut actions = Vec::new();
            if target.phase == Phase::Released {
                actions.push(Action::Destroy);
            }
            actions.extend(target.question().map(Action::Ask));
            (target, actions)
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
        if matches!(giving, Some(Kind::Released | Kind::Superseded)) {
            return Standing::No;
        }
        match self.phase {
            Phase::Begun | Phase::Ready | Phase::Released | Phase::Superseded => Standing::No,
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
            Phase::Ready => alone.then_some(Question::PeerUnreachable),
            Phase::StartUnknown => Some(Question::GuestUnknown),
            Phase::Claimed if side.trusted() => Some(Question::MayBeStale),
            Phase::Owner | Phase::Running | Phase::Kept | Phase::Claimed if !side.trusted() => {
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
            Input::WriteFailed | Input::KeepExpired => Err(Refused::NotAwaited),
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
            Input::Guest(_) | Input::Resolve(_) if writing => Err(Refused::Busy),
            Input::Guest(guest) => self.guest(guest),
            Input::Resolve(resolve) => self.resolve(resolve),
        }
    }

    fn written(&mut self) -> Result<Vec<Action>, Refused> {
        let entry = self.side.writing.take().ok_or(Refused::NotAwaited)?;
        self.enter(&entry);
        // That the VM is being started is no news to the source.
        let mut actions = if entry.kind == Kind::Starting { Vec::new() } else { self.say() };
        match entry.kind {
            Kind::Owner => actions.extend(self.go_on()),
            Kind::Starting => actions.push(Action::Start),
            Kind::Released => actions.push(Action::Destroy),
            _ => {}
        }
        Ok(actions)
    }

    /// Moves to where a durable record leads.
    fn enter(&mut self, entry: &Entry) {
        self.side.enter(entry);
        self.phase = match entry.kind {
            Kind::Ready => Phase::Ready,
            Kind::Owner => Phase::Owner,
            Kind::Starting => Phase::Starting,
            Kind::Running => Phase::Running,
            Kind::Kept => Phase::Kept,
            Kind::Released => Phase::Released,
            Kind::Claimed => Phase::Claimed,
            Kind::Superseded => Phase::Superseded,
            _ => self.phase,
        };
    }

    /// Whether a record can follow in the journal, within one hand-over.
    fn may_have(&self, record: &Record) -> bool {
        use Kind::{Claimed, Kept, Owner, Released, Running, Settled, Starting, Superseded};
        let next: &[Kind] = match self.phase {
            Phase::Ready => &[Owner, Released, Claimed, Superseded],
            Phase::Owner => &[Starting, Kept, Released, Claimed, Superseded],
            Phase::Starting => &[Running, Released, Claimed, Superseded],
            Phase::Running | Phase::Kept | Phase::Claimed => &[Settled, Claimed, Superseded],
            Phase::Superseded => &[Claimed],
            _ => &[],
        };
        next.contains(&record.entry.kind) && self.side.has(record)
    }

    /// Whether another hand-over can begin: this one is over, and nobody can claim its VM.
    fn may_follow(&self, next: Identity) -> bool {
        let over = match self.phase {
            Phase::Released | Phase::Superseded | Phase::Claimed => true,
            Phase::Running | Phase::Kept => self.side.settled,
            _ => false,
        };
        over && self.side.writing.is_none()
            && next.epoch > self.side.highest
            && next.session != self.side.identity.session
    }

    /// What this side says on every connection, and again.
    fn say(&self) -> Vec<Action> {
        let body = match self.phase {
            Phase::Ready => Body::Ready,
            Phase::Owner | Phase::Starting | Phase::StartUnknown => Body::Owner,
            Phase::Running if !self.side.settled => Body::Running,
            Phase::Kept if !self.side.settled => Body::Kept,
            Phase::Released => Body::Released,
            Phase::Claimed => Body::Claimed(self.side.highest),
            Phase::Superseded => Body::Superseded,
            _ => return Vec::new(),
        };
        self.side.send(body)
    }

    /// The VM is this side's beyond doubt: starts it, or says that it is kept.
    fn go_on(&mut self) -> Vec<Action> {
        match self.plan {
            _ if !self.side.confirmed => Vec::new(),
            Plan::Start => self.side.write_kind(Kind::Starting),
            Plan::Keep => self.side.write_kind(Kind::Kept),
        }
    }

    fn receive(&mut self, message: Message) -> Result<Vec<Action>, Refused> {
        let theirs = matches!(
            message.body,
            Body::Offer
                | Body::Commit
                | Body::Done
                | Body::Release
                | Body::Claimed(_)
                | Body::Superseded
        );
        if !theirs {
            return Err(Refused::WrongRole);
        }
        self.side.check(&message)?;
        if self.side.writing.is_some() || self.phase == Phase::Begun {
            return Ok(Vec::new());
        }
        // Only these say that the source knows the VM to be the target's.
        if matches!(message.body, Body::Commit | Body::Done) {
            self.side.confirmed = true;
        }
        Ok(match (self.phase, message.body) {
            (_, Body::Claimed(epoch)) => self.claimed_there(epoch),
            (_, Body::Superseded) => self.superseded_there(),
            (Phase::Ready, Body::Commit) => self.side.write_kind(Kind::Owner),
            (Phase::Owner, Body::Commit) => self.go_on(),
            (Phase::Ready | Phase::Owner, Body::Release) => self.side.write_kind(Kind::Released),
            (Phase::Running | Phase::Kept | Phase::Claimed, Body::Done) => self.side.settle(),
            (Phase::Ready, Body::Done) => Vec::new(),
            _ => self.say(),
        })
    }

    fn claimed_there(&mut self, epoch: Epoch) -> Vec<Action> {
        self.side.nobody = false;
        match self.phase {
            // No guest runs here, and none will: the claim stands.
            Phase::Ready | Phase::Owner => self.side.write_superseded(epoch),
            Phase::Released | Phase::Superseded => self.say(),
            _ => self.side.contest(epoch, self.say()),
        }
    }

    fn superseded_there(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::Running | Phase::Kept | Phase::Claimed => self.side.settle(),
            Phase::Ready | Phase::Superseded => {
                self.side.nobody = true;
                Vec::new()
            }
            Phase::Released => Vec::new(),
            Phase::Owner => {
                self.side.confirmed = true;
                self.go_on()
            }
            _ => {
                self.side.confirmed = true;
                self.side.dispute = None;
                Vec::new()
            }
        }
    }

    /// READY and OWNER wait for ever: a person is told, and nothing else happens.
    fn timeout(&mut self) -> Vec<Action> {
        let mut actions = self.say();
        if matches!(self.phase, Phase::Ready | Phase::Owner) {
            actions.push(Action::Ask(Question::PeerUnreachable));
        }
        actions
    }

    fn guest(&mut self, guest: Guest) -> Result<Vec<Action>, Refused> {
        match (self.phase, guest) {
            (Phase::Starting | Phase::StartUnknown, Guest::Ran) => {
                Ok(self.side.write_kind(Kind::Running))
            }
            (Phase::Starting | Phase::StartUnknown, Guest::NeverRan) => {
                Ok(self.side.write_kind(Kind::Released))
            }
            (Phase::Starting, Guest::Unknown) => {
                self.phase = Phase::StartUnknown;
                Ok(Vec::new())
            }
            _ => Err(Refused::NotAwaited),
        }
    }

    fn resolve(&mut self, resolve: Resolve) -> Result<Vec<Action>, Refused> {
        match (resolve, self.phase) {
            (Resolve::Claim(evidence), _) => self.claim(evidence),
            (Resolve::GiveUp, _) => {
                let epoch = self.side.dispute.ok_or(Refused::NoDispute)?;
                if self.phase == Phase::Starting {
                    return Err(Refused::Starting);
                }
                Ok(self.side.write_superseded(epoch))
            }
            (_, Phase::Begun) => Err(Refused::Busy),
            (Resolve::Forward, Phase::Ready) => Err(Refused::NotHandedOver),
            (Resolve::Forward, Phase::Owner) if self.side.confirmed => Ok(self.go_on()),
            (Resolve::Forward, Phase::Owner) => Err(Refused::Unconfirmed),
            (Resolve::Forward, _) => Err(Refused::NotAwaited),
            (Resolve::Back, Phase::Ready | Phase::Owner) => {
                Ok(self.side.write_kind(Kind::Released))
            }
            (Resolve::Back, Phase::Starting) => Err(Refused::Starting),
            (Resolve::Back, Phase::Released) => Ok(self.say()),
            (Resolve::Back, Phase::Superseded) => Err(Refused::NotClaimable),
            (Resolve::Back, _) => Err(Refused::NoWayBack),
        }
    }

    fn claim(&mut self, evidence: Evidence) -> Result<Vec<Action>, Refused> {
        let may = match self.phase {
            Phase::Ready => Ok(()),
            // The source, whose claim stood, may count on it for ever; unless it gave up too.
            Phase::Superseded if self.side.nobody => Ok(()),
            Phase::Begun => Err(Refused::Busy),
            Phase::Starting => Err(Refused::Starting),
            Phase::Released | Phase::Superseded => Err(Refused::NotClaimable),
            _ if !self.side.trusted() || self.side.dispute.is_some() => Ok(()),
            _ => Err(Refused::AlreadyOwner),
        };
        may?;
        self.side.check_evidence(evidence)?;
        self.side.write_claim(evidence)
    }
}
