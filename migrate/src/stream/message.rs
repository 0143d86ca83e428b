//! What the two sides say to each other (§2, §4 to §11), as values. How messages are laid out in
//! bytes is the business of `frame` and `wire`; lists within them are their structs here, field by
//! field.

use serde::{Deserialize, Serialize};
use snapfmt::Digest;
use snapfmt::state::host::HostFacts;

use crate::handover;
use crate::identity::{Epoch, Session};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The first item each way.
    Hello(Hello),
    /// Source: its host, and what the VM needs.
    Facts(Facts),
    /// Target: its host, and what it finds.
    Report(Report),
    /// Source: a VM is to be received; a VM part follows.
    Begin {
        /// Findings that a person accepts, by their options.
        overrides: Vec<String>,
    },
    /// Target: what it holds of the memory.
    Have(Have),
    /// Source: device state follows.
    State {
        /// Whether the VM goes on after it.
        rehearsal: bool,
    },
    /// Source: that was all of it.
    StateEnd(PartsEnd),
    /// Target: no rule fails it.
    StateDone {
        /// What rules warn of, for people.
        warnings: Vec<String>,
    },
    /// Source: changes to the memory follow.
    Round {
        /// Its number on this connection.
        round: u64,
        /// The root of the memory that it changes.
        parent: Digest,
    },
    /// Source: that was all of it.
    RoundEnd {
        /// Its number.
        round: u64,
        /// The parts that were sent.
        parts: PartsEnd,
        /// Bytes of their payloads.
        stored: u64,
        /// The root of the memory now.
        root: Digest,
    },
    /// Target: all of it is applied.
    RoundDone {
        /// Its number.
        round: u64,
        /// The root of the memory now, computed.
        root: Digest,
    },
    /// Target: so much of the round is checked and written.
    Ack {
        /// Parts.
        parts: u64,
        /// Bytes of their payloads.
        stored: u64,
    },
    /// Both: a message of the hand-over.
    Handover(handover::Message),
    /// Source: a copy is complete, and this is its content.
    Copied {
        /// The content (`spec/snapshot.md` §8.2).
        content: Digest,
    },
    /// Target: where it stands.
    Status(Status),
    /// Both: still here.
    Ping,
    /// Both: it cannot go on; nothing follows.
    Error(Trouble),
    /// Both: all was said; nothing follows.
    Bye,
}

/// How many parts were sent since they were announced, and the digest over their frame digests
/// (§3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartsEnd {
    /// Their number.
    pub parts: u64,
    /// SHA-256 of their frame digests in order.
    pub digest: Digest,
}

/// The first item each way (§4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Versions of the stream that the sender speaks, ascending.
    pub versions: Vec<u64>,
    /// Program and version, for people.
    pub producer: String,
    /// What the sender can besides.
    pub features: Vec<String>,
    /// Who says it.
    pub by: By,
}

/// Who says HELLO, and what only that side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The source.
    Source(Operation),
    /// The target: its phase in this session's hand-over, if its journal has one.
    Target {
        /// The name of the phase.
        record: Option<String>,
    },
}

/// What the source wants (§4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// To hand a VM over.
    Migrate {
        /// Which hand-over.
        session: Session,
        /// Its epoch.
        epoch: Epoch,
    },
    /// To know whether it could.
    Plan,
    /// To know where the target stands.
    Status,
    /// To give a copy, without an answer.
    Copy,
}

/// What the source says of its host and its VM (§5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Its host.
    pub host: Host,
    /// What the VM needs.
    pub needs: Needs,
}

/// A host (§5.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// CPU, XCR0, page size and the like.
    #[serde(flatten)]
    pub facts: HostFacts,
    /// The version of bhyve.
    #[serde(rename = "version")]
    pub bhyve: Option<String>,
    /// Free bytes of RAM.
    pub memory: Option<u64>,
    /// Free bytes where a VM is kept.
    pub room: Option<u64>,
    /// Disks that the VM may use.
    #[serde(default)]
    pub disks: Vec<Disk>,
}

impl Default for Host {
    /// Nothing is known.
    fn default() -> Self {
        let facts = HostFacts::new();
        Self { facts, bhyve: None, memory: None, room: None, disks: Vec::new() }
    }
}

/// A disk as a host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// What tells that two hosts see the same disk.
    pub identity: Option<String>,
}

/// What a VM needs (§5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// Its virtual CPUs.
    pub ncpus: u64,
    /// Bytes of its RAM.
    pub memsize: u64,
    /// An estimate of the bytes to come.
    pub stored: u64,
    /// Its disks, as the source sees them.
    #[serde(default)]
    pub disks: Vec<Disk>,
}

/// What the target says of its host, and finds (§5.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Its host.
    pub host: Host,
    /// What it finds.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// How well two hosts fit in one respect (§5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// The same.
    Same,
    /// It differs, and that is known to work.
    Works,
    /// It is not known to work.
    MayFail,
    /// It is known not to work, or is too dangerous to try unasked.
    Refused,
}

/// One respect in which two hosts were compared (§5.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What was compared.
    pub subject: String,
    /// How well it fits.
    pub grade: Grade,
    /// What the source has.
    pub source: Option<String>,
    /// What the target has.
    pub target: Option<String>,
    /// Why it has this grade.
    pub reason: String,
    /// What a person gives to go on all the same.
    pub option: Option<String>,
}

/// What the target holds of the memory, or a piece of that (§6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Have {
    /// The root of all of it.
    pub root: Digest,
    /// Bytes of a block.
    pub block: u64,
    /// Roots in messages before this one.
    pub first: u64,
    /// Subtree roots of blocks that have RAM, ascending; none at all if all memory is zero.
    pub roots: Vec<Digest>,
    /// Whether nothing follows.
    pub last: bool,
}

/// Where a target stands, for people (§4.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its phase: that of the hand-over, or `idle`, `receiving`.
    pub phase: String,
    /// Whether it may run the VM.
    pub standing: String,
    /// The VM.
    pub vm: Option<String>,
    /// The session.
    pub session: Option<Session>,
    /// Its epoch.
    pub epoch: Option<Epoch>,
    /// The content that is handed over.
    pub content: Option<Digest>,
    /// What a person has to decide.
    pub question: Option<String>,
}

/// Why a side cannot go on (§11.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// A name for programs.
    pub code: String,
    /// A sentence for people.
    pub words: String,
    /// What to do.
    pub hint: Option<String>,
    /// Findings and the like.
    #[serde(default)]
    pub lines: Vec<String>,
}

impl Trouble {
    /// The same, short enough to be sent.
    #[must_use]
    pub fn fitting(self) -> Self {
        let Self { code, words, hint, lines } = self;
        let (words, hint) = (cut(words, 4 * LINE), hint.map(|hint| cut(hint, 4 * LINE)));
        Self { code: cut(code, LINE), words, hint, lines: fitting(lines) }
    }
}

/// Bytes of a line for people that is not cut.
const LINE: usize = 1000;
/// Bytes of all lines of a message, so that their list stays well below its limit (§12).
const LINES: usize = 48 << 10;

/// As many lines as a message can hold, none of them endless (§11.1).
#[must_use]
pub fn fitting(lines: Vec<String>) -> Vec<String> {
    let mut left = LINES;
    let mut fit = |line: &String| {
        left = left.checked_sub(line.len() + 1)?;
        Some(())
    };
    let lines = lines.into_iter().map(|line| cut(line, LINE));
    lines.take_while(|line| fit(line).is_some()).collect()
}

fn cut(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let start = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    format!("{start}...")
}
