//! The account of a file's bytes: ranges that tile it, of bounded number.

use crate::error::{Error, Section};
use crate::read::claim::{Claim, PartFacts};

/// Ranges that are listed one by one; what comes after them is only counted.
pub const SPANS: usize = 4096;

/// A range of a file, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub at: u64,
    /// Bytes; none where something is missing.
    pub len: u64,
    /// What it is.
    pub what: What,
}

impl Span {
    /// The first byte after it.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.at.saturating_add(self.len)
    }
}

/// What a range of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The header block, intact.
    Header,
    /// A part other than EXTENT and MAP, intact.
    Part {
        /// Which.
        section: Section,
        /// Whether it was found by searching, and is not listed either: then it is intact, but only
        /// its place says that it belongs to this file.
        scanned: bool,
    },
    /// EXTENT and MAP parts one after another.
    Memory(Run),
    /// Something that is not what it should be.
    Damaged {
        /// Why.
        error: Error,
        /// What a damaged frame says.
        claim: Option<Claim<PartFacts>>,
    },
    /// Bytes of a version, or of features, that this library does not know.
    Unread,
    /// The trailer, intact.
    Trailer,
    /// What is beyond the list: how much of it is intact, and in how many ranges it is not.
    Rest {
        /// Bytes of intact structures.
        intact: u64,
        /// Bytes of all others.
        damaged: u64,
        /// The number of damaged ranges.
        ranges: u64,
    },
}

impl What {
    fn is_intact(&self) -> bool {
        match self {
            Self::Header | Self::Part { .. } | Self::Trailer => true,
            Self::Memory(run) => run.checked,
            Self::Damaged { .. } | Self::Unread | Self::Rest { .. } => false,
        }
    }
}

/// Memory parts one after another, all of the same standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Whether the pages were checked. Without an intact VM part there is no memory map, and the
    /// roots of extents cannot be computed.
    pub checked: bool,
    /// As in [`What::Part`].
    pub scanned: bool,
    /// EXTENT parts.
    pub extents: u64,
    /// MAP parts.
    pub maps: u64,
    /// The address of the first extent and of the last one.
    pub gpa: Option<(u64, u64)>,
}

impl Run {
    pub(super) fn map(checked: bool, scanned: bool) -> Self {
        Self { checked, scanned, extents: 0, maps: 1, gpa: None }
    }

    pub(super) fn extent(gpa: u64, checked: bool, scanned: bool) -> Self {
        Self { checked, scanned, extents: 1, maps: 0, gpa: Some((gpa, gpa)) }
    }

    /// Whether `next` may be counted with this run. A MAP part goes with any extents.
    fn takes(&self, next: &Self) -> bool {
        let same = self.checked == next.checked || next.extents == 0 || self.extents == 0;
        same && self.scanned == next.scanned
    }

    fn join(&mut self, next: &Self) {
        if self.extents == 0 {
            self.checked = next.checked;
        }
        self.extents = self.extents.saturating_add(next.extents);
        self.maps = self.maps.saturating_add(next.maps);
        self.gpa = match (self.gpa, next.gpa) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (one, other) => one.or(other),
        };
    }
}

/// The list in the making. Whoever pushes pushes ranges that follow each other.
#[derive(Default)]
pub(super) struct Spans(Vec<Span>);

impl Spans {
    pub(super) fn push(&mut self, at: u64, end: u64, what: What) {
        let full = self.0.len() >= SPANS;
        let len = end.saturating_sub(at);
        if let Some(last) = self.0.last_mut() {
            match (&mut last.what, &what) {
                (What::Memory(run), What::Memory(next)) if run.takes(next) => {
                    run.join(next);
                    last.len = last.len.saturating_add(len);
                    return;
                }
                (What::Rest { intact, damaged, ranges }, _) => {
                    if what.is_intact() {
                        *intact = intact.saturating_add(len);
                    } else {
                        *damaged = damaged.saturating_add(len);
                        *ranges = ranges.saturating_add(1);
                    }
                    last.len = last.len.saturating_add(len);
                    return;
                }
                _ => {}
            }
        }
        let what = match (full, what.is_intact()) {
            (false, _) => what,
            (true, true) => What::Rest { intact: len, damaged: 0, ranges: 0 },
            (true, false) => What::Rest { intact: 0, damaged: len, ranges: 1 },
        };
        self.0.push(Span { at, len, what });
    }

    /// Adds a range to the damage that ends where it begins, if that is what is there.
    pub(super) fn lengthen(&mut self, at: u64, end: u64) -> bool {
        match self.0.last_mut() {
            Some(last) if matches!(last.what, What::Damaged { .. }) && last.end() == at => {
                last.len = end.saturating_sub(last.at);
                true
            }
            _ => false,
        }
    }

    pub(super) fn finish(self) -> Vec<Span> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fault;

    fn damaged() -> What {
        let error = Fault::Padding.at(0).within(Section::Frame);
        What::Damaged { error, claim: None }
    }

