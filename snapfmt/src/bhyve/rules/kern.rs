//! Rules about the records of `.kern`.

use crate::bhyve::finding::{Basis, Rule, Severity};

/// All of them.
pub(super) static KERN_RULES: &[&Rule] = &[
    &KERN_EMPTY,
    &KERN_RANGE_WRAPS,
    &KERN_RANGE_OUTSIDE,
    &KERN_OVERLAP,
    &KERN_GAP,
    &KERN_TRAILING,
    &RECORD_TOO_LARGE,
    &RECORDS_TOO_LARGE,
    &RECORD_EMPTY_MISPLACED,
    &RECORD_DUPLICATE,
    &RECORD_ORDER,
    &KERN_RECORD_MISSING,
    &KERN_RECORD_UNKNOWN,
    &KERN_REQ_MISMATCH,
    &KERN_SIZE_SHORT,
    &KERN_SIZE_UNKNOWN,
    &CPU_VENDOR_MISMATCH,
    &DEVICE_EMPTY,
    &DEVICE_SIZE_UNLIKELY,
    &DEVICE_UNKNOWN,
    &DEVICE_ATKBDC_MISSING,
];

/// The file with device state is empty.
pub static KERN_EMPTY: Rule = Rule {
    id: "kern-empty",
    severity: Severity::Refuse,
    says: "the file with device state is empty",
    reason: "a running machine has device state",
    bhyve: "refuses the snapshot",
    basis: Basis::Tried,
    advice: "restore the file from a copy",
};

/// Offset and size overflow when they are added.
pub static KERN_RANGE_WRAPS: Rule = Rule {
    id: "kern-range-wraps",
    severity: Severity::Refuse,
    says: "offset and size overflow when they are added",
    reason: "no file is that long",
    bhyve: "aborts on an assertion",
    basis: Basis::Tried,
    advice: "restore `.meta` from a copy",
};

/// A record ends after the end of `.kern`.
pub static KERN_RANGE_OUTSIDE: Rule = Rule {
    id: "kern-range-outside",
    severity: Severity::Refuse,
    says: "a record ends after the end of `.kern`",
    reason: "the file is cut, or `.meta` is not its index",
    bhyve: "aborts on an assertion",
    basis: Basis::Tried,
    advice: "check that the three files belong together and were copied whole",
};

/// Two records share bytes.
pub static KERN_OVERLAP: Rule = Rule {
    id: "kern-overlap",
    severity: Severity::Refuse,
    says: "two records share bytes",
    reason: "bhyve writes records one after another",
    bhyve: "accepts it; when tried, the host kernel faulted on entering the guest",
    basis: Basis::Tried,
    advice: "restore `.meta` from a copy",
};

/// Bytes between two records belong to none.
pub static KERN_GAP: Rule = Rule {
    id: "kern-gap",
    severity: Severity::Refuse,
    says: "bytes between two records belong to none",
    reason: "bhyve writes records one after another",
    bhyve: "ignores the bytes",
    basis: Basis::Read,
    advice: "check that the three files belong together; restore `.meta` from a copy",
};

/// Bytes after the last record belong to none.
pub static KERN_TRAILING: Rule = Rule {
    id: "kern-trailing",
    severity: Severity::Refuse,
    says: "bytes after the last record belong to none",
    reason: "bhyve writes nothing after the last record",
    bhyve: "ignores the bytes",
    basis: Basis::Tried,
    advice: "check that the three files belong together and were copied whole",
};

/// A record is larger than any device's.
pub static RECORD_TOO_LARGE: Rule = Rule {
    id: "record-too-large",
    severity: Severity::Refuse,
    says: "a record is larger than any device's",
    reason: "bhyve collects a record in a buffer; the largest known is a framebuffer of 32 MiB",
    bhyve: "cannot have written it",
    basis: Basis::Read,
    advice: "restore `.meta` from a copy",
};

/// All records together are larger than a machine's can be.
pub static RECORDS_TOO_LARGE: Rule = Rule {
    id: "records-too-large",
    severity: Severity::Refuse,
    says: "all records together are larger than a machine's can be",
    reason: "readers are bounded; a framebuffer of 32 MiB is the largest, and a machine has few",
    bhyve: "reads each record that it looks for",
    basis: Basis::Supposed,
    advice: "check that the three files belong together; restore `.meta` from a copy",
};

/// A record without bytes is not where the record before it ends.
pub static RECORD_EMPTY_MISPLACED: Rule = Rule {
    id: "record-empty-misplaced",
    severity: Severity::Refuse,
    says: "a record without bytes is not where the record before it ends",
    reason: "bhyve lists a device without state at the offset it has reached",
    bhyve: "reads no bytes of it, wherever it is",
    basis: Basis::Supposed,
    advice: "restore `.meta` from a copy",
};

