//! What must hold in every world that can come about.

use migrate::handover::{Guest, Question, Resolve, SourcePhase, Standing, TargetPhase};
use migrate::journal::Evidence;
use tests::machine::{BOTH, Machine};

use crate::world::{Bounds, Step, World};

/// The names of the laws, for the table of figures.
pub(crate) const LAWS: [&str; 7] = [
    "never two running copies",
    "never two owners",
    "never a start from RAM older than its disks",
    "never zero copies",
    "once all is up again: one owner, or a question",
    "once the questions are answered: one owner",
    "nobody is asked anything where nothing failed",
];

/// A law that this world breaks by what it is.
#[must_use]
pub(crate) fn broken(world: &World) -> Option<&'static str> {
    let (source, target) = (&world.source, &world.target);
    if source.running && target.running {
        return Some(LAWS[0]);
    }
    if (source.standing(), target.standing()) == (Standing::Owner, Standing::Owner) {
        return Some(LAWS[1]);
    }
    if world.broken.is_some() {
        return Some(LAWS[2]);
    }
    // Where the guest has run, its disks are what is left of it if it stops.
    if !(source.files || target.files || world.has_run()) {
        return Some(LAWS[3]);
    }
    None
}

/// A law that the calm way breaks, and where.
pub(crate) type Stuck = (&'static str, Box<World>);

/// Steps to an end; more would be a loop.
const PATIENCE: usize = 300;

/// What becomes of a world in which nothing goes wrong any more, and people answer truthfully.
///
/// # Errors
/// If it gets stuck without asking anybody, or an answer does not help.
pub(crate) fn calm(world: &World, bounds: &Bounds) -> Result<usize, Stuck> {
    // Nobody lies any more, and no bound stops the way to the end.
    let bounds = &Bounds { lies: false, ..*bounds };
    let mut world = Box::new(world.clone());
    if let Some(next) = world.after(Step::Disconnect, bounds) {
        *world = next;
    }
    let failures = world.failures;
    let mut answers = 0;
    for _ in 0..PATIENCE {
        if let Some(law) = broken(&world) {
            return Err((law, world));
        }
        let quiet = world.to_source.is_empty() && world.to_target.is_empty();
        if let Some(next) = by_itself(&world, bounds) {
            *world = next;
        } else if quiet && world.is_resolved() {
            // A person who ends a process is one of the failures.
            let needless = answers > 0 && failures == 0;
            return if needless { Err((LAWS[6], world)) } else { Ok(answers) };
        } else {
            let Some(next) = by_answer(&world, bounds) else { return Err((LAWS[4], world)) };
            *world = next;
            answers += 1;
        }
    }
    Err((LAWS[5], world))
}

/// The next thing that happens without anybody, if there is one.
fn by_itself(world: &World, bounds: &Bounds) -> Option<World> {
    let mut steps = Vec::new();
    for who in BOTH {
        let host = world.host(who);
        let halted = host.question() == Some(Question::JournalFailed);
        if halted {
            steps.push(Step::Killed(who, false));
        }
        if !host.up {
            steps.push(Step::Begin(who));
        }
        if host.pending.is_some() {
            steps.push(Step::Synced(who));
        }
        if host.launching && !host.running {
            steps.push(Step::GuestRuns(who));
        }
        let source = host.machine.as_ref().and_then(Machine::source);
        let target = host.machine.as_ref().and_then(Machine::target);
        let waits = source == Some(SourcePhase::Resuming) || target == Some(TargetPhase::Starting);
        if waits && host.running {
            steps.push(Step::Outcome(who, Guest::Ran));
        }
    }
    if !world.connected {
        steps.push(Step::Connect);
    }
    for who in BOTH {
        steps.extend(world.inbox(who).iter().map(|&body| Step::Deliver(who, body, false)));
    }
    // A refused message is used up all the same.
    steps.into_iter().find_map(|step| match step {
        Step::Deliver(..) => {
            let mut next = world.clone();
            next.take(step, bounds);
            Some(next)
        }
        step => world.after(step, bounds),
    })
}

/// What a person does about the questions that are asked, if any is.
fn by_answer(world: &World, bounds: &Bounds) -> Option<World> {
    for who in BOTH {
        let host = world.host(who);
        let step = match host.question() {
            Some(Question::GuestUnknown) => {
                Step::Outcome(who, if host.has_run { Guest::Ran } else { Guest::NeverRan })
            }
            // The copy that runs stays.
            // Both copies were given up: one host is switched off, and the other one claims.
            Some(Question::GivenUp) if world.host(who.other()).up => {
                Step::PowerOff(who.other(), false)
            }
            Some(Question::Disputed) if host.is_quiet() => Step::Person(who, Resolve::GiveUp),
            _ => continue,
        };
        let next = world.after(step, bounds)?;
        return match (host.question(), step) {
            (Some(Question::GivenUp), Step::PowerOff(..)) => {
                next.after(Step::Person(who, Resolve::Claim(Evidence::PeerIsOff)), bounds)
            }
            _ => Some(next),
        };
    }
    None
}
