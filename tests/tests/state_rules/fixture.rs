//! A fixture in memory, edits to its fields, and what the rules say of it then.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::sync::{Mutex, OnceLock};

use snapfmt::bhyve::{Meta, RamLayout};
use snapfmt::state::rules::{self, GuestRam, HostFacts, Machine, RamError, Report, StateFinding};
use tests::fixtures::folder;

/// A snapshot without guest memory.
pub(crate) struct Fixture {
    pub(crate) meta: Meta,
    pub(crate) kern: Vec<u8>,
}

impl Fixture {
    /// A fixture, read once.
    pub(crate) fn of(name: &str) -> &'static Self {
        static READ: OnceLock<Mutex<HashMap<String, &'static Fixture>>> = OnceLock::new();
        let mut read = READ.get_or_init(Mutex::default).lock().unwrap();
        read.entry(name.to_owned()).or_insert_with(|| Box::leak(Box::new(Self::read(name))))
    }

    fn read(name: &str) -> Self {
        let folder = folder(name);
        let meta = std::fs::read(folder.join("vm.ckp.meta")).unwrap();
        let kern = File::open(folder.join("vm.ckp.kern.zst")).unwrap();
        Self { meta: Meta::parse(&meta).unwrap(), kern: zstd::decode_all(kern).unwrap() }
    }

    /// What the rules say.
    pub(crate) fn check(&self, ram: Option<&dyn GuestRam>, host: Option<&HostFacts>) -> Report {
        rules::check(&Machine::from_kern(&self.meta, &self.kern), ram, host)
    }

    /// A copy with edits.
    pub(crate) fn with(&self, edits: &[Edit]) -> Self {
        let mut kern = self.kern.clone();
        let machine = Machine::from_kern(&self.meta, &self.kern);
        for edit in edits {
            let (at, len) = edit.place(&machine);
            let bytes = match &edit.to {
                To::Number(number) => number.to_le_bytes()[..len].to_vec(),
                To::Bytes(bytes) => bytes.clone(),
            };
            assert!(bytes.len() <= len, "{edit:?}");
            kern[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        Self { meta: self.meta.clone(), kern }
    }
}

/// The memory of a fixture: its pages that are not zero.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    layout: RamLayout,
    pages: &'static HashMap<u64, Vec<u8>>,
}

const PAGE: usize = 4096;

impl Memory {
    /// The memory of a fixture, read once.
    pub(crate) fn of(name: &str) -> Self {
        static READ: OnceLock<Mutex<HashMap<String, Memory>>> = OnceLock::new();
        let mut read = READ.get_or_init(Mutex::default).lock().unwrap();
        *read.entry(name.to_owned()).or_insert_with(|| Self::read(name))
    }

    fn read(name: &str) -> Self {
        let file = File::open(folder(name).join("vm.ckp.zst")).unwrap();
        let mut source = zstd::Decoder::new(file).unwrap();
        source.window_log_max(27).unwrap();
        let memsize = Fixture::of(name).meta.vm.memsize;
        let mut pages = HashMap::new();
        let mut page = vec![0; PAGE];
        for number in 0..memsize / PAGE as u64 {
            source.read_exact(&mut page).unwrap();
            if page.iter().any(|byte| *byte != 0) {
                pages.insert(number, page.clone());
            }
        }
        Self { layout: RamLayout::new(memsize), pages: Box::leak(Box::new(pages)) }
    }
}

impl GuestRam for Memory {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), RamError> {
        for (gpa, byte) in (gpa..).zip(bytes) {
            let offset = self.layout.offset(gpa).ok_or(RamError::Outside { gpa })?;
            let page = self.pages.get(&(offset / PAGE as u64));
            *byte = page.map_or(0, |page| page[offset as usize % PAGE]);
        }
        Ok(())
    }
}

/// A change to a field.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    record: &'static str,
    key: &'static str,
    vcpu: Option<u32>,
    occurrence: u32,
    part: Option<&'static str>,
    bytes: Option<(usize, usize)>,
    to: To,
}

#[derive(Debug, Clone)]
enum To {
    Number(u64),
    Bytes(Vec<u8>),
}

/// Sets a field of the first record of a family to a number. Fields of virtual CPUs: of the first.
pub(crate) fn set(record: &'static str, key: &'static str, number: u64) -> Edit {
    let to = To::Number(number);
    Edit { record, key, vcpu: None, occurrence: 0, part: None, bytes: None, to }
}

/// As [`set`], to bytes.
pub(crate) fn write(record: &'static str, key: &'static str, bytes: &[u8]) -> Edit {
    Edit { to: To::Bytes(bytes.to_vec()), ..set(record, key, 0) }
}

impl Edit {
    /// Of another virtual CPU.
    pub(crate) fn vcpu(self, vcpu: u32) -> Self {
        Self { vcpu: Some(vcpu), ..self }
    }

    /// Another field of that key.
    pub(crate) fn nth(self, occurrence: u32) -> Self {
        Self { occurrence, ..self }
    }

    /// Only a part of the field.
    pub(crate) fn part(self, name: &'static str) -> Self {
        Self { part: Some(name), ..self }
    }

    /// Only some bytes of the field.
    pub(crate) fn bytes(self, at: usize, len: usize) -> Self {
        Self { bytes: Some((at, len)), ..self }
    }

    fn place(&self, machine: &Machine<'_>) -> (usize, usize) {
        let known = machine.family(self.record).next();
        let known = known.unwrap_or_else(|| panic!("no record of {self:?}"));
        let find = |vcpu| known.fields.find(self.key, vcpu, self.occurrence);
        let found = find(self.vcpu).or_else(|| find(Some(0)));
        let field = found.unwrap_or_else(|| panic!("no field of {self:?}"));
        let at = (known.record.entry.offset + field.offset()) as usize;
        if let Some(name) = self.part {
            let parts = field.definition().inside;
            let part = parts.iter().find(|part| part.name == name).unwrap();
            return (at + part.at as usize, part.len as usize);
        }
        if let Some((from, len)) = self.bytes {
            assert!((from + len) as u64 <= field.len(), "{self:?}");
            return (at + from, len);
        }
        (at, field.len() as usize)
    }
}

/// Findings of one report that another does not have.
pub(crate) fn new_findings<'a>(report: &'a Report, before: &Report) -> Vec<&'a StateFinding> {
    let place = |f: &StateFinding| (f.rule.id, f.record.clone(), f.kern_offset, f.len, f.vcpu);
    let old: Vec<_> = before.findings.iter().map(place).collect();
    report.findings.iter().filter(|finding| !old.contains(&place(finding))).collect()
}
