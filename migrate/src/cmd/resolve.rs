//! `migrate resolve`: what a person decides.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use snaptool::exit::{self, Answer, Trouble};
use snaptool::signal::Stop;
use snaptool::text;

use super::options::Means;
use super::send::{Sending, hand_over};
use super::side::{InUse, Machine, Place};
use super::{help, status, words};
use crate::driver::Journal;
use crate::handover::{Action, Guest, Input, Refused, Resolve, SourcePhase, TargetPhase};
use crate::identity::Identity;
use crate::image::Dir;
use crate::journal::Evidence;
use crate::run::{Script, hook};
use crate::system::process::Real;
use crate::transport::Dest;

/// Decides what only a person can decide.
///
/// PATH is the directory that the VM arrived in, or what was sent. `migrate status` says what is to
/// be decided, and why.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = help::RESOLVE)]
pub struct Args {
    /// The directory of the target, or what was sent.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// What is decided.
    #[arg(value_enum, value_name = "DECISION")]
    decision: Decision,
    /// With `claim`: you know that the other side's VM does not run and cannot be started, and that
    /// no migrate is at work there.
    #[arg(long)]
    peer_is_off: bool,
    /// With `claim`: this command powers the other side off; `{}` in it is the VM's name. Only if
    /// it ends with 0 is the VM claimed.
    #[arg(long, value_name = "COMMAND", conflicts_with = "peer_is_off")]
    fence: Option<String>,
    /// Where the target is; needed for `forward` and `back` at the source.
    #[arg(long, value_name = "DEST")]
    to: Option<Dest>,
    /// What `send` takes.
    #[command(flatten)]
    options: Sending,
}

/// What a person can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Decision {
    /// Go on with the hand-over.
    Forward,
    /// The VM goes back to the source, or stays there.
    Back,
    /// The VM is this side's, because the other one is off.
    Claim,
    /// In a dispute: this copy is stopped and given up.
    GiveUp,
    /// The guest has run here.
    Ran,
    /// No virtual CPU of it ever ran here.
    NeverRan,
}

/// Fencing may wait for a machine to be off.
const FENCING: Duration = Duration::from_secs(300);

/// Runs the command.
///
/// # Errors
/// What keeps it from an answer.
pub fn run(args: &Args, means: &Means, stop: &Stop) -> anyhow::Result<Answer> {
    let place = Place::named(&args.path);
    let shown = text::path(&args.path);
    let begun = Machine::replay(&place.look()?)?.map(|(machine, _)| machine);
    let Some(machine) = begun else {
        let words =
            format!("{shown}: no hand-over has begun there, and there is nothing to decide");
        return refuse(Trouble::new(words).hint("the VM is the source's"));
    };
    if let (Machine::Source(source), Decision::Forward | Decision::Back) = (&machine, args.decision)
    {
        let Some(dest) = &args.to else {
            let words = "the target has to be asked";
            return refuse(Trouble::new(words).hint("--to says where it is, as for `send`"));
        };
        if args.decision == Decision::Forward {
            let decision = Some(Resolve::Forward);
            return hand_over(&args.path, dest, &args.options, decision, means, stop);
        }
        // Before COMMIT was said, the target may know nothing, and then that is believed.
        if source.phase() == SourcePhase::Suspended
            && let Some(refused) = is_elsewhere(&place, source.identity(), dest, args, stop)?
        {
            return refuse(refused);
        }
        return hand_over(&args.path, dest, &args.options, Some(Resolve::Back), means, stop);
    }
    if args.options.start.is_given() {
        let words = "nothing is started by this decision";
        return refuse(Trouble::new(words).hint("leave --run out, and start the VM afterwards"));
    }
    let input = match args.decision {
        Decision::Forward => Input::Resolve(Resolve::Forward),
        Decision::Back => Input::Resolve(Resolve::Back),
        Decision::GiveUp => Input::Resolve(Resolve::GiveUp),
        Decision::Ran => Input::Guest(Guest::Ran),
        Decision::NeverRan => Input::Guest(Guest::NeverRan),
        Decision::Claim => match (args.peer_is_off, &args.fence) {
            (true, _) => Input::Resolve(Resolve::Claim(Evidence::PeerIsOff)),
            (false, Some(_)) => Input::Resolve(Resolve::Claim(Evidence::Fenced)),
            (false, None) => {
                let words = "a claim is safe only if the other side is off";
                let hint = "--peer-is-off says so; --fence COMMAND switches it off";
                return refuse(Trouble::new(words).hint(hint));
            }
        },
    };
    decide(args, &place, means, input)
}

fn refuse(trouble: Trouble) -> anyhow::Result<Answer> {
    exit::report(&trouble.into());
    Ok(Answer::No)
}

