//! A virtual machine as a migration sees it: where it runs now, and where it shall run.
//!
//! ```text
//!   running    read ─ mark ─ changed ─ checkpoint      as often as wanted
//!      │ suspend                ▲
//!      ▼                        │ resume
//!   suspended  read: it does not change any more ───── destroy ▶ gone
//! ```
//!
//! Two small traits, one for each side, so that the moving of memory and state is written once,
//! and tried with machines that are none. They know pages, marks and records. They refuse to know
//! who owns the VM: whoever calls [`Source::resume`], [`Source::destroy`] or [`Target::start`] has
//! asked [`crate::handover`] first.

mod cost;
mod written;

pub use self::cost::{Cost, Pause, Running};
pub use self::written::Written;

use snapfmt::memory::map::MemoryMap;

use crate::handover::Guest;

/// A moment that a source remembers, for [`Source::changed`]. Marks of one source ascend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u64);

/// What was written to since a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Every page that was written to is in this set. Pages that were not may be in it too.
    Exact(Written),
    /// It is not known: all pages have to be read and compared. No page may be left out on the word
    /// of anything weaker than this.
    Scan,
}

/// The state of a VM besides its memory, as bhyve writes it. It is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceState {
    /// The text of `.meta`.
    pub meta: Vec<u8>,
    /// The bytes of `.kern`.
    pub kern: Vec<u8>,
}

/// A VM that runs here.
pub trait Source {
    /// Why something failed. It says whether the guest still runs.
    type Error: std::error::Error;

    /// What moving it costs the guest, and the shortest pause that can be had. A plan shows it,
    /// and refuses a wish below it before anything has happened.
    fn cost(&self) -> Cost;

    /// Where it has memory. The target makes room by it, and a wrong page address is found by it.
    fn memory(&self) -> &MemoryMap;

    /// Reads memory, whether the guest runs or is suspended. What is read of a running guest may
    /// be torn, page by page; whoever reads a page twice may get two pages. So it is read once, and
    /// that copy is what is hashed and sent.
    ///
    /// # Errors
    ///
    /// The range is not all memory, or it cannot be read.
    fn read(&mut self, gpa: u64, into: &mut [u8]) -> Result<(), Self::Error>;

    /// Remembers this moment. It comes before the first read of a round, so that what is written
    /// while the round is read shows up in the next one.
    ///
    /// # Errors
    ///
    /// As the source says.
    fn mark(&mut self) -> Result<Mark, Self::Error>;

    /// What was written to since then, and a new mark, from which the next call goes on: made in
    /// one step, so that nothing falls between. Of a suspended guest it is all up to its
    /// suspension. The mark that was given stays good until the next call, so that a round that
    /// failed can be had again.
    ///
    /// # Errors
    ///
    /// As the source says. That a mark is not known any more is [`Changed::Scan`], no error.
    fn changed(&mut self, since: Mark) -> Result<(Mark, Changed), Self::Error>;

    /// The device state of a guest that goes on: a rehearsal, which the target can judge while
    /// nothing is lost. Its duration says something about that of [`Source::suspend`].
    ///
    /// # Errors
    ///
    /// The guest goes on, unless the error says otherwise.
    fn checkpoint(&mut self) -> Result<DeviceState, Self::Error>;

    /// Stops the guest for good, unless it is resumed, and gives its device state. Its memory can
    /// be read from then on, and does not change.
    ///
    /// # Errors
    ///
    /// The error says whether the guest goes on, is stopped, or is lost.
    fn suspend(&mut self) -> Result<DeviceState, Self::Error>;

    /// Lets a suspended guest go on here: the way back.
    ///
    /// # Errors
    ///
    /// The error says whether a vCPU may have run.
    fn resume(&mut self) -> Result<(), Self::Error>;

    /// Gives up a suspended guest with all that is kept of it here: another copy has run.
    ///
    /// # Errors
    ///
    /// Something is left.
    fn destroy(&mut self) -> Result<(), Self::Error>;
}

/// Where a VM shall run.
pub trait Target {
    /// Why something failed.
    type Error: std::error::Error;

    /// Starts the VM from what has arrived, and tells what became of the guest, as far as it can be
    /// known. It takes no state: that which was verified lies where the implementation put it.
    fn start(&mut self) -> Guest;

    /// Gives up what has arrived. It is called only where no guest was started from it.
    ///
    /// # Errors
    ///
    /// Something is left.
    fn discard(&mut self) -> Result<(), Self::Error>;
}
