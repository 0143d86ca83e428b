//! What a forged file says, before anything is packed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::fields::Fields;
use super::list::List;
use super::tree::{Memory, Sum, sum};

/// A record of `.kern`.
#[derive(Debug, Clone)]
pub struct Record {
    /// The key of `.meta` that lists it.
    pub section: String,
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The fields that these bytes are stored as.
    pub fields: Option<Fields>,
}

impl Record {
    /// A record that is stored whole.
    #[must_use]
    pub fn new(section: &str, name: &str, bytes: Vec<u8>) -> Self {
        Self { section: section.to_owned(), name: name.to_owned(), bytes, fields: None }
    }
}

/// An extent of memory.
#[derive(Debug, Clone, Default)]
pub struct Extent {
    /// The address of its block.
    pub gpa: u64,
    /// The size of its block.
    pub size: u64,
    /// Data pages by their number in the block.
    pub pages: BTreeMap<u64, Vec<u8>>,
    /// In a delta: the pages that are zero now.
    pub zero: BTreeSet<u64>,
    /// In a delta: the data pages that are stored as their difference from the parent's.
    pub xor: BTreeSet<u64>,
}

impl Extent {
    /// A block of 64 KiB with these data pages, each a number in the block and a seed.
    #[must_use]
    pub fn new(gpa: u64, pages: &[(u64, u8)]) -> Self {
        let pages = pages.iter().map(|&(number, seed)| (number, page(seed))).collect();
        Self { gpa, size: 64 << 10, pages, ..Self::default() }
    }
}

/// Everything that decides the bytes of a file.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `producer` of the header block.
    pub producer: String,
    /// `uuid` of the header block.
    pub uuid: String,
    /// `vm_uuid` of the header block.
    pub vm_uuid: Option<String>,
    /// `created` of the header block.
    pub created: u64,
    /// The snapshot that this one is a delta to.
    pub parent: Option<Box<Self>>,
    /// The machine's architecture.
    pub arch: String,
    /// The VM's name.
    pub name: String,
    /// Its number of vCPUs.
    pub ncpus: u64,
    /// Its `memflags`.
    pub memflags: u64,
    /// Its segments of memory: addresses and lengths.
    pub segments: Vec<(u64, u64)>,
    /// Whether there is META: the state came as three files.
    pub described: bool,
    /// `A` or `B`.
    pub generation: char,
    /// The text of `.meta`, where it is not the one that fits.
    pub meta: Option<Vec<u8>>,
    /// The kind and the text of a configuration.
    pub config: Option<(String, Vec<u8>)>,
    /// Optional parts: type, pairs, payload, alignment.
    pub optional: Vec<Optional>,
    /// Optional parts after memory.
    pub late: Vec<Optional>,
    /// The records, in the order of `.kern`.
    pub records: Vec<Record>,
    /// The extents, in file order.
    pub extents: Vec<Extent>,
    /// Extents before each MAP part.
    pub per_map: usize,
    /// Whether payloads are compressed where that is shorter.
    pub zstd: bool,
    /// The alignment of pages that are not compressed.
    pub align: u32,
}

/// An optional part: type, pairs, payload, alignment.
pub type Optional = (u32, List, Vec<u8>, u32);

/// A page of bytes that look like something, different for each `seed`.
#[must_use]
pub fn page(seed: u8) -> Vec<u8> {
    (0..4096_u32).map(|i| (i / 16) as u8 ^ seed.wrapping_mul(29) | 1).collect()
}

/// The segments of [`Plan::small`]: at the bottom, and above 4 GiB.
pub const SEGMENTS: [(u64, u64); 2] = [(0, 40 * 4096), (1 << 32, 24 * 4096)];

impl Plan {
    /// A small machine with two segments, two records, a configuration and three data pages.
    #[must_use]
    pub fn small() -> Self {
        Self {
            producer: "forge 1".to_owned(),
            uuid: "00112233-4455-6677-8899-aabbccddeeff".to_owned(),
            vm_uuid: None,
            created: 1_700_000_000,
            parent: None,
            arch: "amd64".to_owned(),
            name: "vm0".to_owned(),
            ncpus: 2,
            memflags: 0,
            segments: SEGMENTS.to_vec(),
            described: true,
            generation: 'B',
            meta: None,
            config: Some(("command-line".to_owned(), b"bhyve -c 2 vm0".to_vec())),
            optional: Vec::new(),
            late: Vec::new(),
            records: vec![
                Record::new("kern_structs", "vrtc", (0..140).map(|i| i / 7).collect()),
                Record::new("devices", "uart@pci.0.31.0", vec![0xa5; 100]),
            ],
            extents: vec![Extent::new(0, &[(1, 1), (15, 2)]), Extent::new(1 << 32, &[(3, 3)])],
            per_map: 4096,
            zstd: false,
            align: 4096,
        }
    }

    /// A delta to the small machine: of its first block, one page changed, one became zero, and one
    /// is new; its second block became zero.
    #[must_use]
    pub fn small_delta() -> Self {
        let mut plan = Self::small().child();
        plan.records[0].bytes[0] ^= 1;
        let mut second = Extent::new(1 << 32, &[]);
        second.zero.insert(3);
        plan.extents = vec![Extent::new(0, &[(1, 4), (2, 5)]), second];
        plan.extents[0].zero.insert(15);
        plan
    }

    /// The same, compressed, and the page that changed is stored as its difference.
    #[must_use]
    pub fn small_xor() -> Self {
        let mut plan = Self { zstd: true, ..Self::small_delta() };
        plan.extents[0].xor.insert(1);
        plan
    }

