//! How a run ended, in words for people, and what that makes the program's answer.

use std::io::Write as _;
use std::time::Duration;

use snaptool::exit::{self, Answer, Trouble};
use snaptool::signal::Stop;
use snaptool::text;

use crate::core::{Code, Outcome};
use crate::driver::Ended;
use crate::handover::{Question, SourcePhase, TargetPhase};
use crate::stream::message;

/// Which side ended, for its words.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side<'a> {
    /// A source, and where its hand-over stands; what it sends is called so.
    Source(Option<SourcePhase>, &'a str),
    /// A source that begins another hand-over, not offered yet, and where the one before stands.
    Anew(SourcePhase, &'a str),
    /// Whoever only asks, or copies.
    Asking(&'a str),
    /// A target, likewise; its directory is called so.
    Target(Option<TargetPhase>, &'a str),
}

/// What there is to do after trouble.
const AGAIN: &str = "the same command goes on where it was";

/// The answer of a run.
///
/// # Errors
/// If there is none: the connection is gone, or this side is in trouble.
pub(super) fn answer(
    ended: Ended,
    side: Side<'_>,
    timeout: Duration,
    stop: &Stop,
) -> anyhow::Result<Answer> {
    let way = ended.way.as_deref().map(text::one_line);
    let on_the_way = |words: &str| match &way {
        Some(way) => Trouble::new(words).because(anyhow::anyhow!("{way}")),
        None => Trouble::new(words),
    };
    match ended.outcome {
        Outcome::Done => Ok(Answer::Yes),
        Outcome::Back => {
            exit::note(&side.back());
            Ok(Answer::No)
        }
        Outcome::GivenUp => {
            exit::note(&format!("{} was given up: the other side claimed the VM", side.name()));
            Ok(Answer::No)
        }
        // Ctrl-C reaches a program on the way as well, and that may be quicker.
        Outcome::Cut | Outcome::Peer(_) if stop.check().is_err() => stopped(side, stop),
        Outcome::Cut => {
            let trouble = on_the_way("the connection is gone").hint(side.state());
            Err(hint_of_way(trouble, way.as_deref()).hint(AGAIN).into())
        }
        Outcome::TimedOut => {
            let span = text::duration(timeout);
            let words = format!("nothing came from the other side, or was read by it, for {span}");
            Err(on_the_way(&words).hint(side.state()).hint(AGAIN).into())
        }
        Outcome::Stopped(trouble) if trouble.code == Code::Stopped.name() => stopped(side, stop),
        Outcome::Stopped(trouble) => told("", &trouble, side),
        Outcome::Peer(trouble) => told(side.peer(), &trouble, side),
        Outcome::Ask(question) => {
            exit::report(&Trouble::new(question.to_string()).hint(side.decide(question)).into());
            Ok(Answer::No)
        }
        Outcome::JournalFailed => {
            let hint = "mend that and start again: what the journal holds is found out then";
            Err(on_the_way("a step of the hand-over could not be made durable").hint(hint).into())
        }
    }
}

/// Says what a run leaves that a person stopped.
fn stopped(side: Side<'_>, stop: &Stop) -> anyhow::Result<Answer> {
    exit::note(&format!("stopped: {}", side.state()));
    exit::note(AGAIN);
    stop.check()?;
    Ok(Answer::No)
}

/// What keeps this side from going on, as an error for people.
#[must_use]
pub(super) fn trouble(trouble: message::Trouble) -> Trouble {
    let mut error = Trouble::new(text::one_line(&trouble.words));
    for hint in trouble.lines.iter().chain(&trouble.hint) {
        error = error.hint(text::one_line(hint));
    }
    error
}

/// What either side said why it cannot go on: no, or trouble.
fn told(who: &str, trouble: &message::Trouble, side: Side<'_>) -> anyhow::Result<Answer> {
    let words = if who.is_empty() { String::new() } else { format!("{who}: ") } + &trouble.words;
    let error = self::trouble(message::Trouble { words, ..trouble.clone() });
    let no = [
        Code::Busy,
        Code::Content,
        Code::Facts,
        Code::Question,
        Code::Room,
        Code::Session,
        Code::State,
        Code::Version,
    ];
    let facts = trouble.code == Code::Facts.name();
    let error = if facts { error.hint("--allow NAME accepts what has a name") } else { error };
    if no.iter().any(|code| code.name() == trouble.code) {
        exit::report(&error.into());
        return Ok(Answer::No);
    }
    Err(error.hint(side.state()).into())
}

/// What an exit code of ssh, or of the shell behind it, means.
fn hint_of_way(trouble: Trouble, way: Option<&str>) -> Trouble {
    match way {
        Some(way) if way.ends_with("exit code 127") => {
            trouble.hint("is migrate there? --remote-command says where")
        }
        Some(way) if way.ends_with("exit code 255") => {
            trouble.hint("that is ssh itself; what it says stands above")
        }
        _ => trouble,
    }
}

impl Side<'_> {
    fn name(self) -> String {
        match self {
            Self::Source(_, name) | Self::Anew(_, name) | Self::Asking(name) => name.to_owned(),
            Self::Target(_, name) => format!("the copy in {name}"),
        }
    }

    fn peer(self) -> &'static str {
        match self {
            Self::Source(..) | Self::Anew(..) | Self::Asking(_) => "the target",
            Self::Target(..) => "the source",
        }
    }

    fn back(self) -> String {
        match self {
            Self::Source(_, name) => format!("the VM is this side's again: {name}"),
            Self::Anew(..) | Self::Asking(_) => "the target did not go on".to_owned(),
            Self::Target(Some(TargetPhase::Released), _) => {
                "the VM went back to the source; the copy here was given up".to_owned()
            }
            Self::Target(..) => "the source did not go on".to_owned(),
        }
    }

    /// What the VM's state is when a run ends early: stated, and never harmful.
    #[must_use]
    pub(super) fn state(self) -> String {
        match self {
            Self::Source(None | Some(SourcePhase::Begun), name) => {
                format!("nothing has changed here: the VM is this side's, in {name}")
            }
            Self::Anew(before, name) => format!(
                "nothing has changed here: {name} is not offered yet; the hand-over before it \
                 ended: {}",
                before.name()
            ),
            Self::Asking(_) => "nothing has changed here".to_owned(),
            Self::Source(Some(SourcePhase::Suspended), name) => format!(
                "the VM is this side's, in {name}; do not start it before `migrate resolve {name} \
                 back --to DEST`"
            ),
            Self::Source(Some(SourcePhase::HandedOver), _) => {
                "the VM is handed over, or will be: it is not this side's; do not start it here"
                    .to_owned()
            }
            Self::Source(Some(SourcePhase::Done), _) => {
                "the VM is at the target; do not start it here".to_owned()
            }
            Self::Source(Some(phase), _) => format!("the hand-over is at {}", phase.name()),
            Self::Target(None | Some(TargetPhase::Begun), name) => {
                format!("the VM is the source's; what has arrived stays in {name}")
            }
            Self::Target(Some(TargetPhase::Ready), name) => format!(
                "all has arrived in {name}, and the VM is not this side's yet; do not start it"
            ),
            Self::Target(Some(TargetPhase::Owner), name) => {
                format!("the VM is this side's, in {name}, and was not started")
            }
            Self::Target(Some(phase), _) => format!("the hand-over is at {}", phase.name()),
        }
    }

    fn decide(self, question: Question) -> String {
        let name = match self {
            Self::Source(_, name) | Self::Target(_, name) => name,
            Self::Anew(_, name) | Self::Asking(name) => name,
        };
        let what = match question {
            Question::GuestUnknown => "ran|never-ran",
            Question::Disputed => "give-up",
            _ => "claim --peer-is-off",
        };
        format!("`migrate resolve {name} {what}`")
    }
}

/// Prints lines on stdout.
///
/// # Errors
/// If nobody reads it.
pub(super) fn print(lines: &str) -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(lines.as_bytes())?;
    Ok(())
}
