//! What is wrong with a file, where, and by which rule.
//!
//! Errors are data; `Display` makes the sentence. A [`Fault`] says what; [`Error`] adds the section
//! of the file and the byte offset. Nothing here knows files or paths: whoever opened the input
//! adds its name.

use std::fmt;

use crate::digest::Digest;
use crate::layout::kind::Kind;
use crate::nvlist;

/// What is wrong. Rule numbers (§) are those of `spec/snapshot.md`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The input ends before what it promised (§2.1).
    #[error("the file ends early: it has {left} of {wanted} bytes that belong here (§2.1)")]
    Truncated {
        /// Bytes that belong here.
        wanted: u64,
        /// Bytes that are there.
        left: u64,
    },
    /// The first bytes are not the header block's (§3.1).
    #[error("this is not a snapshot file: its first bytes are not those of a header block (§3.1)")]
    NotASnapshot,
    /// A magic number is not where it belongs (§4.1, §7.3.1).
    #[error("no {what} begins here ({rule})")]
    Magic {
        /// The structure that belongs here.
        what: &'static str,
        /// The rule's number.
        rule: &'static str,
    },
    /// A version that this reader does not know (§3.2).
    #[error("version {found} is not known to this reader, which knows version {known} (§3.2)")]
    Version {
        /// The version in the file.
        found: u32,
        /// The version that this reader knows.
        known: u32,
    },
    /// Features that this reader lacks (§9.3).
    #[error("the file needs features that this reader lacks: {} (§9.3)", names.join(", "))]
    MissingFeatures {
        /// Their names, as in the file.
        names: Vec<String>,
    },
    /// A number above its limit (§10); found before anything was allocated.
    #[error("{what} is {found}, above the limit of {limit} (§10)")]
    OverLimit {
        /// The number that is too high.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The highest legal value.
        limit: u64,
    },
    /// A value that its rule forbids.
    #[error("{what} is {found}: {must} ({rule})")]
    Value {
        /// The field.
        what: &'static str,
        /// Its value, as text.
        found: String,
        /// What the rule asks for.
        must: &'static str,
        /// The rule's number.
        rule: &'static str,
    },
    /// The stored digest does not match the bytes that it covers.
    #[error(
        "the digest of the {what} does not match its bytes: they were damaged or changed ({rule})"
    )]
    Digest {
        /// What the digest covers.
        what: &'static str,
        /// The rule's number.
        rule: &'static str,
    },
    /// Padding or a reserved field that is not zero (§1.6).
    #[error("padding is not zero (§1.6)")]
    Padding,
    /// An nvlist that libnv would not have packed (§1.3).
    #[error("the nvlist is malformed: {0} (§1.3)")]
    Nvlist(#[from] nvlist::Error),
    /// A pair that is missing, of another type, or not known (§5).
    #[error("the nvlist does not have the pairs it must have: {0} (§5)")]
    Pair(String),
    /// A mandatory part of a type that this reader does not know (§4.12).
    #[error("part type {0:#x} is mandatory and not known to this reader (§4.12)")]
    UnknownPart(u32),
    /// A part where it does not belong (§2.2).
    #[error("a part of type {found} may not come here: {why} (§2.2)")]
    Order {
        /// The part that was found.
        found: Kind,
        /// What was expected.
        why: &'static str,
    },
    /// Two places of the file that must agree and do not.
    #[error("{what} is {here} here and {there} {place} ({rule})")]
    Disagree {
        /// What must agree.
        what: &'static str,
        /// The value in this section.
        here: String,
        /// The other value.
        there: String,
        /// Where the other value stands.
        place: &'static str,
        /// The rule's number.
        rule: &'static str,
    },
    /// Fields of a record that give no record, or not this one (§5.4.8 to §5.4.10).
    #[error("the fields do not give the record: {why} ({rule})")]
    Fields {
        /// Why not.
        why: String,
        /// The rule's number.
        rule: &'static str,
    },
    /// Fields that are not what their layout makes of the record (§5.4.11).
    #[error("these are not the fields of layout {layout}, version {version}: {why} (§5.4.11)")]
    Layout {
        /// The name of the layout, which is known.
        layout: String,
        /// Its version.
        version: u32,
        /// The field, and what is wrong with it.
        why: String,
    },
    /// Stored bytes whose digest matched, but which do not decompress as they must (§6.6).
    #[error("the compressed bytes are not what §6.6 asks for: {0}")]
    Zstd(&'static str),
    /// `.meta` text that cannot be parsed, or that contradicts itself (§5.2.1).
    #[error("the .meta text: {0} (§5.2.1)")]
    Meta(String),
    /// Bytes after the end mark (§2.1).
    #[error("there are bytes after the end of the snapshot (§2.1)")]
    Trailing,
    /// A delta without its parent (§13.4).
    #[error(
        "this is a delta, and its parent is missing: a snapshot with content {content} (§13.4)"
    )]
    Parent {
        /// `content` of the parent's state.
        content: Digest,
        /// The file that was the parent, for people.
        uuid: Option<String>,
    },
    /// The root is not the one that was asked for (§8.1).
    #[error("the root is {found}, not {expected} as asked (§8.1)")]
    Root {
        /// The root that was asked for.
        expected: Digest,
        /// The root of the file.
        found: Digest,
    },
}

