//! What went by, part after part: the order of parts (§2.2), the extents that no MAP part lists
//! yet (§6.5), and in the end the index (§7.1).
//!
//! The writer writes the index that its ledger gives; the reader compares. Neither knows the other.

use crate::agreement;
use crate::bhyve::{Finding, Meta, check};
use crate::content::content;
use crate::digest::Digest;
use crate::error::Fault;
use crate::layout::kind::{self, Kind, rank};
use crate::limits;
use crate::memory::tree::{Rest, RootBuilder};
use crate::part::device::RecordId;
use crate::part::index::{DeltaTotals, Index, MapRef, PartRef, Totals};
use crate::part::map::{MapEntry, MapTable, unordered};
use crate::part::meta::MetaText;
use crate::part::vm::Vm;

/// Everything about the parts so far that later parts depend on.
pub(crate) struct Ledger {
    header: Digest,
    rest: Rest,
    machine: Option<Machine>,
    meta: Option<(Meta, Vec<u8>)>,
    rank: u8,
    parts: Vec<PartRef>,
    maps: Vec<MapRef>,
    pending: Vec<MapEntry>,
    totals: Totals,
    /// Bytes of all records.
    records: u64,
    /// Bytes of the nvlists of their parts.
    lists: u64,
    /// Bytes of all optional parts.
    optional: u64,
}

struct Machine {
    vm: Vm,
    tree: RootBuilder,
}

impl Ledger {
    /// Starts behind the header block with this digest. `rest` says what kind of file it is.
    pub(crate) fn new(header: Digest, rest: Rest) -> Self {
        Self {
            header,
            rest,
            machine: None,
            meta: None,
            rank: 0,
            parts: Vec::new(),
            maps: Vec::new(),
            pending: Vec::new(),
            totals: Totals::default(),
            records: 0,
            lists: 0,
            optional: 0,
        }
    }

    /// Whether a part of this kind may come next (§2.2, §6.5, §10).
    pub(crate) fn admit(&self, kind: Kind) -> Result<(), Fault> {
        let order = |why| Err(Fault::Order { found: kind, why });
        let count =
            |wanted: fn(&Kind) -> bool| self.parts.iter().filter(|part| wanted(&part.kind)).count();
        let limit = |what, found, limit| {
            Err(Fault::OverLimit { what, found: found as u64, limit: limit as u64 })
        };
        match kind {
            Kind::Vm if !self.parts.is_empty() => order("VM is the first part and there is one"),
            Kind::Vm => Ok(()),
            _ if self.machine.is_none() => order("the first part is VM"),
            Kind::Meta if self.meta.is_some() => order("there is one META part"),
            Kind::Meta if self.parts.len() > 1 => order("META is the second part, if there is one"),
            Kind::Meta => Ok(()),
            _ if kind.rank_after(self.rank).is_none() => order(kind::ORDER),
            Kind::Other(_) if !self.pending.is_empty() => {
                order("the last extents are in no MAP part yet")
            }
            Kind::Config if count(|k| *k == Kind::Config) > 0 => order("there is one CONFIG part"),
            Kind::Other(kind::HOST) if count(|k| *k == Kind::Other(kind::HOST)) > 0 => {
                order("there is one HOST part")
            }
            Kind::Config | Kind::Other(_) => {
                let found = count(|k| matches!(k, Kind::Config | Kind::Other(_))) + 1;
                if found > limits::OPTIONAL_PARTS {
                    return limit("the number of optional parts", found, limits::OPTIONAL_PARTS);
                }
                Ok(())
            }
            Kind::Device => {
                let found = count(|k| *k == Kind::Device) + 1;
                if found > limits::DEVICES {
                    return limit("the number of DEVICE parts", found, limits::DEVICES);
                }
                Ok(())
            }
            Kind::Extent if self.pending.len() >= limits::MAP_ENTRIES => {
                order("after 4096 extents comes a MAP part")
            }
            Kind::Map if self.pending.is_empty() => {
                order("a MAP part follows the extents it lists")
            }
            Kind::Map if self.maps.len() >= limits::MAPS => {
                limit("the number of MAP parts", self.maps.len() + 1, limits::MAPS)
            }
            Kind::Index if !self.pending.is_empty() => {
                order("the last extents are in no MAP part yet")
            }
            Kind::Extent | Kind::Map | Kind::Index => Ok(()),
        }
    }

