//! Gives files to the library's readers.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{self, Read};

use snapfmt::layout::header::{DELTA, Header, Parent};
use snapfmt::memory::block::Block;
use snapfmt::memory::change::Change;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::codec::Compression;
use snapfmt::part::config::ConfigText;
use snapfmt::part::extent::Form;
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::Vm;
use snapfmt::read::chain::{Chain, ChainError, CheckError};
use snapfmt::read::{Part, ReadAt, ReadError, Seeker, Verified, Walk, Want};
use snapfmt::write::{Sealed, Writer};
use snapfmt::{Digest, Error};

use crate::forge::{Extent, Plan};

/// What came out of a walk before it ended, and how it ended.
pub type Walked = (Vec<Part>, Result<Verified, Error>);

/// Walks through a file.
///
/// # Errors
/// What is wrong with it.
pub fn walk(bytes: &[u8]) -> Result<Verified, Error> {
    let (mut walk, mut rest) = (Walk::new(), bytes);
    loop {
        match walk.want() {
            Want::Bytes(len) => {
                let (next, left) = rest.split_at(len.min(rest.len()));
                rest = left;
                walk.feed(next.to_vec())?;
            }
            Want::End if rest.is_empty() => return walk.end(),
            Want::End => return Err(walk.excess()),
        }
    }
}

/// Walks through whatever `source` gives, in pieces as it gives them, as from a pipe.
pub fn walk_in_chunks(mut source: impl Read) -> Walked {
    let (mut walk, mut parts) = (Walk::new(), Vec::new());
    loop {
        let wanted = match walk.want() {
            Want::Bytes(wanted) => wanted,
            Want::End => {
                let ended = source.read(&mut [0]).unwrap() == 0;
                return (parts, if ended { walk.end() } else { Err(walk.excess()) });
            }
        };
        let mut bytes = Vec::new();
        (&mut source).take(wanted as u64).read_to_end(&mut bytes).unwrap();
        match walk.feed(bytes) {
            Ok(part) => parts.extend(part),
            Err(error) => return (parts, Err(error)),
        }
    }
}

/// The largest number of bytes that a walk through a file asks for, and how the walk ends.
pub fn appetite(bytes: &[u8]) -> (usize, Result<Verified, Error>) {
    let (mut walk, mut rest, mut most) = (Walk::new(), bytes, 0);
    loop {
        let Want::Bytes(len) = walk.want() else { return (most, walk.end()) };
        most = most.max(len);
        let (next, left) = rest.split_at(len.min(rest.len()));
        rest = left;
        if let Err(error) = walk.feed(next.to_vec()) {
            return (most, Err(error));
        }
    }
}

/// A reader that gives at most so many bytes at a time, over and over; 0 is left out.
pub struct Chunks<'a> {
    rest: &'a [u8],
    lens: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl<'a> Chunks<'a> {
    /// Gives `bytes` in pieces of these lengths.
    #[must_use]
    pub fn new(bytes: &'a [u8], lens: &[usize]) -> Self {
        let lens = lens.iter().map(|&len| len.max(1)).collect::<Vec<_>>().into_iter().cycle();
        Self { rest: bytes, lens }
    }
}

impl Read for Chunks<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.lens.next().unwrap_or(1).min(buf.len()).min(self.rest.len());
        let (now, rest) = self.rest.split_at(len);
        buf[..len].copy_from_slice(now);
        self.rest = rest;
        Ok(len)
    }
}

fn format(error: ReadError) -> Error {
    match error {
        ReadError::Format(error) => error,
        ReadError::Io { at, source } => panic!("no I/O happens here: {source} at {at:#x}"),
    }
}

/// A quick check (§7.4).
///
/// # Errors
/// What is wrong with what it covers.
pub fn quick(bytes: &[u8]) -> Result<(), Error> {
    let seeker = Seeker::open(bytes).map_err(format)?;
    seeker.quick(|_| ()).map_err(format).map(|_| ())
}

/// A check of the maps (§7.4).
///
/// # Errors
/// What is wrong with what it covers.
pub fn map(bytes: &[u8]) -> Result<(), Error> {
    let seeker = Seeker::open(bytes).map_err(format)?;
    let quick = seeker.quick(|_| ()).map_err(format)?;
    seeker.maps(&quick, |_| ()).map_err(format)
}

/// A check of a chain (§13.4), the full file first.
///
/// # Errors
/// The number of the file that something is wrong with, and what.
pub fn chain(files: &[Vec<u8>]) -> Result<Vec<Verified>, (usize, Error)> {
    let wrong = |ChainError { link, error }| (link, format(error));
    let chain = Chain::open(files.iter().map(Vec::as_slice), |_, _| {}).map_err(wrong)?;
    chain.check(0, |_| Ok::<_, Infallible>(())).map_err(|error| match error {
        CheckError::Chain(error) => wrong(error),
        CheckError::Taker(never) => match never {},
    })
}

/// Both lesser checks in one reading: quick, and then of the maps.
pub fn quick_then_map(bytes: &[u8]) -> [Result<(), Error>; 2] {
    let opened = Seeker::open(bytes);
    let quick = opened.and_then(|seeker| seeker.quick(|_| ()).map(|quick| (seeker, quick)));
    match quick.map_err(format) {
        Ok((seeker, quick)) => [Ok(()), seeker.maps(&quick, |_| ()).map_err(format)],
        Err(error) => [Err(error.clone()), Err(error)],
    }
}

