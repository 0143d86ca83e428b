//! What became of a command, inferred: bhyve itself does not say that one succeeded.
//!
//! ```text
//!               connection         files              process
//!   checkpoint  closes, answers    whole, else not    lives
//!   suspend     closes             whole, else not    gone: that is success
//! ```
//!
//! bhyve serves one command at a time and closes its end of the connection after it. bhyvectl does
//! not wait for that; this does, and so knows when there is nothing more to come. Newer versions
//! answer before they close, but an answer without error is not believed: a file that could not be
//! created is not reported. Over datagrams only the files and the process tell.

use std::time::Duration;

use snapfmt::bhyve::Meta;
use snapfmt::nvlist::{Nvlist, OwnedValue};

use super::control::{Heard, Line};
use super::files::{Files, Incomplete, Sighting};
use super::protocol::Command;

/// Time, so that tests need none.
pub trait Clock {
    /// Time since some moment; it never goes back.
    fn now(&self) -> Duration;
    /// Lets time pass.
    fn wait(&self, time: Duration);
}

/// Whether the process of a VM is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Lives,
    /// It is not, for certain.
    Gone,
    /// Nobody knows its number.
    Unknown,
}

/// The process of a VM, or what a test puts in its place.
pub trait Process {
    /// Whether it is there now.
    fn presence(&self) -> Presence;
}

/// How long to wait, and how often to look.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the whole command.
    pub all: Duration,
    /// Between two looks.
    pub look: Duration,
    /// For a process to go after its connection was closed, and for files to appear that the
    /// kernel already has.
    pub settle: Duration,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The files are whole; after a suspend the process is gone, and they are synced. Inferred.
    Complete(Box<Meta>),
    /// The command came to its end, or to none, without whole files. The guest goes on where it
    /// was. What is left of the files is worth nothing.
    GoesOn(Cause),
    /// bhyve is gone, and the files are not whole.
    Lost(Incomplete),
    /// The files of a suspend are whole, but bhyve has not gone, or is not known to have.
    Lingers(Box<Meta>),
    /// The VM is gone and its files are whole, but they may not be on the disk.
    NotSynced(Box<Meta>, std::io::ErrorKind),
    /// The time is over, and nothing above is certain.
    Unknown(Incomplete),
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// bhyve said so.
    #[error("bhyve says: {0}")]
    Told(String),
    /// bhyve has come to the end of the command, and the files are not whole.
    #[error("bhyve has ended the command: {0}")]
    Ended(Incomplete),
    /// A suspend came back.
    #[error("bhyve has ended the command, and did not exit")]
    Returned,
}

/// What was seen of a command, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What bhyve was asked.
    pub command: Command,
    /// From sending it until the verdict.
    pub took: Duration,
    /// The last that was heard, as words; none if nothing was.
    pub heard: Option<String>,
    /// The files at the end.
    pub seen: Sighting,
    /// The process at the end.
    pub process: Presence,
    /// What follows.
    pub verdict: Verdict,
}

impl Verdict {
    /// What is to be done now.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Complete(_) => "go on; keep the files until another copy has run",
            Self::GoesOn(_) => {
                "the guest runs where it was: delete the files, and ask bhyve's own messages why"
            }
            Self::Lost(_) => "boot the VM from its disks: its memory is lost",
            Self::Lingers(_) => {
                "start no copy of the VM: make sure that bhyve has gone, then use the files"
            }
            Self::NotSynced(..) => {
                "copy the files to another disk before anything else: this one may not have them"
            }
            Self::Unknown(_) => {
                "start no copy of the VM: see whether bhyve lives, then look at the files again"
            }
        }
    }
}

/// Waits for a command that was sent, and tells what became of it.
pub fn watch(
    command: Command,
    line: &mut impl Line,
    files: &impl Files,
    process: &impl Process,
    clock: &impl Clock,
    patience: Patience,
) -> std::io::Result<Report> {
    let begin = clock.now();
    let spent = || clock.now().saturating_sub(begin);
    let mut heard = Told::default();
    let mut ended = None;
    loop {
        if heard.open {
            heard.hear(line.hear(patience.look));
        } else {
            clock.wait(patience.look);
        }
        // The process first: what it leaves is there when it is gone.
        let presence = process.presence();
        let seen = files.look()?;
        let whole = seen.complete();
        let over = spent() >= patience.all;
        if !heard.open || presence == Presence::Gone {
            ended = ended.or_else(|| Some(spent()));
        }
        let settled = over || ended.is_some_and(|at| spent().saturating_sub(at) >= patience.settle);
        let end = End { heard: &heard, ended: ended.is_some(), settled, over, presence, whole };
        let verdict = match command {
            Command::Checkpoint => end.checkpoint(),
            Command::Suspend => end.suspend(),
        };
        if let Some(verdict) = verdict {
            let verdict =
                if command == Command::Suspend { synced(verdict, files) } else { verdict };
            let (took, heard) = (spent(), heard.words);
            return Ok(Report { command, took, heard, seen, process: presence, verdict });
        }
    }
}

