//! `migrate send`: hands a VM over, or copies it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use snaptool::exit::{self, Answer, Hint as _, Trouble};
use snaptool::links::Where;
use snaptool::output::{Content, Existing, Output};
use snaptool::signal::Stop;
use snaptool::text;

use super::PRODUCER;
use super::help;
use super::known::{self, Asked, States};
use super::options::{Making, Means, Reach, Through, connect};
use super::show::{How, Shown};
use super::side::{InUse, Place};
use super::start::Start;
use super::vm::{Supervised, facts, open};
use super::words::{Side, answer};
use crate::core::{Migration, Origin as Kind, Outcome, Source as Machine, SourceConfig, Task};
use crate::driver::{Ended, Source, SourceSetup};
use crate::facts::compare;
use crate::handover::{self, Resolve};
use crate::link::Rate;
use crate::note::Note;
use crate::transport::{Connection, Dest};

/// Hands a VM over to another host, or copies it.
///
/// SOURCE is a suspended VM: a snapshot file, the last of a chain, or the RAM of bhyve's three
/// files. DEST is where `migrate recv` is at work, or will be started: `unix:PATH`,
/// `tcp://HOST:PORT`, or `ssh://[user@]host[:port]/path`, in which `/~/` is the home there. A copy,
/// with which nothing is handed over, goes to `file:PATH`, or to stdout if DEST is `-`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = help::SEND)]
pub struct Args {
    /// What is sent.
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// Where it goes.
    #[arg(value_name = "DEST")]
    dest: Dest,
    /// The options.
    #[command(flatten)]
    options: Sending,
}

/// What `send` can be told; `resolve` goes the same way.
#[derive(Clone, Debug, clap::Args)]
pub struct Sending {
    #[command(flatten)]
    places: Where,
    #[command(flatten)]
    making: Making,
    /// Send no more than this per second: bytes, as `200M` or `64KiB`, or bits, as `100Mbit`.
    #[arg(long, value_name = "RATE")]
    limit: Option<Rate>,
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(flatten)]
    pub(super) through: Through,
    /// Accept what `plan` refuses, by the name that it says. May be given more than once.
    #[arg(long, value_name = "OPTION")]
    allow: Vec<String>,
    #[command(flatten)]
    supervised: Supervised,
    /// The way back: run this if the VM comes back to this side; see `recv`. Without it, a person
    /// starts the VM.
    #[command(flatten)]
    pub(super) start: Start,
    /// Throw away what an unfinished migration has left at the target; through ssh only.
    #[arg(long)]
    discard: bool,
    /// Start the VM at the other side of ssh: COMMAND is run there, as `recv --run` runs it.
    #[arg(long, value_name = "COMMAND")]
    remote_run: Option<String>,
    /// A word for `migrate recv` at the other side of ssh, as `--recv-arg=--ready
    /// --recv-arg=socket:PATH`. May be given more than once.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    recv_arg: Vec<String>,
    /// Begin another hand-over of a VM that was handed over, or given up, before: its newer
    /// snapshot. The state that was handed over is a stale copy, and refused.
    #[arg(long)]
    pub(super) anew: bool,
    /// With --anew: you know that the VM is lost where it was handed over to, and that its disks
    /// are as this snapshot left them; the same state is handed over once more.
    #[arg(long, requires = "anew")]
    pub(super) peer_vm_is_gone: bool,
    /// The target is the same as before, and is only called otherwise now.
    #[arg(long)]
    pub(super) peer_moved: bool,
    /// Replace a file that is there with a copy.
    #[arg(short, long)]
    force: bool,
    /// Say nothing on stderr but errors.
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// How to tell on stderr what is done.
    #[arg(long, value_enum, default_value_t = How::Auto, value_name = "HOW")]
    progress: How,
}

impl Sending {
    /// Refuses what would be lost on the way.
    fn check(&self, dest: &Dest) -> anyhow::Result<()> {
        let more = self.discard || self.remote_run.is_some() || !self.recv_arg.is_empty();
        if more && !matches!(dest, Dest::Ssh(_)) {
            let words = "--discard, --remote-run and --recv-arg go through ssh only";
            return Err(Trouble::new(words).hint("give them to `migrate recv` itself").into());
        }
        Ok(())
    }
}

