//! A target's driver.

use std::convert::Infallible;
use std::io;

use migrate::core::{
    Blocks, Code, Held, Target, TargetAction as Action, TargetConfig, TargetInput, trouble,
};
use migrate::handover;
use migrate::identity::{Epoch, Session};
use migrate::journal::{Journal, Kind};
use migrate::stream::message::{Host as HostFacts, Trouble};
use migrate::stream::part::Arrived;
use snapfmt::Digest;
use snapfmt::content::content;
use snapfmt::memory::pages::Pages;
use snapfmt::part::device::Record;
use snapfmt::part::extent::{DeltaExtent, Named};
use snapfmt::part::vm::Vm;

use crate::disk::{File, JournalFile};
use crate::image::{self, BLOCK, Image, PAGE};
use crate::laws;
use crate::process::{Host, Input, Machine, Process, Taking, Todo};
use crate::variant::Variant;
use crate::world::{Ctx, TIMEOUT};

/// What a note says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    /// Nothing if memory is that of a copy.
    session: Option<(Session, Epoch)>,
    /// A sync of memory has begun and, as far as is known, not ended well: what reads as written
    /// may be on no disk, and no later sync would write it.
    doubtful: bool,
}

impl Note {
    pub(crate) const COPY: Self = Self { session: None, doubtful: false };

    pub(crate) fn bytes(self) -> Vec<u8> {
        let (session, epoch) =
            self.session.map_or(([0; 16], 0), |(session, epoch)| (*session.as_bytes(), epoch));
        let flags = [1 + u8::from(self.session.is_some()), u8::from(self.doubtful)];
        [session.as_slice(), &epoch.to_le_bytes(), &flags].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (session, rest) = bytes.split_first_chunk::<16>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let &[kind, doubtful] = rest else { return None };
        let session = (Session::from_bytes(*session), Epoch::from_le_bytes(*epoch));
        let session = (kind == 2).then_some(session);
        (kind > 0).then_some(Self { session, doubtful: doubtful > 0 })
    }

    fn keep(self, host: &Host) -> io::Result<()> {
        let mut disk = host.disk.borrow_mut();
        disk.write(File::Note, 0, &self.bytes())?;
        disk.sync(File::Note)
    }
}

/// A process begins; nothing, if its journal does not let it.
pub(crate) fn begin(host: &mut Host, ctx: &mut Ctx) -> Option<Process> {
    let syncs = ctx.variant != Variant::NeverSyncsJournals;
    let storage = JournalFile { disk: host.disk.clone(), syncs };
    let (journal, contents) = laws::opened(Journal::open(storage), ctx)?;
    let replayed = handover::Target::replay(&contents.records, ctx.plan);
    let (handover, first) = laws::replayed(replayed, ctx).unzip();
    let note = Note::read(host.disk.borrow().seen(File::Note));
    let vm = ctx.image.vm.clone();
    let config = TargetConfig {
        producer: "simulation".to_owned(),
        host: HostFacts::default(),
        plan: ctx.plan,
        handover,
        held: note.map(|note| Held { session: note.session, vm }),
        timeout: TIMEOUT,
        judge: crate::source::judge,
    };
    let mut process = Process::new(Machine::Target(Box::new(Target::new(config))), journal);
    let first = first.unwrap_or_default().into_iter().map(Action::Handover).map(Todo::Target);
    process.todo.extend(first);
    Some(process)
}

/// Does the next thing.
pub(crate) fn work(host: &mut Host, ctx: &mut Ctx) {
    let Some(process) = &mut host.process else { return };
    match process.todo.pop_front() {
        Some(Todo::Target(action)) => act(host, ctx, action),
        Some(todo) => panic!("{todo:?} at a target"),
        None => {}
    }
}

fn act(host: &mut Host, ctx: &mut Ctx, action: Action) {
    let answer = match action {
        Action::Open { vm, session } => Some(open(host, ctx, vm, session)),
        Action::Apply(part) => apply(host, ctx, part),
        Action::EndRound => Some(end_round(host, ctx)),
        Action::Keep(part) => {
            let taking = host.process.as_mut().and_then(|it| it.taking.as_mut());
            taking.unwrap().state.push(part);
            None
        }
        Action::EndState => Some(end_state(host)),
        Action::Sync => Some(sync(host, ctx)),
        Action::Handover(action) => {
            hand_over(host, ctx, action);
            None
        }
        Action::Send(message) => {
            host.process.as_mut().unwrap().send(&message);
            None
        }
        Action::End(outcome) => {
            let process = host.process.as_mut().unwrap();
            (process.taking, process.over) = (None, Some(outcome));
            None
        }
        Action::Publish => {
            host.published = true;
            None
        }
        Action::Refused(_) => None,
    };
    if let (Some(answer), Some(process)) = (answer, &mut host.process) {
        process.feed(ctx, answer.map_or_else(Input::Failed, Input::Target));
    }
}

