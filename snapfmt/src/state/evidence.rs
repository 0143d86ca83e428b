//! Which layout a record has, by what the files show: keys of `.meta`, names, sizes, and whether
//! the bytes fit. Never by where a record lies.
//!
//! ```text
//! Meta ── Evidence::of ──> Evidence ── choose(section, name, bytes) ──> Fields, or why not
//! ```
//!
//! A record has a layout if that is the only one that fits: all that its name, the generation and
//! the vendor allow are tried. Layouts of varying length can fit by accident, so values tell too
//! that are the same in every record of a layout ([`Sign`]): a layout that no snapshot of the
//! generation was seen to have must have all of its signs, and of several that fit the one is taken
//! that has fewer signs against it than any other. What is not known stays a record; that is an
//! answer, not an error.

use std::cmp::Reverse;

use super::fields::Fields;
use super::layouts;
use super::misfit::{Misfit, Unknown, Why};
use super::schema::{Layout, Sign};
use super::value::FieldRef;
use crate::bhyve::records::{KernRecord, Vendor};
use crate::bhyve::{Generation, Meta, Record, Section, limits};

/// What a snapshot shows of those who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// By the keys of `.meta`.
    pub generation: Generation,
    /// How many slots of virtual CPUs records may have. The sizes of all records together leave one
    /// answer; if they contradict each other, here are all.
    pub slots: Vec<u32>,
    /// The maker of the host's CPU, if the sizes of its records tell.
    pub vendor: Option<Vendor>,
}

impl Evidence {
    /// What the records of a snapshot show together.
    #[must_use]
    pub fn of(meta: &Meta) -> Self {
        let generation = meta.generation;
        let mut slots = vec![meta.vm.ncpus];
        if generation == Generation::A && meta.vm.ncpus != limits::FIXED_VCPUS {
            slots.insert(0, limits::FIXED_VCPUS);
        }
        let all = |slots: u32| {
            let mut records = meta.section(Section::Kern).map(|record| {
                let fits = |layout: &&'static Layout| size_fits(layout, slots, record.size);
                let known = || candidates(generation, None, Section::Kern, kernel_name(record));
                known().next().is_none() || known().any(|layout| fits(&layout))
            });
            records.all(|fits| fits)
        };
        if let Some(agreed) = slots.iter().copied().find(|slots| all(*slots)) {
            slots = vec![agreed];
        }
        let vendor = vendor(meta, &slots);
        Self { generation, slots, vendor }
    }

    /// The layouts that a record of that name may have.
    pub fn candidates(
        &self,
        section: Section,
        name: &str,
    ) -> impl Iterator<Item = &'static Layout> {
        candidates(self.generation, self.vendor, section, base(section, name))
    }

    /// The fields of a record, if exactly one layout fits.
    ///
    /// # Errors
    /// Why the fields are not known. The record may nevertheless be in order.
    pub fn choose<'a>(
        &self,
        section: Section,
        name: &str,
        bytes: &'a [u8],
    ) -> Result<Fields<'a>, Unknown> {
        if bytes.is_empty() {
            return Err(Unknown::Absent);
        }
        let (mut fit, mut tried) = (Vec::new(), Vec::new());
        for layout in self.candidates(section, name) {
            let fields = layout.decode(bytes).and_then(|fields| self.slots_fit(fields));
            match fields.and_then(|fields| self.signs_fit(fields)) {
                Ok(fields) => fit.push(fields),
                Err(misfit) => tried.push((layout, misfit)),
            }
        }
        if fit.len() > 1 {
            keep_best(&mut fit);
        }
        match fit.pop() {
            Some(only) if fit.is_empty() => Ok(only),
            Some(last) => {
                let all = fit.iter().chain([&last]);
                Err(Unknown::Several { fit: all.map(Fields::layout).collect() })
            }
            None if tried.is_empty() => Err(Unknown::Name),
            None => {
                tried.sort_by_key(|(layout, misfit): &(&Layout, Misfit)| {
                    (!layout.seen.contains(&self.generation), Reverse(misfit.at))
                });
                Err(Unknown::NoneFits { tried })
            }
        }
    }

    /// As [`choose`](Self::choose), for an entry of `.meta`. bhyve knows records of the kernel by
    /// number where they have one.
    ///
    /// # Errors
    /// As [`choose`](Self::choose).
    pub fn choose_record<'a>(
        &self,
        record: &Record,
        bytes: &'a [u8],
    ) -> Result<Fields<'a>, Unknown> {
        let name = match record.section {
            Section::Kern => kernel_name(record),
            Section::Device => &record.name,
        };
        self.choose(record.section, name, bytes)
    }

    fn slots_fit<'a>(&self, fields: Fields<'a>) -> Result<Fields<'a>, Misfit> {
        let found = fields.slots();
        if found == 0 || self.slots.contains(&found) {
            return Ok(fields);
        }
        let wanted = self.slots.first().copied().unwrap_or_default();
        Err(Why::Slots { found: u64::from(found), wanted }.at(0))
    }

    /// A layout that was never seen in the generation must have all its signs.
    fn signs_fit<'a>(&self, fields: Fields<'a>) -> Result<Fields<'a>, Misfit> {
        if fields.layout().seen.contains(&self.generation) {
            return Ok(fields);
        }
        let first = against(&fields).next().map(|field| (field.key(), field.offset()));
        match first {
            Some((key, at)) => Err(Why::Sign { key }.at(at)),
            None => Ok(fields),
        }
    }
}

