//! Two hosts, the network between them, people; and every step that can happen next.
//!
//! A message in a channel can be delivered in any order, now, later, again, or never, which is its
//! loss. A channel holds a message once: a second copy of the same would add nothing, since the
//! first can be delivered again. A disconnection loses all that is under way.

use std::collections::BTreeSet;

use migrate::handover::{
    Action, Body, Guest, Input, Message, Plan, Resolve, SourcePhase, Standing, TargetPhase,
};
use migrate::journal::{Evidence, Kind, Record};
use tests::machine::{BOTH, Machine, Who, identity};

use crate::driver::Driver;
use crate::host::Host;

/// What is explored, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) driver: Driver,
    pub(crate) plan: Plan,
    /// Claims in both journals together.
    pub(crate) claims: usize,
    /// Records in one journal.
    pub(crate) records: usize,
    /// Deaths of processes and hosts, failed writes, start commands of unknown outcome: together.
    pub(crate) failures: u8,
    /// Whether people may say that a peer is off that is not.
    pub(crate) lies: bool,
    /// Whether the calm way to an end is looked for from every state.
    pub(crate) calm: bool,
}

/// The whole world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) source: Host,
    pub(crate) target: Host,
    pub(crate) connected: bool,
    pub(crate) to_source: BTreeSet<Body>,
    pub(crate) to_target: BTreeSet<Body>,
    /// How many processes and hosts have died, and so on.
    pub(crate) failures: u8,
    /// A law was broken by a step itself.
    pub(crate) broken: Option<&'static str>,
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A process begins, or begins again: it reads its journal, writes the last record again.
    Begin(Who),
    /// The record asked for is durable.
    Synced(Who),
    /// Writing or syncing it failed; it may be in the system's cache all the same.
    WriteFailed(Who, Written),
    /// The process is killed.
    Killed(Who, Written),
    /// The host loses power; what was not synced is lost or not.
    PowerOff(Who, Lost),
    Connect,
    Disconnect,
    /// `Again` leaves the message in the channel.
    Deliver(Who, Body, Again),
    Timeout(Who),
    /// The start command makes the guest run.
    GuestRuns(Who),
    /// The start command's outcome, or a person's or driver's later knowledge of it; always true.
    Outcome(Who, Guest),
    KeepExpired,
    Person(Who, Resolve),
    /// A fencing command powers the peer off, and its success makes the claim.
    Fence(Who, Lost),
    /// A person boots a VM that this side owns.
    Boot(Who),
}

type Written = bool;
type Lost = bool;
type Again = bool;