fn internal(error: &io::Error) -> Trouble {
    let full = error.kind() == io::ErrorKind::StorageFull;
    trouble(if full { Code::Room } else { Code::Internal }, error.to_string())
}

fn open(
    host: &mut Host,
    ctx: &mut Ctx,
    vm: Vm,
    session: Option<(Session, Epoch)>,
) -> Result<TargetInput, Trouble> {
    let before = Note::read(host.disk.borrow().seen(File::Note));
    let len = vm.memory.size() as usize;
    let mut ram = host.disk.borrow().seen(File::Ram).to_vec();
    if before.is_none() || ram.len() != len || session.is_none() {
        // It is made at its full length, as a file with a hole is. A copy begins with nothing.
        ram = vec![0; len];
        host.disk.borrow_mut().put(File::Ram, &ram);
    } else if before.is_some_and(|note| note.doubtful) && ctx.variant != Variant::SyncsAgain {
        ctx.counts.doubted += 1;
        let written = host.disk.borrow_mut().write(File::Ram, 0, &ram);
        written.map_err(|error| internal(&error))?;
    }
    // It is no less doubtful before all of it is synced.
    let doubtful = before.is_some_and(|note| note.doubtful);
    Note { session, doubtful }.keep(host).map_err(|error| internal(&error))?;
    let blocks = match &host.believed {
        Some(believed) if ctx.variant == Variant::BelievesNotes => believed.clone(),
        _ => image::blocks(&vm.memory, &ram),
    };
    let root = blocks.root(&vm.memory);
    let zero = image::is_zero_root(&vm.memory, root);
    if !zero {
        ctx.counts.resumed += 1;
    }
    let told = (!zero).then(|| blocks.clone());
    let taking = Taking {
        vm,
        blocks,
        changed: Vec::new(),
        next: 0,
        parts: 0,
        stored: 0,
        state: Vec::new(),
        has_state: false,
        said: None,
    };
    if let Some(process) = &mut host.process {
        process.taking = Some(taking);
    }
    Ok(TargetInput::Opened { root, blocks: told })
}

/// Extents of these worlds have no differences: nothing of the memory before is asked for.
struct Nothing;

impl Pages for Nothing {
    type Error = Infallible;

    fn page(&mut self, _: u64, into: &mut [u8]) -> Result<(), Infallible> {
        into.fill(0);
        Ok(())
    }
}

/// Checks a part, then writes its pages.
fn apply(host: &mut Host, ctx: &mut Ctx, part: Arrived) -> Option<Result<TargetInput, Trouble>> {
    let taking = host.process.as_mut()?.taking.as_mut()?;
    let item = |error: &dyn std::fmt::Display| Err(trouble(Code::Item, error.to_string()));
    let map = &taking.vm.memory;
    taking.stored += part.stored();
    let extent = part.check().and_then(|part| DeltaExtent::open_streamed(&part, map));
    let extent = match extent {
        Ok(extent) => extent,
        Err(error) => return Some(item(&error)),
    };
    let settled = match extent.settle(&mut Nothing) {
        Ok(settled) => settled,
        Err(error) => return Some(item(&error)),
    };
    let head = settled.head();
    let (gpa, size) = (head.gpa(), head.size());
    if size != BLOCK || gpa < taking.next {
        return Some(item(&"extents ascend, and are apart (§6.2)"));
    }
    (taking.next, taking.parts) = (gpa + size, taking.parts + 1);
    let mut disk = host.disk.borrow_mut();
    let mut data = settled.pages();
    let named: Vec<_> = head.named().collect();
    for (index, at) in image::pages(map, gpa) {
        let written = match named[index] {
            Named::Not => Ok(()),
            Named::Zero => disk.write(File::Ram, at, &[0; PAGE]),
            Named::Data(_) => disk.write(File::Ram, at, data.next().unwrap().1),
        };
        if let Err(error) = written {
            return Some(Err(internal(&error)));
        }
    }
    taking.changed.push(gpa);
    if ctx.variant == Variant::BelievesNotes {
        rehash(taking, disk.seen(File::Ram));
        host.believed = Some(taking.blocks.clone());
    }
    let (parts, stored) = (taking.parts, taking.stored);
    ctx.rng.chance(30).then_some(Ok(TargetInput::Applied { parts, stored }))
}

