//! How a driver does what it is asked for: as asked, or careless in one way.
//!
//! The product has no such switches. Each is what a wrong driver, or a wrong line in a machine,
//! would come to, and shows that the simulation would find it.

/// A driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Variant {
    /// As asked.
    Faithful,
    /// The target takes the end of the stream for the end of the VM, and starts it.
    EndIsSuccess,
    /// The source takes the end of the stream for RUNNING.
    EndIsRunning,
    /// The target says that memory and state are synced, and has not synced them.
    NeverSyncsMemory,
    /// A record of a journal counts as durable when it is written.
    NeverSyncsJournals,
    /// The target says to hold what a note says that it holds.
    BelievesNotes,
    /// After a failed sync the target syncs again and believes that.
    SyncsAgain,
    /// The target takes a round of another memory for one of its own, and believes its root.
    TakesForeignRounds,
    /// The target starts the VM while OWNER is being written.
    StartsBeforeOwner,
    /// COMMIT goes out while HANDED-OVER is being written.
    CommitsBeforeTheJournal,
}

impl Variant {
    /// All that are careless.
    pub(crate) const CARELESS: [Self; 9] = [
        Self::EndIsSuccess,
        Self::EndIsRunning,
        Self::NeverSyncsMemory,
        Self::NeverSyncsJournals,
        Self::BelievesNotes,
        Self::SyncsAgain,
        Self::TakesForeignRounds,
        Self::StartsBeforeOwner,
        Self::CommitsBeforeTheJournal,
    ];
}
