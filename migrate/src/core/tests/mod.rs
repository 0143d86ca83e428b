//! Single steps of both sides; whole migrations are simulated in `tests`.

mod hand_over;
mod holding;
mod source;
mod target;
mod time;

use std::time::Duration;

use snapfmt::Digest;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::Encoded;
use snapfmt::part::codec::Compression;
use snapfmt::part::device::{Record, RecordId};
use snapfmt::part::vm::Vm;

use super::blocks::zero_root;
use super::*;
use crate::handover::{self, Body, Guest, Plan};
use crate::identity::{Identity, SESSION_LEN, Session};
use crate::journal::{Entry, Kind, Record as Written, Role};
use crate::stream::message::{
    By, Facts, Finding, Grade, Have, Hello, Host, Message, Needs, Operation, PartsEnd, Report,
};
use crate::stream::part::Arrived;
use crate::stream::{Decoder, Item, Outgoing, PartsDigest};

const TIMEOUT: Duration = Duration::from_secs(30);
const NOW: Now = Duration::from_secs(1000);
const SIZE: u64 = 1 << 20;

fn session() -> Session {
    Session::from_bytes([1; SESSION_LEN])
}

fn other_session() -> Session {
    Session::from_bytes([9; SESSION_LEN])
}

fn map(size: u64) -> MemoryMap {
    MemoryMap::new(vec![Segment { gpa: 0, len: size }]).unwrap()
}

fn vm() -> Vm {
    let (arch, name) = ("amd64".to_owned(), "guest".to_owned());
    Vm { arch, name, ncpus: 1, memflags: 0, memory: map(SIZE) }
}

fn records() -> Vec<RecordId> {
    vec![RecordId::of("devices", "uart", b"bytes")]
}

fn zero() -> Digest {
    zero_root(&vm().memory)
}

fn content(root: Digest) -> Digest {
    snapfmt::content::content(&vm(), &root, &records())
}

/// What both sides are to agree on in these tests.
fn identity() -> Identity {
    Identity { session: session(), epoch: 1, content: content(zero()) }
}

fn needs() -> Needs {
    let vm = vm();
    let (ncpus, memsize, disks) = (vm.ncpus, vm.memory.size(), Vec::new());
    Needs { name: vm.name, arch: vm.arch, ncpus, memsize, stored: 0, disks }
}

fn facts() -> Facts {
    Facts { host: Host::default(), needs: needs() }
}

fn fine(_: &Host, _: &Needs, _: &Host) -> Vec<Finding> {
    Vec::new()
}

fn finding(option: Option<&str>) -> Finding {
    let option = option.map(str::to_owned);
    let (subject, reason) = ("tsc".to_owned(), "it differs".to_owned());
    Finding { subject, grade: Grade::Refused, source: None, target: None, reason, option }
}

fn refusing(_: &Host, _: &Needs, _: &Host) -> Vec<Finding> {
    vec![finding(Some("tsc"))]
}

fn never(_: &Host, _: &Needs, _: &Host) -> Vec<Finding> {
    vec![finding(None)]
}

// The source.

fn migration() -> Migration {
    Migration {
        session: session(),
        epoch: 1,
        origin: Origin::Still,
        vm: vm(),
        facts: facts(),
        overrides: Vec::new(),
        handover: None,
        back: false,
        gone: Vec::new(),
    }
}

fn source_for(task: Task, judge: Judge) -> Source {
    Source::new(SourceConfig { task, producer: "test".to_owned(), timeout: TIMEOUT, judge })
}

fn source_of(migration: Migration) -> Source {
    source_for(Task::Migrate(Box::new(migration)), fine)
}

/// Gives it these inputs; what came of the last one.
fn drive_source(source: &mut Source, inputs: Vec<SourceInput>) -> Vec<SourceAction> {
    let mut last = Vec::new();
    for input in inputs {
        last = source.handle(NOW, input);
    }
    last
}

fn to_source(message: Message) -> SourceInput {
    SourceInput::Message(message)
}

fn hello_of_target(record: Option<&str>) -> Message {
    let by = By::Target { record: record.map(str::to_owned) };
    Message::Hello(Hello { versions: vec![1], producer: String::new(), features: vec![], by })
}

