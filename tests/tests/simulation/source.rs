//! A source's driver.

use migrate::core::{
    Code, Migration, Origin, Source, SourceAction as Action, SourceConfig, SourceInput, Task,
    trouble,
};
use migrate::handover;
use migrate::identity::{Epoch, Session};
use migrate::journal::Journal;
use migrate::stream::PartsDigest;
use migrate::stream::message::{Facts, Finding, Host as HostFacts, Message, Needs};

use crate::disk::{File, JournalFile};
use crate::image::{BLOCK, Image};
use crate::laws;
use crate::process::{Host, Input, Machine, Process, Sending, Todo};
use crate::variant::Variant;
use crate::world::{Ctx, TIMEOUT};
use migrate::core::Blocks;

/// Nothing differs between the hosts of these worlds.
pub(crate) fn judge(_: &HostFacts, _: &Needs, _: &HostFacts) -> Vec<Finding> {
    Vec::new()
}

/// A process begins; nothing, if its journal does not let it.
pub(crate) fn begin(host: &mut Host, ctx: &mut Ctx) -> Option<Process> {
    let syncs = ctx.variant != Variant::NeverSyncsJournals;
    let storage = JournalFile { disk: host.disk.clone(), syncs };
    let (journal, contents) = laws::opened(Journal::open(storage), ctx)?;
    let replayed = handover::Source::replay(&contents.records);
    let (handover, first) = laws::replayed(replayed, ctx).unzip();
    let noted = note(host.disk.borrow().seen(File::Note));
    let known = handover.as_ref().map(handover::Source::identity);
    let (session, epoch) = known.map(|it| (it.session, it.epoch)).or(noted).unwrap_or_else(|| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&ctx.rng.next().to_le_bytes());
        (Session::from_bytes(bytes), 1)
    });
    let Image { vm, .. } = &*ctx.image;
    let needs = Needs {
        name: vm.name.clone(),
        arch: vm.arch.clone(),
        ncpus: vm.ncpus,
        memsize: vm.memory.size(),
        stored: 0,
        disks: Vec::new(),
    };
    let migration = Migration {
        session,
        epoch,
        origin: Origin::Still,
        vm: vm.clone(),
        facts: Facts { host: HostFacts::default(), needs },
        overrides: Vec::new(),
        handover,
        back: false,
        gone: Vec::new(),
    };
    let mut process = Process::new(machine(Task::Migrate(Box::new(migration))), journal);
    let first = first.unwrap_or_default().into_iter().map(Action::Handover).map(Todo::Source);
    process.todo.extend(first);
    Some(process)
}

fn machine(task: Task) -> Machine {
    let producer = "simulation".to_owned();
    let config = SourceConfig { task, producer, timeout: TIMEOUT, judge };
    Machine::Source(Box::new(Source::new(config)))
}

/// A process that gives a copy; it leaves the journal alone.
pub(crate) fn copies(host: &Host, ctx: &Ctx) -> Process {
    let storage = JournalFile { disk: host.disk.clone(), syncs: true };
    let (journal, _) = Journal::open(storage).unwrap();
    Process::new(machine(Task::Copy(ctx.image.vm.clone())), journal)
}

/// Session and epoch of a note, if there is one.
fn note(bytes: &[u8]) -> Option<(Session, Epoch)> {
    let (session, rest) = bytes.split_first_chunk::<16>()?;
    let epoch = rest.first_chunk::<8>()?;
    Some((Session::from_bytes(*session), Epoch::from_le_bytes(*epoch)))
}

/// Does the next thing, if there is one.
pub(crate) fn work(host: &mut Host, ctx: &mut Ctx) {
    let Some(process) = &mut host.process else { return };
    match process.todo.pop_front() {
        Some(Todo::Source(action)) => act(host, ctx, action),
        Some(todo) => panic!("{todo:?} at a source"),
        None => send_block(process, ctx),
    }
}