/// A record is listed twice.
pub static RECORD_DUPLICATE: Rule = Rule {
    id: "record-duplicate",
    severity: Severity::Refuse,
    says: "a record is listed twice",
    reason: "bhyve writes each record once",
    bhyve: "takes the first",
    basis: Basis::Read,
    advice: "restore `.meta` from a copy",
};

/// Records are not listed in the order of their bytes.
pub static RECORD_ORDER: Rule = Rule {
    id: "record-order",
    severity: Severity::Warn,
    says: "records are not listed in the order of their bytes",
    reason: "bhyve writes both in the same order, so the list was edited",
    bhyve: "does not care",
    basis: Basis::Read,
    advice: "none needed if the list was sorted on purpose",
};

/// A record of the kernel is missing.
pub static KERN_RECORD_MISSING: Rule = Rule {
    id: "kern-record-missing",
    severity: Severity::Refuse,
    says: "a record of the kernel is missing",
    reason: "without it the hardware it describes is not restored",
    bhyve: "refuses the snapshot",
    basis: Basis::Tried,
    advice: "restore `.meta` from a copy, or take the snapshot again",
};

/// A record of the kernel is unknown.
pub static KERN_RECORD_UNKNOWN: Rule = Rule {
    id: "kern-record-unknown",
    severity: Severity::Warn,
    says: "a record of the kernel is unknown",
    reason: "it may come from a newer kernel",
    bhyve: "ignores it",
    basis: Basis::Read,
    advice: "none needed if the snapshot comes from a newer or modified kernel",
};

/// The number of a kernel record is another record's.
pub static KERN_REQ_MISMATCH: Rule = Rule {
    id: "kern-req-mismatch",
    severity: Severity::Refuse,
    says: "the number of a kernel record is another record's",
    reason: "bhyve goes by the number, and would hand the bytes to the wrong device",
    bhyve: "restores the wrong device from the bytes",
    basis: Basis::Read,
    advice: "restore `.meta` from a copy",
};

/// A kernel record is shorter than every layout known for it.
pub static KERN_SIZE_SHORT: Rule = Rule {
    id: "kern-size-short",
    severity: Severity::Refuse,
    says: "a kernel record is shorter than every layout known for it",
    reason: "the kernel would stop in the middle of the record",
    bhyve: "fails half way; vrtc then keeps a lock of the host kernel for ever",
    basis: Basis::Tried,
    advice: "restore `.meta` from a copy",
};

/// The size of a kernel record fits no known layout.
pub static KERN_SIZE_UNKNOWN: Rule = Rule {
    id: "kern-size-unknown",
    severity: Severity::Warn,
    says: "the size of a kernel record fits no known layout",
    reason: "it may come from a newer kernel, or hold another number of virtual CPUs",
    bhyve: "reads what it knows and ignores the rest",
    basis: Basis::Read,
    advice: "restore only on the FreeBSD release that wrote the snapshot",
};

/// One CPU record is of an Intel layout and another of an AMD layout.
pub static CPU_VENDOR_MISMATCH: Rule = Rule {
    id: "cpu-vendor-mismatch",
    severity: Severity::Refuse,
    says: "one CPU record is of an Intel layout and another of an AMD layout",
    reason: "a snapshot comes from one host",
    bhyve: "hands the bytes to the wrong driver",
    basis: Basis::Supposed,
    advice: "restore `.meta` and `.kern` from copies",
};

/// A device has no state.
pub static DEVICE_EMPTY: Rule = Rule {
    id: "device-empty",
    severity: Severity::Warn,
    says: "a device has no state",
    reason: "bhyve writes at least the PCI header of each device",
    bhyve: "refuses the snapshot if the machine has the device",
    basis: Basis::Read,
    advice: "none needed if the machine is restored without the device",
};

/// The size of a device record fits no known layout.
pub static DEVICE_SIZE_UNLIKELY: Rule = Rule {
    id: "device-size-unlikely",
    severity: Severity::Warn,
    says: "the size of a device record fits no known layout",
    reason: "it may come from another release",
    bhyve: "ignores what is too long, refuses what is too short",
    basis: Basis::Read,
    advice: "restore only on the FreeBSD release that wrote the snapshot",
};

/// A device of this name is unknown.
pub static DEVICE_UNKNOWN: Rule = Rule {
    id: "device-unknown",
    severity: Severity::Warn,
    says: "a device of this name is unknown",
    reason: "it may come from a newer or modified bhyve",
    bhyve: "ignores it unless the machine has such a device",
    basis: Basis::Read,
    advice: "restore only on the FreeBSD release that wrote the snapshot",
};

/// The keyboard controller is missing.
pub static DEVICE_ATKBDC_MISSING: Rule = Rule {
    id: "device-atkbdc-missing",
    severity: Severity::Warn,
    says: "the keyboard controller is missing",
    reason: "bhyve writes it for every machine",
    bhyve: "refuses the snapshot (14.0 and later)",
    basis: Basis::Read,
    advice: "take the snapshot again if the machine is still there",
};