    /// A delta to this snapshot in which nothing changed.
    #[must_use]
    pub fn child(&self) -> Self {
        let (same, last) = self.uuid.split_at(self.uuid.len() - 1);
        let digit = u8::from_str_radix(last, 16).unwrap().wrapping_add(1) % 16;
        Self {
            uuid: format!("{same}{digit:x}"),
            created: self.created + 60,
            extents: Vec::new(),
            parent: Some(Box::new(self.clone())),
            ..self.clone()
        }
    }

    /// The same with every record that bhyve cannot do without, of sizes that it writes.
    #[must_use]
    pub fn complete() -> Self {
        let sizes = [
            ("vhpet", 284),
            ("vm", 184 * 2 + 128),
            ("vioapic", 388),
            ("vlapic", 4169 * 2),
            ("vmcx", 920 * 2),
            ("vatpit", 172),
            ("vatpic", 118),
            ("vpmtmr", 4),
            ("vrtc", 140),
        ];
        let record = |(name, size)| Record::new("kern_structs", name, vec![0; size]);
        Self { records: sizes.into_iter().map(record).collect(), ..Self::small() }
    }

    /// The same, compressed.
    #[must_use]
    pub fn small_zstd() -> Self {
        Self { zstd: true, ..Self::small() }
    }

    /// The same with `.meta` in the form of 2020.
    #[must_use]
    pub fn small_a() -> Self {
        let mut plan = Self { generation: 'A', ..Self::small() };
        plan.records[0].section = "structs".to_owned();
        plan
    }

    /// Bytes of RAM.
    #[must_use]
    pub fn memsize(&self) -> u64 {
        self.segments.iter().fold(0, |sum, segment| sum.wrapping_add(segment.1))
    }

    /// The pages that are not known to be zero, by address.
    #[must_use]
    pub fn pages(&self) -> BTreeMap<u64, Vec<u8>> {
        let mut pages = self.parent.as_ref().map(|parent| parent.pages()).unwrap_or_default();
        for extent in &self.extents {
            let at = |number: &u64| extent.gpa.wrapping_add(number * 4096);
            extent.zero.iter().for_each(|number| drop(pages.remove(&at(number))));
            pages.extend(extent.pages.iter().map(|(number, page)| (at(number), page.clone())));
        }
        pages
    }

    /// All of memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let mut memory = Memory::new(&self.segments);
        self.pages().iter().for_each(|(gpa, page)| memory.put(*gpa, page));
        memory
    }

    /// What the extents say of memory: all of it, or, in a delta, what is not inherited (§13.3).
    #[must_use]
    pub fn tree(&self) -> Memory {
        let mut memory = match self.parent {
            Some(_) => Memory::inherited(&self.segments),
            None => Memory::new(&self.segments),
        };
        for extent in &self.extents {
            let zero = extent.zero.iter().map(|number| (number, &[0; 4096][..]));
            let data = extent.pages.iter().map(|(number, page)| (number, &page[..]));
            for (number, page) in zero.chain(data) {
                memory.put(extent.gpa.wrapping_add(number * 4096), page);
            }
        }
        memory
    }

    /// `content` (§8.2).
    #[must_use]
    pub fn content(&self) -> Sum {
        self.content_of(self.memory().root())
    }

    /// What `content` would be if the memory root was this one.
    #[must_use]
    pub fn content_of(&self, root: Sum) -> Sum {
        let mut bytes = b"bhyve snapshot content".to_vec();
        bytes.resize(32, 0);
        bytes.extend((self.arch.len() as u64).to_le_bytes());
        bytes.extend(self.arch.as_bytes());
        bytes.extend(root);
        bytes.extend(self.ncpus.to_le_bytes());
        bytes.extend((self.segments.len() as u64).to_le_bytes());
        for (gpa, len) in &self.segments {
            bytes.extend(gpa.to_le_bytes());
            bytes.extend(len.to_le_bytes());
        }
        bytes.extend((self.records.len() as u64).to_le_bytes());
        let mut records: Vec<_> = self.records.iter().collect();
        records.sort_by_key(|record| (&record.section, &record.name));
        for record in records {
            for text in [&record.section, &record.name] {
                bytes.extend((text.len() as u64).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
            bytes.extend((record.bytes.len() as u64).to_le_bytes());
            bytes.extend(sum(&[&record.bytes]));
        }
        sum(&[&bytes])
    }

    /// The text of `.meta`: the one given, or the one that fits.
    #[must_use]
    pub fn meta_text(&self) -> Vec<u8> {
        if let Some(text) = &self.meta {
            return text.clone();
        }
        let b = self.generation == 'B';
        let (mut kern, mut devices, mut offset) = (Vec::new(), Vec::new(), 0);
        for (number, Record { section, name, bytes, .. }) in self.records.iter().enumerate() {
            let device = section == "devices";
            let mut entry = match (b, device) {
                (true, _) => format!("{{\"device\": \"{name}\""),
                (false, true) => format!("{{\"snapshot_req\": \"{name}\""),
                (false, false) => {
                    format!("{{\"debug_name\": \"{name}\", \"snapshot_req\": {number}")
                }
            };
            let size = bytes.len();
            write!(entry, ", \"size\": {size}, \"file_offset\": {offset}}}").unwrap();
            offset += size;
            if device { devices.push(entry) } else { kern.push(entry) }
        }
        let list = |key: &str, entries: &[String]| format!("\"{key}\": [{}]", entries.join(", "));
        format!(
            "{{\"basic metadata\": {{\"ncpus\": {}, \"vmname\": \"{}\", \"memsize\": {}, \
             \"memflags\": {}}},\n{},\n{}}}",
            self.ncpus,
            self.name,
            self.memsize(),
            self.memflags,
            list(if b { "kern_structs" } else { "structs" }, &kern),
            list("devices", &devices),
        )
        .into_bytes()
    }
}
