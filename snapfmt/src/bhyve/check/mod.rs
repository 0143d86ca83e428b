//! Whether three files can belong to one snapshot that bhyve wrote.
//!
//! Only the text of `.meta` and two lengths are looked at, so what a record says is not judged
//! here.

mod cover;
mod devices;
mod kern;

use super::finding::{Finding, Place};
use super::meta::{Meta, Note, Record};
use super::meta_error::Entry;
use super::{limits, rules};

/// Checks a `.meta` against the lengths of `.kern` and of the file with guest memory.
///
/// First what is odd in the text, then the machine, names, memory, the kernel's records, the
/// devices, and last how the records share out `.kern`. No finding means that the structure is as
/// bhyve writes it; if no finding refuses, the set fits into a snapshot file.
#[must_use]
pub fn check(meta: &Meta, kern_len: u64, ram_len: u64) -> Vec<Finding> {
    let mut findings = notes(meta);
    findings.extend(machine(meta));
    findings.extend(names(meta));
    findings.extend(ram(meta, ram_len));
    findings.extend(kern::check(meta));
    findings.extend(devices::check(meta));
    findings.extend(cover::check(meta, kern_len));
    findings
}

/// Where a record stands.
fn place(record: &Record) -> Place {
    Place::Record { section: record.section, name: record.name.clone(), offset: record.offset }
}

fn notes(meta: &Meta) -> Vec<Finding> {
    let found = |note: &Note| match note {
        Note::UnknownKey { entry, key } => {
            Finding::new(&rules::META_KEY_UNKNOWN, Place::Index(entry.clone()))
                .with("key", key.as_str())
        }
        Note::AbsentKey { key } => {
            Finding::new(&rules::META_KEY_ABSENT, Place::Index(Entry::Machine)).with("key", *key)
        }
    };
    meta.notes.iter().map(found).collect()
}

fn machine(meta: &Meta) -> Vec<Finding> {
    let vm = &meta.vm;
    let mut findings = Vec::new();
    let memory = |rule| Finding::new(rule, Place::Machine("memsize")).with("memsize", vm.memsize);
    if vm.memsize == 0 {
        findings.push(memory(&rules::MEMSIZE_ZERO));
    } else if vm.memsize > limits::MEMORY {
        findings.push(memory(&rules::MEMSIZE_TOO_LARGE).with("limit", limits::MEMORY));
    } else if !vm.memsize.is_multiple_of(limits::PAGE) {
        findings.push(memory(&rules::MEMSIZE_UNALIGNED).with("page", limits::PAGE));
    }
    let absent = meta.notes.contains(&Note::AbsentKey { key: "vmname" });
    // A name with a NUL is refused.
    if !absent && !vm.name.contains('\0') && !legal(&vm.name) {
        let at = Place::Machine("vmname");
        findings.push(Finding::new(&rules::VM_NAME_ILLEGAL, at).with("name", vm.name.as_str()));
    }
    findings
}

/// Whether there are too many records, or names that no list of records can hold.
fn names(meta: &Meta) -> Vec<Finding> {
    let mut findings = Vec::new();
    if meta.vm.name.contains('\0') {
        findings.push(Finding::new(&rules::META_NAME_NUL, Place::Machine("vmname")));
    }
    for record in &meta.records {
        let finding = |rule| Finding::new(rule, place(record));
        let (length, limit) = (record.name.len(), limits::RECORD_NAME);
        if record.name.is_empty() {
            findings.push(finding(&rules::META_NAME_EMPTY));
        } else if length > limit {
            let long = finding(&rules::META_NAME_TOO_LONG);
            findings.push(long.with("length", length as u64).with("limit", limit as u64));
        } else if record.name.contains('\0') {
            findings.push(finding(&rules::META_NAME_NUL));
        }
    }
    let (found, limit) = (meta.records.len(), limits::RECORDS);
    if found > limit {
        let many = Finding::new(&rules::META_TOO_MANY_RECORDS, Place::Index(Entry::Root));
        findings.push(many.with("records", found as u64).with("limit", limit as u64));
    }
    findings
}

/// Whether a virtual machine, and so a device node, can have this name.
fn legal(name: &str) -> bool {
    let allowed = |c: char| c != '/' && !c.is_control();
    !name.is_empty() && name.len() <= limits::VM_NAME && name.chars().all(allowed)
}

fn ram(meta: &Meta, ram_len: u64) -> Option<Finding> {
    let rule = match (ram_len, meta.vm.memsize) {
        (0, _) => return Some(Finding::new(&rules::RAM_EMPTY, Place::Ram)),
        // Said already.
        (_, 0) => return None,
        (length, memsize) if length == memsize => return None,
        _ => &rules::RAM_SIZE_MISMATCH,
    };
    let finding = Finding::new(rule, Place::Ram);
    Some(finding.with("length", ram_len).with("memsize", meta.vm.memsize))
}

#[cfg(test)]
mod tests;
