//! States of one small machine that follow each other, and files of them made by the library: full
//! ones, and deltas over a chain.

use std::collections::BTreeMap;
use std::convert::Infallible;

use snapfmt::delta::{Leaves, Read, Side, compare};
use snapfmt::layout::header::{DELTA, Header, Parent};
use snapfmt::limits::PAGE;
use snapfmt::memory::area::{Area, Areas, Placed};
use snapfmt::memory::bitmap::Bitmap;
use snapfmt::memory::block::Block;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::memory::tree::{RootBuilder, leaf};
use snapfmt::part::extent::Form;
use snapfmt::part::map::MapEntry;
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::read::{Chain, ChainError, Verified};
use snapfmt::write::{Sealed, Writer};
use snapfmt::{Digest, Error};

use crate::images;

/// A state: its pages that are not zero by number, and its only record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Pages by number in guest-physical space.
    pub pages: BTreeMap<u64, Vec<u8>>,
    /// The bytes of the record.
    pub record: Vec<u8>,
}

/// The segments of the machine: one that ends within a block, and one above 4 GiB.
pub const SEGMENTS: [(u64, u64); 2] = [(0, 300 * 4096), (1 << 32, 40 * 4096)];

/// How a file is written.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How its blocks are stored.
    pub form: Form,
    /// Bytes of its blocks, or of the least of them.
    pub block: u64,
}

/// The machine.
///
/// # Panics
/// Never: its memory map is one.
#[must_use]
pub fn vm() -> Vm {
    let segments = SEGMENTS.iter().map(|&(gpa, len)| Segment { gpa, len }).collect();
    let memory = MemoryMap::new(segments).unwrap();
    Vm { arch: AMD64.to_owned(), name: "chained".to_owned(), ncpus: 1, memflags: 0, memory }
}

/// The header block of file `number`.
#[must_use]
pub fn header(number: usize, parent: Option<Digest>) -> Header {
    let incompatible = parent.iter().map(|_| DELTA.to_owned()).collect();
    let parent = parent.map(|content| Parent { content, uuid: None });
    let uuid = format!("00000000-0000-4000-8000-{number:012}");
    Header { uuid, parent, incompatible, ..images::header("chained") }
}

impl State {
    /// The pages of the aligned area of `size` bytes at `gpa`.
    #[must_use]
    pub fn block(&self, gpa: u64, size: u64) -> Block {
        let first = gpa / PAGE as u64;
        let mut data = Bitmap::new(size as usize / PAGE);
        let mut pages = Vec::new();
        for (number, page) in self.pages.range(first..first + size / PAGE as u64) {
            data.set((number - first) as usize);
            pages.extend_from_slice(page);
        }
        Block { gpa, size, data, pages }
    }

    /// The blocks of `size` bytes that are not all zero, ascending.
    #[must_use]
    pub fn blocks(&self, size: u64) -> Vec<Block> {
        let mut at: Vec<_> = self.pages.keys().map(|page| page * PAGE as u64 / size).collect();
        at.dedup();
        at.into_iter().map(|number| self.block(number * size, size)).collect()
    }

    /// A full file of this state.
    ///
    /// # Errors
    /// What the writer says.
    pub fn full(&self, number: usize, shape: Shape) -> Result<(Vec<u8>, Sealed), Error> {
        let mut out = Vec::new();
        let mut writer = self.begin(&header(number, None), shape, &mut out)?.memory()?;
        for block in self.blocks(shape.block) {
            writer.block(&block, &mut out)?;
        }
        let sealed = writer.finish(&mut out)?;
        Ok((out, sealed))
    }

    fn begin(&self, header: &Header, shape: Shape, out: &mut Vec<u8>) -> Result<Writer, Error> {
        let records = [("kern_structs".to_owned(), "vm".to_owned(), self.record.clone())];
        let meta = images::meta(&vm(), 'B', &records);
        let mut writer = Writer::begin(header, vm(), &meta, shape.form, out)?;
        writer.record("kern_structs", "vm", &self.record, out)?;
        Ok(writer)
    }

    /// A delta from the state of `chain` to this one, which is known as a RAM file is.
    ///
    /// # Panics
    /// If the chain cannot be read, or the writer refuses.
    #[must_use]
    pub fn delta(&self, number: usize, chain: &[Vec<u8>], shape: Shape) -> (Vec<u8>, Sealed) {
        let chain = open(chain).unwrap();
        let lists = (0..chain.count()).map(|link| listed(&chain, link));
        let blocks = self.blocks(64 << 10);
        let ram: Vec<_> = blocks.iter().map(|b| Ok(Piece::Ram(b.gpa, b.size))).collect();
        let ram: List<'_> = Box::new(ram.into_iter());
        self.delta_of(number, &chain, lists.chain([ram]), shape, |gpa, size, _| Raw {
            state: self,
            gpa,
            size,
        })
    }

    /// The same, where the state is known as that of another chain.
    ///
    /// # Panics
    /// If a chain cannot be read, or the writer refuses.
    #[must_use]
    pub fn delta_between(
        &self,
        number: usize,
        chain: &[Vec<u8>],
        new: &[Vec<u8>],
        shape: Shape,
    ) -> (Vec<u8>, Sealed) {
        let (chain, new) = (open(chain).unwrap(), open(new).unwrap());
        let (old, new) = (&chain, &new);
        let lists = (0..old.count()).map(|link| listed(old, link));
        let lists = lists.chain((0..new.count()).map(|link| listed(new, link)));
        self.delta_of(number, old, lists, shape, |gpa, size, pieces| new.area(gpa, size, pieces))
    }

