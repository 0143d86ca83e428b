//! A peer that says anything: both machines of a migration talk to each other, and what one of them
//! hears was changed on the way, by someone who knows the layout of items and all digests.
//!
//! The one that hears it never panics, asks for a bounded number of things at a time, ends within
//! the time of `spec/stream.md` §11.4 once nothing comes, and starts nothing but what it holds.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use migrate::core::{
    Blocks, Code, Migration, Origin, Source, SourceAction, SourceConfig, SourceInput, SourcePhase,
    Target, TargetAction, TargetConfig, TargetInput, TargetPhase, Task, trouble,
};
use migrate::handover::{self, Guest, Plan};
use migrate::stream::message::{Facts, Finding, Host, Message, Needs, PartsEnd, Trouble};
use migrate::stream::{Arrived, Decoder, Encoder, Item, Outgoing, PartsDigest};
use migrate::{Identity, Session};
use snapfmt::content::content;
use snapfmt::layout::kind::Kind;
use snapfmt::memory::change::Change;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::memory::pages::Pages;
use snapfmt::memory::tree::{Rest, RootBuilder, leaf, leaves_root};
use snapfmt::part::codec::Compression;
use snapfmt::part::device::{Record, RecordId};
use snapfmt::part::extent::{DeltaExtent, Extent, Named, StreamForm};
use snapfmt::part::vm::Vm;
use snapfmt::{Digest, limits::PAGE};

use super::edits::poke;
use super::said::message;

const TIMEOUT: Duration = Duration::from_secs(30);
const BLOCK: u64 = 64 << 10;
/// Steps of one run.
const STEPS: usize = 300;
/// Actions of one step, at most: a record or two, messages, and what there is to show.
const MOST: usize = 24;

/// See the module; the target hears what was changed.
///
/// # Panics
/// If the property does not hold.
pub fn hostile_source(data: &[u8]) {
    let _ = Talk::new(Who::Target).run(&mut Unstructured::new(data));
}

/// See the module; the source hears what was changed.
///
/// # Panics
/// If the property does not hold.
pub fn hostile_target(data: &[u8]) {
    let _ = Talk::new(Who::Source).run(&mut Unstructured::new(data));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Source,
    Target,
}

/// What is under way to one side.
#[derive(Clone, Debug)]
enum Sent {
    Message(Box<Message>),
    Part(Vec<u8>),
}

/// Memory by page, as far as it is not zero.
type Memory = BTreeMap<u64, Vec<u8>>;

/// Both sides, and what is between them.
struct Talk {
    victim: Who,
    now: Duration,
    source: Source,
    target: Target,
    to_source: VecDeque<Sent>,
    to_target: VecDeque<Sent>,
    /// What numbers and reads the items that the victim hears.
    wire: (Encoder, Decoder),
    ours: Memory,
    held: Memory,
    /// Records of the state that is on its way, and of the one that came last.
    records: Vec<RecordId>,
    kept: Vec<RecordId>,
}

fn map() -> MemoryMap {
    MemoryMap::new(vec![Segment { gpa: 0, len: 3 * BLOCK - PAGE as u64 }]).unwrap()
}

fn vm() -> Vm {
    let (arch, name) = ("amd64".to_owned(), "guest".to_owned());
    Vm { arch, name, ncpus: 1, memflags: 0, memory: map() }
}

fn records() -> [(RecordId, Vec<u8>); 2] {
    [("kern_structs", "vhpet"), ("devices", "uart")].map(|(section, name)| {
        let bytes = name.repeat(20).into_bytes();
        (RecordId::of(section, name, &bytes), bytes)
    })
}

fn judge(_: &Host, _: &Needs, _: &Host) -> Vec<Finding> {
    Vec::new()
}

