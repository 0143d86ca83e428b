//! `.meta`: the machine, and the list of records in `.kern`.
//!
//! What bhyve itself can do without is noted, not refused: unknown keys, which it ignores, and an
//! absent `vmname` or `memflags`, for which its command line stands in. Everything else that
//! differs from what bhyve writes is refused, because its meaning would be a guess.

use std::collections::BTreeSet;
use std::fmt;

use super::json::{self, Member, Node, Value};
use super::limits;
use super::meta_error::{Entry, MetaError, MetaFault};

/// Which release wrote the snapshot, as far as the keys of `.meta` tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// FreeBSD 13: kernel records in `structs`, found by number; one device of a kind.
    A,
    /// FreeBSD 14.0 and later: kernel records in `kern_structs`, found by name; every PCI device.
    B,
}

impl Generation {
    /// The key under which kernel records are listed.
    #[must_use]
    pub const fn kern_key(self) -> &'static str {
        match self {
            Self::A => "structs",
            Self::B => "kern_structs",
        }
    }

    /// The key that holds the name of a record.
    #[must_use]
    pub const fn name_key(self, section: Section) -> &'static str {
        match (self, section) {
            (Self::A, Section::Kern) => "debug_name",
            (Self::A, Section::Device) => "snapshot_req",
            (Self::B, _) => "device",
        }
    }
}

/// One of the two lists of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// State that the kernel keeps: virtual CPUs, interrupt controllers, timers.
    Kern,
    /// State that bhyve itself keeps: PCI devices and the keyboard controller.
    Device,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kern => "kern",
            Self::Device => "device",
        })
    }
}

/// What `basic metadata` says of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmMetadata {
    /// The name of the virtual machine; empty if `.meta` has none.
    pub name: String,
    /// The number of virtual CPUs.
    pub ncpus: u32,
    /// The size of guest memory in bytes.
    pub memsize: u64,
    /// How memory was mapped: bit 0 in core, bit 1 wired. bhyve goes by its command line instead.
    pub memflags: u64,
}

/// One record: a name for some bytes of `.kern`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The list it stands in.
    pub section: Section,
    /// Its name, as it stands there.
    pub name: String,
    /// The number of a kernel record of [`Generation::A`].
    pub snapshot_req: Option<u32>,
    /// Its length in bytes; 0 for a device that the machine does not have.
    pub size: u64,
    /// Where it starts in `.kern`.
    pub offset: u64,
}

/// Something that bhyve tolerates, but did not write so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A key that no known release writes.
    UnknownKey {
        /// Where.
        entry: Entry,
        /// The key.
        key: String,
    },
    /// A key that every release writes.
    AbsentKey {
        /// The key, in `basic metadata`.
        key: &'static str,
    },
}

/// All that `.meta` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Which layout it has.
    pub generation: Generation,
    /// The machine.
    pub vm: VmMetadata,
    /// The records in the order of the text, kernel records first.
    pub records: Vec<Record>,
    /// What is odd, but tolerated.
    pub notes: Vec<Note>,
}

impl Meta {
    /// Reads the text of a `.meta`.
    ///
    /// # Errors
    ///
    /// The first thing in the text that bhyve cannot have written and does not tolerate.
    pub fn parse(text: &[u8]) -> Result<Self, MetaError> {
        let error = |fault, at| MetaError::new(fault, text, at);
        if text.len() > limits::TEXT {
            return Err(error(MetaFault::TooLong { length: text.len() }, limits::TEXT));
        }
        let string = std::str::from_utf8(text)
            .map_err(|utf8| error(MetaFault::NotUtf8, utf8.valid_up_to()))?;
        if string.trim_ascii().is_empty() {
            return Err(error(MetaFault::Empty, text.len()));
        }
        let root = json::parse(string).map_err(|json| error(json.fault.into(), json.at))?;
        let mut reader = Reader { text, notes: Vec::new() };
        reader.root(&root)
    }

    /// The key under which the text lists the records of a section.
    #[must_use]
    pub const fn key(&self, section: Section) -> &'static str {
        match section {
            Section::Kern => self.generation.kern_key(),
            Section::Device => "devices",
        }
    }

    /// The records in the order of `.kern`; where offsets are equal, in that of the text.
    #[must_use]
    pub fn in_order(&self) -> Vec<&Record> {
        let mut records: Vec<_> = self.records.iter().collect();
        records.sort_by_key(|record| record.offset);
        records
    }

    /// The records of one section, in the order of the text.
    pub fn section(&self, section: Section) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.section == section)
    }
}

