//! Snapshot files taken apart, and put together again with digests and tables that match, by the
//! layout of `spec/snapshot.md` alone and never through `snapfmt`'s writer: what was changed in
//! between is then found by rules, and not by the first digest.

// Numbers of a file that a test changes: those that do not fit are as good as any.
#![allow(clippy::cast_possible_truncation)]

use std::borrow::Cow;
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use snapfmt::nvlist::{Nvlist, OwnedValue};

use crate::packed::{self, Found, Order, number, scan};

/// The bytes of the header block that its digest covers (§3.6).
const HEADER: usize = 4064;
const FRAME: usize = 128;
/// The bytes of the trailer that its digest covers (§7.3.6).
pub const TRAILER: usize = 96;
const PAGE: usize = 4096;
/// What nothing here decodes beyond, whatever a list says.
const MOST: usize = 8 << 20;

/// Part types (§5).
pub const VM: u32 = 1;
/// `.meta`.
pub const META: u32 = 2;
/// The configuration.
pub const CONFIG: u32 = 0x8000_0003;
/// Reserved for the host.
pub const HOST: u32 = 0x8000_0004;
/// A device record.
pub const DEVICE: u32 = 16;
/// A block of memory.
pub const EXTENT: u32 = 32;
/// A table of extents.
pub const MAP: u32 = 33;
/// The top index.
pub const INDEX: u32 = 48;

type Hash = [u8; 32];

/// Makes the digest of the trailer match again.
pub fn seal_trailer(file: &mut [u8]) {
    if let Some(at) = file.len().checked_sub(TRAILER + 32) {
        let (trailer, digest) = file[at..].split_at_mut(TRAILER);
        digest.copy_from_slice(&sha(&[trailer]));
    }
}

/// A part without its digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its type.
    pub kind: u32,
    /// The flags of its frame.
    pub flags: u32,
    /// The alignment of its payload.
    pub alignment: u32,
    /// Its packed list.
    pub nvlist: Vec<u8>,
    /// Its payload as stored.
    pub payload: Vec<u8>,
}

/// A file without its digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The header block.
    pub header: Vec<u8>,
    /// The parts.
    pub parts: Vec<Part>,
    /// The trailer.
    pub trailer: Vec<u8>,
}

/// What is made to match when a file is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// The digests in MAP and INDEX, and nothing else of them.
    Digests,
    /// Also the identities: `memory_root` and `content`.
    Identities,
    /// MAP payloads, INDEX and trailer are made anew.
    Rebuilt,
}

impl Image {
    /// The parts of a file, as far as frames make sense.
    #[must_use]
    pub fn parse(file: &[u8]) -> Option<Self> {
        let header = file.get(..HEADER)?.to_vec();
        let mut parts = Vec::new();
        let mut at = HEADER + 32;
        while let Some((part, end)) = part(file, at) {
            parts.push(part);
            at = end;
        }
        let trailer = file.get(at..at + TRAILER).map_or_else(|| vec![0; TRAILER], <[u8]>::to_vec);
        Some(Self { header, parts, trailer })
    }

    /// The file, with digests that match. `contents` says whether what a list says of its payload
    /// (the digest of a record, the root of an extent) is made to match as well.
    #[must_use]
    pub fn bytes(&self, tables: Tables, contents: bool) -> Vec<u8> {
        let mut out = self.header.clone();
        out.resize(HEADER, 0);
        let digest = sha(&[&out]);
        out.extend(digest);
        let mut seen = Seen::new(digest, self.machine());
        for part in &self.parts {
            let mut part = Cow::Borrowed(part);
            match part.kind {
                MAP => seen.fix_map(part.to_mut(), tables),
                INDEX => seen.fix_index(part.to_mut(), tables),
                DEVICE if contents => fix_record(part.to_mut()),
                EXTENT if contents => seen.fix_extent(part.to_mut()),
                _ => {}
            }
            seen.append(&part, &mut out);
        }
        let mut trailer = self.trailer.clone();
        trailer.resize(TRAILER, 0);
        if let Some(index) = seen.index {
            trailer[64..96].copy_from_slice(&index.digest);
            if tables == Tables::Rebuilt {
                let size = (out.len() + FRAME) as u64;
                let fields = [index.at, index.length, size];
                for (at, field) in [16, 24, 32].into_iter().zip(fields) {
                    trailer[at..at + 8].copy_from_slice(&field.to_le_bytes());
                }
            }
        }
        let digest = sha(&[&trailer]);
        out.extend(trailer);
        out.extend(digest);
        out
    }

