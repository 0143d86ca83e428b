//! A walk from state to state: where it is, what it wants, and how it fails for good.
// Helpers of tests fail as tests do; offsets of small files fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::io::{self, Read};

use snapfmt::error::Section;
use snapfmt::layout::kind::Kind;
use snapfmt::part::codec::Compression;
use snapfmt::read::{Part, StreamError, Verified, Walk, Want, read_all};
use snapfmt::{Error, Fault};
use tests::drive::{small_image, walk};
use tests::forge::{Place, places};

/// Feeds a walk as long as what it wants lies before `end`.
fn walked(file: &[u8], end: usize) -> Walk {
    let mut walk = Walk::new();
    while let Want::Bytes(len) = walk.want() {
        let at = walk.offset() as usize;
        if at + len > end {
            break;
        }
        walk.feed(file[at..at + len].to_vec()).unwrap();
    }
    walk
}

fn wanted(walk: &Walk) -> usize {
    match walk.want() {
        Want::Bytes(len) => len,
        Want::End => panic!("the end"),
    }
}

fn ends(file: &[u8]) -> Vec<u64> {
    let parts = places(file);
    let parts = parts.iter().filter(|place| place.kind != Place::TRAILER);
    parts.map(|place| place.end as u64).collect()
}

fn read(input: impl Read, ends: &mut Vec<u64>) -> Result<Verified, StreamError<()>> {
    read_all(input, |_, end| {
        ends.push(end);
        Ok(())
    })
}

#[test]
fn a_walk_is_where_the_bytes_end_that_it_took() {
    let file = small_image(Compression::None);
    let whole = walked(&file, file.len());
    assert_eq!((whole.offset(), whole.want()), (file.len() as u64, Want::End));
    assert_eq!(whole.end(), walk(&file));
    let mut seen = Vec::new();
    assert_eq!(read(&file[..], &mut seen).unwrap().size(), file.len() as u64);
    assert_eq!(seen, ends(&file));
}

#[test]
fn an_input_that_ends_lacks_what_is_wanted_next() {
    let file = small_image(Compression::None);
    let vm = places(&file)[1];
    for (end, section) in [
        (0, Section::Header),
        (vm.at, Section::Frame),
        (vm.nvlist, Section::Part(Kind::Vm)),
        (file.len() - 128, Section::Trailer),
    ] {
        let walk = walked(&file, end);
        assert_eq!(walk.offset(), end as u64);
        let fault = Fault::Truncated { wanted: wanted(&walk) as u64, left: 0 };
        let error = walk.end().unwrap_err();
        assert_eq!((error.fault(), error.section(), error.at()), (&fault, &section, end as u64));
    }
}

#[test]
fn fewer_bytes_than_wanted_end_the_input_and_more_go_beyond_it() {
    let file = small_image(Compression::None);
    for end in [0, 4096, 4096 + 128, file.len() - 128] {
        let mut short = walked(&file, end);
        let len = wanted(&short);
        let error = short.feed(file[end..end + len - 1].to_vec()).unwrap_err();
        let (wanted, left) = (len as u64, len as u64 - 1);
        assert_eq!(error.fault(), &Fault::Truncated { wanted, left });
        assert_eq!(error.at(), (end + len - 1) as u64);

        let mut long = walked(&file, end);
        let more = [&file[end..end + len], &[0][..]].concat();
        let error = long.feed(more).unwrap_err();
        assert_eq!((error.fault(), error.at()), (&Fault::Trailing, end as u64));
    }
    let mut whole = walked(&file, file.len());
    let error = whole.feed(vec![0]).unwrap_err();
    assert_eq!((error.fault(), error.at()), (&Fault::Trailing, file.len() as u64));
    let error = Walk::default().feed(b"x".to_vec()).unwrap_err();
    assert_eq!(error.fault(), &Fault::NotASnapshot);
}

#[test]
fn a_walk_that_has_failed_stays_failed() {
    let file = small_image(Compression::None);
    let mut walk = walked(&file, 4096);
    let error: Error = walk.feed(vec![0; 128]).unwrap_err();
    assert_eq!(error.fault().id(), "magic");
    assert_eq!(walk.want(), Want::End);
    assert_eq!(walk.feed(file[4096..4096 + 128].to_vec()), Err(error.clone()));
    assert_eq!(walk.feed(Vec::new()), Err(error.clone()));
    assert_eq!(walk.end(), Err(error));
}

/// Gives some bytes, and then fails.
struct Breaking<'a>(&'a [u8]);

impl Read for Breaking<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            len => Ok(len),
        }
    }
}

#[test]
fn a_stream_that_breaks_says_where_the_structure_began_that_it_broke() {
    let file = small_image(Compression::None);
    let (places, mut seen) = (places(&file), Vec::new());
    let meta = places[2];
    match read(Breaking(&file[..meta.nvlist + 10]), &mut seen) {
        Err(StreamError::Io { at, source }) => {
            assert_eq!((at, source.kind()), (meta.nvlist as u64, io::ErrorKind::BrokenPipe));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(seen, ends(&file)[..2]);
    match read_all(&file[..], |part, end| if let Part::Vm(_) = part { Err(end) } else { Ok(()) }) {
        Err(StreamError::Taker(end)) => assert_eq!(end, places[1].end as u64),
        other => panic!("{other:?}"),
    }
    match read(&[&file[..], &[0]].concat()[..], &mut Vec::new()) {
        Err(StreamError::Format(error)) => assert_eq!(error.fault(), &Fault::Trailing),
        other => panic!("{other:?}"),
    }
}