/// Why whoever is at `dest` is not known to be the target of this hand-over. Only what that says
/// to know nothing of can be believed; anybody else knows nothing of it as well.
fn is_elsewhere(
    place: &Place,
    identity: Identity,
    dest: &Dest,
    args: &Args,
    stop: &Stop,
) -> anyhow::Result<Option<Trouble>> {
    let peer = place.note()?.and_then(|note| note.peer);
    if !args.options.peer_moved && peer.as_deref() != Some(&dest.to_string()) {
        let peer = peer.map_or("it is not known where".to_owned(), |peer| text::one_line(&peer));
        let words = format!("this VM was offered to another target: {peer}");
        let hint = "ask that one; if it is the same by another name, --peer-moved says so";
        return Ok(Some(Trouble::new(words).hint(hint)));
    }
    let (reach, through) = (&args.options.reach, &args.options.through);
    let (status, _) = status::ask(dest, reach, through, stop)?;
    let Some(status) = status else {
        return Err(Trouble::new("the target does not say where it stands").into());
    };
    if status.session == Some(identity.session) {
        return Ok(None);
    }
    let phase = text::escape(&status.phase);
    let words = format!("who answers there does not know of this hand-over ({phase})");
    let hint = "it is busy, or another one; if the target is lost, and the VM certainly runs \
                nowhere, `claim --peer-is-off` is the way";
    Ok(Some(Trouble::new(words).hint(hint)))
}

/// Hands an input to what the journal says, and does what comes of it here.
fn decide(args: &Args, place: &Place, means: &Means, input: Input) -> anyhow::Result<Answer> {
    let (mut journal, records) = match place.open(means) {
        Err(error) if error.chain().any(|cause| cause.is::<InUse>()) => {
            exit::report(&error);
            return Ok(Answer::No);
        }
        opened => opened?,
    };
    let Some((mut machine, _)) = Machine::replay(&records)? else {
        return refuse(Trouble::new("no hand-over has begun there"));
    };
    // Nothing is done before it is known that the decision can be.
    if let Err(refused) = handle(&mut machine.clone(), input) {
        return refuse(why(refused));
    }
    if input == Input::Resolve(Resolve::Claim(Evidence::Fenced))
        && let Some(refused) = fence(args, place)?
    {
        return refuse(refused);
    }
    if let Err(refused) = feed(&mut machine, input, &mut journal, args)? {
        return refuse(why(refused));
    }
    exit::note(&format!("{}: {}", text::path(&args.path), after(&machine)));
    Ok(Answer::Yes)
}

fn why(refused: Refused) -> Trouble {
    let hint = match refused {
        Refused::Unconfirmed => "let both sides talk first: `migrate send` and `recv` again",
        Refused::Starting => "wait until the start command has ended",
        _ => "`migrate status` shows where it stands",
    };
    Trouble::new(refused.to_string()).hint(hint)
}

/// Powers the other side off; says why that was not tried.
fn fence(args: &Args, place: &Place) -> anyhow::Result<Option<Trouble>> {
    let Some(fence) = &args.fence else { return Ok(None) };
    let name = place.note()?.map(|note| note.vm.name).unwrap_or_default();
    if name.is_empty() && fence.contains("{}") {
        let words = "the VM's name is not known here, and the command has {} for it";
        return Ok(Some(Trouble::new(words).hint("write the name into the command")));
    }
    hook(&Script::parse(fence)?, OsStr::new(&name), FENCING, &Real, &Real)?;
    Ok(None)
}

fn handle(machine: &mut Machine, input: Input) -> Result<Vec<Action>, Refused> {
    match machine {
        Machine::Source(it) => it.handle(input),
        Machine::Target(it) => it.handle(input),
    }
}

/// Hands in one thing after another, until nothing more comes of it.
fn feed(
    machine: &mut Machine,
    input: Input,
    journal: &mut Journal,
    args: &Args,
) -> anyhow::Result<Result<(), Refused>> {
    let mut inputs = vec![input];
    while let Some(input) = inputs.pop() {
        let actions = match handle(machine, input) {
            Ok(actions) => actions,
            Err(refused) => return Ok(Err(refused)),
        };
        for action in actions {
            match action {
                Action::Write(entry) => {
                    journal.append(entry)?;
                    inputs.push(Input::Written);
                }
                // Persons start it from now on; see `send --run`.
                Action::Start => inputs.push(Input::Guest(Guest::Ran)),
                Action::Destroy if matches!(machine, Machine::Target(_)) => {
                    dir(args)?.destroy().map_err(words::trouble)?;
                }
                // Files that a person named are deleted by persons.
                Action::Destroy | Action::Keep | Action::Send(_) => {}
                Action::Ask(question) => exit::warn(&question.to_string()),
                Action::Halt => anyhow::bail!("the journal failed"),
            }
        }
    }
    if let Machine::Target(target) = machine
        && target.phase() == TargetPhase::Claimed
    {
        // A person starts it; bhyve needs its .meta.
        dir(args)?.publish().map_err(words::trouble)?;
    }
    Ok(Ok(()))
}

fn dir(args: &Args) -> anyhow::Result<Dir> {
    Ok(Dir::open(&args.path).map_err(words::trouble)?)
}

/// Where it stands now.
fn after(machine: &Machine) -> String {
    let words = match machine {
        Machine::Source(it) => match it.phase() {
            SourcePhase::Resumed | SourcePhase::ResumeUnknown | SourcePhase::Resuming => {
                "the VM is this side's again"
            }
            SourcePhase::Claimed => "the VM is claimed: it is this side's",
            SourcePhase::Superseded => "this copy is given up",
            _ => "decided",
        },
        Machine::Target(it) => match it.phase() {
            TargetPhase::Released => "this copy is given up, and removed; the VM is the source's",
            TargetPhase::Claimed => "the VM is claimed: it is this side's",
            TargetPhase::Superseded => "this copy is given up",
            TargetPhase::Running => "the VM runs here",
            _ => "decided",
        },
    };
    let (_, phase) = machine.names();
    format!("{words} ({phase}); the other side hears of it when both talk again")
}
