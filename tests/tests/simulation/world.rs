//! The world of one seed: what can happen next, and what does.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use migrate::core::{Now, Outcome};
use migrate::handover::{Guest as Truth, Input as Ownership, Plan, Question, Resolve, Standing};
use migrate::journal::{Evidence, Kind};
use tests::machine::{BOTH, Who};

use crate::disk::File;
use crate::fault::Fault;
use crate::image::{self, Image};
use crate::laws;
use crate::link::Link;
use crate::process::{Host, Input, Todo};
use crate::rng::Rng;
use crate::target::Note;
use crate::variant::Variant;
use crate::{source, target};

/// After so long without a byte a connection is gone.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// More would be a loop.
const STEPS: u64 = 60_000;
/// What a process takes in before it reads on.
const BACKLOG: usize = 12;
/// What a source has ready to be sent before it reads on.
const OUT: usize = 96 << 10;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) records: u64,
    pub(crate) extents: u64,
    pub(crate) garbled: u64,
    /// Connections at which memory was held already.
    pub(crate) resumed: u64,
    /// Memory that was written again, since a sync of it may have failed.
    pub(crate) doubted: u64,
    pub(crate) connections: u64,
    pub(crate) faults: BTreeMap<String, u64>,
    /// Calls to disks that failed, or in which the process died.
    pub(crate) failed_calls: u64,
    /// Codes of ERROR.
    pub(crate) codes: BTreeMap<String, u64>,
    pub(crate) outcomes: BTreeMap<String, u64>,
    /// Phases of both hand-overs together.
    pub(crate) phases: BTreeMap<(String, String), u64>,
}

/// What both sides share, and nobody in the world knows.
pub(crate) struct Ctx {
    pub(crate) now: Now,
    pub(crate) rng: Rng,
    pub(crate) image: Rc<Image>,
    /// Another machine of the same shape.
    other: Rc<Image>,
    pub(crate) plan: Plan,
    pub(crate) variant: Variant,
    /// The next round is that of the other machine.
    pub(crate) foreign: bool,
    pub(crate) broken: Option<&'static str>,
    pub(crate) counts: Counts,
    trace: bool,
}

impl Ctx {
    /// Something must be true.
    pub(crate) fn demand(&mut self, holds: bool, law: &'static str) {
        if !holds && self.broken.is_none() {
            self.show(|| format!("BROKEN: {law}"));
            self.broken = Some(law);
        }
    }

    pub(crate) fn show(&self, line: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>10.3} {}", self.now.as_secs_f64(), line());
        }
    }

    /// Of which machine a round is sent.
    pub(crate) fn sent(&self, foreign: bool) -> Rc<Image> {
        if foreign { self.other.clone() } else { self.image.clone() }
    }

    pub(crate) fn keeps(&self) -> bool {
        self.plan == Plan::Keep
    }
}

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Begin(Who),
    Exit(Who),
    Connect,
    Work(Who),
    Flush(Who),
    Deliver(Who),
    GuestRuns(Who),
    KeepExpires,
    Person(Who),
    /// The disk has room again.
    Freed,
}

/// The world.
pub(crate) struct World {
    pub(crate) ctx: Ctx,
    pub(crate) source: Host,
    pub(crate) target: Host,
    pub(crate) link: Option<Link>,
    /// Faults that are still to come.
    faults: u64,
    /// The target's process waits for the next connection, and does not end.
    listens: bool,
    pub(crate) steps: u64,
}

impl World {
    pub(crate) fn new(seed: u64, variant: Variant, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let image = Image::new(&mut rng);
        let other = image.other(&mut rng);
        let plan = if rng.chance(25) { Plan::Keep } else { Plan::Start };
        let target = Host::new(Who::Target);
        if rng.chance(25) {
            // An older copy is here already.
            let older = image.other(&mut rng);
            let mut disk = target.disk.borrow_mut();
            disk.put(File::Ram, &older.ram);
            disk.put(File::State, &image::pack(&older.records));
            disk.put(File::Note, &Note::COPY.bytes());
        }
        let most = if rng.chance(20) { 25 } else { 9 };
        let (faults, listens) = (rng.below(most), rng.chance(50));
        let ctx = Ctx {
            now: Now::ZERO,
            rng,
            image: Rc::new(image),
            other: Rc::new(other),
            plan,
            variant,
            foreign: false,
            broken: None,
            counts: Counts::default(),
            trace,
        };
        let source = Host::new(Who::Source);
        Self { ctx, source, target, link: None, faults, listens, steps: 0 }
    }