/// Runs the command.
///
/// # Errors
/// What keeps it from an answer.
pub fn run(args: &Args, means: &Means, stop: &Stop) -> anyhow::Result<Answer> {
    let Args { source, dest, options } = args;
    if dest.answers() {
        hand_over(source, dest, options, None, means, stop)
    } else {
        copy(source, dest, options, stop)
    }
}

/// Hands a VM over, with a decision of a person if there is one.
///
/// # Errors
/// What keeps it from an answer.
pub(super) fn hand_over(
    source: &Path,
    dest: &Dest,
    options: &Sending,
    decision: Option<Resolve>,
    means: &Means,
    stop: &Stop,
) -> anyhow::Result<Answer> {
    let name = text::path(source);
    options.check(dest)?;
    let origin = open(source, &options.places, &options.making, dest, stop)?;
    let facts = facts(source, origin.as_ref())?;
    let place = Place::of_source(source);
    if place.look()?.is_empty()
        && let Some(refused) = known::not_ours(source)?
    {
        return refuse(refused);
    }
    place.make()?;
    let (journal, records) = match place.open(means) {
        Err(error) if error.chain().any(|cause| cause.is::<InUse>()) => {
            exit::report(&error);
            return Ok(Answer::No);
        }
        opened => opened?,
    };
    let states = States::of(source, &place);
    let asked = Asked { dest, options, vm: origin.vm(), decides: decision.is_some() };
    let known = match known::find(&place, &records, &states, &asked)? {
        Ok(known) => known,
        Err(refused) => return refuse(refused),
    };
    let before = known.handover.as_ref().map(handover::Source::phase);
    let begun = known.has_begun();
    if decision.is_some() && !begun {
        let words = "that hand-over has ended, and there is nothing to decide";
        return refuse(Trouble::new(words).hint("`migrate status` shows where it stands"));
    }
    if !begun && !options.supervised.stop(&origin.vm().name, options.reach.timeout.0)? {
        return Ok(Answer::No);
    }
    let migration = Migration {
        session: known.session,
        epoch: known.epoch,
        origin: Kind::Still,
        vm: origin.vm().clone(),
        facts,
        overrides: options.allow.clone(),
        handover: known.handover,
        back: decision == Some(Resolve::Back),
        gone: if options.peer_vm_is_gone { Vec::new() } else { known::gone(&records) },
    };
    let same = states.same(migration.session)?;
    if !begun {
        states.write(migration.session, &dest.to_string())?;
    } else if !known.over && same == Some(false) {
        exit::warn(&format!("{name} has changed; what was offered is what is handed over"));
    }
    let note = note(&migration, dest, &place);
    let core = machine(Task::Migrate(Box::new(migration)), options);
    let resume = options.start.starter(source.to_owned(), place.dir().join("start.log"))?;
    let setup = SourceSetup {
        origin: Some(origin),
        journal: Some(journal),
        note: Some(note),
        resume,
        decision,
        limit: options.limit,
        timeout: options.reach.timeout.0,
    };
    let mut shown = Shown::new("send", name.clone(), options.progress, options.quiet);
    let mut driver = Source::new(core, setup, &mut shown);
    let connection = connect_to(dest, options, decision)?;
    let ended = run_until_stopped(&mut driver, stop, |driver| driver.run(connection))?;
    let side = match (driver.phase(), before) {
        (None, Some(before)) => Side::Anew(before, &name),
        (phase, _) => Side::Source(phase, &name),
    };
    let sent = driver.amount().sent;
    drop(driver);
    let age = shown.age();
    drop(shown);
    if ended.outcome == Outcome::Done && !options.quiet {
        let amount = format!("{} in {}", text::size(sent), text::duration(age));
        exit::note(&done(&name, known.over.then_some(same), &amount));
    }
    let came_back = ended.outcome == Outcome::Back;
    let answered = answer(ended, side, options.reach.timeout.0, stop)?;
    // That is what was wanted.
    Ok(if came_back && decision == Some(Resolve::Back) { Answer::Yes } else { answered })
}

/// What was done, of a hand-over that was over before if anything is said of its files.
fn done(name: &str, before: Option<Option<bool>>, amount: &str) -> String {
    let known = format!("{name} was handed over before, and the target knows that now");
    match before {
        None => format!("{name} is handed over: {amount}; keep it until the VM runs well"),
        Some(Some(true)) => format!("{known}; the file looks unchanged since, and was not read"),
        Some(_) => format!("{known}; whether the file is what was handed over was not looked at"),
    }
}