    /// The machine, once its part went by.
    pub(crate) fn vm(&self) -> Option<&Vm> {
        self.machine.as_ref().map(|machine| &machine.vm)
    }

    /// Takes note of the VM part.
    pub(crate) fn machine(&mut self, vm: Vm) {
        let tree = RootBuilder::over(vm.memory.clone(), self.rest);
        self.machine = Some(Machine { vm, tree });
    }

    /// Takes note of the META part, whose text has to agree with the machine.
    pub(crate) fn meta(&mut self, text: &MetaText) -> Result<(), Fault> {
        let meta = agreement::parse(text)?;
        if let Some(vm) = self.vm() {
            agreement::with_vm(&meta, vm)?;
        }
        self.meta = Some((meta, text.text.clone()));
        Ok(())
    }

    /// `.meta`, once its part went by.
    pub(crate) fn parsed_meta(&self) -> Option<&Meta> {
        self.meta.as_ref().map(|(meta, _)| meta)
    }

    /// Takes note of a part that the index lists by itself. A record may come once (§5.4.2).
    /// `nvlist` is the size of its list.
    pub(crate) fn part(&mut self, part: PartRef, nvlist: u32) -> Result<(), Fault> {
        if let Some(record) = &part.record {
            if self.meta.is_none() {
                agreement::section_without_text(record)?;
            }
            let named = |r: &RecordId| r.section == record.section && r.name == record.name;
            if self.records().any(named) {
                let (what, found) = ("the record", record.to_string());
                let must = "each record has one part";
                return Err(Fault::Value { what, found, must, rule: "§5.4.2" });
            }
            let kern = self.records.saturating_add(record.size);
            let lists = self.lists.saturating_add(nvlist.into());
            let (found, limit) = (kern.saturating_add(lists), limits::RECORDS_TOTAL);
            if found > limit {
                let what = "the size of all records and their nvlists";
                return Err(Fault::OverLimit { what, found, limit });
            }
            (self.records, self.lists) = (kern, lists);
        }
        if matches!(part.kind, Kind::Config | Kind::Other(_)) {
            let (found, limit) =
                (self.optional.saturating_add(part.length), limits::OPTIONAL_TOTAL);
            if found > limit {
                let what = "the size of all optional parts";
                return Err(Fault::OverLimit { what, found, limit });
            }
            self.optional = found;
        }
        self.rank = part.kind.rank_after(self.rank).unwrap_or(self.rank);
        self.parts.push(part);
        Ok(())
    }

    /// Takes note of an EXTENT part whose payload takes `stored` bytes.
    pub(crate) fn extent(&mut self, entry: MapEntry, stored: u64) -> Result<(), Fault> {
        let Some(machine) = &mut self.machine else { return Ok(()) };
        let free = machine.tree.next_gpa();
        if entry.gpa < free {
            return Err(unordered(entry.gpa, free));
        }
        entry.fits(self.rest)?;
        machine.tree.block(entry.gpa, entry.size.into(), entry.root);
        self.totals.extents += 1;
        self.totals.pages_data += u64::from(entry.data_pages);
        self.totals.pages_zero += u64::from(entry.zero_pages);
        self.totals.stored = self.totals.stored.saturating_add(stored);
        self.rank = rank::MEMORY;
        self.pending.push(entry);
        Ok(())
    }

    /// Whether a part of this kind would be one of those after memory.
    pub(crate) fn would_be_late(&self, kind: Kind) -> bool {
        kind.rank_after(self.rank) == Some(rank::LATE)
    }

    /// Memory parts went by that were not looked at.
    pub(crate) fn skip_memory(&mut self) {
        self.rank = rank::MEMORY;
    }

    /// Whether a MAP part has to come before the next extent.
    pub(crate) fn map_is_due(&self) -> bool {
        self.pending.len() >= limits::MAP_ENTRIES
    }

    /// Whether another extent may come before a MAP part, behind so many that are not noted yet.
    pub(crate) fn has_room_behind(&self, extents: usize) -> bool {
        self.pending.len().saturating_add(extents) < limits::MAP_ENTRIES
    }

