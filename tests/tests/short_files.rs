//! Files that end too early, shrink, or are none at all: what each reader says, and where.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::Cell;
use std::io;

use snapfmt::error::Section;
use snapfmt::layout::{header, trailer};
use snapfmt::part::codec::Compression;
use snapfmt::read::survey::{What, survey};
use snapfmt::read::{ReadAt, ReadError, Seeker};
use snapfmt::{Error, Fault};
use tests::drive::{small_image, walk};
use tests::forge::{Plan, places};

/// The least that a file has: a header block and a trailer.
const LEAST: usize = header::LEN + trailer::LEN;

fn open(bytes: &[u8]) -> Error {
    match Seeker::open(bytes) {
        Err(ReadError::Format(error)) => error,
        Err(ReadError::Io { .. }) => panic!("no I/O happens here"),
        Ok(_) => panic!("{} bytes are no file", bytes.len()),
    }
}

fn surveyed(bytes: &[u8]) -> Error {
    survey(bytes, |_, _, _| ()).unwrap().errors().next().unwrap().clone()
}

fn says(error: &Error) -> (&Fault, &Section, u64) {
    (error.fault(), error.section(), error.at())
}

#[test]
fn what_is_no_snapshot_is_told_so_however_short_it_is() {
    let long = vec![0; 3 * LEAST];
    for bytes in [&b""[..], b"x", b"BHYVX", b"BHYVE CHECKPOINT IMAGX", b"bhyve", &long] {
        let not = (&Fault::NotASnapshot, &Section::Header, 0);
        assert_eq!(says(&open(bytes)), not, "{bytes:?}");
        assert_eq!(says(&surveyed(bytes)), not, "{bytes:?}");
    }
    assert_eq!(walk(b"x").unwrap_err().fault(), &Fault::NotASnapshot);
}

#[test]
fn a_part_of_a_header_block_is_a_file_cut_short() {
    let file = small_image(Compression::None);
    for left in [1, 21, 22, 23, 56, 4064, 4065, header::LEN - 1] {
        let fault = Fault::Truncated { wanted: header::LEN as u64, left: left as u64 };
        let error = open(&file[..left]);
        assert_eq!(says(&error), (&fault, &Section::Header, left as u64));
        assert_eq!(surveyed(&file[..left]).fault(), &fault);
        let error = walk(&file[..left]).unwrap_err();
        assert_eq!(says(&error), (&fault, &Section::Header, left as u64));
    }
}

#[test]
fn a_file_without_room_for_a_trailer_says_how_much_is_missing() {
    let file = small_image(Compression::None);
    for size in [header::LEN, header::LEN + 1, LEAST - 1] {
        let wanted = (LEAST - size) as u64;
        let fault = Fault::Truncated { wanted, left: 0 };
        let error = open(&file[..size]);
        assert_eq!(says(&error), (&fault, &Section::Trailer, size as u64));
    }
    // Room for one, but another thing is in its place.
    for size in [LEAST, LEAST + 1, LEAST + 1000] {
        let error = open(&file[..size]);
        let at = (size - trailer::LEN) as u64;
        assert_eq!((error.fault().id(), error.section()), ("magic", &Section::Trailer));
        assert_eq!(error.at(), at);
    }
}

#[test]
fn the_account_of_a_header_alone_ends_with_what_is_missing() {
    let file = small_image(Compression::None);
    let account = survey(&file[..header::LEN], |_, _, _| ()).unwrap();
    let size = header::LEN as u64;
    assert_eq!(account.spans.len(), 2, "{:#?}", account.spans);
    assert_eq!((account.spans[0].len, &account.spans[0].what), (size, &What::Header));
    assert_eq!((account.spans[1].at, account.spans[1].len), (size, 0));
    let error = account.errors().next().unwrap();
    let fault = Fault::Truncated { wanted: trailer::LEN as u64, left: 0 };
    assert_eq!(says(error), (&fault, &Section::Trailer, size));
}

/// A file of which, at some time, only the first bytes are left.
struct Shrinking<'a> {
    bytes: &'a [u8],
    left: Cell<usize>,
}

impl ReadAt for Shrinking<'_> {
    fn size(&self) -> u64 {
        self.bytes.size()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes[..self.left.get()].read_exact_at(buf, offset)
    }
}

#[test]
fn a_file_that_shrinks_while_a_long_part_is_read_says_how_much_of_it_is_missing() {
    // Longer than what is read at once.
    let mut plan = Plan::small();
    plan.records[0].bytes = vec![0xa5; 5 << 19];
    let file = plan.forge();
    let record = *places(&file).iter().find(|place| place.kind == 16).unwrap();
    let left = record.nvlist + (3 << 19);
    let seeker = Seeker::open(Shrinking { bytes: &file, left: Cell::new(file.len()) });
    let whole = seeker.unwrap().record("kern_structs", "vrtc").unwrap();
    assert_eq!(whole.unwrap().bytes(), plan.records[0].bytes);
    let source = Shrinking { bytes: &file, left: Cell::new(file.len()) };
    let seeker = Seeker::open(&source).unwrap();
    source.left.set(left);
    let error = match seeker.record("kern_structs", "vrtc") {
        Err(ReadError::Format(error)) => error,
        other => panic!("{other:?}"),
    };
    // One read came through, and the next one did not.
    let at = record.nvlist + (1 << 20);
    let fault = Fault::Truncated { wanted: (record.end - at) as u64, left: 0 };
    assert_eq!((error.fault(), error.at()), (&fault, at as u64));
}