    fn machine(&self) -> Machine {
        let list = self.parts.iter().find(|part| part.kind == VM);
        let list = list.map_or(&[][..], |part| &part.nvlist);
        let numbers = |name| bytes(list, name).as_chunks::<8>().0.iter().copied();
        let pairs = numbers("gpa").zip(numbers("len"));
        let segments = pairs.map(|(a, b)| (u64::from_le_bytes(a), u64::from_le_bytes(b)));
        let segments: Vec<_> = segments.take(64).collect();
        Machine { ncpus: value(list, "ncpus"), segments }
    }
}

fn part(file: &[u8], at: usize) -> Option<(Part, usize)> {
    let frame = file.get(at..at.checked_add(FRAME)?)?;
    if !frame.starts_with(b"BHYVPART") {
        return None;
    }
    let field = |at| number(frame, at).unwrap_or_default();
    let (kind, flags) = (field(8) as u32, (field(8) >> 32) as u32);
    let (nvlist_size, alignment) = (field(16) as u32, (field(16) >> 32) as u32);
    let nvlist_at = at + FRAME;
    let nvlist_end = nvlist_at.checked_add(nvlist_size as usize)?;
    let payload_at = aligned(nvlist_end, alignment);
    let payload_end = payload_at.checked_add(usize::try_from(field(24)).ok()?)?;
    let nvlist = file.get(nvlist_at..nvlist_end)?.to_vec();
    let payload = file.get(payload_at..payload_end)?.to_vec();
    Some((Part { kind, flags, alignment, nvlist, payload }, payload_end.next_multiple_of(64)))
}

/// The payload starts at a multiple of 4096 if the frame says so, and behind the list otherwise.
fn aligned(at: usize, alignment: u32) -> usize {
    if alignment as usize == PAGE { at.next_multiple_of(PAGE) } else { at }
}

fn sha(pieces: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    pieces.iter().for_each(|piece| hasher.update(piece));
    hasher.finalize().into()
}

fn find(list: &[u8], name: &str) -> Option<Found> {
    scan(list).into_iter().find(|pair| pair.path.is_empty() && pair.name == name.as_bytes())
}

/// The data of a pair, if it is there.
#[must_use]
pub fn bytes<'a>(list: &'a [u8], name: &str) -> &'a [u8] {
    find(list, name).and_then(|pair| list.get(pair.data)).unwrap_or_default()
}

/// A number, 0 if it is not there.
#[must_use]
pub fn value(list: &[u8], name: &str) -> u64 {
    number(bytes(list, name), 0).unwrap_or_default()
}

/// Overwrites the data of a pair, if it is as long.
fn patch(list: &mut [u8], name: &str, data: &[u8]) {
    if let Some(pair) = find(list, name) {
        put(list, &pair, data);
    }
}

fn put(list: &mut [u8], pair: &Found, data: &[u8]) {
    if let Some(place) = list.get_mut(pair.data.clone()).filter(|p| p.len() == data.len()) {
        place.copy_from_slice(data);
    }
}

fn text(list: &[u8], name: &str) -> Vec<u8> {
    bytes(list, name).split_last().map(|(_, text)| text.to_vec()).unwrap_or_default()
}

fn decoded(part: &Part, size: u64) -> Option<Vec<u8>> {
    let size = usize::try_from(size).ok().filter(|size| *size <= MOST)?;
    match bytes(&part.nvlist, "encoding") {
        b"raw\0" => Some(part.payload.clone()),
        b"zstd\0" => zstd::bulk::decompress(&part.payload, size).ok(),
        _ => None,
    }
}

