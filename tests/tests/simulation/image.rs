//! A small machine: its RAM, one byte after another without the holes, its records, and what both
//! are as parts.

use migrate::core::Blocks;
use migrate::stream::Outgoing;
use snapfmt::Digest;
use snapfmt::content::content;
use snapfmt::memory::change::Change;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::memory::tree::{Rest, leaf, leaves_root};
use snapfmt::part::codec::Compression;
use snapfmt::part::device::{Record, RecordId};
use snapfmt::part::extent::{Extent, StreamForm};
use snapfmt::part::vm::Vm;

use crate::rng::Rng;

pub(crate) const PAGE: usize = 4096;
pub(crate) const BLOCK: u64 = 64 << 10;

/// A machine and its state.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) vm: Vm,
    pub(crate) ram: Vec<u8>,
    pub(crate) records: Vec<(RecordId, Vec<u8>)>,
    pub(crate) blocks: Blocks,
    pub(crate) root: Digest,
    pub(crate) content: Digest,
    compression: Compression,
}

impl Image {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        // Not even a whole block, and not adjacent to it, like what lies below and above a hole.
        let low = Segment { gpa: 0, len: (1 + rng.below(100)) * PAGE as u64 };
        let high = Segment { gpa: 1 << 32, len: (1 + rng.below(60)) * PAGE as u64 };
        let segments = if rng.chance(60) { vec![low, high] } else { vec![low] };
        let memory = MemoryMap::new(segments).unwrap();
        let (arch, name) = ("amd64".to_owned(), "guest".to_owned());
        let ncpus = 1 + rng.below(4);
        let mut ram = vec![0; memory.size() as usize];
        scribble(&mut ram, rng, 20);
        let records = (0..1 + rng.below(4)).map(|number| {
            let bytes = noise(rng.next(), rng.index(300));
            (RecordId::of("devices", &format!("device{number}"), &bytes), bytes)
        });
        let records = records.collect();
        let compression = if rng.chance(50) { Compression::None } else { Compression::Zstd(1) };
        Self::of(Vm { arch, name, ncpus, memflags: 0, memory }, ram, records, compression)
    }

    fn of(
        vm: Vm,
        ram: Vec<u8>,
        records: Vec<(RecordId, Vec<u8>)>,
        compression: Compression,
    ) -> Self {
        let blocks = blocks(&vm.memory, &ram);
        let root = blocks.root(&vm.memory);
        let content = content(&vm, &root, records.iter().map(|(id, _)| id));
        Self { vm, ram, records, blocks, root, content, compression }
    }

    /// The same machine with some other pages: as it was before, or another one of its kind.
    pub(crate) fn other(&self, rng: &mut Rng) -> Self {
        let mut ram = self.ram.clone();
        scribble(&mut ram, rng, 5);
        // The first page always differs.
        ram[..PAGE].copy_from_slice(&noise(rng.next(), PAGE));
        Self::of(self.vm.clone(), ram, self.records.clone(), self.compression)
    }

    pub(crate) fn ids(&self) -> Vec<RecordId> {
        self.records.iter().map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn vm_part(&self) -> Outgoing<'static> {
        Outgoing::new(self.vm.encode().unwrap()).unwrap()
    }

    pub(crate) fn state_parts(&self) -> Vec<Outgoing<'_>> {
        let part = |(id, bytes): &'_ (RecordId, Vec<u8>)| {
            let part = Record::encode(id, bytes, self.compression).unwrap();
            Outgoing::new(part).unwrap().into_owned()
        };
        self.records.iter().map(part).collect()
    }

    /// All of one block, as a change of whatever was there.
    pub(crate) fn extent(&self, gpa: u64, leaves: bool) -> Outgoing<'static> {
        let map = &self.vm.memory;
        let mut change = Change::new(gpa, BLOCK);
        for (index, at) in pages(map, gpa) {
            let page = &self.ram[at..at + PAGE];
            if is_zero(page) {
                change.zero(index).unwrap();
            } else {
                change.data(index, page, None).unwrap();
            }
        }
        let form = StreamForm { compression: self.compression, leaves };
        let (part, _) = Extent::encode_change(&change, map, form).unwrap();
        Outgoing::new(part).unwrap().into_owned()
    }
}

/// Makes some pages something else: numbers, noise, or nothing.
fn scribble(ram: &mut [u8], rng: &mut Rng, percent: u64) {
    for page in ram.chunks_exact_mut(PAGE) {
        if rng.chance(percent) {
            match rng.below(3) {
                0 => page.fill(0),
                1 => page.fill(rng.next() as u8),
                _ => page.copy_from_slice(&noise(rng.next(), PAGE)),
            }
        }
    }
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend(rng.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(crate) fn is_zero(page: &[u8]) -> bool {
    const ZERO: [u8; PAGE] = [0; PAGE];
    *page == ZERO
}

/// The pages of RAM in the block at `gpa`: their number in it, and where they lie in the RAM.
pub(crate) fn pages(map: &MemoryMap, gpa: u64) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut before = 0;
    for segment in map.segments() {
        let begin = segment.gpa.max(gpa);
        let end = segment.end().min(gpa + BLOCK);
        for page in (begin..end).step_by(PAGE) {
            let index = (page - gpa) as usize / PAGE;
            found.push((index, before + (page - segment.gpa) as usize));
        }
        before += segment.len as usize;
    }
    found
}

/// The subtree root of the block at `gpa`, from the bytes.
pub(crate) fn block_root(map: &MemoryMap, gpa: u64, ram: &[u8]) -> Digest {
    let leaves = pages(map, gpa).into_iter().filter_map(|(index, at)| {
        let page = &ram[at..at + PAGE];
        (!is_zero(page)).then(|| (index, leaf(page)))
    });
    leaves_root(map, Rest::Zero, gpa, BLOCK, leaves)
}

/// The roots of all blocks, from the bytes.
pub(crate) fn blocks(map: &MemoryMap, ram: &[u8]) -> Blocks {
    let roots = Blocks::addresses(map, BLOCK).map(|gpa| block_root(map, gpa, ram)).collect();
    Blocks { size: BLOCK, roots }
}

/// Records as a file: their names and bytes, one after another.
pub(crate) fn pack(records: &[(RecordId, Vec<u8>)]) -> Vec<u8> {
    let mut packed = Vec::new();
    for (id, bytes) in records {
        for piece in [id.section.as_bytes(), id.name.as_bytes(), bytes] {
            packed.extend((piece.len() as u32).to_le_bytes());
            packed.extend(piece);
        }
    }
    // What was there before may have been longer.
    packed.extend(u32::MAX.to_le_bytes());
    packed
}

/// The identities of the records in such a file; nothing if it is not one.
pub(crate) fn unpack(mut bytes: &[u8]) -> Option<Vec<RecordId>> {
    let mut pieces = Vec::new();
    loop {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let len = u32::from_le_bytes(*len);
        if len == u32::MAX {
            break;
        }
        let (piece, rest) = rest.split_at_checked(len as usize)?;
        pieces.push(piece);
        bytes = rest;
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    pieces
        .chunks(3)
        .map(|it| Some(RecordId::of(&text(it[0])?, &text(it.get(1)?)?, it.get(2)?)))
        .collect()
}

/// Whether this is the root of memory that is all zero.
pub(crate) fn is_zero_root(map: &MemoryMap, root: Digest) -> bool {
    snapfmt::memory::tree::RootBuilder::new(map.clone()).finish() == root
}