/// The roots of all blocks of this memory, and the root of all.
fn roots(memory: &Memory) -> (Blocks, Digest) {
    let (map, mut tree, mut roots) = (map(), RootBuilder::new(map()), Vec::new());
    for gpa in Blocks::addresses(&map, BLOCK) {
        let pages = memory.range(gpa..gpa + BLOCK);
        let leaves = pages.map(|(at, page)| ((at - gpa) as usize / PAGE, leaf(page)));
        let root = leaves_root(&map, Rest::Zero, gpa, BLOCK, leaves);
        tree.block(gpa, BLOCK, root);
        roots.push(root);
    }
    (Blocks { size: BLOCK, roots }, tree.finish())
}

fn outgoing(part: snapfmt::part::Encoded<'_>) -> (Digest, u64, Vec<u8>) {
    let part = Outgoing::new(part).unwrap();
    let mut bytes = Vec::new();
    part.append(&mut bytes);
    (part.digest(), part.stored(), bytes)
}

struct Held<'a>(&'a Memory);

impl Pages for Held<'_> {
    type Error = std::convert::Infallible;

    fn page(&mut self, gpa: u64, into: &mut [u8]) -> std::result::Result<(), Self::Error> {
        into.fill(0);
        if let Some(page) = self.0.get(&gpa) {
            into.copy_from_slice(page);
        }
        Ok(())
    }
}

impl Talk {
    fn new(victim: Who) -> Self {
        let vm = vm();
        let needs = Needs {
            name: vm.name.clone(),
            arch: vm.arch.clone(),
            ncpus: vm.ncpus,
            memsize: vm.memory.size(),
            stored: 0,
            disks: Vec::new(),
        };
        let migration = Migration {
            session: Session::from_bytes([5; 16]),
            epoch: 1,
            origin: Origin::Still,
            vm,
            facts: Facts { host: Host::default(), needs },
            overrides: Vec::new(),
            handover: None,
            back: false,
            gone: Vec::new(),
        };
        let producer = "hostile".to_owned();
        let task = Task::Migrate(Box::new(migration));
        let source = SourceConfig { task, producer: producer.clone(), timeout: TIMEOUT, judge };
        let target = TargetConfig {
            producer,
            host: Host::default(),
            plan: Plan::Start,
            handover: None,
            held: None,
            timeout: TIMEOUT,
            judge,
        };
        let page = |byte: u8| vec![byte; PAGE];
        Self {
            victim,
            now: Duration::from_secs(1),
            source: Source::new(source),
            target: Target::new(target),
            to_source: VecDeque::new(),
            to_target: VecDeque::new(),
            wire: (Encoder::new(), Decoder::new()),
            ours: [(0x3000, page(3)), (0x4000, page(4)), (0x1_0000, page(9))].into(),
            held: Memory::new(),
            records: Vec::new(),
            kept: Vec::new(),
        }
    }

    fn run(mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.source(SourceInput::Connected);
        self.target(TargetInput::Connected);
        for _ in 0..STEPS {
            if self.is_over() {
                break;
            }
            let done = self.step(u);
            if done.is_err()
                || u.is_empty() && self.to_source.is_empty() && self.to_target.is_empty()
            {
                break;
            }
        }
        // Nothing comes any more.
        for _ in 0..12 {
            self.now += TIMEOUT / 3;
            match self.victim {
                Who::Source => self.source(SourceInput::Tick),
                Who::Target => self.target(TargetInput::Tick),
            }
        }
        assert!(self.is_over(), "it waits for ever");
        Ok(())
    }

    fn is_over(&self) -> bool {
        match self.victim {
            Who::Source => self.source.phase() == SourcePhase::Apart,
            Who::Target => self.target.phase() == TargetPhase::Apart,
        }
    }

