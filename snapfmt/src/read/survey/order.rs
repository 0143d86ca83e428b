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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::kind::OPTIONAL;

    /// Kinds that share a place, in the order of their places.
    const PLACES: [&[Kind]; 6] = [
        &[Kind::Vm],
        &[Kind::Meta],
        &[Kind::Config, Kind::Other(OPTIONAL)],
        &[Kind::Device],
        &[Kind::Extent, Kind::Map],
        &[Kind::Index],
    ];

    fn after(kinds: &[Kind]) -> Order {
        let mut order = Order::default();
        for &kind in kinds {
            assert_eq!(order.admit(kind, None, false), Ok(()), "{kind}");
        }
        order
    }

    #[test]
    fn parts_come_in_their_order_and_index_completes_them() {
        for &first in PLACES.iter().copied().flatten() {
            let place = PLACES.iter().position(|kinds| kinds.contains(&first)).unwrap();
            let mut order = after(&[first]);
            assert_eq!(order.is_complete(), first == Kind::Index);
            for &second in PLACES[place..].iter().copied().flatten() {
                assert_eq!(order.ascends(second), Ok(()), "{second} after {first}");
            }
            let before = PLACES[..place].iter().copied().flatten();
            for &second in before.filter(|kind| !matches!(kind, Kind::Other(_))) {
                assert!(order.ascends(second).is_err(), "{second} after {first}");
                assert!(order.admit(second, None, true).is_err(), "{second} after {first}");
            }
        }
        assert!(after(&PLACES.concat()).is_complete());
    }

    #[test]
    fn some_parts_are_there_once_and_others_as_often_as_is_allowed() {
        for once in [Kind::Vm, Kind::Meta, Kind::Config, Kind::Index] {
            let twice = after(&[once]).admit(once, None, false);
            let why = "there is one of these parts";
            assert_eq!(twice, Err(Fault::Order { found: once, why }));
        }
        let limited =
            [(Kind::Device, limits::DEVICES), (Kind::Other(OPTIONAL), limits::OPTIONAL_PARTS)];
        for (kind, limit) in limited {
            let more = after(&vec![kind; limit]).admit(kind, None, false);
            let (found, limit) = (limit as u64 + 1, limit as u64);
            let what = "the number of parts";
            assert_eq!(more, Err(Fault::OverLimit { what, found, limit }));
        }
        // CONFIG is no part that is only carried.
        after(&[Kind::Config, Kind::Other(OPTIONAL), Kind::Other(OPTIONAL + 1)]);
    }

    #[test]
    fn extents_ascend_unless_they_were_found_by_searching() {
        let extent = |order: &mut Order, gpa, scanned| {
            order.admit(Kind::Extent, Some((gpa, gpa + 10)), scanned)
        };
        let mut order = Order::default();
        assert_eq!(extent(&mut order, 20, false), Ok(()));
        let unordered = Err(crate::part::map::unordered(29, 30));
        assert_eq!(extent(&mut order, 29, false), unordered);
        assert_eq!(extent(&mut order, 30, false), Ok(()));
        assert_eq!(extent(&mut order, 5, true), Ok(()));
        assert_eq!(extent(&mut order, 14, false), Err(crate::part::map::unordered(14, 15)));
        assert_eq!(extent(&mut order, 15, false), Ok(()));
    }

    #[test]
    fn an_index_that_was_found_by_searching_ends_nothing() {
        let mut order = Order::default();
        assert_eq!(order.admit(Kind::Index, None, true), Ok(()));
        assert!(!order.is_complete());
        assert_eq!(order.admit(Kind::Vm, None, false), Ok(()));
        assert_eq!(order.admit(Kind::Device, None, true), Ok(()));
        assert!(order.ascends(Kind::Meta).is_err());
    }
}
