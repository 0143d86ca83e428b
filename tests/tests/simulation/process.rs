//! A process of either side: its machine, its journal, its end of the connection, and what it has
//! still to do. A host, on which one runs or not.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use migrate::core::{
    Blocks, Closed, Code, Now, Outcome, Source, SourceAction, SourceInput, SourcePhase, Target,
    TargetAction, TargetInput, TargetPhase, trouble,
};
use migrate::handover::{self, Body, Question, Standing};
use migrate::journal::{Entry, Journal, Kind};
use migrate::stream::message::{Message, Trouble};
use migrate::stream::part::Arrived;
use migrate::stream::{Decoder, Encoder, Item, PartsDigest};
use snapfmt::Digest;
use snapfmt::part::vm::Vm;
use tests::machine::Who;

use crate::disk::{JournalFile, Shared};
use crate::variant::Variant;
use crate::world::Ctx;

/// Either of the product's machines.
pub(crate) enum Machine {
    Source(Box<Source>),
    Target(Box<Target>),
}

/// What one of them asks for.
#[derive(Debug)]
pub(crate) enum Todo {
    Source(SourceAction),
    Target(TargetAction),
}

impl Todo {
    /// This copy is given up for the source's.
    pub(crate) fn is_release(&self) -> bool {
        use handover::Action::Write;
        matches!(self, Self::Target(TargetAction::Handover(Write(it))) if it.kind == Kind::Released)
    }

    /// A person was told that it cannot be.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Source(SourceAction::Refused(_)) | Self::Target(TargetAction::Refused(_))
        )
    }
}

/// What is handed to one of them.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Connected,
    Closed(Closed),
    Garbled(Trouble),
    Failed(Trouble),
    Item(Box<Item>),
    Heard,
    Progress,
    Tick,
    Handover(handover::Input),
    Source(SourceInput),
    Target(TargetInput),
}