/// What a DEVICE part says of its record (§5.4.3, §5.4.4).
fn fix_record(part: &mut Part) {
    let Some(record) = decoded(part, value(&part.nvlist, "size")) else { return };
    patch(&mut part.nvlist, "size", &(record.len() as u64).to_le_bytes());
    patch(&mut part.nvlist, "sha256", &sha(&[&record]));
}

struct Machine {
    ncpus: u64,
    segments: Vec<(u64, u64)>,
}

#[derive(Clone)]
struct Placed {
    at: u64,
    length: u64,
    digest: Hash,
}

/// An extent that went by.
struct Entry {
    bytes: Vec<u8>,
    gpa: u64,
    size: u64,
    pages: u64,
    root: Hash,
}

struct Seen {
    header: Hash,
    machine: Machine,
    /// Parts that INDEX lists by themselves.
    parts: Vec<(u32, Placed, Vec<u8>)>,
    extents: Vec<Entry>,
    /// Extents that a MAP part listed.
    mapped: usize,
    maps: Vec<(Placed, u64, u64)>,
    stored: u64,
    index: Option<Placed>,
    tree: Tree,
}

impl Seen {
    fn new(header: Hash, machine: Machine) -> Self {
        let (parts, extents, maps) = (Vec::new(), Vec::new(), Vec::new());
        let tree = Tree::new(&machine.segments);
        Self { header, machine, parts, extents, mapped: 0, maps, stored: 0, index: None, tree }
    }

    fn append(&mut self, part: &Part, out: &mut Vec<u8>) {
        let at = out.len();
        let tree = part.flags & 1 != 0;
        let payload = if tree { self.root(part) } else { sha(&[&part.payload]) };
        out.extend(b"BHYVPART");
        out.extend(part.kind.to_le_bytes());
        out.extend(part.flags.to_le_bytes());
        out.extend((part.nvlist.len() as u32).to_le_bytes());
        out.extend(part.alignment.to_le_bytes());
        out.extend((part.payload.len() as u64).to_le_bytes());
        out.extend(sha(&[&part.nvlist]));
        out.extend(payload);
        let digest = sha(&[&out[at..]]);
        out.extend(digest);
        out.extend(&part.nvlist);
        out.resize(aligned(out.len(), part.alignment), 0);
        out.extend(&part.payload);
        out.resize(out.len().next_multiple_of(64), 0);
        let placed = Placed { at: at as u64, length: (out.len() - at) as u64, digest };
        match part.kind {
            EXTENT => self.extent(part, &placed, tree.then_some(payload)),
            MAP => {
                let first = self.extents.get(self.mapped).map_or(0, |entry| entry.gpa);
                let count = (self.extents.len() - self.mapped) as u64;
                self.mapped = self.extents.len();
                self.maps.push((placed, first, count));
            }
            INDEX => self.index = Some(placed),
            kind => self.parts.push((kind, placed, part.nvlist.clone())),
        }
    }

    fn extent(&mut self, part: &Part, placed: &Placed, root: Option<Hash>) {
        let list = &part.nvlist;
        let (gpa, size) = (value(list, "gpa"), value(list, "size"));
        let stated = || bytes(list, "root").try_into().unwrap_or_default();
        let root = root.unwrap_or_else(stated);
        let pages = bytes(list, "data").iter().map(|byte| byte.count_ones()).sum::<u32>();
        let mut entry = Vec::new();
        for number in [gpa, placed.at, placed.length] {
            entry.extend(number.to_le_bytes());
        }
        entry.extend((size as u32).to_le_bytes());
        entry.extend(pages.to_le_bytes());
        entry.extend(placed.digest);
        entry.extend(root);
        self.stored += part.payload.len() as u64;
        self.extents.push(Entry { bytes: entry, gpa, size, pages: pages.into(), root });
    }

