//! `migrate recv`: receives a VM into a directory.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use snapfmt::state::HostFacts;
use snapfmt::state::gate::{Acceptance, Policy};
use snaptool::exit::{self, Answer, Trouble};
use snaptool::host;
use snaptool::pipeline;
use snaptool::signal::Stop;
use snaptool::text;
use tracing::{info, warn};

use super::PRODUCER;
use super::help;
use super::options::{Means, Reach};
use super::side::{InUse, Place};
use super::start::Start;
use super::words::{self, Side, answer};
use crate::core::{Held, Target as Machine, TargetConfig};
use crate::driver::{Answer as Told, Bell, Check, Entrance, Target, TargetSetup, turn_away};
use crate::facts::compare;
use crate::handover::{Action, Plan, Target as Handover, TargetPhase};
use crate::image::{self, Dir, Options as Keeping};
use crate::probe;
use crate::stream::message::{Host, Status};
use crate::system::Here;
use crate::transport::{self, Connection, Listen};

/// Receives a VM into a directory, and starts it there if told how.
///
/// Without --listen the source is at stdin and stdout, as ssh has it. With it, sources come one
/// after another until the VM is settled; who comes meanwhile is told that it is busy.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = help::RECV)]
pub struct Args {
    /// The directory of one VM.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Wait for sources at `unix:PATH` or `tcp://HOST:PORT` (port 0: any).
    #[arg(long, value_name = "WHERE")]
    listen: Option<Listen>,
    /// End with the first source, however that ends.
    #[arg(long, requires = "listen")]
    once: bool,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    start: Start,
    /// Hold the state against a host: `this`, `none`, or facts from `snaptool host-facts`. Unless
    /// given, `this` on FreeBSD, and `none` where bhyve cannot be.
    #[arg(long, value_name = "this|none|FILE")]
    host: Option<HostName>,
    /// Accept a rule of the state that fails, as `snaptool unpack` names it.
    #[arg(long, value_name = "RULE[@RECORD]")]
    accept: Vec<Acceptance>,
    /// Throw away what an unfinished migration has left here, once a source begins to send. A VM
    /// that is kept here, or was claimed, is no such thing.
    #[arg(long)]
    discard: bool,
    #[command(flatten)]
    threads: pipeline::Threads,
    /// Answer plans only, and make no file.
    #[arg(long, hide = true)]
    plan: bool,
    /// Make nothing where no migration has come to.
    #[arg(long, hide = true)]
    existing: bool,
}

/// A host to hold state against.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HostName {
    None,
    Some(host::Host),
}

impl std::str::FromStr for HostName {
    type Err = std::convert::Infallible;

    fn from_str(words: &str) -> Result<Self, Self::Err> {
        if words == "none" { Ok(Self::None) } else { Ok(Self::Some(words.parse()?)) }
    }
}