/// A source that keeps a list of what was read of it: offsets and lengths.
pub struct Watched<'a> {
    bytes: &'a [u8],
    size: u64,
    reads: RefCell<Vec<(u64, usize)>>,
}

impl<'a> Watched<'a> {
    /// Watches `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, size: bytes.len() as u64, reads: RefCell::default() }
    }

    /// Claims to be `size` bytes long; beyond `bytes` there is nothing but an error.
    #[must_use]
    pub fn claiming(bytes: &'a [u8], size: u64) -> Self {
        Self { size, ..Self::new(bytes) }
    }

    /// What was read.
    #[must_use]
    pub fn reads(&self) -> Vec<(u64, usize)> {
        self.reads.borrow().clone()
    }
}

impl ReadAt for Watched<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.reads.borrow_mut().push((offset, buf.len()));
        // The last bytes of what claims to be longer are those of the real file.
        let offset = match offset.checked_sub(self.size - self.bytes.len() as u64) {
            Some(late) if self.size > self.bytes.len() as u64 && offset > 4096 => late,
            _ => offset,
        };
        self.bytes.read_exact_at(buf, offset)
    }
}

/// The values that a plan gives the library's writer.
fn values(plan: &Plan) -> (Header, Vm, MetaText) {
    let header = Header {
        producer: plan.producer.clone(),
        uuid: plan.uuid.clone(),
        vm_name: plan.name.clone(),
        vm_uuid: plan.vm_uuid.clone(),
        created: plan.created,
        parent: plan.parent.as_ref().map(|parent| Parent {
            content: digest(parent.content()),
            uuid: Some(parent.uuid.clone()),
        }),
        incompatible: plan.parent.iter().map(|_| DELTA.to_owned()).collect(),
        compatible: Vec::new(),
    };
    let segments = plan.segments.iter().map(|&(gpa, len)| Segment { gpa, len }).collect();
    let vm = Vm {
        arch: plan.arch.clone(),
        name: plan.name.clone(),
        ncpus: plan.ncpus,
        memflags: plan.memflags,
        memory: MemoryMap::new(segments).unwrap(),
    };
    (header, vm, MetaText { generation: plan.generation, text: plan.meta_text() })
}

/// Writes the file of a plan with the library's writer, giving `sink` what each call appended.
///
/// # Errors
/// What the writer finds wrong with the plan.
pub fn write_to(
    plan: &Plan,
    compression: Compression,
    mut sink: impl FnMut(&[u8]),
) -> Result<Sealed, Error> {
    let (header, vm, meta) = values(plan);
    let mut out = Vec::new();
    let mut flush = |out: &mut Vec<u8>| {
        sink(out);
        out.clear();
    };
    let form = Form { compression, aligned: plan.align == 4096 };
    let meta = plan.described.then_some(&meta);
    let mut writer = Writer::begin(&header, vm, meta, form, &mut out)?;
    flush(&mut out);
    if let Some((kind, text)) = &plan.config {
        let config = ConfigText { kind: kind.clone(), text: text.clone(), files: Vec::new() };
        writer.config(&config, &mut out)?;
        flush(&mut out);
    }
    for record in &plan.records {
        writer.record(&record.section, &record.name, &record.bytes, &mut out)?;
        flush(&mut out);
    }
    if plan.parent.is_some() {
        let mut writer = writer.changes().unwrap();
        for change in changes(plan) {
            writer.block(&change, &mut out)?;
            flush(&mut out);
        }
        let sealed = writer.finish(digest(plan.memory().root()), &mut out)?;
        flush(&mut out);
        return Ok(sealed);
    }
    let mut writer = writer.memory().unwrap();
    for extent in &plan.extents {
        let mut ram = vec![0; extent.size as usize];
        for (number, page) in &extent.pages {
            let at = *number as usize * 4096;
            ram[at..at + 4096].copy_from_slice(page);
        }
        if let Some(block) = Block::scan(extent.gpa, &ram) {
            writer.block(&block, &mut out)?;
            flush(&mut out);
        }
    }
    let sealed = writer.finish(&mut out)?;
    flush(&mut out);
    Ok(sealed)
}

/// What the extents of a delta say.
fn changes(plan: &Plan) -> Vec<Change> {
    let old = plan.parent.as_ref().map(|parent| parent.pages()).unwrap_or_default();
    let of = |extent: &Extent| {
        let mut change = Change::new(extent.gpa, extent.size);
        for number in 0..extent.size / 4096 {
            let index = number as usize;
            if let Some(page) = extent.pages.get(&number) {
                let zero = || vec![0; 4096];
                let old = || old.get(&(extent.gpa + number * 4096)).cloned().unwrap_or_else(zero);
                let old = extent.xor.contains(&number).then(old);
                change.data(index, page, old.as_deref()).unwrap();
            } else if extent.zero.contains(&number) {
                change.zero(index).unwrap();
            }
        }
        change
    };
    plan.extents.iter().map(of).collect()
}

/// The file of a plan as the library writes it.
#[must_use]
pub fn write(plan: &Plan, compression: Compression) -> Vec<u8> {
    let mut file = Vec::new();
    write_to(plan, compression, |bytes| file.extend(bytes)).unwrap();
    file
}

/// A small image by the library's writer: two segments, two records, META, CONFIG; below 32 KiB.
#[must_use]
pub fn small_image(compression: Compression) -> Vec<u8> {
    let file = write(&Plan::small(), compression);
    assert!(file.len() <= 32 << 10);
    file
}

/// The digest type of the library, from the forge's.
#[must_use]
pub fn digest(sum: [u8; 32]) -> Digest {
    Digest::from_bytes(sum)
}