fn report() -> Message {
    Message::Report(Report { host: Host::default(), findings: Vec::new() })
}

fn have_nothing() -> Message {
    Message::Have(Have { root: zero(), block: 1 << 16, first: 0, roots: vec![], last: true })
}

fn end() -> PartsEnd {
    PartsDigest::new().end()
}

fn ready(content: Digest) -> Message {
    said(Body::Ready, content)
}

fn said(body: Body, content: Digest) -> Message {
    let identity = Identity { content, ..identity() };
    Message::Handover(handover::Message { identity, body })
}

/// A source's way to OFFER, step by step, each with the phase that it leads to.
fn way_of_source() -> Vec<(SourceInput, SourcePhase)> {
    let state = SourceInput::StateSent { end: end(), records: records() };
    let round = SourceInput::RoundSent { end: end(), stored: 0, root: zero() };
    vec![
        (SourceInput::Connected, SourcePhase::Greeting),
        (to_source(hello_of_target(None)), SourcePhase::Comparing),
        (to_source(report()), SourcePhase::Noting),
        (SourceInput::Noted, SourcePhase::Opening),
        (to_source(have_nothing()), SourcePhase::SendingState),
        (state, SourcePhase::CheckingState),
        (to_source(Message::StateDone { warnings: vec![] }), SourcePhase::SendingRound),
        (round, SourcePhase::CheckingRound),
        (to_source(Message::RoundDone { round: 0, root: zero() }), SourcePhase::HandingOver),
    ]
}

/// A source in this phase, and what it did last.
fn source_in(phase: SourcePhase) -> (Source, Vec<SourceAction>) {
    let mut source = source_of(migration());
    for (input, leads) in way_of_source() {
        let actions = source.handle(NOW, input);
        assert_eq!(source.phase(), leads);
        if leads == phase {
            return (source, actions);
        }
    }
    panic!("no way leads to {phase:?}");
}

fn sent_by_source(actions: &[SourceAction]) -> Vec<&'static str> {
    let name = |action: &SourceAction| match action {
        SourceAction::Send(Message::Handover(message)) => Some(message.body.name()),
        SourceAction::Send(message) => Some(name(message)),
        _ => None,
    };
    actions.iter().filter_map(name).collect()
}

fn end_of_source(actions: &[SourceAction]) -> Option<&Outcome> {
    match actions.last() {
        Some(SourceAction::End(outcome)) => Some(outcome),
        _ => None,
    }
}

// The target.

fn target_config() -> TargetConfig {
    TargetConfig {
        producer: "test".to_owned(),
        host: Host::default(),
        plan: Plan::Start,
        handover: None,
        held: None,
        timeout: TIMEOUT,
        judge: fine,
    }
}

fn drive_target(target: &mut Target, inputs: Vec<TargetInput>) -> Vec<TargetAction> {
    let mut last = Vec::new();
    for input in inputs {
        last = target.handle(NOW, input);
    }
    last
}

fn to_target(message: Message) -> TargetInput {
    TargetInput::Message(message)
}

fn hello_of_source(operation: Operation) -> Message {
    let by = By::Source(operation);
    Message::Hello(Hello { versions: vec![1], producer: String::new(), features: vec![], by })
}

fn migrates() -> Operation {
    Operation::Migrate { session: session(), epoch: 1 }
}

/// A part as the decoder gives it.
fn arrived(part: Encoded<'_>) -> Arrived {
    let mut bytes = Vec::new();
    Outgoing::new(part).unwrap().append(&mut bytes);
    let (mut decoder, mut rest) = (Decoder::new(), bytes.as_slice());
    loop {
        let space = decoder.space();
        let n = space.len().min(rest.len());
        space[..n].copy_from_slice(&rest[..n]);
        rest = &rest[n..];
        if let Some(Item::Part(part)) = decoder.filled(n).unwrap() {
            return part;
        }
    }
}

fn vm_part(vm: &Vm) -> TargetInput {
    TargetInput::Part(arrived(vm.encode().unwrap()))
}