/// Computes anew what has changed.
fn rehash(taking: &mut Taking, ram: &[u8]) {
    let map = &taking.vm.memory;
    let all: Vec<_> = Blocks::addresses(map, BLOCK).collect();
    for gpa in taking.changed.drain(..) {
        let index = all.binary_search(&gpa).unwrap();
        taking.blocks.roots[index] = image::block_root(map, gpa, ram);
    }
}

fn end_round(host: &mut Host, ctx: &mut Ctx) -> Result<TargetInput, Trouble> {
    let taking = host.process.as_mut().and_then(|it| it.taking.as_mut()).unwrap();
    rehash(taking, host.disk.borrow().seen(File::Ram));
    (taking.next, taking.parts, taking.stored) = (0, 0, 0);
    let root = taking.blocks.root(&taking.vm.memory);
    let root = match taking.said {
        Some(said) if ctx.variant == Variant::TakesForeignRounds => said,
        _ => root,
    };
    Ok(TargetInput::RoundApplied { root })
}

fn end_state(host: &mut Host) -> Result<TargetInput, Trouble> {
    let taking = host.process.as_mut().and_then(|it| it.taking.as_mut()).unwrap();
    let mut records = Vec::new();
    for part in taking.state.drain(..) {
        let record = part.check().and_then(Record::open);
        let record = record.map_err(|error| trouble(Code::Item, error.to_string()))?;
        records.push((record.id().clone(), record.into_bytes()));
    }
    taking.has_state = true;
    let written = host.disk.borrow_mut().write(File::State, 0, &image::pack(&records));
    written.map_err(|error| internal(&error))?;
    let records = records.into_iter().map(|(id, _)| id).collect();
    Ok(TargetInput::StateKept { records, warnings: Vec::new() })
}

fn sync(host: &mut Host, ctx: &mut Ctx) -> Result<TargetInput, Trouble> {
    if ctx.variant == Variant::NeverSyncsMemory {
        return Ok(TargetInput::Synced);
    }
    let failed = |error: io::Error| internal(&error);
    let note = Note::read(host.disk.borrow().seen(File::Note)).unwrap_or(Note::COPY);
    Note { doubtful: true, ..note }.keep(host).map_err(failed)?;
    host.disk.borrow_mut().sync(File::Ram).map_err(failed)?;
    host.disk.borrow_mut().sync(File::State).map_err(failed)?;
    Note { doubtful: false, ..note }.keep(host).map_err(failed)?;
    Ok(TargetInput::Synced)
}

fn hand_over(host: &mut Host, ctx: &mut Ctx, action: handover::Action) {
    let Host { process: Some(process), guest, .. } = host else { return };
    match action {
        handover::Action::Write(entry) => {
            let again = Todo::Target(Action::Handover(action));
            let before = ctx.counts.records;
            process.write(ctx, guest, entry, again);
            if entry.kind == Kind::Ready && ctx.counts.records > before {
                laws::ready(host, ctx);
            }
        }
        handover::Action::Start => {
            let disk = host.disk.borrow();
            let seen = contents(&ctx.image, disk.seen(File::Ram), disk.seen(File::State));
            drop(disk);
            ctx.demand(seen == Some(ctx.image.content), laws::SAME_CONTENT);
            guest.launching = true;
        }
        handover::Action::Destroy => {
            let mut disk = host.disk.borrow_mut();
            for file in [File::Ram, File::State, File::Note] {
                disk.put(file, &[]);
            }
            drop(disk);
            host.believed = None;
        }
        _ => {}
    }
}

/// The content of a machine that was kept like this.
pub(crate) fn contents(image: &Image, ram: &[u8], state: &[u8]) -> Option<Digest> {
    let records = image::unpack(state)?;
    if ram.len() != image.ram.len() {
        return None;
    }
    // Most are the same, and need not be hashed.
    let map = &image.vm.memory;
    let root = if ram == image.ram { image.root } else { image::blocks(map, ram).root(map) };
    Some(content(&image.vm, &root, &records))
}

/// The stream has ended: what a careless driver makes of that first.
pub(crate) fn ended(process: &Process, guest: &mut crate::process::Guest, variant: Variant) {
    let arriving = process.taking.as_ref().is_some_and(|taking| taking.has_state);
    let begun = matches!(&process.machine, Machine::Target(it) if it.handover().is_some());
    if variant == Variant::EndIsSuccess && arriving && !begun {
        guest.launching = true;
    }
}