fn act(host: &mut Host, ctx: &mut Ctx, action: Action) {
    let Some(process) = &mut host.process else { return };
    match action {
        Action::Send(message) => process.send(&message),
        Action::Note { session, epoch } => {
            let bytes = [session.as_bytes().as_slice(), &epoch.to_le_bytes()].concat();
            let mut disk = host.disk.borrow_mut();
            let written = disk.write(File::Note, 0, &bytes).and_then(|()| disk.sync(File::Note));
            drop(disk);
            let input = match written {
                Ok(()) => Input::Source(SourceInput::Noted),
                Err(error) => Input::Failed(trouble(Code::Internal, error.to_string())),
            };
            process.feed(ctx, input);
        }
        Action::SendVm => {
            put(process, &ctx.image.vm_part());
        }
        Action::SendState { .. } => {
            let mut parts = PartsDigest::new();
            for part in ctx.image.state_parts() {
                parts.add(part.digest());
                put(process, &part);
            }
            let (end, records) = (parts.end(), ctx.image.ids());
            process.feed(ctx, Input::Source(SourceInput::StateSent { end, records }));
        }
        Action::SendRound { have, .. } => {
            let foreign = std::mem::take(&mut ctx.foreign);
            process.sending = Some(round(ctx, have.as_ref(), foreign));
        }
        Action::Handover(handover::Action::Write(entry)) => {
            let again = Todo::Source(action);
            process.write(ctx, &mut host.guest, entry, again);
        }
        Action::Handover(handover::Action::Start) => host.guest.launching = true,
        Action::Handover(handover::Action::Keep) => host.keeps = true,
        Action::Handover(handover::Action::Destroy) => {
            (host.files, host.keeps) = (false, false);
        }
        Action::End(outcome) => {
            process.sending = None;
            process.over = Some(outcome);
        }
        Action::Handover(_) | Action::Refused(_) | Action::Report(_) | Action::Status(_) => {}
        Action::Warnings(_) | Action::Acked { .. } => {}
    }
}

fn put(process: &mut Process, part: &migrate::stream::Outgoing<'_>) {
    let mut bytes = Vec::new();
    part.append(&mut bytes);
    process.encoder.count_part();
    process.out.extend(bytes);
}

/// What differs from what the target holds.
fn round(ctx: &mut Ctx, have: Option<&Blocks>, foreign: bool) -> Sending {
    let image = ctx.sent(foreign);
    let map = &image.vm.memory;
    let theirs: Vec<_> = match have {
        Some(blocks) => blocks.roots.clone(),
        None => crate::image::blocks(map, &vec![0; image.ram.len()]).roots,
    };
    let all = Blocks::addresses(map, BLOCK).zip(&image.blocks.roots).zip(&theirs);
    let differ = all.filter(|((_, ours), theirs)| ours != theirs).map(|((gpa, _), _)| gpa);
    let blocks = differ.collect();
    Sending { blocks, parts: PartsDigest::new(), stored: 0, foreign }
}

/// Sends one block of a round, if there is room for it, or says that it was the last one.
fn send_block(process: &mut Process, ctx: &mut Ctx) {
    let Some(sending) = &mut process.sending else { return };
    if let Some(gpa) = sending.blocks.pop_front() {
        let leaves = ctx.rng.chance(50);
        let part = ctx.sent(sending.foreign).extent(gpa, leaves);
        sending.parts.add(part.digest());
        sending.stored += part.stored();
        ctx.counts.extents += 1;
        put(process, &part);
        return;
    }
    let (end, stored) = (sending.parts.end(), sending.stored);
    process.sending = None;
    let root = ctx.image.root;
    process.feed(ctx, Input::Source(SourceInput::RoundSent { end, stored, root }));
}

/// The stream has ended: what a careless driver makes of that first.
pub(crate) fn ended(process: &mut Process, ctx: &mut Ctx) {
    let Machine::Source(source) = &process.machine else { return };
    let Some(handover) = source.handover() else { return };
    if ctx.variant == Variant::EndIsRunning && handover.phase() == handover::SourcePhase::HandedOver
    {
        let (identity, body) = (handover.identity(), handover::Body::Running);
        let message = Message::Handover(handover::Message { identity, body });
        let item = migrate::stream::Item::Message(message);
        process.feed(ctx, Input::Item(Box::new(item)));
    }
}