    /// Something is delivered, to the victim perhaps something else; or time passes.
    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if u.ratio(1, 24)? {
            self.now += Duration::from_secs(u.int_in_range(0..=12)?);
            self.source(SourceInput::Tick);
            self.target(TargetInput::Tick);
        }
        let queues = [&mut self.to_source, &mut self.to_target];
        let next = queues.map(VecDeque::pop_front);
        for (who, item) in [Who::Source, Who::Target].into_iter().zip(next) {
            if who != self.victim {
                if let Some(item) = item {
                    self.hear(who, item);
                }
                continue;
            }
            for item in changed(item, u)? {
                self.deliver(item);
            }
        }
        Ok(())
    }

    /// An item on its way through bytes.
    fn deliver(&mut self, item: Sent) {
        let mut bytes = Vec::new();
        match item {
            Sent::Message(message) => {
                if self.wire.0.message(&message, &mut bytes).is_err() {
                    return;
                }
            }
            Sent::Part(part) => {
                self.wire.0.count_part();
                bytes = part;
            }
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let space = self.wire.1.space();
            let len = space.len().min(rest.len());
            space[..len].copy_from_slice(&rest[..len]);
            rest = &rest[len..];
            match self.wire.1.filled(len) {
                Ok(None) => {}
                Ok(Some(Item::Message(message))) => {
                    self.hear(self.victim, Sent::Message(message.into()))
                }
                Ok(Some(Item::Part(part))) => {
                    // A source is sent no parts, and its driver says so.
                    match self.victim {
                        Who::Target => self.target(TargetInput::Part(part)),
                        Who::Source => {
                            let words = trouble(Code::Item, "a part came to a source");
                            self.source(SourceInput::Garbled(words));
                        }
                    }
                }
                Err(breach) => {
                    let words = trouble(Code::Item, breach.to_string());
                    match self.victim {
                        Who::Source => self.source(SourceInput::Garbled(words)),
                        Who::Target => self.target(TargetInput::Garbled(words)),
                    }
                    return;
                }
            }
        }
    }

    fn hear(&mut self, who: Who, item: Sent) {
        match (who, item) {
            (Who::Source, Sent::Message(message)) => self.source(SourceInput::Message(*message)),
            (Who::Target, Sent::Message(message)) => self.target(TargetInput::Message(*message)),
            (Who::Target, Sent::Part(bytes)) => {
                if let Some(part) = arrived(&bytes) {
                    self.target(TargetInput::Part(part));
                }
            }
            (Who::Source, Sent::Part(_)) => {}
        }
    }

    fn source(&mut self, input: SourceInput) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let actions = self.source.handle(self.now, input);
            assert!(actions.len() <= MOST, "{} actions", actions.len());
            for action in actions {
                inputs.extend(self.do_source(action));
            }
        }
    }

    fn do_source(&mut self, action: SourceAction) -> Option<SourceInput> {
        match action {
            SourceAction::Send(message) => self.to_target.push_back(Sent::Message(message.into())),
            SourceAction::Note { .. } => return Some(SourceInput::Noted),
            SourceAction::SendVm => {
                let bytes = outgoing(vm().encode().unwrap()).2;
                self.to_target.push_back(Sent::Part(bytes));
            }
            SourceAction::SendState { .. } => {
                let mut parts = PartsDigest::new();
                for (id, bytes) in records() {
                    let part = Record::encode(&id, &bytes, Compression::None).unwrap();
                    let (digest, _, bytes) = outgoing(part);
                    parts.add(digest);
                    self.to_target.push_back(Sent::Part(bytes));
                }
                let records = records().into_iter().map(|(id, _)| id).collect();
                return Some(SourceInput::StateSent { end: parts.end(), records });
            }
            SourceAction::SendRound { have, .. } => return Some(self.round(have.as_ref())),
            SourceAction::Handover(handover::Action::Write(_)) => {
                return Some(SourceInput::Handover(handover::Input::Written));
            }
            SourceAction::Handover(handover::Action::Start) => {
                return Some(SourceInput::Handover(handover::Input::Guest(Guest::Ran)));
            }
            SourceAction::End(_) => return None,
            _ => {}
        }
        None
    }

    /// Sends what differs.
    fn round(&mut self, have: Option<&Blocks>) -> SourceInput {
        let (blocks, root) = roots(&self.ours);
        let zero = roots(&Memory::new()).0;
        let theirs = &have.unwrap_or(&zero).roots;
        let (mut parts, mut stored) = (PartsDigest::new(), 0);
        let form = StreamForm { compression: Compression::None, leaves: false };
        for (number, gpa) in Blocks::addresses(&map(), BLOCK).enumerate() {
            if theirs.get(number) == blocks.roots.get(number) {
                continue;
            }
            let mut change = Change::new(gpa, BLOCK);
            for index in 0..BLOCK as usize / PAGE {
                let at = gpa + (index * PAGE) as u64;
                match self.ours.get(&at) {
                    Some(page) => change.data(index, page, None).unwrap(),
                    None if map().contains(at) => change.zero(index).unwrap(),
                    None => {}
                }
            }
            let (part, _) = Extent::encode_change(&change, &map(), form).unwrap();
            let (digest, bytes_stored, bytes) = outgoing(part);
            parts.add(digest);
            stored += bytes_stored;
            self.to_target.push_back(Sent::Part(bytes));
        }
        SourceInput::RoundSent { end: parts.end(), stored, root }
    }

    fn target(&mut self, input: TargetInput) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let actions = self.target.handle(self.now, input);
            assert!(actions.len() <= MOST, "{} actions", actions.len());
            for action in actions {
                inputs.extend(self.do_target(action));
            }
        }
    }

    fn do_target(&mut self, action: TargetAction) -> Option<TargetInput> {
        match action {
            TargetAction::Send(message) => self.to_source.push_back(Sent::Message(message.into())),
            TargetAction::Open { vm, .. } => {
                if vm.memory != map() {
                    return Some(TargetInput::Failed(trouble(Code::Room, "another machine")));
                }
                let (blocks, root) = roots(&self.held);
                let blocks = (!self.held.is_empty()).then_some(blocks);
                return Some(TargetInput::Opened { root, blocks });
            }
            TargetAction::Apply(part) => return self.apply(part).err().map(TargetInput::Failed),
            TargetAction::EndRound => {
                return Some(TargetInput::RoundApplied { root: roots(&self.held).1 });
            }
            TargetAction::Keep(part) => return self.keep(part).err().map(TargetInput::Failed),
            TargetAction::EndState => {
                let records = std::mem::take(&mut self.records);
                self.kept.clone_from(&records);
                return Some(TargetInput::StateKept { records, warnings: Vec::new() });
            }
            TargetAction::Sync => return Some(TargetInput::Synced),
            TargetAction::Handover(handover::Action::Write(_)) => {
                return Some(TargetInput::Handover(handover::Input::Written));
            }
            TargetAction::Handover(handover::Action::Start) => {
                self.starts();
                return Some(TargetInput::Handover(handover::Input::Guest(Guest::Ran)));
            }
            _ => {}
        }
        None
    }

    /// Whatever was said: it starts what it holds, which is what was offered.
    fn starts(&self) {
        let offered = self.target.handover().map(handover::Target::identity);
        let Some(Identity { content: offered, .. }) = offered else {
            panic!("started without a hand-over")
        };
        assert_eq!(content(&vm(), &roots(&self.held).1, &self.kept), offered);
    }

    fn apply(&mut self, part: Arrived) -> std::result::Result<(), Trouble> {
        let wrong = |error: &dyn std::fmt::Display| trouble(Code::Item, error.to_string());
        let part = part.check().map_err(|error| wrong(&error))?;
        let extent = DeltaExtent::open_streamed(&part, &map()).map_err(|error| wrong(&error))?;
        let settled = extent.settle(&mut Held(&self.held)).map_err(|error| wrong(&error))?;
        let head = settled.head();
        let address = |index: usize| head.gpa() + (index * PAGE) as u64;
        for (index, page) in settled.pages() {
            self.held.insert(address(index), page.to_vec());
        }
        for (index, named) in head.named().enumerate() {
            if named == Named::Zero {
                self.held.remove(&address(index));
            }
        }
        self.held.retain(|_, page| page.iter().any(|byte| *byte != 0));
        Ok(())
    }

    fn keep(&mut self, part: Arrived) -> std::result::Result<(), Trouble> {
        let wrong = |error: snapfmt::Error| trouble(Code::Item, error.to_string());
        let part = part.check().map_err(wrong)?;
        if part.kind() == Kind::Device {
            self.records.push(Record::open(part).map_err(wrong)?.id().clone());
        }
        Ok(())
    }
}