fn refuse(trouble: Trouble) -> anyhow::Result<Answer> {
    exit::report(&trouble.into());
    Ok(Answer::No)
}

/// The machine for a task.
pub(super) fn machine(task: Task, options: &Sending) -> Machine {
    Machine::new(SourceConfig {
        task,
        producer: PRODUCER.to_owned(),
        timeout: options.reach.timeout.0,
        judge: compare,
    })
}

/// Connects to the target; over ssh, that is started.
pub(super) fn connect_to(
    dest: &Dest,
    options: &Sending,
    decision: Option<Resolve>,
) -> anyhow::Result<Connection> {
    let timeout = format!("{}ms", options.reach.timeout.0.as_millis());
    let mut words = vec!["recv", "--timeout", timeout.as_str()];
    if options.discard {
        words.push("--discard");
    }
    if decision == Some(Resolve::Back) {
        // Where nothing is, nothing is asked, and nothing made.
        words.push("--existing");
    }
    if let Some(run) = &options.remote_run {
        words.extend(["--run", run.as_str()]);
    }
    if let Dest::Ssh(remote) = dest {
        words.extend(options.recv_arg.iter().map(String::as_str));
        words.extend(["--", remote.path.as_str()]);
    }
    connect(dest, &options.reach, &options.through, &words)
}

/// Runs a driver while a thread waits for a signal.
pub(super) fn run_until_stopped<'a>(
    driver: &mut Source<'a>,
    stop: &Stop,
    run: impl FnOnce(&mut Source<'a>) -> std::io::Result<Ended>,
) -> std::io::Result<Ended> {
    let (stopper, signal) = (driver.stopper(), stop.clone());
    let watch = move || {
        // Without signals there is nothing to wait for.
        if signal.wait().is_ok() {
            stopper.stop();
        }
    };
    thread::Builder::new().name("signal".to_owned()).spawn(watch)?;
    run(driver)
}

fn note(migration: &Migration, dest: &Dest, place: &Place) -> (PathBuf, Note) {
    let session = Some((migration.session, migration.epoch));
    let (vm, peer) = (migration.vm.clone(), Some(dest.to_string()));
    (place.session(), Note { session, vm, peer, doubtful: false })
}

/// An output that is written by a thread, and ended here.
#[derive(Clone)]
struct Shared(Arc<Mutex<Option<Output>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        output.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        output.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?.flush()
    }
}

/// Copies a VM; nothing is handed over.
fn copy(source: &Path, dest: &Dest, options: &Sending, stop: &Stop) -> anyhow::Result<Answer> {
    let name = text::path(source);
    let existing = if options.force { Existing::Replace } else { Existing::Refuse };
    let path = match dest {
        Dest::File(path) => path.as_path(),
        _ => Path::new("-"),
    };
    let output = Output::open(path, Content::Binary, existing)?;
    let shown_output = output.name().to_owned();
    let origin = open(source, &options.places, &options.making, dest, stop)?;
    let core = machine(Task::Copy(origin.vm().clone()), options);
    let setup = SourceSetup {
        origin: Some(origin),
        journal: None,
        note: None,
        resume: None,
        decision: None,
        limit: options.limit,
        timeout: options.reach.timeout.0,
    };
    let shared = Shared(Arc::new(Mutex::new(Some(output))));
    let written: crate::transport::Output = Box::new(shared.clone());
    let mut shown = Shown::new("send", name.clone(), options.progress, options.quiet);
    let mut driver = Source::new(core, setup, &mut shown);
    let ended = run_until_stopped(&mut driver, stop, |driver| driver.copy(written))?;
    drop(driver);
    drop(shown);
    match &ended.outcome {
        Outcome::Done => {
            let output = shared.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            output.map_or(Ok(()), Output::finish)?;
            Ok(Answer::Yes)
        }
        Outcome::Cut => {
            let why = ended.way.unwrap_or_default();
            let words = format!("cannot write {shown_output}");
            Err(Trouble::new(words).because(anyhow::anyhow!("{why}"))).hint("there is no copy")
        }
        _ => answer(ended, Side::Asking(&name), options.reach.timeout.0, stop),
    }
}