/// The name that layouts go by: of a device, what stands before its place on the bus.
#[must_use]
pub fn base(section: Section, name: &str) -> &str {
    match section {
        Section::Kern => name,
        Section::Device => name.split_once('@').map_or(name, |(base, _)| base),
    }
}

fn kernel_name(record: &Record) -> &str {
    KernRecord::of(record).map_or(record.name.as_str(), |known| known.name)
}

fn candidates(
    generation: Generation,
    vendor: Option<Vendor>,
    section: Section,
    name: &str,
) -> impl Iterator<Item = &'static Layout> {
    layouts::all().filter(move |layout| {
        layout.section == section
            && layout.names.contains(&name)
            && layout.generations.contains(&generation)
            && layout.vendor.is_none_or(|own| vendor.is_none_or(|vendor| vendor == own))
    })
}

fn size_fits(layout: &'static Layout, slots: u32, size: u64) -> bool {
    layout.size().is_none_or(|(fixed, slot)| fixed + slot * u64::from(slots) == size)
}

/// The signs that a record has not.
fn against<'f, 'a>(fields: &'f Fields<'a>) -> impl Iterator<Item = FieldRef<'f, 'a>> {
    fields.iter().filter(|field| {
        field.definition().sign.is_some_and(|sign: Sign| !sign.holds(field.bytes()))
    })
}

/// Leaves the layout that has fewer signs against it than any other, if there is one.
fn keep_best(fit: &mut Vec<Fields<'_>>) {
    let counts: Vec<_> = fit.iter().map(|fields| against(fields).count()).collect();
    let least = counts.iter().min().copied().unwrap_or_default();
    if counts.iter().filter(|count| **count == least).count() == 1 {
        fit.retain(|fields| against(fields).count() == least);
    }
}

/// The only vendor whose layouts fit all records that depend on it.
fn vendor(meta: &Meta, slots: &[u32]) -> Option<Vendor> {
    let fits = |vendor: Vendor| {
        let mut told = false;
        for record in meta.section(Section::Kern) {
            let name = kernel_name(record);
            let mut known = candidates(meta.generation, None, Section::Kern, name)
                .filter(|layout| layout.vendor.is_some())
                .peekable();
            if known.peek().is_some() {
                told = true;
                let mut own = known.filter(|layout| layout.vendor == Some(vendor));
                if !own.any(|layout| slots.iter().any(|n| size_fits(layout, *n, record.size))) {
                    return false;
                }
            }
        }
        told
    };
    match (fits(Vendor::Intel), fits(Vendor::Amd)) {
        (true, false) => Some(Vendor::Intel),
        (false, true) => Some(Vendor::Amd),
        _ => None,
    }
}