fn arrived(bytes: &[u8]) -> Option<Arrived> {
    let (mut decoder, mut rest) = (Decoder::new(), bytes);
    while !rest.is_empty() {
        let space = decoder.space();
        let len = space.len().min(rest.len());
        space[..len].copy_from_slice(&rest[..len]);
        rest = &rest[len..];
        if let Ok(Some(Item::Part(part))) = decoder.filled(len) {
            return Some(part);
        }
    }
    None
}

/// What is heard in place of an item.
fn changed(item: Option<Sent>, u: &mut Unstructured<'_>) -> Result<Vec<Sent>> {
    // Most items go through, so that there is a way to every phase.
    if u.is_empty() || u.ratio(5, 6)? {
        return Ok(item.into_iter().collect());
    }
    let said = |u: &mut Unstructured<'_>| Ok(Sent::Message(message(u)?.0.into()));
    Ok(match (u.int_in_range(0..=6)?, item) {
        (0, _) => Vec::new(),
        (1, Some(item)) => vec![item.clone(), item],
        (2, item) => std::iter::once(said(u)?).chain(item).collect(),
        (3, _) => vec![said(u)?],
        (4, Some(Sent::Part(mut bytes))) => {
            poke(&mut bytes, u)?;
            vec![Sent::Part(bytes)]
        }
        (_, Some(Sent::Message(message))) => vec![Sent::Message(tweaked(*message, u)?.into())],
        (_, item) => item.into_iter().collect(),
    })
}

