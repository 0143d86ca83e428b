//! Snapshot files taken apart, and put together again with digests and tables that match, by the
//! layout of `spec/snapshot.md` alone and never through `snapfmt`'s writer: what was changed in
//! between is then found by rules, and not by the first digest.

// Numbers of a file that a test changes: those that do not fit are as good as any.
#![allow(clippy::cast_possible_truncation)]

mod index;
mod pages;
mod seen;
mod state;
pub mod stream;
mod tree;

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use snapfmt::nvlist::{Nvlist, OwnedValue};

use crate::packed::{Found, number, scan};
use seen::Seen;
pub use state::State;

/// The bytes of the header block that its digest covers (§3.6).
const HEADER: usize = 4064;
/// Where the list of the header block begins.
const LIST: usize = 68;
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
    /// Also the identities: `memory_root`, as far as it follows from the file, `content` and
    /// `delta_root`.
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
    /// (the digest of a record, root and leaves of an extent) is made to match as well.
    #[must_use]
    pub fn bytes(&self, tables: Tables, contents: bool) -> Vec<u8> {
        self.bytes_over(tables, contents, None)
    }

    /// The same for a delta to this state: what takes the parent's pages is made to match, too, and
    /// with `contents` also which state the parent has to have.
    #[must_use]
    pub fn bytes_over(&self, tables: Tables, contents: bool, below: Option<&State>) -> Vec<u8> {
        let mut out = self.header.clone();
        out.resize(HEADER, 0);
        if let Some(below) = below.filter(|_| contents) {
            let list = out.get_mut(LIST..).unwrap_or_default();
            let named = |pair: &Found| pair.path.len() == 1 && pair.name == b"content";
            if let Some(pair) = scan(list).into_iter().find(named) {
                put(list, &pair, &below.content);
            }
        }
        let digest = sha(&[&out]);
        out.extend(digest);
        let mut seen = Seen::new(digest, self.machine(), self.is_delta(), below);
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

    /// Whether the header block names a parent.
    #[must_use]
    pub fn is_delta(&self) -> bool {
        self.header.get(LIST..).is_some_and(|list| find(list, "parent").is_some())
    }

    /// Whether a delta may lie between states of these two (§13.1.3).
    #[must_use]
    pub fn is_of_machine_of(&self, other: &Self) -> bool {
        let (here, there) = (self.machine(), other.machine());
        (here.arch, here.segments) == (there.arch, there.segments)
    }

    fn machine(&self) -> Machine {
        let list = self.parts.iter().find(|part| part.kind == VM);
        let list = list.map_or(&[][..], |part| &part.nvlist);
        let numbers = |name| bytes(list, name).as_chunks::<8>().0.iter().copied();
        let pairs = numbers("gpa").zip(numbers("len"));
        let segments = pairs.map(|(a, b)| (u64::from_le_bytes(a), u64::from_le_bytes(b)));
        let segments: Vec<_> = segments.take(64).collect();
        Machine { arch: text(list, "arch"), ncpus: value(list, "ncpus"), segments }
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

/// What a DEVICE part says of its record (§5.4.3, §5.4.4).
fn fix_record(part: &mut Part) {
    let Some(record) = pages::record(part) else { return };
    patch(&mut part.nvlist, "size", &(record.len() as u64).to_le_bytes());
    patch(&mut part.nvlist, "sha256", &sha(&[&record]));
}

/// What the VM part says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Machine {
    arch: Vec<u8>,
    ncpus: u64,
    segments: Vec<(u64, u64)>,
}

/// The pairs of a list of ours, for a harness that changes them.
#[must_use]
pub fn pairs(list: &Nvlist) -> Vec<(Vec<u8>, OwnedValue)> {
    list.pairs().iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect()
}
