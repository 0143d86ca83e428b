//! What may follow what in a file of which some parts are missing (§2.2).
//!
//! Guest RAM may hold other snapshots, or pieces of this one, so a part that was found by searching
//! counts only where it can belong.

use crate::error::Fault;
use crate::layout::kind::{self, Kind, rank};
use crate::limits;

/// The parts that were admitted.
#[derive(Default)]
pub(super) struct Order {
    rank: u8,
    vm: bool,
    meta: bool,
    config: bool,
    devices: usize,
    optional: usize,
    /// The first address that the next extent may have.
    gpa: u64,
}

impl Order {
    /// Whether INDEX was there, so that only the trailer is left.
    pub(super) fn is_complete(&self) -> bool {
        self.rank == rank::INDEX
    }

    /// Whether a part of this kind may follow those that were admitted.
    pub(super) fn ascends(&self, kind: Kind) -> Result<(), Fault> {
        if kind.rank_after(self.rank).is_none() {
            return Err(Fault::Order { found: kind, why: kind::ORDER });
        }
        Ok(())
    }

    /// Admits a part; for an extent, `block` is its address and its end. Of what was found by
    /// searching, `scanned`, nothing is concluded that would keep out the parts of this file.
    pub(super) fn admit(
        &mut self,
        kind: Kind,
        block: Option<(u64, u64)>,
        scanned: bool,
    ) -> Result<(), Fault> {
        let order = |why| Err(Fault::Order { found: kind, why });
        self.ascends(kind)?;
        let once = match kind {
            Kind::Vm => std::mem::replace(&mut self.vm, true),
            Kind::Meta => std::mem::replace(&mut self.meta, true),
            Kind::Config => std::mem::replace(&mut self.config, true),
            Kind::Index => self.is_complete(),
            _ => false,
        };
        if once {
            return order("there is one of these parts");
        }
        let count = match kind {
            Kind::Device => Some((&mut self.devices, limits::DEVICES)),
            Kind::Other(_) => Some((&mut self.optional, limits::OPTIONAL_PARTS)),
            _ => None,
        };
        if let Some((count, limit)) = count {
            *count += 1;
            if *count > limit {
                let (found, limit) = (*count as u64, limit as u64);
                return Err(Fault::OverLimit { what: "the number of parts", found, limit });
            }
        }
        if scanned && kind == Kind::Index {
            return Ok(());
        }
        if let Some((gpa, end)) = block {
            if gpa < self.gpa && !scanned {
                return Err(crate::part::map::unordered(gpa, self.gpa));
            }
            self.gpa = end;
        }
        self.rank = kind.rank_after(self.rank).unwrap_or(self.rank);
        Ok(())
    }
}
