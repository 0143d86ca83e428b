//! The phases of both sides, once, in order, and what each means for who owns the VM (§4).

/// The source's phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourcePhase {
    /// Nothing is durable yet; the VM is the source's.
    Begun,
    /// The VM is suspended, its files are synced, and it is the source's.
    Suspended,
    /// HANDED-OVER is durable: the VM is the target's, or will be, or RELEASED will come back.
    HandedOver,
    /// The target has said that the VM runs or is kept there. An end.
    Done,
    /// The VM is the source's again and is being resumed by this process.
    Resuming,
    /// The VM is the source's again; whether the guest has run is not known.
    ResumeUnknown,
    /// The VM is the source's again and the guest has run. An end.
    Resumed,
    /// A claim made this side the owner. An end.
    Claimed,
    /// The target's claim stands, or a person gave this copy up. An end.
    Superseded,
    /// Both sides say that they own the VM.
    Disputed,
    /// The journal failed; only a restart can tell what it holds.
    Halted,
}

impl SourcePhase {
    /// Its name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "Begun",
            Self::Suspended => "Suspended",
            Self::HandedOver => "HandedOver",
            Self::Done => "Done",
            Self::Resuming => "Resuming",
            Self::ResumeUnknown => "ResumeUnknown",
            Self::Resumed => "Resumed",
            Self::Claimed => "Claimed",
            Self::Superseded => "Superseded",
            Self::Disputed => "Disputed",
            Self::Halted => "Halted",
        }
    }
}

/// The target's phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetPhase {
    /// Nothing is durable yet.
    Begun,
    /// Everything has arrived, is verified and synced; waits for COMMIT, however long.
    Ready,
    /// OWNER is durable: the VM is the target's; nothing has been started.
    Owner,
    /// The VM is being started by this process.
    Starting,
    /// The start command has been run; whether the guest has run is not known.
    StartUnknown,
    /// The guest has run here. An end.
    Running,
    /// The snapshot is kept here, and the VM is the target's. An end.
    Kept,
    /// RELEASED is durable: this copy will never be started. An end.
    Released,
    /// A claim made this side the owner. An end.
    Claimed,
    /// The source's claim stands, or a person gave this copy up. An end.
    Superseded,
    /// Both sides say that they own the VM.
    Disputed,
    /// The journal failed; only a restart can tell what it holds.
    Halted,
}

impl TargetPhase {
    /// Its name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "Begun",
            Self::Ready => "Ready",
            Self::Owner => "Owner",
            Self::Starting => "Starting",
            Self::StartUnknown => "StartUnknown",
            Self::Running => "Running",
            Self::Kept => "Kept",
            Self::Released => "Released",
            Self::Claimed => "Claimed",
            Self::Superseded => "Superseded",
            Self::Disputed => "Disputed",
            Self::Halted => "Halted",
        }
    }
}

/// Whether this side may run the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It may, and the other may not.
    Owner,
    /// Its journal says so, but it was restarted since, and the other may have been claimed in
    /// between: it starts nothing before it has heard from the other, or a person has decided.
    Unconfirmed,
    /// It may not.
    No,
    /// Both sides say that they own the VM: a person has to give one copy up.
    Disputed,
}

impl Standing {
    /// As people are told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Unconfirmed => "unconfirmed",
            Self::No => "no",
            Self::Disputed => "disputed",
        }
    }
}
