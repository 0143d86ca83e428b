//! Rules about the text of `.meta`.

use crate::bhyve::finding::{Basis, Rule, Severity};

/// All of them.
pub(super) static META_RULES: &[&Rule] = &[
    &META_TOO_LONG,
    &META_NOT_JSON,
    &META_UNFINISHED,
    &META_KEY_DUPLICATE,
    &META_KEY_MISSING,
    &META_TYPE_WRONG,
    &META_NUMBER_NEGATIVE,
    &META_NUMBER_TOO_LARGE,
    &META_NAME_TOO_LONG,
    &META_NAME_EMPTY,
    &META_NAME_NUL,
    &META_TOO_MANY_RECORDS,
    &META_LAYOUT_UNCLEAR,
    &META_KEY_UNKNOWN,
    &META_KEY_ABSENT,
];

/// The text is longer than any bhyve writes.
pub static META_TOO_LONG: Rule = Rule {
    id: "meta-too-long",
    severity: Severity::Refuse,
    says: "the text is longer than any bhyve writes",
    reason: "the reader is bounded, and a text beyond the bound is not a `.meta`",
    bhyve: "parses it whole",
    basis: Basis::Supposed,
    advice: "check that the file is the `.meta` of the snapshot",
};

/// The text is not the JSON that bhyve writes.
pub static META_NOT_JSON: Rule = Rule {
    id: "meta-not-json",
    severity: Severity::Refuse,
    says: "the text is not the JSON that bhyve writes",
    reason: "nothing can be known of the records",
    bhyve: "refuses a text that libucl cannot parse",
    basis: Basis::Tried,
    advice: "take the snapshot again, or restore the file from a copy",
};

/// The text ends too early.
pub static META_UNFINISHED: Rule = Rule {
    id: "meta-unfinished",
    severity: Severity::Refuse,
    says: "the text ends too early",
    reason: "bhyve writes the closing braces last: the snapshot was aborted or the file is cut",
    bhyve: "refuses a text that libucl cannot parse, or that lacks what it looks for",
    basis: Basis::Supposed,
    advice: "take the snapshot again: an aborted snapshot has lost the state of its devices",
};

/// A key stands twice.
pub static META_KEY_DUPLICATE: Rule = Rule {
    id: "meta-key-duplicate",
    severity: Severity::Refuse,
    says: "a key stands twice",
    reason: "bhyve writes each key once, and readers disagree about which one counts",
    bhyve: "takes both values as an array, or the first of them",
    basis: Basis::Read,
    advice: "restore the file from a copy",
};

/// A key that bhyve always writes is missing.
pub static META_KEY_MISSING: Rule = Rule {
    id: "meta-key-missing",
    severity: Severity::Refuse,
    says: "a key that bhyve always writes is missing",
    reason: "the snapshot cannot be restored without it",
    bhyve: "refuses the snapshot",
    basis: Basis::Read,
    advice: "restore the file from a copy",
};

/// A value is of the wrong type.
pub static META_TYPE_WRONG: Rule = Rule {
    id: "meta-type-wrong",
    severity: Severity::Refuse,
    says: "a value is of the wrong type",
    reason: "bhyve writes whole numbers bare and names quoted",
    bhyve: "refuses the value, or takes part of it",
    basis: Basis::Supposed,
    advice: "restore the file from a copy",
};

/// A number is negative.
pub static META_NUMBER_NEGATIVE: Rule = Rule {
    id: "meta-number-negative",
    severity: Severity::Refuse,
    says: "a number is negative",
    reason: "sizes, offsets and counts cannot be",
    bhyve: "aborts on an assertion about sizes and offsets",
    basis: Basis::Tried,
    advice: "restore the file from a copy",
};

/// A number is larger than its type.
pub static META_NUMBER_TOO_LARGE: Rule = Rule {
    id: "meta-number-too-large",
    severity: Severity::Refuse,
    says: "a number is larger than its type",
    reason: "bhyve keeps it in a signed 64-bit or 32-bit integer",
    bhyve: "takes another number than the one that is written",
    basis: Basis::Supposed,
    advice: "restore the file from a copy",
};

/// A name is longer than any that bhyve writes.
pub static META_NAME_TOO_LONG: Rule = Rule {
    id: "meta-name-too-long",
    severity: Severity::Refuse,
    says: "a name is longer than any that bhyve writes",
    reason: "names have fixed room in bhyve: 39 bytes for a device, 229 for a machine",
    bhyve: "never finds the record",
    basis: Basis::Supposed,
    advice: "restore the file from a copy",
};

/// The name of a record is empty.
pub static META_NAME_EMPTY: Rule = Rule {
    id: "meta-name-empty",
    severity: Severity::Refuse,
    says: "the name of a record is empty",
    reason: "bhyve names every record, and finds it again by its name",
    bhyve: "never finds the record",
    basis: Basis::Supposed,
    advice: "restore the file from a copy",
};

/// A name holds a NUL.
pub static META_NAME_NUL: Rule = Rule {
    id: "meta-name-nul",
    severity: Severity::Refuse,
    says: "a name holds a NUL",
    reason: "names are C strings in bhyve, which end at the first NUL",
    bhyve: "takes what is before the NUL for the name",
    basis: Basis::Supposed,
    advice: "restore the file from a copy",
};

/// More entries than any machine has records.
pub static META_TOO_MANY_RECORDS: Rule = Rule {
    id: "meta-too-many-records",
    severity: Severity::Refuse,
    says: "more entries than any machine has records",
    reason: "readers are bounded; a machine has tens of records",
    bhyve: "ignores entries that it does not look for",
    basis: Basis::Supposed,
    advice: "check that the file is the `.meta` of the snapshot",
};

/// The kernel records are listed under no known key, or under two.
pub static META_LAYOUT_UNCLEAR: Rule = Rule {
    id: "meta-layout-unclear",
    severity: Severity::Refuse,
    says: "the kernel records are listed under no known key, or under two",
    reason: "`structs` and `kern_structs` belong to different releases and mean different bytes",
    bhyve: "reads the one its release knows",
    basis: Basis::Read,
    advice: "restore the file from a copy",
};

/// A key is unknown.
pub static META_KEY_UNKNOWN: Rule = Rule {
    id: "meta-key-unknown",
    severity: Severity::Warn,
    says: "a key is unknown",
    reason: "it may come from a newer bhyve, and its meaning is lost here",
    bhyve: "ignores it",
    basis: Basis::Read,
    advice: "none needed if the snapshot comes from a newer or modified bhyve",
};

/// A key that bhyve always writes is absent.
pub static META_KEY_ABSENT: Rule = Rule {
    id: "meta-key-absent",
    severity: Severity::Warn,
    says: "a key that bhyve always writes is absent",
    reason: "bhyve can do without it, but did not write the file so",
    bhyve: "falls back to its command line",
    basis: Basis::Read,
    advice: "give the value on the command line of bhyve",
};