fn device() -> Arrived {
    let id = RecordId::of("devices", "uart", b"bytes");
    arrived(Record::encode(&id, b"bytes", Compression::None).unwrap())
}

fn end_of(parts: &[&Arrived]) -> PartsEnd {
    let mut digest = PartsDigest::new();
    parts.iter().for_each(|part| digest.add(part.digest()));
    digest.end()
}

fn begin() -> TargetInput {
    to_target(Message::Begin { overrides: vec![] })
}

fn round_end(root: Digest) -> Message {
    Message::RoundEnd { round: 0, parts: end(), stored: 0, root }
}

/// A target's way to READY, step by step, each with the phase that it leads to.
fn way_of_target() -> Vec<(TargetInput, TargetPhase)> {
    let parts = end_of(&[&device()]);
    vec![
        (TargetInput::Connected, TargetPhase::Greeting),
        (to_target(hello_of_source(migrates())), TargetPhase::Comparing),
        (to_target(Message::Facts(facts())), TargetPhase::Compared),
        (begin(), TargetPhase::Beginning),
        (vm_part(&vm()), TargetPhase::Opening),
        (TargetInput::Opened { root: zero(), blocks: None }, TargetPhase::Receiving),
        (to_target(Message::State { rehearsal: false }), TargetPhase::TakingState),
        (TargetInput::Part(device()), TargetPhase::TakingState),
        (to_target(Message::StateEnd(parts)), TargetPhase::CheckingState),
        (TargetInput::StateKept { records: records(), warnings: vec![] }, TargetPhase::Receiving),
        (to_target(Message::Round { round: 0, parent: zero() }), TargetPhase::TakingRound),
        (to_target(round_end(zero())), TargetPhase::CheckingRound),
        (TargetInput::RoundApplied { root: zero() }, TargetPhase::Receiving),
        (to_target(said(Body::Offer, content(zero()))), TargetPhase::Syncing),
        (TargetInput::Synced, TargetPhase::HandingOver),
    ]
}

/// A target that has come so many steps on its way.
fn target_after(steps: usize) -> Target {
    target_from(target_config(), steps)
}

fn target_from(config: TargetConfig, steps: usize) -> Target {
    let mut target = Target::new(config);
    for (input, leads) in way_of_target().into_iter().take(steps) {
        target.handle(NOW, input);
        assert_eq!(target.phase(), leads);
    }
    target
}

/// A target in this phase, the last time that the way leads there.
fn target_in(phase: TargetPhase) -> Target {
    let at = way_of_target().iter().rposition(|(_, leads)| *leads == phase).unwrap();
    target_after(at + 1)
}

fn sent_by_target(actions: &[TargetAction]) -> Vec<&'static str> {
    let name = |action: &TargetAction| match action {
        TargetAction::Send(Message::Handover(message)) => Some(message.body.name()),
        TargetAction::Send(message) => Some(name(message)),
        _ => None,
    };
    actions.iter().filter_map(name).collect()
}

fn end_of_target(actions: &[TargetAction]) -> Option<&Outcome> {
    match actions.last() {
        Some(TargetAction::End(outcome)) => Some(outcome),
        _ => None,
    }
}

// Both.

/// The code that a side stopped with.
fn code(outcome: Option<&Outcome>) -> &str {
    match outcome {
        Some(Outcome::Stopped(trouble)) => &trouble.code,
        other => panic!("it did not stop: {other:?}"),
    }
}

/// Records of a journal about the identity of these tests.
fn journal(role: Role, kinds: &[Kind]) -> Vec<Written> {
    let entry = |&kind| Entry { role, kind, evidence: None, identity: identity() };
    (0..)
        .zip(kinds.iter().map(entry))
        .map(|(sequence, entry)| Written { sequence, entry })
        .collect()
}

fn source_journal(kinds: &[Kind]) -> Option<handover::Source> {
    handover::Source::replay(&journal(Role::Source, kinds)).unwrap().map(|(it, _)| it)
}

fn target_journal(kinds: &[Kind]) -> Option<handover::Target> {
    let records = journal(Role::Target, kinds);
    handover::Target::replay(&records, Plan::Start).unwrap().map(|(it, _)| it)
}
