//! Compares guest RAM page by page, and only where the roots of blocks differ.
//!
//! Extents are aligned powers of two, so any two of them are apart or one holds the other, whatever
//! their sizes. The largest and all that lie in it, on both sides, are compared together: first by
//! the root over them, which needs no page, then by their pages. So no more than one block of the
//! largest size is held for each side.

use serde::Serialize;
use snapfmt::limits::PAGE;
use snapfmt::memory::block::Block;
use snapfmt::memory::map::MemoryMap;

use super::side::{Piece, Side, root};

const ZERO: [u8; PAGE] = [0; PAGE];

/// How a page differs that both machines have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was all zeros.
    ZeroToData,
    /// It became all zeros.
    DataToZero,
    /// It is other data.
    DataToData,
}

impl Change {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::ZeroToData => "zero -> data",
            Self::DataToZero => "data -> zero",
            Self::DataToData => "data -> other data",
        }
    }
}

/// A run of pages that changed in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first guest-physical address.
    pub gpa: u64,
    /// How many pages.
    pub pages: u64,
    /// How they differ.
    pub change: Change,
}

impl Range {
    fn end(&self) -> u64 {
        self.gpa.saturating_add(self.pages.saturating_mul(PAGE as u64))
    }
}

/// What there was in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Pages that both machines have and that differ: the sum of the three kinds.
    pub pages: u64,
    /// Pages that were zero.
    pub zero_to_data: u64,
    /// Pages that became zero.
    pub data_to_zero: u64,
    /// Pages of other data.
    pub data_to_data: u64,
    /// Bytes that differ in these pages, as `cmp -l` counts them.
    pub bytes: u64,
    /// Runs of these pages.
    pub range_count: u64,
    /// Pages of RAM that only A has, by its memory map.
    pub only_a: u64,
    /// Pages of RAM that only B has.
    pub only_b: u64,
    /// Pages of A that were read and looked at, zero ones not counted.
    pub read_a: u64,
    /// Pages of B that were.
    pub read_b: u64,
}

/// Compares the RAM of two machines. `each` is given the runs of pages that differ, ascending;
/// `tick` the address that was come to, often.
///
/// # Errors
/// Damage, trouble with reading, and what `each` and `tick` say.
pub fn compare(
    a: &mut dyn Side,
    b: &mut dyn Side,
    each: &mut dyn FnMut(Range) -> anyhow::Result<()>,
    tick: &mut dyn FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<Totals> {
    let maps = [a.map().clone(), b.map().clone()];
    let [map_a, map_b] = &maps;
    let totals = Totals {
        only_a: outside(map_a, map_b),
        only_b: outside(map_b, map_a),
        ..Totals::default()
    };
    let mut found = Found { totals, run: None, each };
    let (mut next_a, mut next_b) = (a.next()?, b.next()?);
    while let Some(start) = [&next_a, &next_b].into_iter().flatten().map(Piece::gpa).min() {
        let (mut end, mut pieces_a, mut pieces_b) = (start.saturating_add(1), vec![], vec![]);
        loop {
            let before = end;
            gather(a, &mut next_a, &mut end, &mut pieces_a)?;
            gather(b, &mut next_b, &mut end, &mut pieces_b)?;
            if end == before {
                break;
            }
        }
        let listed = |pieces: &[Piece]| pieces.iter().any(|p| matches!(p, Piece::Listed(_)));
        let size = end - start;
        // Between two RAM files there is nothing to be saved by hashing.
        let same = (listed(&pieces_a) || listed(&pieces_b))
            && root(map_a, start, size, &pieces_a) == root(map_b, start, size, &pieces_b);
        if !same {
            let blocks_a = open(a, pieces_a)?;
            let blocks_b = open(b, pieces_b)?;
            found.blocks(&maps, &blocks_a, &blocks_b)?;
        }
        tick(end)?;
    }
    found.flush()?;
    Ok(found.totals)
}

/// Takes the pieces that begin below `end`, which grows to the end of the last one.
fn gather(
    side: &mut dyn Side,
    next: &mut Option<Piece>,
    end: &mut u64,
    pieces: &mut Vec<Piece>,
) -> anyhow::Result<()> {
    while let Some(piece) = next.take_if(|piece| piece.gpa() < *end) {
        *end = piece.end().max(*end);
        pieces.push(piece);
        *next = side.next()?;
    }
    Ok(())
}

fn open(side: &mut dyn Side, pieces: Vec<Piece>) -> anyhow::Result<Vec<Block>> {
    pieces.into_iter().map(|piece| side.open(piece)).collect()
}

/// How many pages of `map` are none of `other`.
fn outside(map: &MemoryMap, other: &MemoryMap) -> u64 {
    let common = |from, to| other.pages(from, to);
    let segments = map.segments().iter();
    segments.map(|s| (s.len / PAGE as u64).saturating_sub(common(s.gpa, s.end()))).sum()
}

struct Found<'a> {
    totals: Totals,
    /// The run that the next page may belong to.
    run: Option<Range>,
    each: &'a mut dyn FnMut(Range) -> anyhow::Result<()>,
}

impl Found<'_> {
    /// Compares the pages of blocks that cover the same addresses.
    fn blocks(&mut self, maps: &[MemoryMap; 2], a: &[Block], b: &[Block]) -> anyhow::Result<()> {
        let count = |blocks: &[Block]| blocks.iter().map(|b| b.data.count() as u64).sum::<u64>();
        self.totals.read_a += count(a);
        self.totals.read_b += count(b);
        let mut a = a.iter().flat_map(Block::iter).peekable();
        let mut b = b.iter().flat_map(Block::iter).peekable();
        while let Some(gpa) = [a.peek(), b.peek()].into_iter().flatten().map(|page| page.0).min() {
            let page_a = a.next_if(|page| page.0 == gpa).map_or(ZERO.as_slice(), |page| page.1);
            let page_b = b.next_if(|page| page.0 == gpa).map_or(ZERO.as_slice(), |page| page.1);
            if page_a != page_b && maps.iter().all(|map| map.contains(gpa)) {
                self.page(gpa, page_a, page_b)?;
            }
        }
        Ok(())
    }

    fn page(&mut self, gpa: u64, a: &[u8], b: &[u8]) -> anyhow::Result<()> {
        let totals = &mut self.totals;
        let (change, count) = match (a == ZERO, b == ZERO) {
            (true, _) => (Change::ZeroToData, &mut totals.zero_to_data),
            (_, true) => (Change::DataToZero, &mut totals.data_to_zero),
            _ => (Change::DataToData, &mut totals.data_to_data),
        };
        *count += 1;
        totals.pages += 1;
        totals.bytes += a.iter().zip(b).filter(|(a, b)| a != b).count() as u64;
        match &mut self.run {
            Some(run) if run.change == change && run.end() == gpa => run.pages += 1,
            _ => {
                self.flush()?;
                self.run = Some(Range { gpa, pages: 1, change });
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let Some(run) = self.run.take() else { return Ok(()) };
        self.totals.range_count += 1;
        (self.each)(run)
    }
}
