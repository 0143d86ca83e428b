//! Where a source has its VM from: a snapshot on disk, in any form; a running VM is to come.
//!
//! It gives parts of a stream, in order, and says what they amount to. It does not know who gets
//! them, nor when.

mod snapshot;

use snapfmt::Digest;
use snapfmt::part::config::ConfigText;
use snapfmt::part::device::RecordId;
use snapfmt::part::stream::Outgoing;
use snapfmt::part::vm::Vm;

pub use self::snapshot::{Form, Snapshot};
use crate::core::Blocks;

/// Takes the parts of a stream.
pub trait PartSink {
    /// Takes one. It may wait until there is room.
    ///
    /// # Errors
    /// If nobody wants parts any more.
    fn part(&mut self, part: Outgoing<'static>) -> anyhow::Result<()>;

    /// So many bytes of memory are done, sent or not.
    fn scanned(&mut self, _bytes: u64) {}
}

/// A VM that can be sent.
pub trait Origin: Send + Sync {
    /// The machine.
    fn vm(&self) -> &Vm;

    /// An estimate of the bytes to come.
    fn stored(&self) -> u64;

    /// Its configuration, if there is one.
    ///
    /// # Errors
    /// Trouble with reading, and damage.
    fn config(&self) -> anyhow::Result<Option<ConfigText>>;

    /// Makes all that the VM is read from durable, and the names of it: from when the VM is offered
    /// on, a crash of this host must not lose it (`handover.md` §3.3).
    ///
    /// # Errors
    /// If it may not be durable.
    fn make_durable(&self) -> anyhow::Result<()>;

    /// Gives META, CONFIG and DEVICE parts, and says which records they are.
    ///
    /// # Errors
    /// Trouble with reading, damage, and what the sink says.
    fn state(&self, out: &mut dyn PartSink) -> anyhow::Result<Vec<RecordId>>;

    /// Gives EXTENT parts that make what the target holds the memory of the VM; `have` is nothing
    /// if that is all zero. Says the memory root.
    ///
    /// # Errors
    /// Trouble with reading, damage, and what the sink says.
    fn round(&self, have: Option<&Blocks>, out: &mut dyn PartSink) -> anyhow::Result<Digest>;
}