impl Args {
    /// Whether sources come one after another.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.listen.is_some()
    }

    fn facts(&self, stop: &Stop) -> anyhow::Result<Option<HostFacts>> {
        match &self.host {
            Some(HostName::Some(host)) => host.facts(stop).map(Some),
            None if cfg!(target_os = "freebsd") => Ok(Some(host::probe())),
            None | Some(HostName::None) => Ok(None),
        }
    }

    fn keeping(&self, stop: &Stop) -> anyhow::Result<Keeping> {
        Ok(Keeping {
            threads: self.threads.count(),
            discard: self.discard,
            policy: Policy { accept: self.accept.clone(), ..Policy::default() },
            host: self.facts(stop)?,
            stop: stop.clone(),
        })
    }

    fn probed(&self) -> Host {
        let words: Vec<_> = self.start.words().map(str::as_bytes).into_iter().collect();
        probe::host(&Here::new(), &self.dir, &words)
    }

    fn config(&self) -> TargetConfig {
        TargetConfig {
            producer: PRODUCER.to_owned(),
            host: self.probed(),
            plan: if self.start.is_given() { Plan::Start } else { Plan::Keep },
            handover: None,
            held: None,
            timeout: self.reach.timeout.0,
            judge: compare,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// What keeps it from an answer.
pub fn run(args: &Args, means: &Means, stop: &Stop) -> anyhow::Result<Answer> {
    if args.listen.is_none() && io::stdin().is_terminal() {
        let words = "the source should be at stdin, and that is a terminal";
        let hint = "--listen says where to wait for sources; over ssh, `send` runs this by itself";
        return Err(Trouble::new(words).hint(hint).into());
    }
    // Before there are threads; see `transport::on_unix`.
    let door = args.listen.as_ref().map(|listen| Door::open(listen, &args.reach)).transpose()?;
    let (core, setup, first) = match prepare(args, means, stop) {
        Err(error) if error.chain().any(|cause| cause.is::<InUse>()) && door.is_none() => {
            return busy(args, &error);
        }
        prepared => prepared?,
    };
    let name = text::path(&args.dir);
    let mut target = Target::new(core, setup)?;
    let (bell, signal) = (target.bell(), stop.clone());
    let watch = move || {
        // Without signals there is nothing to wait for.
        if signal.wait().is_ok() {
            bell.stop();
        }
    };
    thread::Builder::new().name("signal".to_owned()).spawn(watch)?;
    let entrance = match &door {
        None => Entrance::Here(transport::standard()?),
        Some(door) => {
            door.attend(target.bell())?;
            Entrance::Door { once: args.once }
        }
    };
    let ended = target.run(entrance, first)?;
    let phase = target.handover().map(Handover::phase);
    drop(target);
    drop(door);
    answer(ended, Side::Target(phase, &name), args.reach.timeout.0, stop)
}

type Prepared = (Machine, TargetSetup, Vec<Action>);

/// What is there of this VM, opened for this process alone.
fn prepare(args: &Args, means: &Means, stop: &Stop) -> anyhow::Result<Prepared> {
    let options = args.keeping(stop)?;
    let mut config = args.config();
    let timeout = args.reach.timeout.0;
    let setup = TargetSetup {
        dir: None,
        options,
        journal: None,
        start: None,
        check: None,
        producer: PRODUCER.to_owned(),
        timeout,
    };
    if args.plan {
        return Ok((Machine::new(config), setup, Vec::new()));
    }
    let place = Place::named(&args.dir);
    if args.existing && !place.journal().exists() {
        let words = format!("no migration has come to {}", text::path(&args.dir));
        return Err(Trouble::new(words).hint("is that the place?").into());
    }
    let dir = Dir::open(&args.dir).map_err(words::trouble)?;
    let place = Place::named(dir.path());
    let (journal, records) = place.open(means)?;
    let (handover, first) = Handover::replay(&records, config.plan)?.unzip();
    if args.discard {
        may_discard(handover.as_ref())?;
    }
    config.handover = handover;
    // What is to be thrown away stands in nobody's way; it stays until a source begins.
    let note = if args.discard { None } else { place.note()? };
    config.held = note.map(|note| Held { session: note.session, vm: note.vm });
    let start = args.start.starter(dir.ram(), args.dir.join("start.log"))?;
    let (held, again) = (dir.clone(), setup.options.clone());
    let check: Check = Arc::new(move |content| image::verify(&held, content, &again));
    let check = Some(check);
    let setup = TargetSetup { dir: Some(dir), journal: Some(journal), start, check, ..setup };
    Ok((Machine::new(config), setup, first.unwrap_or_default()))
}

/// Refuses to throw away what is promised to somebody, or is a VM's only copy.
fn may_discard(before: Option<&Handover>) -> anyhow::Result<()> {
    let Some(before) = before else { return Ok(()) };
    match before.phase() {
        TargetPhase::Released | TargetPhase::Superseded => Ok(()),
        TargetPhase::Running if before.is_settled() => Ok(()),
        TargetPhase::Kept | TargetPhase::Claimed => {
            let words = "the VM is kept here, and this is its owner's copy: it is not discarded";
            Err(Trouble::new(words).hint("name another directory").into())
        }
        _ => {
            let words = "what is here is part of a hand-over that has not come to its end";
            Err(Trouble::new(words).hint("`migrate status` says what to do").into())
        }
    }
}

/// Another process receives here: whoever is at stdin is told.
fn busy(args: &Args, error: &anyhow::Error) -> anyhow::Result<Answer> {
    let status = Status {
        phase: "busy".to_owned(),
        standing: "no".to_owned(),
        vm: None,
        session: None,
        epoch: None,
        content: None,
        question: None,
    };
    let patience = args.reach.timeout.0;
    turn_away(transport::standard()?, Told { producer: PRODUCER.to_owned(), status, patience });
    exit::report(error);
    Ok(Answer::No)
}

/// Where sources come.
enum Door {
    Unix(transport::Socket),
    Tcp(std::net::TcpListener),
}

impl Door {
    fn open(listen: &Listen, reach: &Reach) -> anyhow::Result<Self> {
        Ok(match listen {
            Listen::Unix(path) => {
                let socket = transport::on_unix(path)?;
                exit::note(&format!("waiting at unix:{}", text::path(path)));
                Self::Unix(socket)
            }
            Listen::Tcp { host, port } => {
                let (listener, place) =
                    transport::on_tcp(host, *port, reach.insecure, reach.timeout.0)?;
                exit::note(&format!("waiting at {place}"));
                Self::Tcp(listener)
            }
        })
    }

    /// Has a thread let everybody in.
    fn attend(&self, bell: Bell) -> io::Result<()> {
        let work: Box<dyn FnOnce() + Send> = match self {
            Self::Unix(socket) => {
                let listener = socket.listener().try_clone()?;
                Box::new(move || admit(&bell, || Connection::unix(listener.accept()?.0)))
            }
            Self::Tcp(listener) => {
                let listener = listener.try_clone()?;
                Box::new(move || admit(&bell, || Connection::tcp(listener.accept()?.0)))
            }
        };
        thread::Builder::new().name("accept".to_owned()).spawn(work).map(drop)
    }
}

fn admit(bell: &Bell, mut accept: impl FnMut() -> io::Result<Connection>) {
    // Errors of whoever came, and of a system without descriptors left, pass.
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
    loop {
        match accept() {
            Ok(connection) => {
                info!("somebody came");
                if !bell.ring(connection) {
                    return;
                }
            }
            Err(error) => {
                warn!(%error, "somebody who came was lost");
                thread::sleep(PAUSE);
            }
        }
    }
}
