//! Why a side cannot go on, as both sides say it (§11.1).

use crate::handover::{Body, Question, Refused};
use crate::stream::message::{Finding, Message, Trouble};

/// Of one string of an ERROR; with [`LINES`], it stays below its limit (§12).
const CHARACTERS: usize = 200;
/// Lines of an ERROR.
const LINES: usize = 64;

/// The codes of ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Another source is being answered.
    Busy,
    /// Another machine state than the one that was offered.
    Content,
    /// Findings that nobody has accepted.
    Facts,
    /// A fault of this side.
    Internal,
    /// A breach of §1 to §3.
    Item,
    /// The journal.
    Journal,
    /// An item out of place.
    Order,
    /// Only a person can decide.
    Question,
    /// No room.
    Room,
    /// Another memory than it should be.
    Root,
    /// What is held, or was handed over, belongs to another session or machine.
    Session,
    /// A rule fails the state.
    State,
    /// A person stopped it.
    Stopped,
    /// Nothing came for too long.
    Timeout,
    /// No version in common.
    Version,
}

impl Code {
    /// Its name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Content => "content",
            Self::Facts => "facts",
            Self::Internal => "internal",
            Self::Item => "item",
            Self::Journal => "journal",
            Self::Order => "order",
            Self::Question => "question",
            Self::Room => "room",
            Self::Root => "root",
            Self::Session => "session",
            Self::State => "state",
            Self::Stopped => "stopped",
            Self::Timeout => "timeout",
            Self::Version => "version",
        }
    }
}

/// A trouble with these words.
#[must_use]
pub fn trouble(code: Code, words: impl Into<String>) -> Trouble {
    Trouble { code: code.name().to_owned(), words: words.into(), hint: None, lines: Vec::new() }
}

/// A trouble with these words, and what to do.
#[must_use]
pub fn hinted(code: Code, words: impl Into<String>, hint: &str) -> Trouble {
    Trouble { hint: Some(hint.to_owned()), ..trouble(code, words) }
}

pub(super) fn out_of_place(what: &str, phase: impl std::fmt::Debug) -> Trouble {
    trouble(Code::Order, format!("{what} is out of place in {phase:?} (§4)"))
}

/// The peer's hand-over said what does not fit this side's.
pub(super) fn unfit(body: Body, refused: Refused) -> Trouble {
    let code = match refused {
        Refused::OtherContent => Code::Content,
        Refused::OtherSession => Code::Session,
        Refused::Halted => Code::Journal,
        _ => Code::Order,
    };
    trouble(code, format!("{} does not fit this hand-over: {refused}", body.name()))
}

pub(super) fn journal() -> Trouble {
    trouble(Code::Journal, "the journal of this side could not be written")
}

pub(super) fn stopped() -> Trouble {
    trouble(Code::Stopped, "a person stopped it")
}

/// As it can be sent: what a driver found may have more lines than the message, and any bytes.
pub(super) fn sendable(trouble: &Trouble) -> Trouble {
    let bounded = |text: &String| -> String {
        let text = text.replace('\0', "\\0");
        text.chars().take(CHARACTERS).collect()
    };
    Trouble {
        code: bounded(&trouble.code),
        words: bounded(&trouble.words),
        hint: trouble.hint.as_ref().map(bounded),
        lines: trouble.lines.iter().take(LINES).map(bounded).collect(),
    }
}

pub(super) fn timeout() -> Trouble {
    trouble(Code::Timeout, "nothing came, or was read, for too long (§11.4)")
}

pub(super) fn question(question: Question) -> Trouble {
    trouble(Code::Question, question.to_string())
}

pub(super) fn refused(findings: &[&Finding]) -> Trouble {
    let line = |finding: &&Finding| {
        let way = match &finding.option {
            Some(option) => format!("accept it by `{option}`"),
            None => "there is no way round".to_owned(),
        };
        format!("{}: {}; {way}", finding.subject, finding.reason)
    };
    let lines = findings.iter().map(line).collect();
    Trouble { lines, ..trouble(Code::Facts, "the hosts do not fit (§5.4)") }
}

/// What a message is called in the specification.
#[must_use]
pub fn name(message: &Message) -> &'static str {
    match message {
        Message::Hello(_) => "HELLO",
        Message::Facts(_) => "FACTS",
        Message::Report(_) => "REPORT",
        Message::Begin { .. } => "BEGIN",
        Message::Have(_) => "HAVE",
        Message::State { .. } => "STATE",
        Message::StateEnd(_) => "STATE-END",
        Message::StateDone { .. } => "STATE-DONE",
        Message::Round { .. } => "ROUND",
        Message::RoundEnd { .. } => "ROUND-END",
        Message::RoundDone { .. } => "ROUND-DONE",
        Message::Ack { .. } => "ACK",
        Message::Handover(_) => "HANDOVER",
        Message::Copied { .. } => "COPIED",
        Message::Status(_) => "STATUS",
        Message::Ping => "PING",
        Message::Error(_) => "ERROR",
        Message::Bye => "BYE",
    }
}
