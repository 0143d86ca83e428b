//! What is known of a snapshot: one model for both outputs, described in `spec/inspect.md`.
//!
//! Plain values only. Whatever is not under `claims` has matched its digests, or was read from
//! bhyve's three files, which have none.

use serde::Serialize;

/// Raised when a field changes its meaning or goes away.
pub(super) const SCHEMA: u32 = 1;

/// Everything about one snapshot.
#[derive(Debug, Default, Serialize)]
pub(super) struct Facts {
    pub(super) schema: u32,
    /// `snapshot` or `three-file`.
    pub(super) kind: &'static str,
    pub(super) input: String,
    pub(super) size: Option<u64>,
    pub(super) files: Option<Files>,
    /// Whether nothing is wrong with what was checked.
    pub(super) intact: bool,
    /// `full`, `map`, `survey`, `stream` or `structure`.
    pub(super) checked: &'static str,
    pub(super) not_checked: Vec<&'static str>,
    pub(super) root: Option<String>,
    pub(super) content: Option<String>,
    pub(super) memory_root: Option<String>,
    pub(super) header: Option<Header>,
    /// The files that were looked at with it, the full one first; only with its parents.
    pub(super) chain: Vec<Link>,
    pub(super) vm: Option<Vm>,
    pub(super) memory: Option<Memory>,
    pub(super) meta: Option<Meta>,
    pub(super) config: Option<Config>,
    pub(super) optional: Vec<Optional>,
    pub(super) records: Vec<Record>,
    pub(super) layout: Vec<Range>,
    pub(super) damage: Vec<Damage>,
    pub(super) findings: Vec<Finding>,
    pub(super) claims: Claims,
    /// `.meta`, verbatim.
    #[serde(skip)]
    pub(super) meta_text: Option<Vec<u8>>,
    /// The configuration, verbatim.
    #[serde(skip)]
    pub(super) config_text: Option<Vec<u8>>,
    /// Records whose bytes were asked for.
    #[serde(skip)]
    pub(super) raw: Vec<Raw>,
    /// Records whose fields are needed.
    #[serde(skip)]
    pub(super) decoded: Vec<Raw>,
}

/// The sizes of the three files.
#[derive(Debug, Serialize)]
pub(super) struct Files {
    pub(super) ram: u64,
    pub(super) kern: u64,
    pub(super) meta: u64,
}

/// The header block.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) producer: String,
    pub(super) uuid: String,
    pub(super) vm_name: String,
    pub(super) vm_uuid: Option<String>,
    pub(super) created: u64,
    /// Only of a delta.
    pub(super) parent: Option<Parent>,
    pub(super) incompatible: Vec<String>,
    pub(super) compatible: Vec<String>,
}

/// What a delta says of the state that it builds on.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Parent {
    pub(super) content: String,
    pub(super) uuid: Option<String>,
}

/// A file of a chain.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Link {
    pub(super) input: String,
    pub(super) size: u64,
    pub(super) uuid: String,
    pub(super) created: u64,
    pub(super) root: String,
    pub(super) content: String,
    pub(super) data_pages: u64,
    pub(super) stored_bytes: u64,
}

/// The machine.
#[derive(Debug, Serialize)]
pub(super) struct Vm {
    pub(super) name: String,
    pub(super) ncpus: u64,
    pub(super) memsize: u64,
    pub(super) memflags: u64,
}

/// Guest RAM. What is not known is absent.
#[derive(Debug, Default, Serialize)]
pub(super) struct Memory {
    pub(super) segments: Vec<Segment>,
    pub(super) data_pages: Option<u64>,
    pub(super) zero_pages: Option<u64>,
    /// Pages that are those of the parent, in a delta.
    pub(super) inherited_pages: Option<u64>,
    /// Data pages that are stored as differences from those of the parent, in a delta.
    pub(super) xor_pages: Option<u64>,
    pub(super) extents: Option<u64>,
    pub(super) stored_bytes: Option<u64>,
    /// Extents and pages whose bytes were read and matched.
    pub(super) verified_extents: u64,
    pub(super) verified_pages: u64,
}

/// A run of guest RAM.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Segment {
    pub(super) gpa: u64,
    pub(super) len: u64,
    pub(super) data_pages: Option<u64>,
    pub(super) zero_pages: Option<u64>,
    /// In a delta.
    pub(super) inherited_pages: Option<u64>,
    pub(super) extents: Option<u64>,
    /// Bytes of the file that its extents take, frames and padding included.
    pub(super) part_bytes: Option<u64>,
}

