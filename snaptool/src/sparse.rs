//! Where a file has data and where it has holes, so that holes need not be read.
//!
//! A file system may call anything data; what it calls a hole reads as zeros. Whatever the file
//! system says or fails to say, the ranges found here cover every byte that is not zero, in order.

use std::io;
use std::ops::Range;

use rustix::io::Errno;

/// Something that knows its holes, in the manner of `lseek` with `SEEK_DATA` and `SEEK_HOLE`.
pub trait Extents {
    /// The first position at or after `from` that is data.
    ///
    /// # Errors
    /// `ENXIO` if only a hole is left; anything else means that it does not know.
    fn next_data(&self, from: u64) -> io::Result<u64>;

    /// The first position at or after `from` that is a hole; the end of the file counts as one.
    ///
    /// # Errors
    /// As the system says.
    fn next_hole(&self, from: u64) -> io::Result<u64>;
}

/// The data ranges of the first `len` bytes: in order, apart from each other, never empty.
pub fn data_ranges<E: Extents + ?Sized>(file: &E, len: u64) -> DataRanges<'_, E> {
    DataRanges { file, at: 0, len }
}

/// The iterator made by [`data_ranges`]. What cannot be found out counts as data.
#[derive(Debug)]
pub struct DataRanges<'a, E: ?Sized> {
    file: &'a E,
    at: u64,
    len: u64,
}

impl<E: Extents + ?Sized> DataRanges<'_, E> {
    /// Asks for one range at or after `self.at`; `None` if only a hole is left.
    fn ask(&self) -> Option<Range<u64>> {
        let rest = self.at..self.len;
        let start = match self.file.next_data(self.at) {
            Ok(start) if start >= self.at => start,
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => return None,
            // EINVAL, ENOTTY, EOPNOTSUPP, … or an answer that makes no sense.
            Ok(_) | Err(_) => return Some(rest),
        };
        match self.file.next_hole(start) {
            Ok(end) if end > start => Some(start..end.min(self.len)),
            // Also if the file shrank in between: reading it will tell.
            Ok(_) | Err(_) => Some(start..self.len),
        }
    }
}

impl<E: Extents + ?Sized> Iterator for DataRanges<'_, E> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        if self.at >= self.len {
            return None;
        }
        let mut found = self.ask().filter(|range| range.start < self.len);
        self.at = self.len;
        if let Some(range) = &mut found {
            // ZFS and others may report neighbours one by one; callers see them as one.
            self.at = range.end;
            while self.at < self.len
                && let Some(next) = self.ask().filter(|next| next.start == range.end)
            {
                range.end = next.end;
                self.at = next.end;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system that cannot, with the given error.
    struct Mute(Errno);

    impl Extents for Mute {
        fn next_data(&self, _: u64) -> io::Result<u64> {
            Err(self.0.into())
        }

        fn next_hole(&self, _: u64) -> io::Result<u64> {
            Err(self.0.into())
        }
    }

    /// A file system that always gives the same answers.
    struct Stuck(u64, u64);

    impl Extents for Stuck {
        fn next_data(&self, _: u64) -> io::Result<u64> {
            Ok(self.0)
        }

        fn next_hole(&self, _: u64) -> io::Result<u64> {
            Ok(self.1)
        }
    }

    fn all(file: &impl Extents, len: u64) -> Vec<(u64, u64)> {
        data_ranges(file, len).map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn a_file_system_without_holes_makes_everything_data() {
        for error in [Errno::INVAL, Errno::NOTTY, Errno::OPNOTSUPP, Errno::SPIPE, Errno::IO] {
            assert_eq!(all(&Mute(error), 10), [(0, 10)]);
        }
    }

    #[test]
    fn only_a_hole_means_no_data() {
        assert_eq!(all(&Mute(Errno::NXIO), 10), []);
        assert_eq!(all(&Mute(Errno::INVAL), 0), []);
    }

    #[test]
    fn answers_that_make_no_sense_lose_nothing_and_end() {
        assert_eq!(all(&Stuck(3, 3), 10), [(3, 10)]);
        assert_eq!(all(&Stuck(3, 2), 10), [(3, 10)]);
        assert_eq!(all(&Stuck(3, 5), 10), [(3, 10)]);
        assert_eq!(all(&Stuck(20, 30), 10), []);
        assert_eq!(all(&Stuck(0, u64::MAX), 10), [(0, 10)]);
    }
}
