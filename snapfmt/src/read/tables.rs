//! MAP parts one after the other (§7.4): which extents there are, and that the roots of these make
//! the memory root.

use std::slice;

use crate::error::Fault;
use crate::memory::tree::RootBuilder;
use crate::part::index::MapRef;
use crate::part::map::{MapTable, unordered};
use crate::part::vm::Vm;
use crate::read::index::same;
use crate::read::seek::{Quick, ReadAt, ReadError, Seeker};

/// The tables of a file, read as they are asked for. Made by [`Seeker::tables`].
pub struct Tables<'a, S> {
    seeker: &'a Seeker<S>,
    vm: Vm,
    /// What is left; nothing once all is done or something was wrong.
    left: Option<(slice::Iter<'a, MapRef>, RootBuilder)>,
    /// Where the next part begins.
    free: u64,
    /// Where they have to end.
    end: u64,
    extents: u64,
    data: u64,
    zero: u64,
}

impl<'a, S: ReadAt> Tables<'a, S> {
    pub(super) fn new(seeker: &'a Seeker<S>, quick: &Quick) -> Self {
        let vm = quick.vm().clone();
        let tree = RootBuilder::over(vm.memory.clone(), seeker.header().rest());
        let left = Some((seeker.index().maps.iter(), tree));
        Self {
            seeker,
            vm,
            left,
            free: quick.memory_at,
            end: quick.memory_end,
            extents: 0,
            data: 0,
            zero: 0,
        }
    }

    fn table(&mut self, listed: &MapRef, tree: &mut RootBuilder) -> Result<MapTable, ReadError> {
        let part = self.seeker.map(listed)?;
        let table = MapTable::open(&part)?;
        let wrong = |fault: Fault| part.wrong_payload(fault);
        same("the first extent", &table.first, &self.extents, "§6.5").map_err(wrong)?;
        let count = table.entries.len() as u64;
        same("the number of extents", &count, &listed.extents, "§7.1.7").map_err(wrong)?;
        let gpa = table.entries.first().map_or(0, |entry| entry.gpa);
        same("the first address", &gpa, &listed.gpa, "§7.1.7").map_err(wrong)?;
        for entry in &table.entries {
            same("the offset of an extent", &entry.offset, &self.free, "§2.1").map_err(wrong)?;
            if entry.gpa < tree.next_gpa() {
                return Err(wrong(unordered(entry.gpa, tree.next_gpa())).into());
            }
            entry.fits(self.seeker.header().rest()).map_err(wrong)?;
            let present = self.vm.memory.pages(entry.gpa, entry.end());
            if entry.named() > present {
                let what = "the number of data and zero pages";
                let found = entry.named().to_string();
                let must = "it is at most that of the pages of RAM in the block";
                return Err(wrong(Fault::Value { what, found, must, rule: "§6.2.3" }).into());
            }
            tree.block(entry.gpa, entry.size.into(), entry.root);
            self.free = entry.offset.saturating_add(entry.length);
            self.data = self.data.saturating_add(entry.data_pages.into());
            self.zero = self.zero.saturating_add(entry.zero_pages.into());
        }
        same("the offset of the MAP part", &listed.offset, &self.free, "§2.1").map_err(wrong)?;
        self.free = listed.offset.saturating_add(listed.length);
        self.extents = self.extents.saturating_add(count);
        Ok(table)
    }

    /// What only all tables together can show.
    fn end(&self, tree: RootBuilder) -> Result<(), ReadError> {
        let index = self.seeker.index();
        let totals = &index.totals;
        let wrong = |fault: Fault| self.seeker.wrong(fault);
        same("the end of memory", &self.end, &self.free, "§2.1").map_err(wrong)?;
        same("extents", &totals.extents, &self.extents, "§7.1.5").map_err(wrong)?;
        same("pages_data", &totals.pages_data, &self.data, "§7.1.4").map_err(wrong)?;
        let root = tree.finish();
        let Some(delta) = &index.delta else {
            same("memory_root", &index.memory_root, &root, "§7.1.3").map_err(wrong)?;
            return Ok(());
        };
        same("pages_zero", &totals.pages_zero, &self.zero, "§7.1.4").map_err(wrong)?;
        same("delta_root", &delta.delta_root, &root, "§7.1.8").map_err(wrong)?;
        Ok(())
    }
}

impl<S: ReadAt> Iterator for Tables<'_, S> {
    type Item = Result<MapTable, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut listed, mut tree) = self.left.take()?;
        let Some(next) = listed.next() else { return self.end(tree).err().map(Err) };
        let table = self.table(next, &mut tree);
        if table.is_ok() {
            self.left = Some((listed, tree));
        }
        Some(table)
    }
}