/// A text from a file as an error shows it: escaped, and not a page of it (§11.6).
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(64).flat_map(char::escape_default).collect();
    if chars.next().is_some() { start + "..." } else { start }
}

impl Fault {
    /// A short, stable name of the kind of fault, for programs.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::NotASnapshot => "not-a-snapshot",
            Self::Magic { .. } => "magic",
            Self::Version { .. } => "version",
            Self::MissingFeatures { .. } => "missing-features",
            Self::OverLimit { .. } => "limit",
            Self::Value { .. } => "value",
            Self::Digest { .. } => "digest",
            Self::Padding => "padding",
            Self::Nvlist(_) => "nvlist",
            Self::Pair(_) => "pair",
            Self::UnknownPart(_) => "unknown-part",
            Self::Order { .. } => "order",
            Self::Disagree { .. } => "disagree",
            Self::Fields { .. } => "fields",
            Self::Layout { .. } => "layout",
            Self::Zstd(_) => "zstd",
            Self::Meta(_) => "meta",
            Self::Trailing => "trailing",
            Self::Parent { .. } => "parent",
            Self::Root { .. } => "root",
        }
    }

    /// What a person can do about it, where something helps.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Truncated { .. } => Some("the copy is incomplete; copy the file again"),
            Self::Digest { .. } | Self::Padding | Self::Magic { .. } => {
                Some("`snaptool inspect` shows what is damaged and what is not")
            }
            Self::Version { .. } | Self::MissingFeatures { .. } | Self::UnknownPart(_) => {
                Some("a newer version of this tool wrote the file; read it with that one")
            }
            Self::Root { .. } => Some("this is not the snapshot that you were told to expect"),
            _ => None,
        }
    }

    pub(crate) fn at(self, at: u64) -> Located {
        Located { fault: self, at }
    }
}

/// A fault and the byte offset where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) fault: Fault,
    pub(crate) at: u64,
}

impl Located {
    pub(crate) fn within(self, section: Section) -> Error {
        Error(Box::new(Inner { fault: self.fault, section, at: self.at }))
    }
}

/// The part of a file in which something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Section {
    /// The header block (§3).
    Header,
    /// A part whose frame is damaged, so that its type is not known (§4).
    Frame,
    /// A part that appears once, or an optional part.
    Part(Kind),
    /// A device record.
    Device {
        /// `kern_structs`, `structs` or `devices`.
        section: String,
        /// Its name, raw.
        name: String,
    },
    /// An extent of memory.
    Extent {
        /// The first guest-physical address of its block.
        gpa: u64,
    },
    /// The trailer (§7.3).
    Trailer,
    /// Beyond the trailer.
    End,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("header block"),
            Self::Frame => f.write_str("part frame"),
            Self::Part(kind) => write!(f, "{kind} part"),
            Self::Device { section, name } => {
                let section = section.escape_default();
                write!(f, "device record {section}/{}", name.escape_default())
            }
            Self::Extent { gpa } => write!(f, "memory extent at GPA {gpa:#x}"),
            Self::Trailer => f.write_str("trailer"),
            Self::End => f.write_str("end of file"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    fault: Fault,
    section: Section,
    at: u64,
}

/// What is wrong with a file, in which section, at which byte offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

impl Error {
    /// What is wrong.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// Where in the file's structure.
    #[must_use]
    pub fn section(&self) -> &Section {
        &self.0.section
    }

    /// The byte offset: of the damaged byte where it is known, else of the damaged structure.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.0.at
    }

    /// The same fault, placed in a section that the caller knows better.
    #[must_use]
    pub fn in_section(mut self, section: Section) -> Self {
        self.0.section = section;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, offset {:#x}: {}", self.0.section, self.0.at, self.0.fault)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.fault {
            Fault::Nvlist(error) => Some(error),
            _ => None,
        }
    }
}
