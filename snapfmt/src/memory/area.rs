//! Several lists of blocks side by side, as aligned areas in ascending order.
//!
//! Blocks are aligned powers of two, so any two of them are apart or one holds the other, whatever
//! files they are in. An area is the largest of those that overlap, with all that lie in it; what
//! no area covers is in no list. Only the next block of each list is held.

use std::iter::Peekable;

use crate::limits;

/// Something that lies in one aligned block whose size is a power of two.
pub trait Placed {
    /// Its first guest-physical address.
    fn gpa(&self) -> u64;

    /// Bytes of guest-physical space.
    fn size(&self) -> u64;
}

/// An aligned area and the blocks in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area<T> {
    /// Its first guest-physical address, a multiple of `size`.
    pub gpa: u64,
    /// Bytes of guest-physical space, a power of two.
    pub size: u64,
    /// The blocks in it, each with the number of its list: ascending by that, then by address.
    pub pieces: Vec<(usize, T)>,
}

/// Goes through lists of blocks, each of which ascends without overlaps.
pub struct Areas<I: Iterator> {
    lists: Vec<Peekable<I>>,
    least: u64,
    failed: bool,
}

impl<I: Iterator> Areas<I> {
    /// Areas of `least` bytes, a power of two up to the largest block, or more.
    pub fn new(lists: impl IntoIterator<Item = I>, least: u64) -> Self {
        let lists = lists.into_iter().map(Iterator::peekable).collect();
        Self { lists, least: least.next_power_of_two().min(limits::EXTENT_MAX), failed: false }
    }
}

impl<T: Placed, E, I: Iterator<Item = Result<T, E>>> Areas<I> {
    /// The start of the first block that is left. After an error there is none.
    fn start(&mut self) -> Result<Option<u64>, E> {
        let mut start = None;
        for list in &mut self.lists {
            if let Some(Err(error)) = list.next_if(Result::is_err) {
                self.failed = true;
                return Err(error);
            }
            if let Some(Ok(piece)) = list.peek() {
                start = Some(start.map_or(piece.gpa(), |at: u64| at.min(piece.gpa())));
            }
        }
        Ok(start)
    }

    fn area(&mut self) -> Result<Option<Area<T>>, E> {
        let Some(first) = self.start()? else { return Ok(None) };
        let gpa = first - first % self.least;
        let mut end = gpa.saturating_add(self.least);
        // The largest block of the area begins where the area begins.
        let mut size = self.least;
        let mut pieces = Vec::new();
        loop {
            let before = end;
            for (number, list) in self.lists.iter_mut().enumerate() {
                while let Some(next) =
                    list.next_if(|next| next.as_ref().map_or(true, |piece| piece.gpa() < end))
                {
                    let piece = next.inspect_err(|_| self.failed = true)?;
                    size = size.max(piece.size());
                    end = end.max(gpa.saturating_add(size));
                    pieces.push((number, piece));
                }
            }
            if end == before {
                pieces.sort_by_key(|(number, piece)| (*number, piece.gpa()));
                return Ok(Some(Area { gpa, size, pieces }));
            }
        }
    }
}

impl<T: Placed, E, I: Iterator<Item = Result<T, E>>> Iterator for Areas<I> {
    type Item = Result<Area<T>, E>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed { None } else { self.area().transpose() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Piece(u64, u64);

    impl Placed for Piece {
        fn gpa(&self) -> u64 {
            self.0
        }

        fn size(&self) -> u64 {
            self.1
        }
    }

    type List = std::vec::IntoIter<Result<Piece, &'static str>>;

    fn list(pieces: &[(u64, u64)]) -> List {
        pieces.iter().map(|&(gpa, size)| Ok(Piece(gpa, size))).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn areas_hold_all_blocks_that_overlap() {
        let lists = [list(&[(0, 1), (2, 1), (16, 16), (64, 2)]), list(&[(0, 4), (20, 2), (24, 8)])];
        let areas: Vec<_> = Areas::new(lists, 1).map(Result::unwrap).collect();
        let shape: Vec<_> = areas.iter().map(|a| (a.gpa, a.size, a.pieces.len())).collect();
        assert_eq!(shape, [(0, 4, 3), (16, 16, 3), (64, 2, 1)]);
        let numbers: Vec<_> = areas[1].pieces.iter().map(|(n, piece)| (*n, piece.0)).collect();
        assert_eq!(numbers, [(0, 16), (1, 20), (1, 24)]);
    }

    #[test]
    fn small_blocks_are_taken_together_up_to_the_least_size() {
        let lists = [list(&[(5, 1), (8, 16)]), list(&[(7, 1), (32, 1), (39, 1)])];
        let areas: Vec<_> = Areas::new(lists, 8).map(Result::unwrap).collect();
        let shape: Vec<_> = areas.iter().map(|a| (a.gpa, a.size, a.pieces.len())).collect();
        assert_eq!(shape, [(0, 8, 2), (8, 16, 1), (32, 8, 2)]);
    }

    #[test]
    fn an_error_of_one_list_ends_all() {
        let bad = vec![Ok(Piece(0, 1)), Err("bad")].into_iter();
        // Whatever the list would have had may have belonged to the first area.
        let mut areas = Areas::new([list(&[(0, 1), (8, 1)]), bad], 1);
        assert_eq!(areas.next(), Some(Err("bad")));
        assert_eq!(areas.next(), None);
    }
}