/// `.meta`.
#[derive(Debug, Serialize)]
pub(super) struct Meta {
    /// `A`, `B`, or nothing if the text cannot be parsed.
    pub(super) generation: Option<char>,
    /// How many it lists.
    pub(super) records: Option<u64>,
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// The configuration.
#[derive(Debug, Serialize)]
pub(super) struct Config {
    pub(super) kind: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    /// What the text says, where it can be read.
    pub(super) settings: Option<Settings>,
    pub(super) files: Vec<ConfigFile>,
}

/// What a configuration says.
#[derive(Debug, Serialize)]
pub(super) struct Settings {
    pub(super) name: Option<String>,
    pub(super) ncpus: Option<u32>,
    pub(super) memsize: Option<u64>,
    pub(super) uuid: Option<String>,
    pub(super) bootrom: Option<String>,
    pub(super) bootvars: Option<String>,
    pub(super) disks: Vec<Disk>,
}

/// A disk of a configuration.
#[derive(Debug, Serialize)]
pub(super) struct Disk {
    pub(super) slot: String,
    pub(super) device: String,
    pub(super) path: String,
}

/// A file that the configuration refers to, as the producer saw it.
#[derive(Debug, Serialize)]
pub(super) struct ConfigFile {
    pub(super) role: String,
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) sha256: Option<String>,
}

/// An optional part that is only carried.
#[derive(Debug, Serialize)]
pub(super) struct Optional {
    #[serde(rename = "type")]
    pub(super) number: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The layout of a record.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RecordLayout {
    pub(super) name: String,
    pub(super) version: u32,
    /// Whether it is known here: the fields are then what it makes of the bytes.
    pub(super) known: bool,
}

/// A device record.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Record {
    pub(super) section: String,
    pub(super) name: String,
    /// Where it is in `.kern`, by an intact `.meta`.
    pub(super) offset: Option<u64>,
    pub(super) size: u64,
    pub(super) sha256: Option<String>,
    /// Bytes that it takes in the file.
    pub(super) stored: Option<u64>,
    /// The offset of its part in the file.
    pub(super) part_offset: Option<u64>,
    /// Found by searching in a damaged file: intact, but only its place says that it belongs here.
    pub(super) scanned: bool,
    /// `fields` or `whole`; nothing of three files.
    pub(super) stored_as: Option<&'static str>,
    /// The layout of its fields.
    pub(super) layout: Option<RecordLayout>,
    /// Why it has no fields.
    pub(super) no_fields: Option<String>,
}

/// A range of the file.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Range {
    pub(super) offset: u64,
    /// Unknown after damage in a pipe.
    pub(super) length: Option<u64>,
    pub(super) what: String,
    /// `intact`, `damaged`, `not-read` or `not-checked`.
    pub(super) status: &'static str,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Damage {
    pub(super) section: String,
    /// Where it was found.
    pub(super) offset: u64,
    /// The first byte that is lost with it, where that is known.
    pub(super) start: Option<u64>,
    /// Bytes from there that are lost.
    pub(super) length: Option<u64>,
    pub(super) fault: &'static str,
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
}

/// A rule about bhyve's own files that is broken.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) severity: String,
    pub(super) rule: &'static str,
    pub(super) place: String,
    pub(super) message: String,
    pub(super) advice: &'static str,
}

/// What a damaged file says and nobody vouches for.
#[derive(Debug, Default, Serialize)]
pub(super) struct Claims {
    pub(super) header: Option<Header>,
    pub(super) index: Option<Index>,
    pub(super) parts: Vec<Part>,
}

/// What an INDEX says that is intact in a file that is not.
#[derive(Debug, Serialize)]
pub(super) struct Index {
    pub(super) root: String,
    pub(super) content: String,
    pub(super) memory_root: String,
    pub(super) data_pages: u64,
    pub(super) zero_pages: u64,
    pub(super) extents: u64,
    pub(super) stored_bytes: u64,
}

/// What a damaged frame says.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) kind: String,
    pub(super) label: Option<String>,
}

/// The bytes of a record.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) section: String,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl Facts {
    pub(super) fn new(kind: &'static str, input: &str) -> Self {
        Self { schema: SCHEMA, kind, input: input.to_owned(), ..Self::default() }
    }

    /// Whether a rule says that the snapshot must not be used.
    pub(super) fn refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == "refuse")
    }
}