    pub(crate) fn host(&mut self, who: Who) -> &mut Host {
        match who {
            Who::Source => &mut self.source,
            Who::Target => &mut self.target,
        }
    }

    /// Lives until nothing more happens, or a law is broken.
    pub(crate) fn live(&mut self) -> Option<&'static str> {
        while self.ctx.broken.is_none() {
            self.steps += 1;
            self.ctx.demand(self.steps < STEPS, laws::DEAD_END);
            self.ctx.now += Duration::from_millis(self.ctx.rng.below(40));
            self.tick();
            self.go_wrong();
            let events = self.events();
            if events.is_empty() {
                let launching = BOTH.map(|who| self.host(who).guest.launching);
                if launching.contains(&true) {
                    continue;
                }
                if self.is_over() {
                    laws::end(self);
                    let calls = BOTH.map(|who| self.host(who).disk.borrow().failed);
                    self.ctx.counts.failed_calls = calls.iter().sum();
                    break;
                }
                self.wait();
                continue;
            }
            let event = events[self.ctx.rng.index(events.len())];
            if !matches!(event, Event::Flush(_) | Event::Deliver(_) | Event::Work(_)) {
                self.ctx.show(|| format!("{event:?}"));
            }
            self.happen(event);
            self.bury();
            laws::check(self);
        }
        self.ctx.broken
    }

    /// Time passes until something can happen.
    fn wait(&mut self) {
        let deadlines = [&self.source, &self.target]
            .map(|host| host.process.as_ref().and_then(|process| process.machine.deadline()));
        let stalls = BOTH.map(|who| {
            let until = self.link.as_mut().map(|link| link.to(who).stalled);
            until.filter(|&until| until > self.ctx.now && until < Now::MAX)
        });
        let next = deadlines.into_iter().chain(stalls).flatten().min();
        self.ctx.demand(next.is_some(), laws::DEAD_END);
        self.ctx.now = self.ctx.now.max(next.unwrap_or_default());
    }

    fn tick(&mut self) {
        for who in BOTH {
            let now = self.ctx.now;
            let process = self.host(who).process.as_ref();
            let due = process.and_then(|process| process.machine.deadline());
            if due.is_some_and(|due| due <= now) {
                self.tell(who, Input::Tick);
            }
        }
    }

    fn go_wrong(&mut self) {
        if self.faults == 0 {
            return;
        }
        let close = [&self.source, &self.target].iter().any(|host| {
            let hands = host.process.as_ref().is_some_and(|it| it.machine.is_handing_over());
            hands || host.guest.launching
        });
        if !self.ctx.rng.chance(if close { 12 } else { 2 }) {
            return;
        }
        let launching = BOTH.into_iter().find(|&who| self.host(who).guest.launching);
        let fault = Fault::draw(&mut self.ctx.rng, launching);
        if fault.happens(self) {
            self.ctx.show(|| format!("FAULT {fault:?}"));
            self.faults -= 1;
            *self.ctx.counts.faults.entry(fault.name()).or_default() += 1;
            self.bury();
        }
    }

    /// Whether there is a process to be told.
    pub(crate) fn tell(&mut self, who: Who, input: Input) -> bool {
        let (host, ctx) = match who {
            Who::Source => (&mut self.source, &mut self.ctx),
            Who::Target => (&mut self.target, &mut self.ctx),
        };
        let Some(process) = &mut host.process else { return false };
        ctx.show(|| format!("{who:?}:"));
        process.feed(ctx, input);
        true
    }

    // What can happen.

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for who in BOTH {
            self.events_at(who, &mut events);
        }
        let apart = |host: &Host| {
            host.process.as_ref().is_some_and(|process| {
                process.machine.is_apart() && process.todo.is_empty() && !process.linked
            })
        };
        let wants = self.source.process.as_ref().is_some_and(|process| process.over.is_none());
        if self.link.is_none() && wants && apart(&self.source) && apart(&self.target) {
            events.push(Event::Connect);
        }
        if self.source.keeps && self.source.process.is_some() {
            events.push(Event::KeepExpires);
        }
        if self.target.disk.borrow().full && (self.faults == 0 || self.ctx.rng.chance(5)) {
            events.push(Event::Freed);
        }
        events
    }

    fn events_at(&mut self, who: Who, events: &mut Vec<Event>) {
        let (now, settled) = (self.ctx.now, self.is_settled());
        let other_is_gone = self.host(who.other()).dead;
        let link = &mut self.link;
        let (host, listens) = match who {
            Who::Source => (&self.source, false),
            Who::Target => (&self.target, self.listens),
        };
        // It takes its time, unless nothing else happens.
        if host.guest.launching && self.ctx.rng.chance(20) {
            events.push(Event::GuestRuns(who));
        }
        let Some(process) = &host.process else {
            if !host.dead && !settled && host.finished.is_none() {
                events.push(Event::Begin(who));
            }
            return;
        };
        let sends = process.sending.is_some() && process.out.len() < OUT;
        if !process.todo.is_empty() || sends {
            events.push(Event::Work(who));
        }
        if let Some(link) = link.as_mut().filter(|_| process.linked) {
            let reads = !*link.used_by(who.other());
            let pipe = link.to(who.other());
            if !process.out.is_empty() && (reads || pipe.bytes.len() < (64 << 10)) {
                events.push(Event::Flush(who));
            }
            if link.to(who).gives(now) && process.todo.len() < BACKLOG {
                events.push(Event::Deliver(who));
            }
        }
        let idle = process.todo.is_empty() && !host.guest.launching && !process.linked;
        let question = process.machine.question();
        let guest = question == Some(Question::GuestUnknown);
        // What the journal holds is known only to the next process.
        let listens = listens && question != Some(Question::JournalFailed);
        let asks = guest || other_is_gone && who_can_decide(process.machine.phase().as_str());
        if idle && asks && !process.answered {
            events.push(Event::Person(who));
        } else if idle && !host.keeps {
            let ends = process.over.is_some() && !listens;
            let unused = other_is_gone || settled && who == Who::Target;
            if ends || unused {
                events.push(Event::Exit(who));
            }
        }
    }

    /// The source's command has ended for good, or there is nobody to run it.
    fn is_settled(&self) -> bool {
        let other = |host: &Host| host.finished.is_some();
        other(&self.source) || self.source.dead && other(&self.target)
    }

    fn is_over(&self) -> bool {
        let quiet = |host: &Host| host.process.is_none() && !host.guest.launching;
        self.is_settled() && quiet(&self.source) && quiet(&self.target)
    }

    // What happens.

    fn happen(&mut self, event: Event) {
        let Self { ctx, source, target, link, .. } = self;
        match event {
            Event::Begin(Who::Source) => source.process = source::begin(source, ctx),
            Event::Begin(Who::Target) => target.process = target::begin(target, ctx),
            Event::Exit(who) => self.exit(who),
            Event::Connect => {
                ctx.counts.connections += 1;
                *link = Some(Link::new());
                for host in [source, target] {
                    host.process.iter_mut().for_each(|process| process.connect(ctx));
                }
            }
            Event::Work(Who::Source) => source::work(source, ctx),
            Event::Work(Who::Target) => target::work(target, ctx),
            Event::Flush(who) => self.flush(who),
            Event::Deliver(who) => self.deliver(who),
            Event::GuestRuns(who) => self.guest_runs(who),
            Event::KeepExpires => {
                source.keeps = false;
                self.tell(Who::Source, Input::Handover(Ownership::KeepExpired));
            }
            Event::Person(who) => self.person(who),
            Event::Freed => target.disk.borrow_mut().full = false,
        }
        self.unlink();
        self.note_phases();
    }

    fn chunk(&mut self) -> usize {
        let rng = &mut self.ctx.rng;
        match rng.below(5) {
            0 => 1 + rng.index(64),
            1 => 1 + rng.index(4096),
            _ => 64 << 10,
        }
    }

    fn flush(&mut self, who: Who) {
        let most = self.chunk();
        let Some(link) = &mut self.link else { return };
        let heard = *link.used_by(who.other());
        let (host, ctx) = match who {
            Who::Source => (&mut self.source, &mut self.ctx),
            Who::Target => (&mut self.target, &mut self.ctx),
        };
        let Some(process) = &mut host.process else { return };
        if !heard {
            // A broken pipe: what the peer said last can still be read.
            process.out.clear();
        } else if link.to(who.other()).push(&mut process.out, most) > 0 {
            process.feed(ctx, Input::Progress);
        }
    }

    fn deliver(&mut self, who: Who) {
        let most = self.chunk();
        let variant = self.ctx.variant;
        let Some(link) = &mut self.link else { return };
        let pipe = link.to(who);
        let n = pipe.bytes.len().min(most);
        let bytes: Vec<u8> = pipe.bytes.drain(..n).collect();
        let (host, ctx) = match who {
            Who::Source => (&mut self.source, &mut self.ctx),
            Who::Target => (&mut self.target, &mut self.ctx),
        };
        let Some(process) = &mut host.process else { return };
        if !bytes.is_empty() {
            let left = process.receive(ctx, &bytes);
            assert!(left.is_empty() || process.machine.is_apart(), "a migration is always read");
            return;
        }
        match who {
            Who::Source => source::ended(process, ctx),
            Who::Target => target::ended(process, &mut host.guest, variant),
        }
        let closed = process.closed();
        process.feed(ctx, Input::Closed(closed));
    }

    /// Closes what a process has done with.
    fn unlink(&mut self) {
        for who in BOTH {
            let Some(process) = &mut self.host(who).process else { continue };
            if !process.linked || process.over.is_none() {
                continue;
            }
            process.linked = false;
            let mut out = std::mem::take(&mut process.out);
            let Some(outcome) = process.over.clone() else { continue };
            self.ctx.show(|| format!("{who:?} ends: {outcome:?}"));
            laws::ended(&outcome, &mut self.ctx);
            let Some(link) = &mut self.link else { continue };
            *link.used_by(who) = false;
            let pipe = link.to(who.other());
            pipe.bytes.extend(out.drain(..));
            pipe.ended = true;
        }
        if self.link.as_ref().is_some_and(|link| !link.source && !link.target) {
            self.link = None;
        }
    }

    fn note_phases(&mut self) {
        let phases = [&self.source, &self.target].map(|host| {
            host.process.as_ref().map_or_else(String::new, |process| process.machine.phase())
        });
        let [ours, theirs] = phases;
        *self.ctx.counts.phases.entry((ours, theirs)).or_default() += 1;
    }

    fn exit(&mut self, who: Who) {
        let other_is_gone = self.host(who.other()).dead;
        let host = self.host(who);
        let Some(process) = host.process.take() else { return };
        let over = process.over.clone();
        let name = format!("{over:?}").split(['{', '(']).nth(1).unwrap_or("none").trim().to_owned();
        let done = matches!(over, Some(Outcome::Done | Outcome::Back | Outcome::GivenUp));
        if process.machine.question() == Some(Question::JournalFailed) {
            // What it holds is for the next process to find out.
        } else if who == Who::Source && done || other_is_gone {
            host.finished = over.or(Some(Outcome::Back));
        }
        *self.ctx.counts.outcomes.entry(format!("{who:?} {name}")).or_default() += 1;
    }

    fn guest_runs(&mut self, who: Who) {
        let (host, other) = match who {
            Who::Source => (&mut self.source, &self.target),
            Who::Target => (&mut self.target, &self.source),
        };
        laws::runs(host, other, &mut self.ctx);
        host.guest.launching = false;
        (host.guest.running, host.guest.has_run) = (true, true);
        self.tell(who, Input::Handover(Ownership::Guest(Truth::Ran)));
    }

    /// A person, or a driver that looks, says what is true.
    fn person(&mut self, who: Who) {
        let ran = self.host(who).guest.has_run;
        let alone = self.host(who.other()).dead;
        let owns = self.host(who).standing() == Standing::Owner;
        let Some(process) = &mut self.host(who).process else { return };
        let question = process.machine.question();
        if question == Some(Question::MayBeStale) {
            process.answered = true;
            return self.boot(who);
        }
        let answer = match question {
            Some(Question::GuestUnknown) if ran => Ownership::Guest(Truth::Ran),
            Some(Question::GuestUnknown) if !alone || owns => Ownership::Guest(Truth::NeverRan),
            Some(_) => Ownership::Resolve(Resolve::Claim(Evidence::PeerIsOff)),
            None => Ownership::Resolve(Resolve::Back),
        };
        self.ctx.show(|| format!("{who:?} is asked {question:?}: {answer:?}"));
        self.tell(who, Input::Handover(answer));
        let Some(process) = &mut self.host(who).process else { return };
        // Whom it does not help asks again after the next connection.
        process.answered = process.todo.iter().all(Todo::is_refusal);
    }

    /// A claimed VM is started: from its snapshot if it never ran at the peer, else from its disks.
    fn boot(&mut self, who: Who) {
        let other = self.host(who.other()).guest.running;
        self.ctx.demand(!other, laws::TWO_RUNNING);
        let guest = &mut self.host(who).guest;
        (guest.running, guest.has_run) = (true, true);
    }

    // What goes wrong.

    /// Ends processes that have died in a call to their disk.
    fn bury(&mut self) {
        for who in BOTH {
            let died = self.host(who).disk.borrow().died;
            if died {
                self.ctx.show(|| format!("{who:?} died in a call"));
                self.kill(who, false);
                self.host(who).disk.borrow_mut().process_died();
            }
        }
    }

    /// A process ends; the peer finds out by the end of the stream, or not at all.
    pub(crate) fn kill(&mut self, who: Who, silently: bool) -> bool {
        let host = self.host(who);
        host.disk.borrow_mut().process_died();
        let linked = host.process.take().is_some_and(|process| process.linked);
        if let Some(link) = self.link.as_mut().filter(|_| linked) {
            *link.used_by(who) = false;
            if silently {
                link.vanish();
            } else {
                link.to(who.other()).ended = true;
            }
        }
        self.unlink();
        true
    }

    pub(crate) fn power_off(&mut self, who: Who) -> bool {
        let silently = self.ctx.rng.chance(50);
        self.kill(who, silently);
        let Self { ctx, source, target, .. } = self;
        let host = match who {
            Who::Source => source,
            Who::Target => target,
        };
        host.disk.borrow_mut().power_off(&mut ctx.rng);
        (host.guest.running, host.guest.launching) = (false, false);
        if who == Who::Target {
            laws::ready(host, ctx);
        }
        true
    }

    /// Where no copy goes with it that is the last one.
    pub(crate) fn gone(&mut self, who: Who) -> bool {
        let last = |host: &Host| laws::last(host.disk.borrow().durable(File::Journal));
        let may = match who {
            Who::Target => {
                !self.target.guest.has_run
                    && !matches!(last(&self.target), Some(Kind::Kept | Kind::Settled))
            }
            Who::Source => {
                let mut todo = self.target.process.iter().flat_map(|process| &process.todo);
                matches!(last(&self.source), Some(Kind::Suspended | Kind::HandedOver))
                    && matches!(last(&self.target), Some(Kind::Ready | Kind::Owner))
                    && !todo.any(Todo::is_release)
            }
        };
        let may = may && !self.host(who.other()).dead && !self.host(who).dead;
        if may {
            if let Some(link) = &mut self.link {
                // Nor does what it said last arrive: it may have wanted the copy there given up.
                link.to(who.other()).bytes.clear();
            }
            self.power_off(who);
            self.host(who).dead = true;
            // What did not help while it was there may now.
            let other = &mut self.host(who.other()).process;
            other.iter_mut().for_each(|process| process.answered = false);
        }
        may
    }
}

/// Whether a person can do something where the peer is gone for good.
fn who_can_decide(phase: &str) -> bool {
    matches!(
        phase,
        "Suspended"
            | "HandedOver"
            | "Ready"
            | "Owner"
            | "Claimed"
            | "ResumeUnknown"
            | "StartUnknown"
    )
}