impl From<json::Fault> for MetaFault {
    fn from(fault: json::Fault) -> Self {
        match fault {
            json::Fault::Unfinished => Self::Unfinished,
            json::Fault::Expected(expected) => Self::Expected(expected),
            json::Fault::Trailing => Self::Trailing,
            json::Fault::TooDeep => Self::TooDeep,
            json::Fault::TooMany => Self::TooManyValues,
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    notes: Vec<Note>,
}

impl Reader<'_> {
    fn error(&self, fault: MetaFault, at: usize) -> MetaError {
        MetaError::new(fault, self.text, at)
    }

    fn root(&mut self, root: &Node<'_>) -> Result<Meta, MetaError> {
        const MACHINE: &str = "basic metadata";
        const DEVICES: &str = "devices";
        let known = [MACHINE, Generation::A.kern_key(), Generation::B.kern_key(), DEVICES];
        let object = self.object(root, Entry::Root, "the text", &known)?;
        let generation = match (object.find("structs"), object.find("kern_structs")) {
            (Some(_), None) => Generation::A,
            (None, Some(_)) => Generation::B,
            (None, None) => return Err(self.error(MetaFault::NoKernelRecords, root.at)),
            (Some(_), Some(b)) => return Err(self.error(MetaFault::TwoLayouts, b.at)),
        };
        let vm = self.machine(self.need(&object, MACHINE)?)?;
        let mut records = Vec::new();
        for (section, key) in [(Section::Kern, generation.kern_key()), (Section::Device, DEVICES)] {
            let list = self.need(&object, key)?;
            let Value::Array(nodes) = &list.value else {
                return Err(self.wrong_type(&object.entry, key, "an array", list));
            };
            let found = records.len() + nodes.len();
            if found > limits::ENTRIES {
                return Err(self.error(MetaFault::TooManyRecords { found }, list.at));
            }
            for (index, node) in nodes.iter().enumerate() {
                records.push(self.record(generation, section, key, index, node)?);
            }
        }
        Ok(Meta { generation, vm, records, notes: std::mem::take(&mut self.notes) })
    }

    fn machine(&mut self, node: &Node<'_>) -> Result<VmMetadata, MetaError> {
        let known = ["ncpus", "vmname", "memsize", "memflags"];
        let object = self.object(node, Entry::Machine, "basic metadata", &known)?;
        for key in ["vmname", "memflags"] {
            if object.find(key).is_none() {
                self.notes.push(Note::AbsentKey { key });
            }
        }
        let name = match object.find("vmname") {
            Some(_) => self.name(&object, "vmname")?,
            None => String::new(),
        };
        let memflags = match object.find("memflags") {
            Some(_) => self.number(&object, "memflags", limits::MEMFLAGS)?,
            None => 0,
        };
        Ok(VmMetadata {
            name,
            ncpus: self.small_number(&object, "ncpus")?,
            memsize: self.number(&object, "memsize", limits::NUMBER)?,
            memflags,
        })
    }

    fn record(
        &mut self,
        generation: Generation,
        section: Section,
        list: &'static str,
        index: usize,
        node: &Node<'_>,
    ) -> Result<Record, MetaError> {
        let name_key = generation.name_key(section);
        let numbered = generation == Generation::A && section == Section::Kern;
        let known: &[&str] = if numbered {
            &["debug_name", "snapshot_req", "size", "file_offset"]
        } else {
            &[name_key, "size", "file_offset"]
        };
        let mut entry = Entry::Listed { list, index, name: None };
        if let (Entry::Listed { name, .. }, Value::Object(members)) = (&mut entry, &node.value) {
            *name = members.iter().find_map(|member| match &member.node.value {
                Value::Text(text) if member.key == name_key => Some(shortened(text)),
                _ => None,
            });
        }
        let object = self.object(node, entry, list, known)?;
        Ok(Record {
            section,
            name: self.name(&object, name_key)?,
            snapshot_req: match numbered {
                true => Some(self.small_number(&object, "snapshot_req")?),
                false => None,
            },
            size: self.number(&object, "size", limits::NUMBER)?,
            offset: self.number(&object, "file_offset", limits::NUMBER)?,
        })
    }

    /// An object without doubled keys, neither in it nor under its unknown keys; those are noted.
    fn object<'n>(
        &mut self,
        node: &'n Node<'n>,
        entry: Entry,
        key: &'static str,
        known: &[&str],
    ) -> Result<Object<'n>, MetaError> {
        let Value::Object(members) = &node.value else {
            return Err(self.wrong_type(&entry, key, "an object", node));
        };
        self.unique(members, &entry)?;
        for Member { key, node, .. } in members {
            if !known.contains(&key.as_str()) {
                let (entry, key) = (entry.clone(), shortened(key));
                let under = Entry::Under { entry: Box::new(entry.clone()), key: key.clone() };
                self.unique_below(node, &under)?;
                self.notes.push(Note::UnknownKey { entry, key });
            }
        }
        Ok(Object { entry, at: node.at, members })
    }

    fn unique(&self, members: &[Member<'_>], entry: &Entry) -> Result<(), MetaError> {
        let mut seen = BTreeSet::new();
        match members.iter().find(|member| !seen.insert(member.key.as_str())) {
            Some(Member { at, key, .. }) => {
                let (entry, key) = (entry.clone(), shortened(key));
                Err(self.error(MetaFault::DuplicateKey { entry, key }, *at))
            }
            None => Ok(()),
        }
    }

    /// As deep as the text is nested, which is bounded.
    fn unique_below(&self, node: &Node<'_>, entry: &Entry) -> Result<(), MetaError> {
        match &node.value {
            Value::Array(nodes) => nodes.iter().try_for_each(|node| self.unique_below(node, entry)),
            Value::Object(members) => {
                self.unique(members, entry)?;
                members.iter().try_for_each(|member| self.unique_below(&member.node, entry))
            }
            _ => Ok(()),
        }
    }

    fn need<'n>(&self, object: &Object<'n>, key: &'static str) -> Result<&'n Node<'n>, MetaError> {
        object.find(key).ok_or_else(|| {
            self.error(MetaFault::MissingKey { entry: object.entry.clone(), key }, object.at)
        })
    }

    fn wrong_type(
        &self,
        entry: &Entry,
        key: &'static str,
        expected: &'static str,
        node: &Node<'_>,
    ) -> MetaError {
        let found = node.value.kind();
        self.error(MetaFault::WrongType { entry: entry.clone(), key, expected, found }, node.at)
    }

    fn name(&self, object: &Object<'_>, key: &'static str) -> Result<String, MetaError> {
        let node = self.need(object, key)?;
        let Value::Text(text) = &node.value else {
            return Err(self.wrong_type(&object.entry, key, "a string", node));
        };
        if text.len() > limits::NAME {
            let (entry, length) = (object.entry.clone(), text.len());
            return Err(self.error(MetaFault::NameTooLong { entry, key, length }, node.at));
        }
        Ok(text.clone())
    }

    fn number(&self, object: &Object<'_>, key: &'static str, limit: u64) -> Result<u64, MetaError> {
        let node = self.need(object, key)?;
        let Value::Number(text) = node.value else {
            return Err(self.wrong_type(&object.entry, key, "a number", node));
        };
        let (entry, number) = (object.entry.clone(), shortened(text));
        let fault = if text.contains(['.', 'e', 'E']) {
            MetaFault::NotWhole { entry, key, number }
        } else if text.starts_with('-') {
            MetaFault::Negative { entry, key, number }
        } else {
            match text.parse() {
                Ok(value) if value <= limit => return Ok(value),
                _ => MetaFault::TooLarge { entry, key, number, limit },
            }
        };
        Err(self.error(fault, node.at))
    }

    /// A number that bhyve keeps in an `int`.
    fn small_number(&self, object: &Object<'_>, key: &'static str) -> Result<u32, MetaError> {
        let limit = u32::MAX >> 1;
        self.number(object, key, limit.into()).map(|number| u32::try_from(number).unwrap_or(limit))
    }
}

/// A number or a key as it stands in the text, but not a page of it.
fn shortened(text: &str) -> String {
    let mut chars = text.chars();
    let mut start: String = chars.by_ref().take(64).collect();
    if chars.next().is_some() {
        start.push_str("...");
    }
    start
}

/// An object of the text, and which one.
struct Object<'n> {
    entry: Entry,
    at: usize,
    members: &'n [Member<'n>],
}

impl<'n> Object<'n> {
    fn find(&self, key: &str) -> Option<&'n Node<'n>> {
        self.members.iter().find(|member| member.key == key).map(|member| &member.node)
    }
}
