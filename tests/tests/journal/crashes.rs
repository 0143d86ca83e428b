//! A whole hand-over on real journals, whose disks die at every call and tear at many bytes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use migrate::handover::{Action, Body, Guest, Input, Message, Plan, Question, Standing};
use migrate::journal::{Journal, LEN, Storage};
use tests::machine::{BOTH, Machine, Who};

use crate::disk::{Disk, Torn};

/// A disk that outlives the process that uses it.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Disk>>);

impl Storage for Shared {
    fn read(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        self.0.borrow_mut().read(limit)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().write(at, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.borrow_mut().sync()
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.0.borrow_mut().sync_dir()
    }
}

/// How a process ends.
#[derive(Clone, Copy, Debug)]
enum Death {
    Process,
    Host(Torn),
}

#[derive(Default)]
struct Node {
    disk: Shared,
    journal: Option<Journal<Shared>>,
    machine: Option<Machine>,
    inbox: VecDeque<Message>,
    starts: usize,
}

/// Two nodes and a network that loses nothing but at a death.
struct Pair {
    nodes: [Node; 2],
    death: Death,
    deaths: usize,
}

impl Pair {
    fn node(&mut self, who: Who) -> &mut Node {
        &mut self.nodes[who as usize]
    }

    /// Opens a journal and goes on from there; the peer hears of a new connection.
    fn begin(&mut self, who: Who) {
        let node = self.node(who);
        let Ok((journal, contents)) = Journal::open(node.disk.clone()) else {
            return self.die(who);
        };
        node.journal = Some(journal);
        let found = Machine::replay(who, Plan::Start, &contents.records).unwrap();
        let found = match (found, who) {
            (None, Who::Source) => Some(Machine::begin(who, Plan::Start)),
            (found, _) => found,
        };
        if let Some((machine, actions)) = found {
            self.node(who).machine = Some(machine);
            self.act(who, actions);
        }
        for who in BOTH {
            self.feed(who, Input::Connected);
        }
    }

    fn die(&mut self, who: Who) {
        self.deaths += 1;
        assert!(self.deaths < 3, "only one death was asked for");
        let death = self.death;
        let node = self.node(who);
        node.journal = None;
        node.machine = None;
        match death {
            Death::Process => node.disk.0.borrow_mut().process_died(),
            Death::Host(torn) => node.disk.0.borrow_mut().host_died(torn),
        }
        for who in BOTH {
            self.node(who).inbox.clear();
        }
        self.feed(who.other(), Input::Disconnected);
        self.begin(who);
    }

    fn feed(&mut self, who: Who, input: Input) {
        let Some(machine) = &mut self.node(who).machine else { return };
        if let Ok(actions) = machine.handle(input) {
            self.act(who, actions);
        }
    }

    fn act(&mut self, who: Who, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Write(entry) => {
                    match self.node(who).journal.as_mut().unwrap().append(entry) {
                        Ok(_) => self.feed(who, Input::Written),
                        // The process is dead: nothing else that it was to do is done.
                        Err(_) => return self.die(who),
                    }
                }
                Action::Send(message) => self.node(who.other()).inbox.push_back(message),
                Action::Start => {
                    self.node(who).starts += 1;
                    self.feed(who, Input::Guest(Guest::Ran));
                }
                _ => {}
            }
        }
    }

    fn hear(&mut self, who: Who) -> bool {
        let Some(message) = self.node(who).inbox.pop_front() else { return false };
        if self.node(who).machine.is_some() {
            self.feed(who, Input::Message(message));
        } else if message.body == Body::Offer {
            let (machine, actions) = Machine::begin(who, Plan::Start);
            self.node(who).machine = Some(machine);
            self.feed(who, Input::Connected);
            self.act(who, actions);
        } else {
            let identity = message.identity;
            let answer = Message { identity, body: Body::NoRecord };
            self.node(who.other()).inbox.push_back(answer);
        }
        true
    }

    fn run(&mut self) {
        for who in BOTH {
            self.begin(who);
        }
        for _ in 0..100 {
            let heard = BOTH.map(|who| self.hear(who));
            let asked = BOTH.map(|who| {
                let node = self.node(who);
                let machine = node.machine.as_ref();
                let asked = machine.and_then(Machine::question) == Some(Question::GuestUnknown);
                let guest = if node.starts > 0 { Guest::Ran } else { Guest::NeverRan };
                if asked {
                    self.feed(who, Input::Guest(guest));
                }
                asked
            });
            if heard == [false; 2] && asked == [false; 2] {
                return;
            }
        }
        panic!("it does not come to rest");
    }
}

fn pair(dying: Option<(Who, usize)>, death: Death) -> Pair {
    let mut pair = Pair { nodes: [Node::default(), Node::default()], death, deaths: 0 };
    if let Some((who, call)) = dying {
        pair.node(who).disk.0.borrow_mut().dies_at = Some(call);
    }
    pair.run();
    pair
}

#[test]
fn a_death_at_any_call_torn_at_any_byte_leaves_one_owner_that_started_once() {
    let clean = pair(None, Death::Process);
    let calls = clean.nodes.each_ref().map(|node| node.disk.0.borrow().calls.len());
    assert_eq!(clean.deaths, 0);
    let mut deaths = vec![Death::Process];
    for reached in 0..=LEN {
        deaths.extend([false, true].map(|grown| Death::Host(Torn { reached, grown })));
    }
    let (mut runs, mut sources) = (0, 0);
    for who in BOTH {
        for call in 0..calls[who as usize] {
            for &death in &deaths {
                let end = pair(Some((who, call)), death);
                let case = format!("{who:?} at call {call}, {death:?}");
                assert_eq!(end.deaths, 1, "{case}");
                let starts: usize = end.nodes.iter().map(|node| node.starts).sum();
                let standings =
                    end.nodes.each_ref().map(|node| node.machine.as_ref().unwrap().standing());
                let owners = standings.iter().filter(|s| **s == Standing::Owner).count();
                assert_eq!((starts, owners), (1, 1), "{case}: {standings:?}");
                assert!(!standings.contains(&Standing::Unconfirmed), "{case}: {standings:?}");
                runs += 1;
                sources += usize::from(standings[0] == Standing::Owner);
            }
        }
    }
    println!("{runs} deaths at {calls:?} calls; the source kept the VM after {sources} of them");
}