/// The same message, with something else in it.
fn tweaked(message: Message, u: &mut Unstructured<'_>) -> Result<Message> {
    let digest = |old: Digest, u: &mut Unstructured<'_>| -> Result<Digest> {
        Ok(if u.arbitrary()? { Digest::of(&[u.arbitrary()?]) } else { old })
    };
    let number = |old: u64, u: &mut Unstructured<'_>| -> Result<u64> {
        Ok(*u.choose(&[old, old.wrapping_add(1), old.wrapping_sub(1), 0, u64::MAX])?)
    };
    let end = |old: PartsEnd, u: &mut Unstructured<'_>| -> Result<PartsEnd> {
        Ok(PartsEnd { parts: number(old.parts, u)?, digest: digest(old.digest, u)? })
    };
    Ok(match message {
        Message::Have(mut have) => {
            have.root = digest(have.root, u)?;
            have.block = number(have.block, u)?;
            have.first = number(have.first, u)?;
            have.last = u.arbitrary()?;
            have.roots.truncate(u.int_in_range(0..=4)?);
            Message::Have(have)
        }
        Message::State { .. } => Message::State { rehearsal: u.arbitrary()? },
        Message::StateEnd(old) => Message::StateEnd(end(old, u)?),
        Message::Round { round, parent } => {
            Message::Round { round: number(round, u)?, parent: digest(parent, u)? }
        }
        Message::RoundEnd { round, parts, stored, root } => Message::RoundEnd {
            round: number(round, u)?,
            parts: end(parts, u)?,
            stored: number(stored, u)?,
            root: digest(root, u)?,
        },
        Message::RoundDone { round, root } => {
            Message::RoundDone { round: number(round, u)?, root: digest(root, u)? }
        }
        Message::Handover(mut message) => {
            message.identity.epoch = number(message.identity.epoch, u)?;
            message.identity.content = digest(message.identity.content, u)?;
            Message::Handover(message)
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_honest_peer_is_gone_along_with_to_the_end() {
        // No choices: nothing is changed.
        let mut talk = Talk::new(Who::Target);
        talk.source(SourceInput::Connected);
        talk.target(TargetInput::Connected);
        for _ in 0..STEPS {
            talk.step(&mut Unstructured::new(&[])).unwrap();
        }
        let phase = talk.source.handover().map(handover::Source::phase);
        assert_eq!(phase, Some(handover::SourcePhase::Done));
        let phase = talk.target.handover().map(handover::Target::phase);
        assert_eq!(phase, Some(handover::TargetPhase::Running));
        assert_eq!(talk.held, talk.ours);
    }
}