    fn delta_of<'a, N: Side<Error = ChainError>>(
        &self,
        number: usize,
        chain: &Chain<&'a [u8]>,
        lists: impl Iterator<Item = List<'a>>,
        shape: Shape,
        side: impl Fn(u64, u64, Vec<(usize, MapEntry)>) -> N,
    ) -> (Vec<u8>, Sealed) {
        let content = chain.newest().seeker().index().content;
        let mut out = Vec::new();
        let begun = self.begin(&header(number, Some(content)), shape, &mut out);
        let mut writer = begun.unwrap().changes().unwrap();
        let mut tree = RootBuilder::new(vm().memory);
        for area in Areas::new(lists, shape.block) {
            let (gpa, size, old, new) = split(area.unwrap(), chain.count());
            let (mut old, mut new) = (chain.area(gpa, size, old), side(gpa, size, new));
            let outcome = compare(&vm().memory, (gpa, size), &mut old, &mut new).unwrap();
            tree.block(gpa, size, outcome.root);
            if let Some(change) = outcome.change {
                writer.block(&change, &mut out).unwrap();
            }
        }
        let sealed = writer.finish(tree.finish(), &mut out).unwrap();
        (out, sealed)
    }
}

type List<'a> = Box<dyn Iterator<Item = Result<Piece, ChainError>> + 'a>;
type Pieces = Vec<(usize, MapEntry)>;

enum Piece {
    Entry(MapEntry),
    Ram(u64, u64),
}

impl Placed for Piece {
    fn gpa(&self) -> u64 {
        match self {
            Self::Entry(entry) => entry.gpa,
            Self::Ram(gpa, _) => *gpa,
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Entry(entry) => entry.size.into(),
            Self::Ram(_, size) => *size,
        }
    }
}

fn listed<'a>(chain: &Chain<&'a [u8]>, link: usize) -> List<'a> {
    // Collected, so that the list does not borrow the chain.
    let all: Vec<_> = chain.entries(link).map(|entry| entry.map(Piece::Entry)).collect();
    Box::new(all.into_iter())
}

/// The pieces of the first `count` lists, and those of the others.
fn split(area: Area<Piece>, count: usize) -> (u64, u64, Pieces, Pieces) {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for (list, piece) in area.pieces {
        match piece {
            Piece::Entry(entry) if list < count => old.push((list, entry)),
            Piece::Entry(entry) => new.push((list - count, entry)),
            Piece::Ram(..) => {}
        }
    }
    (area.gpa, area.size, old, new)
}

/// RAM as it is: nothing is known of it before it is read.
struct Raw<'a> {
    state: &'a State,
    gpa: u64,
    size: u64,
}

impl Side for Raw<'_> {
    type Error = ChainError;

    fn root(&mut self) -> Result<Option<Digest>, ChainError> {
        Ok(None)
    }

    fn leaves(&mut self) -> Result<Leaves, ChainError> {
        let count = self.size / PAGE as u64;
        let mut leaves = vec![None; usize::try_from(count).unwrap()];
        for (gpa, page) in self.state.block(self.gpa, self.size).iter() {
            let index = usize::try_from((gpa - self.gpa) / PAGE as u64).unwrap();
            leaves[index] = Some(leaf(page)).filter(|_| page.iter().any(|byte| *byte != 0));
        }
        Ok(leaves)
    }

    fn pages(&mut self, _: &[usize]) -> Result<Read, ChainError> {
        Ok(Read::new(self.state.block(self.gpa, self.size)))
    }
}

/// Opens a chain.
///
/// # Errors
/// What is wrong with it.
pub fn open(files: &[Vec<u8>]) -> Result<Chain<&[u8]>, ChainError> {
    Chain::open(files.iter().map(Vec::as_slice), |_, _| ())
}

/// The pages of a state, and what was found of each file.
pub type Checked = (BTreeMap<u64, Vec<u8>>, Vec<Verified>);

/// Checks a chain, and gives the pages of its state and what was found of each file.
///
/// # Errors
/// What is wrong with it.
pub fn check(files: &[Vec<u8>]) -> Result<Checked, ChainError> {
    let mut pages = BTreeMap::new();
    let chain = open(files)?;
    let contents = chain.contents();
    let checked = chain.check(1 << 16, |block| {
        for (gpa, page) in block.iter() {
            pages.insert(gpa / PAGE as u64, page.to_vec());
        }
        Ok::<_, Infallible>(())
    });
    match checked {
        Ok(verified) => {
            let all: Vec<_> = verified.iter().map(|file| file.index().content).collect();
            assert_eq!(contents.unwrap(), all, "known by lists alone");
            Ok((pages, verified))
        }
        Err(snapfmt::read::CheckError::Chain(error)) => Err(error),
        Err(snapfmt::read::CheckError::Taker(never)) => match never {},
    }
}

/// Joins a chain into a full file (§13.5).
///
/// # Panics
/// If the chain is wrong.
#[must_use]
pub fn join(files: &[Vec<u8>], shape: Shape) -> (Vec<u8>, Sealed) {
    let chain = open(files).unwrap();
    let mut records = Vec::new();
    let newest = chain.newest().seeker();
    let mut meta = None;
    newest
        .quick(|part| match part {
            snapfmt::read::Part::Meta(text) => meta = Some(text),
            snapfmt::read::Part::Record(record) => records.push(record),
            _ => {}
        })
        .unwrap();
    let (mut out, head) = (Vec::new(), header(99, None));
    let mut writer =
        Writer::begin(&head, chain.vm().clone(), meta.as_ref(), shape.form, &mut out).unwrap();
    for record in &records {
        let id = record.id();
        writer.record(&id.section, &id.name, record.bytes(), &mut out).unwrap();
    }
    let mut writer = writer.memory().unwrap();
    let checked = chain.check(shape.block, |block| writer.block(&block, &mut out));
    checked.unwrap();
    let sealed = writer.finish(&mut out).unwrap();
    (out, sealed)
}
