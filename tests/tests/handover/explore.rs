//! The search: every state that can be reached within the bounds, breadth first, each once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use migrate::handover::{Question, SourcePhase, TargetPhase};

use crate::laws;
use crate::world::{Bounds, Step, World};

/// What a whole search saw.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) bounds: Bounds,
    pub(crate) states: usize,
    /// Steps between states within the bounds, also those that lead to a known one.
    pub(crate) transitions: usize,
    /// The longest of the shortest ways to a state.
    pub(crate) depth: usize,
    /// States in which one side owns the VM and the other knows.
    pub(crate) resolved: usize,
    /// The most questions that had to be answered on the calm way from a state.
    pub(crate) answers: usize,
    /// Sides, phases and questions that came about.
    pub(crate) seen: BTreeSet<String>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { driver, plan, claims, records, failures, lies, calm } = self.bounds;
        writeln!(f, "bounds: {driver:?} driver, plan {plan:?}, lies {lies}, calm ways {calm}")?;
        writeln!(
            f,
            "        failures <= {failures}, claims <= {claims}, records of a journal <= {records}"
        )?;
        writeln!(f, "        losses, repeats, reorderings, disconnections, timeouts: no bound")?;
        writeln!(f, "states {}, of these resolved {}", self.states, self.resolved)?;
        writeln!(f, "transitions {}, depth {}", self.transitions, self.depth)?;
        writeln!(f, "questions answered on a calm way to the end: at most {}", self.answers)?;
        let asked: Vec<_> = self.seen.iter().filter(|name| name.contains(" asks ")).collect();
        write!(f, "phases {}, questions {asked:?}", self.seen.len() - asked.len())
    }
}

/// A law that does not hold, and the shortest way there.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) law: &'static str,
    pub(crate) steps: Vec<Step>,
    pub(crate) states: usize,
    pub(crate) world: Box<World>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{} (after {} states):", self.law, self.states);
        for step in &self.steps {
            let _ = write!(text, "\n  {step:?}");
        }
        write!(f, "{text}\n  => {:#?}", self.world)
    }
}

/// A state's place in the tables. Two states that share 128 bits would be taken for one.
fn fingerprint(world: &World) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        world.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

struct Search<'a> {
    bounds: &'a Bounds,
    known: HashMap<u128, u32>,
    /// How each state was found; the first one was not.
    found: Vec<Option<(u32, Step)>>,
    transitions: usize,
    resolved: usize,
    answers: usize,
    seen: HashSet<Seen>,
}

/// What a machine shows of itself.
type Seen = (Option<SourcePhase>, Option<TargetPhase>, Option<Question>);

impl Search<'_> {
    fn broken(&self, law: &'static str, at: u32, world: World) -> Broken {
        let mut steps = Vec::new();
        let mut at = at;
        while let Some((before, step)) = self.found[at as usize] {
            steps.push(step);
            at = before;
        }
        steps.reverse();
        Broken { law, steps, states: self.found.len(), world: Box::new(world) }
    }

    /// Takes a state in; its number, and whether it is new.
    fn add(&mut self, world: &World, from: Option<(u32, Step)>) -> Result<(u32, bool), Broken> {
        let next = u32::try_from(self.found.len()).unwrap();
        let number = *self.known.entry(fingerprint(world)).or_insert(next);
        if number != next {
            return Ok((number, false));
        }
        self.found.push(from);
        for machine in [&world.source, &world.target].into_iter().filter_map(|h| h.machine.as_ref())
        {
            self.seen.insert((machine.source(), machine.target(), machine.question()));
        }
        self.resolved += usize::from(world.is_resolved());
        if let Some(law) = laws::broken(world) {
            return Err(self.broken(law, number, world.clone()));
        }
        if !self.bounds.calm {
            return Ok((number, true));
        }
        let calm = laws::calm(world, self.bounds);
        let answers = calm.map_err(|(law, end)| self.broken(law, number, *end))?;
        self.answers = self.answers.max(answers);
        Ok((number, true))
    }
}

fn names(seen: &HashSet<Seen>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (source, target, question) in seen {
        names.extend(source.map(|phase| format!("source {phase:?}")));
        names.extend(target.map(|phase| format!("target {phase:?}")));
        let side = if source.is_some() { "source" } else { "target" };
        names.extend(question.map(|question| format!("{side} asks {question:?}")));
    }
    names
}

/// Looks at everything within the bounds.
///
/// # Errors
/// The first law that does not hold.
pub(crate) fn explore(bounds: &Bounds) -> Result<Figures, Broken> {
    let mut search = Search {
        bounds,
        known: HashMap::new(),
        found: Vec::new(),
        transitions: 0,
        resolved: 0,
        answers: 0,
        seen: HashSet::new(),
    };
    let first = World::new();
    search.add(&first, None)?;
    let mut level = vec![(0, first)];
    let mut depth = 0;
    while !level.is_empty() {
        let mut next = Vec::new();
        for (number, world) in level {
            for step in world.steps(bounds) {
                let Some(after) = world.after(step, bounds).filter(|w| w.is_within(bounds)) else {
                    continue;
                };
                let (to, new) = search.add(&after, Some((number, step)))?;
                search.transitions += 1;
                if new {
                    next.push((to, after));
                }
            }
        }
        depth += usize::from(!next.is_empty());
        level = next;
    }
    Ok(Figures {
        bounds: *bounds,
        states: search.found.len(),
        transitions: search.transitions,
        depth,
        resolved: search.resolved,
        answers: search.answers,
        seen: names(&search.seen),
    })
}
