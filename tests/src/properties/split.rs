//! A pipe gives bytes in pieces of any length: the parts, the result, and of an error its kind,
//! section and offset are those of the whole. Cut anywhere, a file ends early, or is refused for
//! what the whole is refused for. So it is however many threads open its extents.

use std::convert::Infallible;
use std::io::{self, Read};

use snapfmt::error::Fault;
use snapfmt::read::{Part, StreamError, Verified, read_all};
use snapfmt::{Error, Section};
use snaptool::front::read_all as read_all_by;

use super::edits::files;
use super::open::walk;

/// Cuts tried of each file.
const CUTS: u64 = 6;

/// See the module.
///
/// # Panics
/// If the property does not hold.
pub fn split(data: &[u8]) {
    let Some((seed, script)) = data.split_first_chunk::<4>() else { return };
    // A snapshot is a seed without a seed.
    let script = if data.starts_with(b"BHYVE") { data } else { script };
    let mut random = Random(u64::from(u32::from_le_bytes(*seed)) | 1 << 40);
    for file in files(script) {
        check(&file, &mut random);
    }
}

fn check(file: &[u8], random: &mut Random) {
    let (parts, whole) = walk(file);
    for most in [7, 1 << 9, 1 << 16] {
        let (pieces, offsets, result) = stream(Chopped { bytes: file, most, random });
        assert_eq!(result, whole, "in pieces of up to {most} bytes");
        assert!(pieces == parts, "the parts differ in pieces of up to {most} bytes");
        assert!(offsets.is_sorted() && offsets.iter().all(|at| *at <= file.len() as u64));
    }
    let threads = some_threads(random);
    let (pieces, result) = threaded(Chopped { bytes: file, most: 1 << 16, random }, threads);
    assert_eq!(result, whole, "by {threads} threads");
    assert!(pieces == parts, "the parts differ by {threads} threads");
    for _ in 0..CUTS {
        let cut = random.below(file.len() as u64) as usize;
        let most = 1 + random.below(1 << 14) as usize;
        let bytes = file.get(..cut).unwrap_or_default();
        let (pieces, _, result) = stream(Chopped { bytes, most, random });
        assert!(parts.starts_with(&pieces), "other parts when cut at {cut}");
        truncated(cut as u64, &result, &whole);
        let threads = some_threads(random);
        let by_threads = threaded(Chopped { bytes, most, random }, threads);
        assert!(by_threads == (pieces, result), "otherwise by {threads} threads, cut at {cut}");
    }
}

fn truncated(cut: u64, result: &Result<Verified, Error>, whole: &Result<Verified, Error>) {
    match result {
        Ok(verified) => {
            // Only what follows the file was cut off.
            assert_eq!(verified.size(), cut);
            let fault = whole.as_ref().map_err(Error::fault);
            assert_eq!(fault, Err(&Fault::Trailing), "a file is whole when cut at {cut}");
        }
        Err(error) if matches!(error.fault(), Fault::Truncated { .. }) => {
            assert_eq!(error.at(), cut, "the end is elsewhere: {error}");
            assert_ne!(*error.section(), Section::End);
        }
        Err(error) => {
            assert_eq!(Some(error), whole.as_ref().err(), "another error when cut at {cut}");
        }
    }
}

type Streamed = (Vec<Part>, Vec<u64>, Result<Verified, Error>);

fn stream(input: impl Read) -> Streamed {
    let (mut parts, mut offsets) = (Vec::new(), Vec::new());
    let result = read_all::<Infallible>(input, |part, at| {
        parts.push(part);
        offsets.push(at);
        Ok(())
    });
    let result = result.map_err(|error| match error {
        StreamError::Format(error) => error,
        StreamError::Io { at, source } => panic!("trouble at {at}: {source}"),
        StreamError::Taker(never) => match never {},
    });
    (parts, offsets, result)
}

/// One to four threads: over all files, each number is tried often.
fn some_threads(random: &mut Random) -> usize {
    1 + random.below(4) as usize
}

/// The same as [`stream`], by so many threads.
fn threaded(input: impl Read, threads: usize) -> (Vec<Part>, Result<Verified, Error>) {
    let mut parts = Vec::new();
    let looked = |part: &Part| matches!(part, Part::Extent(_) | Part::Delta(_));
    let result = read_all_by(input, threads, looked, |part, seen| {
        assert_eq!(seen, looked(&part).then_some(true));
        parts.push(part);
        Ok(None)
    });
    let result = result.map_err(|error| match error {
        StreamError::Format(error) => error,
        StreamError::Io { at, source } => panic!("trouble at {at}: {source}"),
        StreamError::Taker(error) => panic!("{error}"),
    });
    (parts, result)
}

/// Numbers that do not repeat soon: xorshift.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// Bytes that come in pieces, with interruptions.
struct Chopped<'a, 'r> {
    bytes: &'a [u8],
    most: usize,
    random: &'r mut Random,
}

impl Read for Chopped<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.random.below(16) == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let most = 1 + self.random.below(self.most as u64) as usize;
        let (given, rest) = self.bytes.split_at(most.min(buf.len()).min(self.bytes.len()));
        buf[..given.len()].copy_from_slice(given);
        self.bytes = rest;
        Ok(given.len())
    }
}
