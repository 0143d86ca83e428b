//! One side of a hand-over as a process, for tests that kill it.
//!
//! ```text
//! handover source|target DIR [refuse]
//! ```
//!
//! The peer is a socket on stdin. With `refuse`, no guest can be started here.
//! DIR holds its journal, and the file `guest` once the guest has run. With `HANDOVER_KILL=N` it
//! sends itself SIGKILL at the point with that number; points are counted as they come, and their
//! names appended to DIR/points. It says nothing and ends when the hand-over is over for it or the
//! peer is gone; what became of it is printed in one line.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use migrate::handover::{Action, Body, Guest, Input, Message, Plan, Question, SourcePhase};
use migrate::journal::{File, Journal};
use tests::machine::{Machine, Who, identity};
use tests::points::{Points, Watched};

struct Side {
    who: Who,
    dir: PathBuf,
    refuse: bool,
    journal: Journal<Watched>,
    machine: Option<Machine>,
    peer: UnixStream,
    points: Points,
}

impl Side {
    fn open(who: Who, dir: &Path, refuse: bool) -> anyhow::Result<Self> {
        let points = Points::new(&dir.join("points"), "HANDOVER_KILL")?;
        let file = File::open(&dir.join("journal"))?;
        let watched = Watched::new(file, points.clone());
        let (journal, contents) = Journal::open(watched)?;
        let peer = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let dir = dir.to_owned();
        let mut side = Self { who, dir, refuse, journal, machine: None, peer, points };
        let found = Machine::replay(who, Plan::Start, &contents.records)?;
        let found = match who {
            Who::Source => found.or_else(|| Some(Machine::begin(who, Plan::Start))),
            Who::Target => found,
        };
        if let Some((machine, actions)) = found {
            side.machine = Some(machine);
            side.act(actions)?;
        }
        Ok(side)
    }

    fn point(&self, name: &str) -> anyhow::Result<()> {
        Ok(self.points.pass(name)?)
    }

    fn feed(&mut self, input: Input) -> anyhow::Result<()> {
        let Some(machine) = &mut self.machine else { return Ok(()) };
        // Refused is what a message out of place is, and what is said too early.
        match machine.handle(input) {
            Ok(actions) => self.act(actions),
            Err(_) => Ok(()),
        }
    }

    fn act(&mut self, actions: Vec<Action>) -> anyhow::Result<()> {
        for action in actions {
            match action {
                Action::Write(entry) => {
                    self.journal.append(entry)?;
                    self.feed(Input::Written)?;
                }
                Action::Send(message) => self.send(message.body)?,
                Action::Start => self.start()?,
                // The files are not played here.
                Action::Keep | Action::Destroy | Action::Ask(_) => {}
                Action::Halt => bail!("the journal failed"),
            }
        }
        Ok(())
    }

    fn send(&mut self, body: Body) -> anyhow::Result<()> {
        let name = body.name();
        self.point(&format!("before send {name}"))?;
        // A peer that is gone shows when it is read from.
        let _ = writeln!(self.peer, "{name}");
        self.point(&format!("after send {name}"))
    }

    fn start(&mut self) -> anyhow::Result<()> {
        self.point("before start")?;
        if self.refuse {
            return self.feed(Input::Guest(Guest::NeverRan));
        }
        let file = self.dir.join("guest");
        let new = OpenOptions::new().write(true).create_new(true).open(file);
        new.context("the guest was started twice")?;
        self.point("after start")?;
        self.feed(Input::Guest(Guest::Ran))
    }

    fn hear(&mut self, line: &str) -> anyhow::Result<()> {
        const SAID: [Body; 10] = [
            Body::Offer,
            Body::Ready,
            Body::Commit,
            Body::Owner,
            Body::Running,
            Body::Done,
            Body::Release,
            Body::Released,
            Body::NoRecord,
            Body::Superseded,
        ];
        let body = SAID.into_iter().find(|body| body.name() == line);
        let body = body.with_context(|| format!("what is {line}?"))?;
        if self.machine.is_some() {
            return self.feed(Input::Message(Message { identity: identity(), body }));
        }
        if body != Body::Offer {
            return self.send(Body::NoRecord);
        }
        let (machine, actions) = Machine::begin(self.who, Plan::Start);
        self.machine = Some(machine);
        self.feed(Input::Connected)?;
        self.act(actions)
    }

    /// Whether the guest has run here can be seen here.
    fn answer(&mut self) -> anyhow::Result<()> {
        let question = self.machine.as_ref().and_then(Machine::question);
        if question == Some(Question::GuestUnknown) {
            let ran = self.dir.join("guest").exists();
            self.feed(Input::Guest(if ran { Guest::Ran } else { Guest::NeverRan }))?;
        }
        Ok(())
    }

    /// The guest has run here, or will run again, and the peer knows.
    fn is_over(&self) -> bool {
        let machine = self.machine.as_ref();
        let resuming = machine.and_then(Machine::source) == Some(SourcePhase::Resuming);
        machine.is_some_and(Machine::is_settled) && !resuming
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let mut lines = BufReader::new(self.peer.try_clone()?).lines();
        self.feed(Input::Connected)?;
        self.answer()?;
        while !self.is_over() {
            // A peer that was killed may leave an error instead of an end.
            let Some(Ok(line)) = lines.next() else { break };
            self.hear(&line)?;
            self.answer()?;
        }
        self.feed(Input::Disconnected)
    }
}

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (who, dir, refuse) = match args.as_slice() {
        ["source", dir] => (Who::Source, dir, false),
        ["target", dir] => (Who::Target, dir, false),
        ["target", dir, "refuse"] => (Who::Target, dir, true),
        _ => bail!("unknown arguments"),
    };
    let mut side = Side::open(who, Path::new(dir), refuse)?;
    side.run()?;
    match &side.machine {
        Some(machine) => println!("{machine:?}"),
        None => println!("nothing"),
    }
    Ok(())
}