    /// The subtree root of the pages of an extent (§6.4.1), if they make sense.
    fn root(&self, part: &Part) -> Hash {
        let list = &part.nvlist;
        let (gpa, size) = (value(list, "gpa"), value(list, "size"));
        let bits = bytes(list, "data");
        let pages = bits.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
        let sensible = size.is_power_of_two() && size <= 4 << 20 && size >= PAGE as u64;
        let Some(data) = decoded(part, pages * PAGE as u64).filter(|_| sensible) else {
            return Hash::default();
        };
        let mut data = data.chunks_exact(PAGE);
        let leaf = |page: u64| {
            let set = bits.get(page as usize / 8).is_some_and(|byte| byte >> (page % 8) & 1 == 1);
            let stored = if set { data.next() } else { None };
            stored.map_or_else(
                || self.tree.uniform(gpa / PAGE as u64 + page, 0),
                |stored| sha(&[&[0], stored]),
            )
        };
        let mut level: Vec<_> = (0..size / PAGE as u64).map(leaf).collect();
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| node(&pair[0], &pair[1])).collect();
        }
        level[0]
    }

    fn fix_extent(&self, part: &mut Part) {
        if part.flags & 1 == 0 {
            let root = self.root(part);
            patch(&mut part.nvlist, "root", &root);
        }
    }

    fn fix_map(&self, part: &mut Part, tables: Tables) {
        let entries = self.extents.iter().skip(self.mapped);
        if tables == Tables::Rebuilt {
            part.payload = entries.clone().flat_map(|entry| entry.bytes.clone()).collect();
            patch(&mut part.nvlist, "first", &(self.mapped as u64).to_le_bytes());
            patch(&mut part.nvlist, "count", &(entries.count() as u64).to_le_bytes());
        } else {
            for (place, entry) in part.payload.chunks_exact_mut(96).zip(entries) {
                place[32..].copy_from_slice(&entry.bytes[32..]);
            }
        }
    }

    fn fix_index(&self, part: &mut Part, tables: Tables) {
        if tables == Tables::Rebuilt {
            part.nvlist = self.index_list();
            let entry = |(map, gpa, count): &(Placed, u64, u64)| {
                let numbers = [map.at, map.length, *gpa, *count];
                numbers.into_iter().flat_map(u64::to_le_bytes).chain(map.digest).collect::<Vec<_>>()
            };
            part.payload = self.maps.iter().flat_map(entry).collect();
            return;
        }
        for (place, (map, ..)) in part.payload.chunks_exact_mut(64).zip(&self.maps) {
            place[32..].copy_from_slice(&map.digest);
        }
        patch(&mut part.nvlist, "header", &self.header);
        for pair in scan(&part.nvlist) {
            if let ([element], b"digest" | b"sha256") = (&pair.path[..], &pair.name[..])
                && let Some((_, placed, list)) = self.parts.get(*element)
            {
                let record = bytes(list, "sha256");
                let digest = if pair.name == b"digest" { &placed.digest[..] } else { record };
                put(&mut part.nvlist, &pair, digest);
            }
        }
        if tables == Tables::Identities {
            let root = self.memory_root();
            patch(&mut part.nvlist, "memory_root", &root);
            patch(&mut part.nvlist, "content", &self.content(&root));
        }
    }

    /// The list of INDEX (§7.1).
    fn index_list(&self) -> Vec<u8> {
        let root = self.memory_root();
        let data = self.extents.iter().map(|entry| entry.pages).sum::<u64>();
        let len = |sum: u64, segment: &(u64, u64)| sum.wrapping_add(segment.1);
        let pages = self.machine.segments.iter().fold(0, len) / PAGE as u64;
        let parts = self.parts.iter().take(2048).map(|(kind, placed, list)| {
            let mut part = Nvlist::builder()
                .number("type", u64::from(*kind))
                .number("offset", placed.at)
                .number("length", placed.length)
                .binary("digest", placed.digest);
            if *kind == DEVICE {
                let digest = bytes(list, "sha256");
                part = part
                    .string("section", text(list, "section"))
                    .string("name", text(list, "name"))
                    .number("size", value(list, "size"))
                    .binary("sha256", if digest.is_empty() { &[0] } else { digest });
            }
            part
        });
        let list = Nvlist::builder()
            .binary("header", self.header)
            .binary("content", self.content(&root))
            .binary("memory_root", root)
            .number("pages_data", data)
            .number("pages_zero", pages.saturating_sub(data))
            .number("extents", self.extents.len() as u64)
            .number("stored", self.stored)
            .nvlist_array("parts", parts.collect::<Vec<_>>());
        // A text with a NUL has no place in a list, nor has an array without elements.
        list.build().map_or_else(|_| vec![0; 19], |list| packed::pack(&list, Order::Little))
    }

    fn memory_root(&self) -> Hash {
        let block = |e: &Entry| (e.gpa / PAGE as u64, (e.size.max(1).ilog2().max(12) - 12, e.root));
        self.tree.root(&self.extents.iter().map(block).collect())
    }

    /// §8.2.
    fn content(&self, root: &Hash) -> Hash {
        let mut bytes = b"bhyve snapshot content".to_vec();
        bytes.resize(32, 0);
        bytes.extend(root);
        let mut numbers = vec![self.machine.ncpus, self.machine.segments.len() as u64];
        numbers.extend(self.machine.segments.iter().flat_map(|(gpa, len)| [*gpa, *len]));
        let devices = self.parts.iter().filter(|part| part.0 == DEVICE);
        let mut records: Vec<_> =
            devices.map(|(_, _, list)| (text(list, "section"), text(list, "name"), list)).collect();
        records.sort();
        numbers.push(records.len() as u64);
        bytes.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
        for (section, name, list) in records {
            for text in [section, name] {
                bytes.extend((text.len() as u64).to_le_bytes());
                bytes.extend(text);
            }
            bytes.extend(value(list, "size").to_le_bytes());
            bytes.extend(self::bytes(list, "sha256"));
        }
        sha(&[&bytes])
    }
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sha(&[&[1], left, right])
}

