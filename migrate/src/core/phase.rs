//! Where a connection stands, for both sides: each phase once, in the order in which they come
//! (§4). What the hand-over's phases mean is said in `handover`.

/// The source's phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourcePhase {
    /// There is no connection.
    Apart,
    /// HELLO was said; the target's is awaited.
    Greeting,
    /// The target's STATUS is awaited.
    Asking,
    /// FACTS was said; REPORT is awaited.
    Comparing,
    /// The note of the session is being made durable.
    Noting,
    /// BEGIN and the VM part were sent; HAVE is awaited.
    Opening,
    /// The parts of the state are being sent.
    SendingState,
    /// STATE-END was said; STATE-DONE is awaited.
    CheckingState,
    /// The parts of a round are being sent.
    SendingRound,
    /// ROUND-END was said; ROUND-DONE is awaited.
    CheckingRound,
    /// The hand-over speaks.
    HandingOver,
    /// BYE was said; the target's is awaited.
    Leaving,
}

/// The target's phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetPhase {
    /// There is no connection.
    Apart,
    /// The source's HELLO is awaited.
    Greeting,
    /// FACTS is awaited.
    Comparing,
    /// The hosts were compared; BEGIN is awaited.
    Compared,
    /// The VM part is awaited.
    Beginning,
    /// What is held of the machine is being opened.
    Opening,
    /// STATE, ROUND, and what ends it, are awaited.
    Receiving,
    /// Parts of the state are awaited.
    TakingState,
    /// The state is held against all rules.
    CheckingState,
    /// Parts of a round are awaited.
    TakingRound,
    /// All of the round is being checked and written.
    CheckingRound,
    /// All of it is being made durable.
    Syncing,
    /// The hand-over speaks.
    HandingOver,
    /// All was said but the source's BYE, which is awaited.
    Leaving,
}

impl TargetPhase {
    /// Whether the driver is at work, and nothing is awaited from the source.
    pub(super) fn is_drivers(self) -> bool {
        matches!(self, Self::Opening | Self::CheckingState | Self::CheckingRound | Self::Syncing)
    }
}