impl World {
    /// The VM has been suspended; no process knows of the hand-over yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self {
            source: Host::new(true),
            target: Host::new(false),
            connected: false,
            to_source: BTreeSet::new(),
            to_target: BTreeSet::new(),
            failures: 0,
            broken: None,
        }
    }

    #[must_use]
    pub(crate) fn host(&self, who: Who) -> &Host {
        match who {
            Who::Source => &self.source,
            Who::Target => &self.target,
        }
    }

    pub(crate) fn host_mut(&mut self, who: Who) -> &mut Host {
        match who {
            Who::Source => &mut self.source,
            Who::Target => &mut self.target,
        }
    }

    #[must_use]
    pub(crate) fn inbox(&self, who: Who) -> &BTreeSet<Body> {
        match who {
            Who::Source => &self.to_source,
            Who::Target => &self.to_target,
        }
    }

    fn inbox_mut(&mut self, who: Who) -> &mut BTreeSet<Body> {
        match who {
            Who::Source => &mut self.to_source,
            Who::Target => &mut self.to_target,
        }
    }

    /// Puts a message of `who` on its way, if there is one.
    pub(crate) fn send(&mut self, who: Who, body: Body) {
        if self.connected {
            self.inbox_mut(who.other()).insert(body);
        }
    }

    /// Whether the guest has run anywhere since it was suspended.
    #[must_use]
    pub(crate) fn has_run(&self) -> bool {
        self.source.has_run || self.target.has_run
    }

    fn claims(&self) -> usize {
        let hosts = [&self.source, &self.target];
        let entries = hosts.into_iter().flat_map(|h| h.durable.iter().chain(&h.cached));
        entries.filter(|entry| entry.kind == Kind::Claimed).count()
    }

    /// Whether this world is inside the bounds; its steps are not followed if not.
    #[must_use]
    pub(crate) fn is_within(&self, bounds: &Bounds) -> bool {
        let records = BOTH.map(|who| self.host(who)).map(|h| h.durable.len() + h.cached.len());
        self.claims() <= bounds.claims
            && self.failures <= bounds.failures
            && records.into_iter().all(|count| count <= bounds.records)
    }

    /// Everything that can happen next. Not all of it changes something.
    #[must_use]
    pub(crate) fn steps(&self, bounds: &Bounds) -> Vec<Step> {
        let mut steps = Vec::new();
        for who in BOTH {
            self.steps_of(who, bounds, &mut steps);
        }
        if self.source.up && self.target.up {
            steps.push(if self.connected { Step::Disconnect } else { Step::Connect });
        }
        let phase = self.source.machine.as_ref().and_then(Machine::source);
        if phase == Some(SourcePhase::Done) && self.source.files {
            steps.push(Step::KeepExpired);
        }
        steps
    }

    fn steps_of(&self, who: Who, bounds: &Bounds, steps: &mut Vec<Step>) {
        let host = self.host(who);
        if !host.up {
            steps.push(Step::Begin(who));
        }
        if host.pending.is_some() {
            steps.extend([Step::Synced(who)]);
            steps.extend([true, false].map(|written| Step::WriteFailed(who, written)));
            steps.push(Step::Killed(who, true));
        }
        if host.up {
            steps.push(Step::Killed(who, false));
        }
        if host.up || !host.is_quiet() || !host.cached.is_empty() {
            steps.extend([true, false].map(|lost| Step::PowerOff(who, lost)));
        }
        for &body in self.inbox(who).iter().filter(|_| self.connected) {
            steps.extend([true, false].map(|again| Step::Deliver(who, body, again)));
        }
        if host.launching && !host.running {
            steps.push(Step::GuestRuns(who));
        }
        if host.machine.is_none() {
            return;
        }
        steps.push(Step::Timeout(who));
        // What is said of the guest is true: it is what the fence between this world and lies is.
        steps.push(Step::Outcome(who, Guest::Unknown));
        steps.push(Step::Outcome(who, if host.has_run { Guest::Ran } else { Guest::NeverRan }));
        steps.extend([Resolve::Forward, Resolve::Back].map(|r| Step::Person(who, r)));
        let peer = self.host(who.other());
        if bounds.lies || (!peer.up && peer.is_quiet()) {
            steps.push(Step::Person(who, Resolve::Claim(Evidence::PeerIsOff)));
        }
        steps.extend([true, false].map(|lost| Step::Fence(who, lost)));
        if host.is_quiet() {
            steps.push(Step::Person(who, Resolve::GiveUp));
        }
        if host.machine.as_ref().is_some_and(Machine::is_bootable) && host.is_quiet() {
            steps.push(Step::Boot(who));
        }
    }

    /// The world after a step; none if the step was refused.
    #[must_use]
    pub(crate) fn after(&self, step: Step, bounds: &Bounds) -> Option<Self> {
        let mut next = self.clone();
        next.take(step, bounds).then_some(next)
    }

    /// Takes a step; false if it was refused, as a message out of place is.
    pub(crate) fn take(&mut self, step: Step, bounds: &Bounds) -> bool {
        match step {
            Step::Begin(who) => self.begin(who, bounds),
            Step::Synced(who) => {
                let host = self.host_mut(who);
                host.durable.append(&mut host.cached);
                host.durable.extend(host.pending.take());
                self.feed(who, Input::Written, bounds)
            }
            Step::WriteFailed(who, written) => {
                self.failures += 1;
                let host = self.host_mut(who);
                let entry = host.pending.take();
                host.cached.extend(entry.filter(|_| written));
                self.feed(who, Input::WriteFailed, bounds)
            }
            Step::Killed(who, written) => {
                self.failures += 1;
                self.host_mut(who).crash(written);
                self.disconnect(bounds)
            }
            Step::PowerOff(who, lost) => {
                self.failures += 1;
                self.host_mut(who).power_off(lost);
                self.disconnect(bounds)
            }
            Step::Connect => {
                self.connected = true;
                BOTH.into_iter().for_each(|who| {
                    self.feed(who, Input::Connected, bounds);
                });
                true
            }
            Step::Disconnect => self.disconnect(bounds),
            Step::Deliver(who, body, again) => self.deliver(who, body, again, bounds),
            Step::Timeout(who) => self.feed(who, Input::Timeout, bounds),
            Step::GuestRuns(who) => {
                if self.has_run() {
                    self.broken = Some("the guest was started from RAM older than its disks");
                }
                self.guest_runs(who);
                true
            }
            Step::Outcome(who, guest) => {
                self.failures += u8::from(guest == Guest::Unknown);
                if guest == Guest::NeverRan {
                    // Provably: whoever says so has made sure that nothing can start it any more.
                    self.host_mut(who).launching = false;
                }
                self.feed(who, Input::Guest(guest), bounds)
            }
            Step::KeepExpired => self.feed(Who::Source, Input::KeepExpired, bounds),
            Step::Person(who, resolve) => self.feed(who, Input::Resolve(resolve), bounds),
            Step::Fence(who, lost) => {
                self.failures += 1;
                self.host_mut(who.other()).power_off(lost);
                self.disconnect(bounds);
                let claim = Resolve::Claim(Evidence::Fenced);
                self.feed(who, Input::Resolve(claim), bounds)
            }
            Step::Boot(who) => {
                self.guest_runs(who);
                true
            }
        }
    }

    fn guest_runs(&mut self, who: Who) {
        let host = self.host_mut(who);
        host.launching = false;
        host.running = true;
        host.has_run = true;
    }

    /// What opening a journal does: the last record is written and synced again.
    fn begin(&mut self, who: Who, bounds: &Bounds) -> bool {
        let host = self.host_mut(who);
        host.up = true;
        host.durable.append(&mut host.cached);
        let records: Vec<_> =
            (0..).zip(&host.durable).map(|(sequence, &entry)| Record { sequence, entry }).collect();
        // No journal that the machines wrote may be implausible to them.
        match (Machine::replay(who, bounds.plan, &records).unwrap(), who) {
            (Some((machine, actions)), _) => self.set(who, machine, actions, bounds),
            // Nothing was promised: the suspended VM is offered as if for the first time.
            (None, Who::Source) => {
                let (machine, actions) = Machine::begin(who, bounds.plan);
                self.set(who, machine, actions, bounds);
            }
            (None, Who::Target) => {}
        }
        true
    }

    fn set(&mut self, who: Who, machine: Machine, actions: Vec<Action>, bounds: &Bounds) {
        self.host_mut(who).machine = Some(machine);
        self.act(who, actions, bounds);
        if self.connected {
            self.feed(who, Input::Connected, bounds);
        }
    }

    fn disconnect(&mut self, bounds: &Bounds) -> bool {
        if self.connected {
            self.connected = false;
            if bounds.driver != Driver::KeepsOldMessages {
                self.to_source.clear();
                self.to_target.clear();
            }
            BOTH.into_iter().for_each(|who| {
                self.feed(who, Input::Disconnected, bounds);
            });
        }
        true
    }

    fn deliver(&mut self, who: Who, body: Body, again: Again, bounds: &Bounds) -> bool {
        if !again {
            self.inbox_mut(who).remove(&body);
        }
        if who == Who::Target && self.target.machine.is_none() {
            // The transfer ends, and what arrived is verified: then the hand-over begins there.
            if body == Body::Offer {
                self.target.files = true;
                let (machine, actions) = Machine::begin(who, bounds.plan);
                self.set(who, machine, actions, bounds);
            } else {
                self.send(who, Body::NoRecord);
            }
            return true;
        }
        let message = Message { identity: identity(), body };
        self.feed(who, Input::Message(message), bounds)
    }

    /// Gives a machine an input and does what it asks for.
    fn feed(&mut self, who: Who, input: Input, bounds: &Bounds) -> bool {
        let odd = bounds.driver.before(self, who, input);
        let Some(machine) = &mut self.host_mut(who).machine else { return odd };
        match machine.handle(input) {
            Ok(actions) => {
                self.act(who, actions, bounds);
                true
            }
            Err(_) => odd,
        }
    }

    fn act(&mut self, who: Who, actions: Vec<Action>, bounds: &Bounds) {
        for action in actions {
            match action {
                Action::Write(entry) => self.host_mut(who).pending = Some(entry),
                Action::Send(message) => self.send(who, message.body),
                Action::Start => self.host_mut(who).launching = true,
                Action::Destroy => self.host_mut(who).files = false,
                Action::Keep | Action::Ask(_) | Action::Halt => {}
            }
            if let Some(input) = bounds.driver.instead(self, who, action) {
                self.feed(who, input, bounds);
            }
        }
    }

    /// One side owns the VM, and the other knows that it does not.
    #[must_use]
    pub(crate) fn is_resolved(&self) -> bool {
        let source = self.source.machine.as_ref().and_then(Machine::source);
        let target = self.target.machine.as_ref().and_then(Machine::target);
        let idle = BOTH.iter().all(|&who| self.host(who).up && self.host(who).pending.is_none());
        let source_over = matches!(source, Some(SourcePhase::Done | SourcePhase::Superseded));
        let target_over =
            matches!(target, None | Some(TargetPhase::Released | TargetPhase::Superseded));
        idle && match (self.source.standing(), self.target.standing()) {
            (Standing::Owner, Standing::No) => target_over,
            (Standing::No, Standing::Owner) => source_over,
            _ => false,
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