    #[test]
    fn extents_between_damage_are_counted_in_runs() {
        let mut spans = Spans::default();
        for gpa in [0, 1, 2] {
            spans.push(gpa * 64, gpa * 64 + 64, What::Memory(Run::extent(gpa, true, false)));
        }
        spans.push(192, 256, What::Memory(Run::map(true, false)));
        spans.push(256, 320, damaged());
        spans.push(320, 384, What::Memory(Run::extent(9, true, false)));
        let spans = spans.finish();
        assert_eq!(
            spans.iter().map(|s| (s.at, s.len)).collect::<Vec<_>>(),
            [(0, 256), (256, 64), (320, 64)]
        );
        let What::Memory(run) = spans[0].what else { panic!() };
        assert_eq!((run.extents, run.maps, run.gpa), (3, 1, Some((0, 2))));
    }

    #[test]
    fn memory_of_another_standing_begins_a_run_of_its_own() {
        let runs = |all: &[Run]| {
            let mut spans = Spans::default();
            for (at, run) in (0..).zip(all) {
                spans.push(at, at + 1, What::Memory(*run));
            }
            let spans = spans.finish().into_iter().map(|span| match span.what {
                What::Memory(run) => (span.len, run),
                other => panic!("{other:?}"),
            });
            spans.collect::<Vec<_>>()
        };
        let extent = |gpa, checked| Run::extent(gpa, checked, false);
        let map = |checked| Run::map(checked, false);
        let joined =
            |extents, maps, gpa, checked| Run { checked, scanned: false, extents, maps, gpa };
        // A MAP part goes with any extents, and then is as good as they are.
        for checked in [false, true] {
            let one = vec![(2, joined(1, 1, Some((7, 7)), checked))];
            assert_eq!(runs(&[map(!checked), extent(7, checked)]), one);
            assert_eq!(runs(&[extent(7, checked), map(!checked)]), one);
            assert_eq!(runs(&[map(!checked), map(checked)]), [(2, joined(0, 2, None, checked))]);
            let apart = [extent(7, checked), map(checked), extent(8, !checked)];
            let second = joined(1, 0, Some((8, 8)), !checked);
            assert_eq!(runs(&apart), [(2, joined(1, 1, Some((7, 7)), checked)), (1, second)]);
        }
        let found = Run::extent(9, true, true);
        assert_eq!(
            runs(&[extent(8, true), found, found]),
            [(1, extent(8, true)), (2, Run { extents: 2, gpa: Some((9, 9)), ..found }),]
        );
        assert_eq!(runs(&[map(true), Run::map(true, true)]).len(), 2);
    }

    #[test]
    fn damage_is_lengthened_only_by_what_follows_it() {
        let mut spans = Spans::default();
        assert!(!spans.lengthen(0, 10));
        spans.push(0, 10, What::Trailer);
        assert!(!spans.lengthen(10, 20));
        spans.push(10, 20, damaged());
        assert!(!spans.lengthen(19, 30) && !spans.lengthen(21, 30));
        assert!(spans.lengthen(20, 30));
        let lens: Vec<_> = spans.finish().iter().map(|span| (span.at, span.len)).collect();
        assert_eq!(lens, [(0, 10), (10, 20)]);
    }

    #[test]
    fn what_is_beyond_the_list_is_intact_or_not_whatever_it_was() {
        let mut spans = Spans::default();
        for at in 0..SPANS as u64 {
            spans.push(at, at + 1, damaged());
        }
        let at = SPANS as u64;
        spans.push(at, at + 5, What::Header);
        spans.push(at + 5, at + 12, What::Memory(Run::extent(0, true, false)));
        spans.push(at + 12, at + 25, What::Memory(Run::extent(1, false, false)));
        spans.push(at + 25, at + 42, What::Unread);
        let section = Section::End;
        spans.push(at + 42, at + 61, What::Part { section, scanned: true });
        let spans = spans.finish();
        assert_eq!(spans.len(), SPANS + 1);
        let last = spans.last().unwrap();
        assert_eq!((last.at, last.len, last.end()), (at, 61, at + 61));
        assert_eq!(last.what, What::Rest { intact: 5 + 7 + 19, damaged: 13 + 17, ranges: 2 });
    }

    #[test]
    fn the_account_has_an_end_and_still_counts_every_byte() {
        let mut spans = Spans::default();
        let count = SPANS as u64 + 100;
        for at in 0..count {
            let what = if at % 2 == 0 { damaged() } else { What::Trailer };
            spans.push(at, at + 1, what);
        }
        let spans = spans.finish();
        assert_eq!(spans.len(), SPANS + 1);
        assert_eq!(spans.iter().map(|span| span.len).sum::<u64>(), count);
        let rest = What::Rest { intact: 50, damaged: 50, ranges: 50 };
        assert_eq!(spans.last().unwrap().what, rest);
    }
}
