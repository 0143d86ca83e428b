//! What goes into a state machine and what comes out, the same for both sides.

use super::message::Message;
use crate::journal::{Entry, Evidence};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The record that was asked for is durable.
    Written,
    /// It may or may not be on the disk.
    WriteFailed,
    /// There is a connection to the peer, and nothing of an earlier one will arrive.
    Connected,
    /// There is none any more.
    Disconnected,
    /// The peer said something.
    Message(Message),
    /// What became of the VM that was to be started or resumed, as far as is known.
    Guest(Guest),
    /// The wait of this phase has lasted as long as it may without anything being said.
    Timeout,
    /// The stated time for which the source's files are kept has passed.
    KeepExpired,
    /// A person decided something, or fencing succeeded.
    Resolve(Resolve),
}

/// What is known of the guest on this host, since its state was handed to a start command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guest {
    /// It has run, whether or not it still does: the snapshot is older than its disks.
    Ran,
    /// Provably no vCPU ever ran.
    NeverRan,
    /// Neither is certain.
    Unknown,
}

/// What a person can decide (§6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolve {
    /// Go on with the hand-over.
    Forward,
    /// Take the VM back to the source.
    Back,
    /// The VM is this side's, because the peer is off.
    Claim(Evidence),
    /// In a dispute: this copy is stopped and given up.
    GiveUp,
}

/// What is to be done, in this order. What comes of an action is handed in after the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Append to the journal and make it durable, then say [`Input::Written`].
    Write(Entry),
    /// Tell the peer. If that fails, say [`Input::Disconnected`].
    Send(Message),
    /// Start or resume the VM from this side's files, then say [`Input::Guest`].
    Start,
    /// Keep this side's files for the stated time, then say [`Input::KeepExpired`].
    Keep,
    /// Delete this side's files: another good copy of the VM has run, or will be resumed.
    Destroy,
    /// Show a person a question, and why it must be asked.
    Ask(Question),
    /// Stop: the journal failed. A restart reads what it holds.
    Halt,
}

/// Why a person is asked (§6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Question {
    /// The VM was handed over, or waits to be, and the peer cannot be heard.
    #[error("the peer cannot be heard; reconnect, or claim the VM if the peer is off for certain")]
    PeerUnreachable,
    /// This side was restarted, and cannot know whether the peer was claimed in between.
    #[error(
        "this side was restarted, and the VM may have been claimed at the peer in between; \
         reconnect, or claim it here if the peer is off for certain"
    )]
    PeerMayHaveClaimed,
    /// The start command was run, and whether the guest ran is not known.
    #[error(
        "whether the guest has run on this host is not known: say that it has, or that it \
         certainly never did"
    )]
    GuestUnknown,
    /// A claim says who owns the VM, not that its RAM is as young as its disks.
    #[error(
        "the VM was claimed: if its guest has run at the peer, this snapshot is older than the \
         disks; then boot the VM from its disks"
    )]
    MayBeStale,
    /// Both sides say that they own the VM.
    #[error("both sides say that they own the VM: stop one of the two and give it up")]
    Disputed,
    /// Both sides have given the VM up, or nobody can tell who has it.
    #[error("this copy was given up; if nobody has the VM, stop the peer and claim it")]
    GivenUp,
    /// The journal failed.
    #[error("the journal could not be written; mend its disk and start again")]
    JournalFailed,
}

/// Why an input was not accepted. The state is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A record is being written; ask again when it is durable.
    #[error("a record is being written")]
    Busy,
    /// The journal failed.
    #[error("the journal failed; start again")]
    Halted,
    /// Nothing waits for this in the present phase.
    #[error("nothing waits for this now")]
    NotAwaited,
    /// An earlier hand-over has not come to its end, or the epoch is not above its.
    #[error("an earlier hand-over of this VM has not come to its end, or had this epoch")]
    Unfinished,
    /// A message of another hand-over.
    #[error("the message belongs to another hand-over")]
    OtherSession,
    /// A message about another machine state.
    #[error("the message is about another machine state")]
    OtherContent,
    /// A message that the peer's role does not send.
    #[error("the peer's side does not send this message")]
    WrongRole,
    /// The VM was handed over; the way back is RELEASED, which only the target can write.
    #[error("the guest has run, or may have, at the target: there is no way back")]
    NoWayBack,
    /// The target never had COMMIT.
    #[error("only the source can hand the VM over; claim it if the source is off for certain")]
    NotHandedOver,
    /// This side was restarted and has not heard from the peer.
    #[error("the peer may have been claimed meanwhile: reconnect first, or claim")]
    Unconfirmed,
    /// There is a connection.
    #[error("the peer is not off: there is a connection to it")]
    PeerIsOn,
    /// The start command is still at work.
    #[error("the VM is being started; wait until that has ended")]
    Starting,
    /// A copy that was given up is stale, or the peer's is known to be good.
    #[error("this copy was given up for the other one, and cannot be claimed")]
    NotClaimable,
    /// This side owns the VM already.
    #[error("the VM is this side's already")]
    AlreadyOwner,
    /// There is no dispute.
    #[error("a copy is given up only in a dispute")]
    NoDispute,
    /// The epoch has no successor.
    #[error("the epoch has no successor")]
    LastEpoch,
}

/// Why a journal is not one of a state machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Implausible {
    /// A record of the other role.
    #[error("record {sequence} is of the other side's journal (§5.4.5)")]
    Role {
        /// The record's number.
        sequence: u64,
    },
    /// A record that cannot follow what is before it.
    #[error("record {sequence} ({kind}) cannot follow what is before it (§5.4.5)")]
    Order {
        /// The record's number.
        sequence: u64,
        /// What it says.
        kind: &'static str,
    },
}