/// The memory tree, from the top down as §6.4 defines it.
struct Tree {
    /// Pages: the first, and the one after the last.
    segments: Vec<(u64, u64)>,
    zero: Vec<Hash>,
    absent: Vec<Hash>,
}

impl Tree {
    fn new(segments: &[(u64, u64)]) -> Self {
        let levels = |leaf: Hash| {
            std::iter::successors(Some(leaf), |below| Some(node(below, below))).take(41).collect()
        };
        let page = PAGE as u64;
        let pages = |(gpa, len): &(u64, u64)| (gpa / page, gpa.saturating_add(*len) / page);
        Self {
            segments: segments.iter().map(pages).collect(),
            zero: levels(sha(&[&[0], &[0; PAGE]])),
            absent: levels(sha(&[&[2]])),
        }
    }

    /// The node of a level at a page if all pages below it are alike, by the first.
    fn uniform(&self, page: u64, level: usize) -> Hash {
        let present = self.segments.iter().any(|(from, to)| (*from..*to).contains(&page));
        if present { self.zero[level] } else { self.absent[level] }
    }

    fn root(&self, blocks: &BTreeMap<u64, (u32, Hash)>) -> Hash {
        self.node(0, 40, blocks)
    }

    fn node(&self, page: u64, level: usize, blocks: &BTreeMap<u64, (u32, Hash)>) -> Hash {
        if let Some((_, root)) = blocks.get(&page).filter(|block| block.0 as usize == level) {
            return *root;
        }
        let end = page + (1 << level);
        let inside = |edge: u64| page < edge && edge < end;
        let mixed = blocks.range(page..end).next().is_some()
            || self.segments.iter().any(|(from, to)| inside(*from) || inside(*to));
        if level == 0 || !mixed {
            return self.uniform(page, level);
        }
        let half = 1 << (level - 1);
        node(&self.node(page, level - 1, blocks), &self.node(page + half, level - 1, blocks))
    }
}

/// The pairs of a list of ours, for a harness that changes them.
#[must_use]
pub fn pairs(list: &Nvlist) -> Vec<(Vec<u8>, OwnedValue)> {
    list.pairs().iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect()
}
