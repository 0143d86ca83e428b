//! What goes into the machines of both sides and what comes out.

use std::time::Duration;

use snapfmt::Digest;
use snapfmt::part::device::RecordId;
use snapfmt::part::vm::Vm;

use super::blocks::Blocks;
use crate::handover;
use crate::identity::{Epoch, Session};
use crate::stream::message::{Message, PartsEnd, Report, Status, Trouble};
use crate::stream::part::Arrived;

/// Time since some moment that the driver chose; it never goes back.
pub type Now = Duration;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closed {
    /// The stream ended between two items.
    Ended,
    /// It ended within an item, or cannot be read or written any more.
    Broken,
}

/// What happened at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "few are made, and none is kept")]
pub enum SourceInput {
    /// There is a connection.
    Connected,
    /// There is none any more.
    Closed(Closed),
    /// An item that breaks §1 to §3 came.
    Garbled(Trouble),
    /// The peer said something.
    Message(Message),
    /// The note of the session is durable (§10.2).
    Noted,
    /// All parts of the state are on their way.
    StateSent {
        /// How many, and their digest.
        end: PartsEnd,
        /// The records in it.
        records: Vec<RecordId>,
    },
    /// All parts of the round are on their way.
    RoundSent {
        /// How many, and their digest.
        end: PartsEnd,
        /// Bytes of their payloads.
        stored: u64,
        /// The memory root after it.
        root: Digest,
    },
    /// Some bytes came, of an item that is not whole yet.
    Heard,
    /// Some bytes were sent: the peer reads (§11.4).
    Progress,
    /// What was asked for cannot be had: the VM's files cannot be read, or are damaged.
    Failed(Trouble),
    /// What came of an action of the hand-over; never its connection or messages.
    Handover(handover::Input),
    /// Time has passed; see `deadline`.
    Tick,
    /// A person stops this process.
    Stop,
}

/// What the source is to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "few are made, and none is kept")]
pub enum SourceAction {
    /// Send it.
    Send(Message),
    /// Keep the note of the session, durable, then say [`SourceInput::Noted`].
    Note {
        /// Which hand-over.
        session: Session,
        /// Its epoch.
        epoch: Epoch,
    },
    /// Send the VM part.
    SendVm,
    /// Send META, CONFIG and DEVICE parts, then say [`SourceInput::StateSent`].
    SendState {
        /// Whether the VM goes on.
        rehearsal: bool,
    },
    /// Send what differs from what the target holds, then say [`SourceInput::RoundSent`].
    SendRound {
        /// Its number.
        round: u64,
        /// What the target holds; nothing if all of it is zero.
        have: Option<Blocks>,
    },
    /// An action of the hand-over; never one to send.
    Handover(handover::Action),
    /// What a person decided cannot be: say why.
    Refused(handover::Refused),
    /// Show what two hosts found out about each other.
    Report(Report),
    /// Show what rules warn of at the target.
    Warnings(Vec<String>),
    /// Show where the target stands.
    Status(Status),
    /// Show how much the target has checked.
    Acked {
        /// Parts.
        parts: u64,
        /// Bytes.
        stored: u64,
    },
    /// Close the connection, once all was sent; this run is over. What was asked for and is no
    /// action of the hand-over is void: nothing that comes of it is handed in.
    End(Outcome),
}

/// What happened at the target.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "few are made, and none is kept")]
pub enum TargetInput {
    /// There is a connection.
    Connected,
    /// There is none any more.
    Closed(Closed),
    /// An item that breaks §1 to §3 came.
    Garbled(Trouble),
    /// The peer said something.
    Message(Message),
    /// A part came whose frame is good.
    Part(Arrived),
    /// Memory of the machine is at hand.
    Opened {
        /// Its root, computed from what is held.
        root: Digest,
        /// Its blocks; nothing if all of it is zero.
        blocks: Option<Blocks>,
    },
    /// So much of the round is checked and written.
    Applied {
        /// Parts.
        parts: u64,
        /// Bytes of their payloads.
        stored: u64,
    },
    /// All of the round is checked and written.
    RoundApplied {
        /// The root of the memory now.
        root: Digest,
    },
    /// The state is kept, and no rule fails it.
    StateKept {
        /// The records in it.
        records: Vec<RecordId>,
        /// What rules warn of.
        warnings: Vec<String>,
    },
    /// All of the snapshot is durable, but for the last name.
    Synced,
    /// Some bytes came, of an item that is not whole yet.
    Heard,
    /// Some bytes were sent: the peer reads (§11.4).
    Progress,
    /// What was asked for cannot be done: a part is wrong, a rule fails, there is no room.
    Failed(Trouble),
    /// What came of an action of the hand-over; never its connection or messages.
    Handover(handover::Input),
    /// Time has passed; see `deadline`.
    Tick,
    /// A person stops this process.
    Stop,
}

/// What the target is to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "few are made, and none is kept")]
pub enum TargetAction {
    /// Send it.
    Send(Message),
    /// Reserve room and open what is held of this machine, with the note of it durable (§10.2),
    /// then say [`TargetInput::Opened`]. A copy begins with zeros. Memory of which a sync has
    /// failed, or began and was not seen to end, is written again or dropped first (§10.4).
    Open {
        /// The machine.
        vm: Vm,
        /// Which hand-over; nothing for a copy.
        session: Option<(Session, Epoch)>,
    },
    /// Check this EXTENT part and write its pages.
    Apply(Arrived),
    /// Say [`TargetInput::RoundApplied`] once all parts are written.
    EndRound,
    /// Keep this part of the state; it replaces nothing before [`Self::EndState`].
    Keep(Arrived),
    /// That was all of the state: hold it against all rules, then say [`TargetInput::StateKept`].
    EndState,
    /// Make everything durable, then say [`TargetInput::Synced`].
    Sync,
    /// Give a complete copy its last name; if that fails, say [`TargetInput::Failed`].
    Publish,
    /// An action of the hand-over; never one to send. What is started was checked by this process
    /// (§7.3).
    Handover(handover::Action),
    /// What a person decided cannot be: say why.
    Refused(handover::Refused),
    /// Close the connection, once all was sent; this run is over. What was asked for and is no
    /// action of the hand-over is void: nothing that comes of it is handed in.
    End(Outcome),
}

/// Whether a driver may hand this to the hand-over: connection, messages and waits are the
/// machine's own.
pub(super) fn is_drivers(input: handover::Input) -> bool {
    use handover::Input::{Connected, Disconnected, Message, Timeout};
    !matches!(input, Connected | Disconnected | Message(_) | Timeout)
}

/// How a run ended. None of them loses a VM; each says what there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// All that was asked for is done.
    Done,
    /// The VM is the source's again.
    Back,
    /// This side gave its copy up for the peer's claim.
    GivenUp,
    /// The connection is gone; the same command goes on.
    Cut,
    /// Nothing came for too long, or the peer did not read; the same command goes on.
    TimedOut,
    /// This side stopped, and has told the peer.
    Stopped(Trouble),
    /// The peer stopped, and said why.
    Peer(Trouble),
    /// Only a person can decide.
    Ask(handover::Question),
    /// The journal failed: this process has to end, and the next one reads what it holds.
    JournalFailed,
}
