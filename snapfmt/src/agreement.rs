//! What is said twice must be said alike: the VM's name (§3), and all that `.meta` says (§5.2.1),
//! since bhyve reads that text after us.

use crate::bhyve::{Generation, Meta, Record, Section, VmMetadata};
use crate::error::Fault;
use crate::part::device::RecordId;
use crate::part::meta::MetaText;
use crate::part::vm::Vm;

/// The text of META as parsed.
///
/// # Errors
/// A text that bhyve cannot have written, or of another generation than META says.
pub(crate) fn parse(meta: &MetaText) -> Result<Meta, Fault> {
    let parsed = Meta::parse(&meta.text).map_err(|error| Fault::Meta(error.to_string()))?;
    let generation = match parsed.generation {
        Generation::A => 'A',
        Generation::B => 'B',
    };
    same("the generation", &generation, &meta.generation)?;
    Ok(parsed)
}

/// What `.meta` would say of a state that never was three files (§5.2.7): its records in the order
/// of their parts, which is that of `.kern` if one is made.
pub(crate) fn without_text<'a>(vm: &Vm, records: impl IntoIterator<Item = &'a RecordId>) -> Meta {
    let mut offset = 0_u64;
    let record = |id: &RecordId| {
        let at = offset;
        offset = offset.saturating_add(id.size);
        Record {
            section: if id.section == "devices" { Section::Device } else { Section::Kern },
            name: id.name.clone(),
            snapshot_req: None,
            size: id.size,
            offset: at,
        }
    };
    let machine = VmMetadata {
        name: vm.name.clone(),
        ncpus: u32::try_from(vm.ncpus).unwrap_or(u32::MAX),
        memsize: vm.memory.size(),
        memflags: vm.memflags,
    };
    let records = records.into_iter().map(record).collect();
    Meta { generation: Generation::B, vm: machine, records, notes: Vec::new() }
}

/// A record of a state that never was three files is in a section of generation B (§5.2.7).
///
/// # Errors
/// Another section.
pub(crate) fn section_without_text(id: &RecordId) -> Result<(), Fault> {
    if id.section == Generation::B.kern_key() || id.section == "devices" {
        return Ok(());
    }
    Err(Fault::Value {
        what: "the record's section",
        found: id.section.escape_default().to_string(),
        must: "without META it is kern_structs or devices",
        rule: "§5.2.7",
    })
}

/// Compares the name in the header block with the machine.
///
/// # Errors
/// Another name.
pub(crate) fn with_header(vm_name: &str, vm: &Vm) -> Result<(), Fault> {
    if vm_name == vm.name {
        return Ok(());
    }
    Err(Fault::Disagree {
        what: "the VM's name",
        here: vm.name.escape_default().to_string(),
        there: vm_name.escape_default().to_string(),
        place: "in the header block",
        rule: "§3",
    })
}

/// Compares the text with the machine.
///
/// # Errors
/// The first difference.
pub(crate) fn with_vm(meta: &Meta, vm: &Vm) -> Result<(), Fault> {
    same("the VM's name", &meta.vm.name, &vm.name)?;
    same("ncpus", &u64::from(meta.vm.ncpus), &vm.ncpus)?;
    same("memsize", &meta.vm.memsize, &vm.memory.size())?;
    same("memflags", &meta.vm.memflags, &vm.memflags)
}

/// Compares the text with all records of the file, in file order.
///
/// # Errors
/// The first difference.
pub(crate) fn with_records<'a>(
    meta: &Meta,
    records: impl IntoIterator<Item = &'a RecordId>,
) -> Result<(), Fault> {
    let mut listed = meta.in_order().into_iter();
    let mut offset = 0_u64;
    let mut count = 0_usize;
    for id in records {
        count += 1;
        let Some(entry) = listed.next() else { break };
        let name = |section: &str, name: &str| format!("{section}/{}", name.escape_default());
        let here = name(meta.key(entry.section), &entry.name);
        same("a record", &here, &name(&id.section, &id.name))?;
        same("the size of a record", &entry.size, &id.size)?;
        same("the offset of a record", &entry.offset, &offset)?;
        offset = offset.saturating_add(id.size);
    }
    same("the number of records", &meta.records.len(), &count)
}

fn same<T: PartialEq + ToString>(what: &'static str, text: &T, file: &T) -> Result<(), Fault> {
    if text == file {
        return Ok(());
    }
    Err(Fault::Disagree {
        what,
        here: text.to_string().escape_default().to_string(),
        there: file.to_string().escape_default().to_string(),
        place: "in the parts of the file",
        rule: "§5.2.1",
    })
}
