//! What has come of a machine on one connection: which parts may come, and whether those that were
//! announced are those that came (§3.2, §3.3, §6.2, §7.1).

use snapfmt::Digest;
use snapfmt::content::content;
use snapfmt::layout::kind::Kind;
use snapfmt::limits;
use snapfmt::part::device::RecordId;
use snapfmt::part::vm::Vm;

use super::blocks::Blocks;
use super::trouble::{Code, trouble};
use crate::stream::PartsDigest;
use crate::stream::message::{PartsEnd, Trouble};
use crate::stream::part::Arrived;

/// All parts of one STATE together (§12): the records, and as many lists.
const STATE_BYTES: u64 = limits::RECORDS_TOTAL;
/// META, DEVICE and optional parts (§12).
const STATE_PARTS: u64 = (1 + limits::DEVICES + limits::OPTIONAL_PARTS) as u64;

/// What is being received.
#[derive(Clone)]
pub(super) struct Receipt {
    /// The machine.
    pub(super) vm: Vm,
    /// The root of its memory here.
    pub(super) root: Digest,
    /// The number of the round that is next, or on its way.
    pub(super) round: u64,
    /// Whether the state that came last is a rehearsal.
    pub(super) rehearsal: bool,
    /// Its records, once no rule fails them.
    pub(super) records: Option<Vec<RecordId>>,
    /// What the memory root has to be after this round.
    pub(super) wanted: Digest,
    parts: PartsDigest,
    count: u64,
    bytes: u64,
}

/// What becomes of a part of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    /// It is optional and not known: checked and dropped (§3.2).
    Drop,
}

impl Receipt {
    pub(super) fn new(vm: Vm, root: Digest) -> Self {
        let (parts, wanted) = (PartsDigest::new(), root);
        let (round, rehearsal, records, count, bytes) = (0, false, None, 0, 0);
        Self { vm, root, round, rehearsal, records, wanted, parts, count, bytes }
    }

    /// Parts are announced.
    pub(super) fn announce(&mut self) {
        (self.parts, self.count, self.bytes) = (PartsDigest::new(), 0, 0);
    }

    /// A part of the state.
    pub(super) fn state(&mut self, part: &Arrived) -> Result<Fate, Trouble> {
        let fate = match part.frame().kind {
            Kind::Meta | Kind::Config | Kind::Device => Fate::Keep,
            Kind::Other(_) => Fate::Drop,
            _ => return Err(unannounced("STATE")),
        };
        self.count(part, STATE_PARTS, STATE_BYTES)?;
        Ok(fate)
    }

    /// A part of a round.
    pub(super) fn extent(&mut self, part: &Arrived) -> Result<(), Trouble> {
        if part.frame().kind != Kind::Extent {
            return Err(unannounced("ROUND"));
        }
        // Extents are apart, and none is smaller than this.
        let most = Blocks::count(&self.vm.memory, limits::EXTENT_MIN);
        self.count(part, most, u64::MAX)
    }

    fn count(&mut self, part: &Arrived, parts: u64, bytes: u64) -> Result<(), Trouble> {
        self.parts.add(part.digest());
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(part.length());
        if self.count > parts || self.bytes > bytes {
            return Err(trouble(Code::Item, "more parts came than may come together (§12)"));
        }
        Ok(())
    }

    /// That were all of them, it is said.
    pub(super) fn end(&self, end: PartsEnd) -> Result<(), Trouble> {
        if self.parts.end() == end {
            return Ok(());
        }
        Err(trouble(Code::Item, "other parts came than were sent (§3.3)"))
    }

    /// A round is announced that changes memory with this root.
    pub(super) fn check_round(&self, round: u64, parent: Digest) -> Result<(), Trouble> {
        if round != self.round {
            let words = format!("round {round} came, and {} was next (§6.2)", self.round);
            return Err(trouble(Code::Order, words));
        }
        if parent != self.root {
            let words = "the round changes other memory than what is held here (§6.2)";
            return Err(trouble(Code::Root, words));
        }
        Ok(())
    }

    /// The content of what has come, if it is whole (§8.2).
    pub(super) fn content(&self) -> Option<Digest> {
        let records = self.records.as_ref().filter(|_| !self.rehearsal && self.round > 0)?;
        Some(content(&self.vm, &self.root, records))
    }
}

fn unannounced(what: &str) -> Trouble {
    trouble(Code::Item, format!("a part came that does not belong to {what} (§3.2)"))
}
