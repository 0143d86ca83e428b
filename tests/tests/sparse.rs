//! The data ranges of a file against a naive twin that reads every byte.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use proptest::prelude::*;
use snaptool::input::Input;
use snaptool::signal::Stop;
use snaptool::sparse::{Extents, data_ranges};

const BLOCK: u64 = 4096;

/// A file as a map of blocks: which are data. The system's part is played exactly as `lseek` does.
struct Twin(Vec<bool>);

impl Twin {
    fn next(&self, from: u64, data: bool) -> Option<u64> {
        let first = usize::try_from(from / BLOCK).unwrap();
        let found = (first..self.0.len()).find(|&i| self.0[i] == data)?;
        Some(from.max(u64::try_from(found).unwrap() * BLOCK))
    }
}

impl Extents for Twin {
    fn next_data(&self, from: u64) -> std::io::Result<u64> {
        self.next(from, true).ok_or_else(|| rustix::io::Errno::NXIO.into())
    }

    fn next_hole(&self, from: u64) -> std::io::Result<u64> {
        Ok(self.next(from, false).unwrap_or(u64::try_from(self.0.len()).unwrap() * BLOCK))
    }
}

fn check_shape(ranges: &[Range<u64>], len: u64) -> Result<(), TestCaseError> {
    for range in ranges {
        prop_assert!(range.start < range.end && range.end <= len, "{range:?} of {len}");
    }
    for pair in ranges.windows(2) {
        prop_assert!(pair[0].end < pair[1].start, "{pair:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_ranges_are_exactly_the_data_blocks(
        blocks in proptest::collection::vec(any::<bool>(), 0..40),
        cut in 0..BLOCK,
    ) {
        let twin = Twin(blocks);
        let len = (u64::try_from(twin.0.len()).unwrap() * BLOCK).saturating_sub(cut);
        let ranges: Vec<_> = data_ranges(&twin, len).collect();
        check_shape(&ranges, len)?;
        for at in (0..len).step_by(512) {
            let data = twin.0[usize::try_from(at / BLOCK).unwrap()];
            prop_assert_eq!(ranges.iter().any(|range| range.contains(&at)), data, "at {}", at);
        }
    }

    #[test]
    fn no_byte_of_a_real_file_that_is_not_zero_is_left_out(
        writes in proptest::collection::vec((0..64_u64, 1..3_usize), 0..8),
        tail in 0..70_u64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let file = File::create_new(&path).unwrap();
        for (block, count) in writes {
            let bytes = vec![0xa5; count * 3000];
            file.write_all_at(&bytes, block * BLOCK + 17).unwrap();
        }
        let len = file.metadata().unwrap().len().max(tail * BLOCK);
        file.set_len(len).unwrap();
        let bytes = std::fs::read(&path).unwrap();

        let input = Input::open(&path, &Stop::never()).unwrap().into_file().unwrap();
        let ranges: Vec<_> = data_ranges(&input, input.len()).collect();
        check_shape(&ranges, len)?;
        let mut rebuilt = vec![0; bytes.len()];
        for range in ranges {
            let (start, end) = (range.start.try_into().unwrap(), range.end.try_into().unwrap());
            let part: &mut [u8] = &mut rebuilt[start..end];
            input.read_exact_at(part, range.start).unwrap();
        }
        prop_assert!(rebuilt == bytes);
    }
}
