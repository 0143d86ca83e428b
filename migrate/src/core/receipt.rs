//! What has come of a machine on one connection: which parts may come, and whether those that were
//! announced are those that came (§3.2, §3.3, §6.2, §7.1).

use snapfmt::Digest;
use snapfmt::content::content;
use snapfmt::layout::kind::Kind;
use snapfmt::limits;
use snapfmt::part::device::RecordId;
use snapfmt::part::vm::Vm;

use super::blocks::Blocks;
use super::trouble::{Code, hinted, trouble};
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
    vm: Vm,
    /// The root of its memory here.
    root: Digest,
    /// The number of the round that is next, or on its way.
    round: u64,
    /// Whether the state that came last is a rehearsal.
    pub(super) rehearsal: bool,
    /// Its records, once no rule fails them.
    pub(super) records: Option<Vec<RecordId>>,
    /// What the memory root has to be after this round.
    wanted: Digest,
    parts: PartsDigest,
    count: u64,
    bytes: u64,
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

    /// Takes a part of the state; gives it back if it is to be kept. One that is optional and not
    /// known is checked and dropped (§3.2).
    pub(super) fn state(&mut self, part: Arrived) -> Result<Option<Arrived>, Trouble> {
        let known = match part.frame().kind {
            Kind::Meta | Kind::Config | Kind::Device => true,
            Kind::Other(_) => false,
            _ => return Err(unannounced("STATE")),
        };
        self.count(&part, STATE_PARTS, STATE_BYTES)?;
        if known {
            return Ok(Some(part));
        }
        part.check().map(|_| None).map_err(|error| trouble(Code::Item, error.to_string()))
    }

    /// Takes a part of a round, and gives it back.
    pub(super) fn extent(&mut self, part: Arrived) -> Result<Arrived, Trouble> {
        if part.frame().kind != Kind::Extent {
            return Err(unannounced("ROUND"));
        }
        // Extents are apart, and none is smaller than this.
        let most = Blocks::count(&self.vm.memory, limits::EXTENT_MIN);
        self.count(&part, most, u64::MAX)?;
        Ok(part)
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
    pub(super) fn begin_round(&mut self, round: u64, parent: Digest) -> Result<(), Trouble> {
        if round != self.round {
            let words = format!("round {round} came, and {} was next (§6.2)", self.round);
            return Err(trouble(Code::Order, words));
        }
        if parent != self.root {
            let words = "the round changes other memory than what is held here (§6.2)";
            return Err(trouble(Code::Root, words));
        }
        self.announce();
        Ok(())
    }

    /// The round has ended, it is said, and makes memory with this root.
    pub(super) fn end_round(
        &mut self,
        round: u64,
        parts: PartsEnd,
        root: Digest,
    ) -> Result<(), Trouble> {
        if round != self.round {
            let words = format!("round {round} ended, and {} began (§6.2)", self.round);
            return Err(trouble(Code::Order, words));
        }
        self.end(parts)?;
        self.wanted = root;
        Ok(())
    }

    /// All of the round is written, and makes memory with this root. Gives its number.
    pub(super) fn applied(&mut self, root: Digest) -> Result<u64, Trouble> {
        if root != self.wanted {
            let words = "the memory here is not what it should be after this round (§6.4)";
            let hint = "the same command goes on, and sends what differs";
            return Err(hinted(Code::Root, words, hint));
        }
        let round = self.round;
        (self.root, self.round) = (root, round + 1);
        Ok(round)
    }

    /// The content of what has come, if it is whole (§8.2).
    pub(super) fn content(&self) -> Option<Digest> {
        let records = self.records.as_ref().filter(|_| !self.rehearsal && self.round > 0)?;
        Some(content(&self.vm, &self.root, records))
    }
}

/// The machine that a VM part says.
pub(super) fn machine(part: Arrived) -> Result<Vm, Trouble> {
    let vm = part.check().and_then(|part| Vm::open(&part));
    vm.map_err(|error| trouble(Code::Item, error.to_string()))
}

pub(super) fn unannounced(place: &str) -> Trouble {
    trouble(Code::Item, format!("a part came that was not announced, in {place} (§3.2)"))
}
