//! What must hold, whatever fails.

use migrate::core::Outcome;
use migrate::handover::{Implausible, Question, Standing};
use migrate::journal::{Error, Kind, read};

use crate::disk::File;
use crate::process::Host;
use crate::target::contents;
use crate::world::{Ctx, World};

pub(crate) const TWO_RUNNING: &str = "never two running copies";
pub(crate) const TWO_OWNERS: &str = "never two owners";
pub(crate) const SAME_CONTENT: &str = "what is started has exactly the content of the source";
pub(crate) const STALE: &str = "never a start from RAM older than its disks";
pub(crate) const NO_COPY: &str = "never zero copies";
pub(crate) const NOT_DURABLE: &str = "READY implies that all of it is durable";
pub(crate) const DAMAGED: &str = "no crash makes a journal unreadable";
pub(crate) const DEAD_END: &str = "no state without a way out";
pub(crate) const ONE_OWNER: &str = "in the end exactly one owner, running or kept";
pub(crate) const NEEDLESS: &str = "nobody is asked about a dispute where nobody claimed";

pub(crate) const REFUSED: &str = "two machines as they should be never refuse each other";

/// A connection ended like this. What drivers, disks and the network do is another matter.
pub(crate) fn ended(outcome: &Outcome, ctx: &mut Ctx) {
    if let Outcome::Stopped(trouble) | Outcome::Peer(trouble) = outcome {
        let never = ["busy", "content", "facts", "order", "session", "state", "version"];
        ctx.demand(!never.contains(&trouble.code.as_str()), REFUSED);
        *ctx.counts.codes.entry(trouble.code.clone()).or_default() += 1;
    }
}

/// What has to be true of every world.
pub(crate) fn check(world: &mut World) {
    let World { source, target, ctx, .. } = world;
    ctx.demand(!(source.guest.running && target.guest.running), TWO_RUNNING);
    let owners = (source.standing(), target.standing());
    ctx.demand(owners != (Standing::Owner, Standing::Owner), TWO_OWNERS);
    if source.process.is_none() && !source.dead && owners.1 == Standing::Owner {
        // What its next process would make of its journal before it has heard anything.
        let seen = last(source.disk.borrow().seen(File::Journal));
        ctx.demand(seen.is_some_and(|kind| kind != Kind::Suspended), TWO_OWNERS);
    }
    for question in [source.question(), target.question()] {
        let disputed = matches!(question, Some(Question::Disputed | Question::GivenUp));
        ctx.demand(!disputed, NEEDLESS);
    }
    let has_run = source.guest.has_run || target.guest.has_run;
    if !(source.files || has_run) {
        let disk = target.disk.borrow();
        let (ram, state) = (disk.durable(File::Ram), disk.durable(File::State));
        let kept = contents(&ctx.image, ram, state) == Some(ctx.image.content);
        drop(disk);
        ctx.demand(kept, NO_COPY);
    }
}

/// The kind of the last record of a journal.
pub(crate) fn last(journal: &[u8]) -> Option<Kind> {
    read(journal).ok()?.records.last().map(|record| record.entry.kind)
}

/// A journal was opened, or could not be.
pub(crate) fn opened<T>(opened: Result<T, Error>, ctx: &mut Ctx) -> Option<T> {
    ctx.demand(!matches!(opened, Err(Error::Damaged(_))), DAMAGED);
    opened.ok()
}

/// A journal was replayed, or could not be.
pub(crate) fn replayed<T>(replayed: Result<Option<T>, Implausible>, ctx: &mut Ctx) -> Option<T> {
    ctx.demand(replayed.is_ok(), DAMAGED);
    replayed.ok().flatten()
}

/// READY is durable, or was left by a loss of power.
pub(crate) fn ready(target: &Host, ctx: &mut Ctx) {
    let disk = target.disk.borrow();
    let waits = matches!(
        last(disk.durable(File::Journal)),
        Some(Kind::Ready | Kind::Owner | Kind::Starting | Kind::Kept)
    );
    if waits && !target.guest.has_run {
        let durable = contents(&ctx.image, disk.durable(File::Ram), disk.durable(File::State));
        ctx.demand(durable == Some(ctx.image.content), NOT_DURABLE);
    }
}

/// A guest begins to run on `host`.
pub(crate) fn runs(host: &Host, other: &Host, ctx: &mut Ctx) {
    ctx.demand(!other.guest.running, TWO_RUNNING);
    ctx.demand(!other.guest.has_run, STALE);
    if host.who == tests::machine::Who::Target {
        let disk = host.disk.borrow();
        let seen = contents(&ctx.image, disk.seen(File::Ram), disk.seen(File::State));
        ctx.demand(seen == Some(ctx.image.content), SAME_CONTENT);
    }
}

/// Nothing more will happen.
pub(crate) fn end(world: &mut World) {
    let World { source, target, ctx, .. } = world;
    let ours = last(source.disk.borrow().durable(File::Journal));
    let theirs = last(target.disk.borrow().durable(File::Journal));
    let source_has = match ours {
        None | Some(Kind::Suspended) => source.files && !target.guest.has_run,
        // Where power was lost since, a person boots it again.
        Some(Kind::Resumed | Kind::Claimed | Kind::Settled) => source.guest.has_run,
        _ => false,
    } && !source.dead;
    let target_has = match theirs {
        Some(Kind::Running | Kind::Settled) => target.guest.has_run || ctx.keeps(),
        Some(Kind::Kept) => ctx.keeps(),
        Some(Kind::Claimed) => target.guest.has_run,
        _ => false,
    } && !target.dead;
    ctx.show(|| format!("ends: {ours:?} {theirs:?}: {source_has} {target_has}"));
    ctx.demand(source_has != target_has, ONE_OWNER);
}
