//! The state of a whole virtual machine: every record, with its fields where they are known.

use crate::bhyve::records::{KernRecord, Vendor};
use crate::bhyve::{Generation, Meta, RamLayout, Record, Section};
use crate::state::{Evidence, Fields, Scope, Unknown, base};

/// The state of a virtual machine.
#[derive(Debug)]
pub struct Machine<'a> {
    /// Which generation wrote it.
    pub generation: Generation,
    /// The maker of the CPU of the host that wrote it, if the sizes of its records tell.
    pub vendor: Option<Vendor>,
    /// How many virtual CPUs it has. Records of [`Generation::A`] have more slots than that.
    pub ncpus: u32,
    /// Where its memory lies.
    pub memory: RamLayout,
    /// Its records, in the order of `.meta`.
    pub records: Vec<StateRecord<'a>>,
}

/// A record of a machine.
#[derive(Debug)]
pub struct StateRecord<'a> {
    /// Its entry in `.meta`.
    pub entry: &'a Record,
    /// The name that rules and layouts go by: of a device, what stands before its place on the bus.
    pub family: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Its fields, or why they are not known.
    pub fields: Result<Fields<'a>, Unknown>,
}

impl<'a> Machine<'a> {
    /// The machine of a `.meta`. `bytes` gives the bytes of each record; none for one that is not
    /// where `.meta` says.
    pub fn new(meta: &'a Meta, mut bytes: impl FnMut(&Record) -> Option<&'a [u8]>) -> Self {
        let evidence = Evidence::of(meta);
        let state = |entry: &'a Record| {
            let bytes = bytes(entry).unwrap_or_default();
            let fields = evidence.choose_record(entry, bytes);
            StateRecord { entry, family: family(entry), bytes, fields }
        };
        Self {
            generation: meta.generation,
            vendor: evidence.vendor,
            ncpus: meta.vm.ncpus,
            memory: RamLayout::new(meta.vm.memsize),
            records: meta.records.iter().map(state).collect(),
        }
    }

    /// The machine of a `.meta` and a `.kern`.
    #[must_use]
    pub fn from_kern(meta: &'a Meta, kern: &'a [u8]) -> Self {
        Self::new(meta, |entry| {
            let start = usize::try_from(entry.offset).ok()?;
            let end = start.checked_add(usize::try_from(entry.size).ok()?)?;
            kern.get(start..end)
        })
    }

    /// The records of a family whose fields are known.
    pub fn family<'m>(&'m self, name: &str) -> impl Iterator<Item = Known<'m, 'a>> {
        let of = move |record: &&'m StateRecord<'a>| record.family == name;
        self.records.iter().filter(of).filter_map(|record| {
            let fields = record.fields.as_ref().ok()?;
            Some(Known { record, fields })
        })
    }

    /// The slot of a virtual CPU that the machine has, in the first record of a family.
    #[must_use]
    pub fn slot(&self, family: &str, vcpu: u32) -> Option<Scope<'_, 'a>> {
        self.family(family).next()?.fields.vcpu(vcpu).filter(|slot| slot.index() < self.ncpus)
    }

    /// The records whose fields are not known, and why. Nothing has been checked about them.
    pub fn unknown(&self) -> impl Iterator<Item = (&StateRecord<'a>, &Unknown)> {
        self.records.iter().filter_map(|record| match &record.fields {
            Err(Unknown::Absent) if record.entry.size == 0 => None,
            Err(unknown) => Some((record, unknown)),
            Ok(_) => None,
        })
    }
}

/// A record whose fields are known.
#[derive(Debug, Clone, Copy)]
pub struct Known<'m, 'a> {
    /// The record.
    pub record: &'m StateRecord<'a>,
    /// Its fields.
    pub fields: &'m Fields<'a>,
}

fn family(entry: &Record) -> &str {
    match entry.section {
        Section::Kern => KernRecord::of(entry).map_or(entry.name.as_str(), |known| known.name),
        Section::Device => base(entry.section, &entry.name),
    }
}