impl Machine {
    fn handle(&mut self, now: Now, input: Input) -> Vec<Todo> {
        match self {
            Self::Source(it) => {
                let actions = it.handle(now, source_input(input));
                actions.into_iter().map(Todo::Source).collect()
            }
            Self::Target(it) => {
                let actions = it.handle(now, target_input(input));
                actions.into_iter().map(Todo::Target).collect()
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Now> {
        match self {
            Self::Source(it) => it.deadline(),
            Self::Target(it) => it.deadline(),
        }
    }

    pub(crate) fn is_apart(&self) -> bool {
        match self {
            Self::Source(it) => it.phase() == SourcePhase::Apart,
            Self::Target(it) => it.phase() == TargetPhase::Apart,
        }
    }

    /// Nothing is known of the peer yet.
    pub(crate) fn is_greeting(&self) -> bool {
        match self {
            Self::Source(it) => it.phase() == SourcePhase::Greeting,
            Self::Target(it) => it.phase() == TargetPhase::Greeting,
        }
    }

    fn reads(&self) -> bool {
        match self {
            Self::Source(_) => true,
            Self::Target(it) => it.reads(),
        }
    }

    pub(crate) fn is_handing_over(&self) -> bool {
        match self {
            Self::Source(it) => it.phase() >= SourcePhase::HandingOver,
            Self::Target(it) => it.phase() >= TargetPhase::Syncing,
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        match self {
            // Before there is a hand-over, the VM is the source's.
            Self::Source(it) => it.handover().map_or(Standing::Owner, handover::Source::standing),
            Self::Target(it) => it.handover().map_or(Standing::No, handover::Target::standing),
        }
    }

    pub(crate) fn question(&self) -> Option<Question> {
        match self {
            Self::Source(it) => it.handover().and_then(handover::Source::question),
            Self::Target(it) => it.handover().and_then(handover::Target::question),
        }
    }

    /// The phase of the hand-over, by its name.
    pub(crate) fn phase(&self) -> String {
        match self {
            Self::Source(it) => it.handover().map(|it| format!("{:?}", it.phase())),
            Self::Target(it) => it.handover().map(|it| format!("{:?}", it.phase())),
        }
        .unwrap_or_default()
    }
}

fn source_input(input: Input) -> SourceInput {
    match input {
        Input::Connected => SourceInput::Connected,
        Input::Closed(closed) => SourceInput::Closed(closed),
        Input::Garbled(trouble) => SourceInput::Garbled(trouble),
        Input::Failed(trouble) => SourceInput::Failed(trouble),
        Input::Item(item) => match *item {
            Item::Message(message) => SourceInput::Message(message),
            Item::Part(_) => SourceInput::Garbled(trouble(Code::Item, "a part from a target")),
        },
        Input::Heard => SourceInput::Heard,
        Input::Progress => SourceInput::Progress,
        Input::Tick => SourceInput::Tick,
        Input::Handover(input) => SourceInput::Handover(input),
        Input::Source(input) => input,
        Input::Target(input) => panic!("{input:?} at a source"),
    }
}

fn target_input(input: Input) -> TargetInput {
    match input {
        Input::Connected => TargetInput::Connected,
        Input::Closed(closed) => TargetInput::Closed(closed),
        Input::Garbled(trouble) => TargetInput::Garbled(trouble),
        Input::Failed(trouble) => TargetInput::Failed(trouble),
        Input::Item(item) => match *item {
            Item::Message(message) => TargetInput::Message(message),
            Item::Part(part) => TargetInput::Part(part),
        },
        Input::Heard => TargetInput::Heard,
        Input::Progress => TargetInput::Progress,
        Input::Tick => TargetInput::Tick,
        Input::Handover(input) => TargetInput::Handover(input),
        Input::Target(input) => input,
        Input::Source(input) => panic!("{input:?} at a target"),
    }
}

/// A round on its way out.
pub(crate) struct Sending {
    /// Blocks that are still to be sent.
    pub(crate) blocks: VecDeque<u64>,
    pub(crate) parts: PartsDigest,
    pub(crate) stored: u64,
    /// They are those of another machine.
    pub(crate) foreign: bool,
}

/// A machine on its way in.
pub(crate) struct Taking {
    pub(crate) vm: Vm,
    /// What its memory hashes to, block by block.
    pub(crate) blocks: Blocks,
    /// Blocks that a round has changed.
    pub(crate) changed: Vec<u64>,
    /// The end of the last extent.
    pub(crate) next: u64,
    pub(crate) parts: u64,
    pub(crate) stored: u64,
    pub(crate) state: Vec<Arrived>,
    pub(crate) has_state: bool,
    /// What the source says that the root is after a round.
    pub(crate) said: Option<Digest>,
}

/// A process.
pub(crate) struct Process {
    pub(crate) machine: Machine,
    pub(crate) journal: Journal<JournalFile>,
    pub(crate) encoder: Encoder,
    decoder: Decoder,
    pub(crate) out: VecDeque<u8>,
    pub(crate) linked: bool,
    pub(crate) todo: VecDeque<Todo>,
    /// How its connection ended.
    pub(crate) over: Option<Outcome>,
    pub(crate) sending: Option<Sending>,
    pub(crate) taking: Option<Taking>,
    /// What a careless driver did first was done.
    hasty: bool,
    /// A person was asked, and has said what is known.
    pub(crate) answered: bool,
}

impl Process {
    pub(crate) fn new(machine: Machine, journal: Journal<JournalFile>) -> Self {
        Self {
            machine,
            journal,
            encoder: Encoder::new(),
            decoder: Decoder::new(),
            out: VecDeque::new(),
            linked: false,
            todo: VecDeque::new(),
            over: None,
            sending: None,
            taking: None,
            hasty: false,
            answered: false,
        }
    }

    pub(crate) fn connect(&mut self, ctx: &mut Ctx) {
        (self.encoder, self.decoder) = (Encoder::new(), Decoder::new());
        self.out.clear();
        self.linked = true;
        (self.over, self.answered) = (None, false);
        self.feed(ctx, Input::Connected);
    }

    pub(crate) fn feed(&mut self, ctx: &mut Ctx, input: Input) {
        ctx.show(|| match &input {
            Input::Item(item) if matches!(**item, Item::Part(_)) => "  takes a part".to_owned(),
            input => {
                let text = format!("  takes {input:?}");
                text.chars().take(160).collect()
            }
        });
        let todo = self.machine.handle(ctx.now, input);
        self.todo.extend(todo);
    }

    pub(crate) fn send(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        self.encoder.message(message, &mut bytes).unwrap();
        self.out.extend(bytes);
    }

    /// Bytes that came; those that are left wait until the machine reads on. What comes after the
    /// connection is over is not looked at.
    pub(crate) fn receive<'a>(&mut self, ctx: &mut Ctx, mut bytes: &'a [u8]) -> &'a [u8] {
        self.feed(ctx, Input::Heard);
        while !bytes.is_empty() && !self.machine.is_apart() && self.machine.reads() {
            let space = self.decoder.space();
            let n = space.len().min(bytes.len());
            space[..n].copy_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            match self.decoder.filled(n) {
                Ok(None) => {}
                Ok(Some(item)) => {
                    let item = self.seen(item, ctx.variant);
                    self.feed(ctx, Input::Item(Box::new(item)));
                }
                Err(breach) => {
                    ctx.counts.garbled += 1;
                    let trouble = trouble(Code::Item, breach.to_string());
                    self.feed(ctx, Input::Garbled(trouble));
                }
            }
        }
        bytes
    }

    /// What a driver hands in of an item.
    fn seen(&mut self, item: Item, variant: Variant) -> Item {
        let Some(taking) = &mut self.taking else { return item };
        match item {
            Item::Message(Message::RoundEnd { root, .. }) => taking.said = Some(root),
            Item::Message(Message::Round { round, .. })
                if variant == Variant::TakesForeignRounds =>
            {
                let parent = taking.blocks.root(&taking.vm.memory);
                return Item::Message(Message::Round { round, parent });
            }
            _ => {}
        }
        item
    }

    pub(crate) fn closed(&self) -> Closed {
        if self.decoder.ended().is_ok() { Closed::Ended } else { Closed::Broken }
    }

    /// Writes a record; what a careless driver does first.
    pub(crate) fn write(&mut self, ctx: &mut Ctx, guest: &mut Guest, entry: Entry, again: Todo) {
        let hasty = match (ctx.variant, entry.kind) {
            (Variant::CommitsBeforeTheJournal, Kind::HandedOver) => {
                let (identity, body) = (entry.identity, Body::Commit);
                Some(Some(Message::Handover(handover::Message { identity, body })))
            }
            (Variant::StartsBeforeOwner, Kind::Owner) => Some(None),
            _ => None,
        };
        if let (Some(first), false) = (hasty, self.hasty) {
            self.hasty = true;
            match first {
                Some(message) => self.send(&message),
                None => guest.launching = true,
            }
            // Anything can happen before it is written.
            return self.todo.push_front(again);
        }
        let input = match self.journal.append(entry) {
            Ok(record) => {
                ctx.counts.records += 1;
                ctx.show(|| format!("  wrote {}", record.entry.kind.name()));
                handover::Input::Written
            }
            Err(error) => {
                ctx.show(|| format!("  {error}"));
                handover::Input::WriteFailed
            }
        };
        self.feed(ctx, Input::Handover(input));
    }
}

/// What is true of the guest on a host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guest {
    /// A start command is at work.
    pub(crate) launching: bool,
    pub(crate) running: bool,
    pub(crate) has_run: bool,
}

/// A host.
pub(crate) struct Host {
    pub(crate) who: Who,
    pub(crate) disk: Shared,
    pub(crate) process: Option<Process>,
    pub(crate) guest: Guest,
    /// The source's snapshot is there.
    pub(crate) files: bool,
    /// It is kept for the stated time.
    pub(crate) keeps: bool,
    /// It is gone for good.
    pub(crate) dead: bool,
    /// How the command ended for good.
    pub(crate) finished: Option<Outcome>,
    /// A copy got its last name.
    pub(crate) published: bool,
    /// What a note says to be held.
    pub(crate) believed: Option<Blocks>,
}

impl Host {
    pub(crate) fn new(who: Who) -> Self {
        Self {
            who,
            disk: Rc::new(RefCell::default()),
            process: None,
            guest: Guest::default(),
            files: who == Who::Source,
            keeps: false,
            dead: false,
            finished: None,
            published: false,
            believed: None,
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        self.process.as_ref().map_or(Standing::No, |it| it.machine.standing())
    }

    pub(crate) fn question(&self) -> Option<Question> {
        self.process.as_ref().and_then(|it| it.machine.question())
    }
}
