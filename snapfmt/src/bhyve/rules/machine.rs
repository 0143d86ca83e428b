//! Rules about the machine, its memory and its configuration.

use crate::bhyve::finding::{Basis, Rule, Severity};

/// All of them.
pub(super) static MACHINE_RULES: &[&Rule] = &[
    &NCPUS_OUT_OF_RANGE,
    &NCPUS_MISMATCH,
    &MEMSIZE_ZERO,
    &MEMSIZE_UNALIGNED,
    &MEMSIZE_TOO_LARGE,
    &VM_NAME_ILLEGAL,
    &RAM_EMPTY,
    &RAM_SIZE_MISMATCH,
    &CONFIG_NCPUS,
    &CONFIG_MEMORY,
    &CONFIG_NAME,
];

/// No machine of this layout has so many virtual CPUs.
pub static NCPUS_OUT_OF_RANGE: Rule = Rule {
    id: "ncpus-out-of-range",
    severity: Severity::Refuse,
    says: "no machine of this layout has so many virtual CPUs",
    reason: "older layouts have 16 slots a record, newer ones a set of 1024",
    bhyve: "refuses to create the machine",
    basis: Basis::Read,
    advice: "restore `.meta` from a copy",
};

/// The per-CPU records are for another number of virtual CPUs.
pub static NCPUS_MISMATCH: Rule = Rule {
    id: "ncpus-mismatch",
    severity: Severity::Refuse,
    says: "the per-CPU records are for another number of virtual CPUs",
    reason: "all of them fit one number exactly, and it is not the one that is written",
    bhyve: "refuses the snapshot when one virtual CPU too many is claimed",
    basis: Basis::Tried,
    advice: "restore `.meta` from a copy",
};

/// The machine has no memory.
pub static MEMSIZE_ZERO: Rule = Rule {
    id: "memsize-zero",
    severity: Severity::Refuse,
    says: "the machine has no memory",
    reason: "no guest ran without memory",
    bhyve: "refuses to create the machine",
    basis: Basis::Supposed,
    advice: "restore `.meta` from a copy",
};

/// The memory size is not a number of pages.
pub static MEMSIZE_UNALIGNED: Rule = Rule {
    id: "memsize-unaligned",
    severity: Severity::Refuse,
    says: "the memory size is not a number of pages",
    reason: "vmm allocates whole pages only",
    bhyve: "refuses to create the machine",
    basis: Basis::Supposed,
    advice: "restore `.meta` from a copy",
};

/// The memory size is beyond what x86 can address.
pub static MEMSIZE_TOO_LARGE: Rule = Rule {
    id: "memsize-too-large",
    severity: Severity::Refuse,
    says: "the memory size is beyond what x86 can address",
    reason: "52 bits of physical address are the architecture's limit",
    bhyve: "refuses to create the machine",
    basis: Basis::Supposed,
    advice: "restore `.meta` from a copy",
};

/// No virtual machine can have this name.
pub static VM_NAME_ILLEGAL: Rule = Rule {
    id: "vm-name-illegal",
    severity: Severity::Warn,
    says: "no virtual machine can have this name",
    reason: "the name becomes a device node: not empty, no slash, printable, 229 bytes at most",
    bhyve: "cannot create the machine under it",
    basis: Basis::Supposed,
    advice: "give a name on the command line of bhyve",
};

/// The file with guest memory is empty.
pub static RAM_EMPTY: Rule = Rule {
    id: "ram-empty",
    severity: Severity::Refuse,
    says: "the file with guest memory is empty",
    reason: "bhyve writes all of guest memory before it writes `.meta`",
    bhyve: "refuses the snapshot",
    basis: Basis::Read,
    advice: "restore the file from a copy",
};

/// The file with guest memory has another length than the memory of the machine.
pub static RAM_SIZE_MISMATCH: Rule = Rule {
    id: "ram-size-mismatch",
    severity: Severity::Refuse,
    says: "the file with guest memory has another length than the memory of the machine",
    reason: "bhyve writes exactly that many bytes",
    bhyve: "refuses the snapshot",
    basis: Basis::Tried,
    advice: "check that the three files belong together and were copied whole",
};

/// The configuration has another number of virtual CPUs.
pub static CONFIG_NCPUS: Rule = Rule {
    id: "config-ncpus",
    severity: Severity::Warn,
    says: "the configuration has another number of virtual CPUs",
    reason: "the snapshot's number counts",
    bhyve: "takes the number of the snapshot",
    basis: Basis::Read,
    advice: "check that the configuration is this machine's",
};

/// The configuration has another memory size.
pub static CONFIG_MEMORY: Rule = Rule {
    id: "config-memory",
    severity: Severity::Warn,
    says: "the configuration has another memory size",
    reason: "the snapshot's size counts",
    bhyve: "takes the size of the snapshot",
    basis: Basis::Read,
    advice: "check that the configuration is this machine's",
};

/// The configuration has another name.
pub static CONFIG_NAME: Rule = Rule {
    id: "config-name",
    severity: Severity::Warn,
    says: "the configuration has another name",
    reason: "the configuration may be another machine's",
    bhyve: "takes the name of the command line",
    basis: Basis::Read,
    advice: "check that the configuration is this machine's",
};