fn synced(verdict: Verdict, files: &impl Files) -> Verdict {
    match verdict {
        Verdict::Complete(meta) => match files.sync() {
            Ok(()) => Verdict::Complete(meta),
            Err(error) => Verdict::NotSynced(meta, error.kind()),
        },
        other => other,
    }
}

/// What was heard so far.
pub(super) struct Told {
    /// Whether more may be heard.
    pub(super) open: bool,
    /// bhyve answered, whatever it said.
    pub(super) answered: bool,
    error: Option<String>,
    words: Option<String>,
}

impl Default for Told {
    fn default() -> Self {
        Self { open: true, answered: false, error: None, words: None }
    }
}

impl Told {
    pub(super) fn hear(&mut self, heard: Heard) {
        self.open = matches!(heard, Heard::Nothing);
        match heard {
            Heard::Nothing => {}
            Heard::Closed => self.words = Some("the connection was closed".to_owned()),
            Heard::Broken(error) => self.words = Some(error.to_string()),
            Heard::Answer(list) => {
                self.answered = true;
                self.error = error_of(&list);
                self.words = Some(match &self.error {
                    Some(error) => error.clone(),
                    None => "an answer without error".to_owned(),
                });
            }
        }
    }
}

/// The error in an answer of bhyve, made safe to show.
pub(super) fn error_of(answer: &Nvlist) -> Option<String> {
    match answer.get("error")? {
        OwnedValue::String(text) => Some(text.escape_ascii().to_string()),
        _ => Some("an error that is not text".to_owned()),
    }
}

/// All that is known after a look.
struct End<'a> {
    heard: &'a Told,
    /// There is nothing more to come.
    ended: bool,
    /// And it was so for a while, or the time is over.
    settled: bool,
    over: bool,
    presence: Presence,
    whole: Result<Meta, Incomplete>,
}

impl End<'_> {
    fn checkpoint(self) -> Option<Verdict> {
        if let Some(error) = &self.heard.error {
            return Some(Verdict::GoesOn(Cause::Told(error.clone())));
        }
        match self.whole {
            // Over datagrams nothing ends; `.meta` is finished last.
            Ok(meta) => Some(Verdict::Complete(Box::new(meta))),
            Err(why) if self.presence == Presence::Gone => Some(Verdict::Lost(why)),
            Err(why) if self.ended && self.settled => Some(Verdict::GoesOn(Cause::Ended(why))),
            Err(why) if self.over => Some(Verdict::Unknown(why)),
            Err(_) => None,
        }
    }

    fn suspend(self) -> Option<Verdict> {
        if let Some(error) = &self.heard.error {
            return Some(Verdict::GoesOn(Cause::Told(error.clone())));
        }
        if self.heard.answered {
            // Had it suspended, it could not have answered.
            return Some(Verdict::GoesOn(Cause::Returned));
        }
        let gone = match self.presence {
            Presence::Gone => true,
            // The end of a process closes the connection. So does the end of a command that failed,
            // but not after it has finished `.meta`.
            Presence::Unknown => self.ended,
            Presence::Lives => false,
        };
        match self.whole {
            Ok(meta) if gone => Some(Verdict::Complete(Box::new(meta))),
            Ok(meta) if self.settled => Some(Verdict::Lingers(Box::new(meta))),
            Ok(_) => None,
            Err(why) if self.presence == Presence::Gone => Some(Verdict::Lost(why)),
            Err(why) if self.ended && self.settled && self.presence == Presence::Lives => {
                Some(Verdict::GoesOn(Cause::Ended(why)))
            }
            Err(why) if self.settled => Some(Verdict::Unknown(why)),
            Err(_) => None,
        }
    }
}