    /// The table that the next MAP part has to have; nothing if there are no extents for it.
    pub(crate) fn map_table(&self) -> Option<MapTable> {
        let first = self.totals.extents - self.pending.len() as u64;
        (!self.pending.is_empty()).then(|| MapTable { first, entries: self.pending.clone() })
    }

    /// Takes note of the MAP part that lists all extents since the one before.
    pub(crate) fn map(&mut self, offset: u64, length: u64, digest: Digest) {
        let gpa = self.pending.first().map_or(0, |entry| entry.gpa);
        let extents = self.pending.len() as u64;
        self.pending.clear();
        self.maps.push(MapRef { offset, length, gpa, extents, digest });
    }

    fn records(&self) -> impl Iterator<Item = &RecordId> {
        self.parts.iter().filter_map(|part| part.record.as_ref())
    }

    /// `.meta`, if there is one, has to list exactly the records that went by.
    pub(crate) fn check_records(&self) -> Result<(), Fault> {
        let compared = |(meta, _): &(Meta, Vec<u8>)| agreement::with_records(meta, self.records());
        self.meta.as_ref().map_or(Ok(()), compared)
    }

    /// What the structure rules say of `.meta`, or of what it would say; they need all records to
    /// have gone by. A file that holds memory only (§5.4.13) has nothing that they speak of.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let Some(vm) = self.vm() else { return Vec::new() };
        let memsize = vm.memory.size();
        match &self.meta {
            Some((meta, _)) => check(meta, self.records, memsize),
            None if self.records().next().is_none() => Vec::new(),
            None => check(&agreement::without_text(vm, self.records()), self.records, memsize),
        }
    }

    /// The text of `.meta`, once its part went by; empty without one.
    pub(crate) fn meta_text(&self) -> &[u8] {
        self.meta.as_ref().map_or(&[], |(_, text)| text)
    }

    /// The identity of the state so far, if its memory has this root.
    pub(crate) fn content(&self, memory_root: &Digest) -> Option<Digest> {
        self.vm().map(|vm| content(vm, memory_root, self.records()))
    }

    /// The index over all that went by. `.meta` has to agree with the records. The memory root of a
    /// delta's state does not follow from its own parts: `state` is what it is said to be.
    pub(crate) fn index(&mut self, state: Option<Digest>) -> Result<Index, Fault> {
        self.check_records()?;
        let missing = || Fault::Order { found: Kind::Index, why: "the first part is VM" };
        let machine = self.machine.take().ok_or_else(missing)?;
        let root = machine.tree.finish();
        let pages = machine.vm.memory.size() / limits::PAGE as u64;
        let Totals { pages_data, pages_zero, .. } = self.totals;
        let left = pages.saturating_sub(pages_data).saturating_sub(pages_zero);
        let (memory_root, delta) = match self.rest {
            Rest::Zero => {
                self.totals.pages_zero = left;
                (root, None)
            }
            Rest::Inherited => {
                let delta = DeltaTotals { delta_root: root, pages_inherited: left };
                (state.unwrap_or(root), Some(delta))
            }
        };
        Ok(Index {
            header: self.header,
            content: content(&machine.vm, &memory_root, self.records()),
            memory_root,
            totals: self.totals,
            delta,
            parts: std::mem::take(&mut self.parts),
            maps: std::mem::take(&mut self.maps),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_parts_have_a_limit_together() {
        let mut ledger = Ledger::new(Digest::of(&[]), Rest::Zero);
        let digest = Digest::of(&[]);
        let part = |kind, length| PartRef { kind, offset: 0, length, digest, record: None };
        ledger.part(part(Kind::Config, limits::OPTIONAL_TOTAL / 2), 19).unwrap();
        ledger.part(part(Kind::Other(kind::HOST), limits::OPTIONAL_TOTAL / 2), 19).unwrap();
        let refused = ledger.part(part(Kind::Other(kind::OPTIONAL | 77), 192), 19).unwrap_err();
        let Fault::OverLimit { what, found, limit } = refused else { panic!("{refused}") };
        assert_eq!((what, found - limit), ("the size of all optional parts", 192));
        assert_eq!(limit, 256 << 20);
    }
}
