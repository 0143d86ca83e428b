//! Header block and trailer at their limits, and the order of the header's refusals.
// Helpers of tests fail as tests do; offsets and lengths of small files fit every type.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use snapfmt::layout::header::{self, Header};
use snapfmt::layout::trailer::{self, Trailer};
use snapfmt::read::Seeker;
use snapfmt::{Digest, Fault, limits};
use tests::forge::Plan;

/// Where the size of the nvlist stands (§3.4), and the most it may be.
const SIZE_AT: usize = 64;
const LIMIT: u64 = 3996;

fn named(producer: &str) -> Header {
    let file = Plan::small().forge();
    let header = Seeker::open(&file[..]).unwrap().header().clone();
    Header { producer: producer.to_owned(), ..header }
}

fn size(block: &[u8]) -> u64 {
    u32::from_le_bytes(block[SIZE_AT..SIZE_AT + 4].try_into().unwrap()).into()
}

/// A producer that makes the nvlist so long.
fn of_size(wanted: u64) -> Header {
    let shortest = size(&named("").encode().unwrap().0);
    named(&"p".repeat((wanted - shortest) as usize))
}

fn over(found: u64) -> Fault {
    Fault::OverLimit { what: "the size of the header's nvlist", found, limit: LIMIT }
}

#[test]
fn a_header_fills_its_block_to_the_last_byte_and_no_further() {
    let full = of_size(LIMIT);
    let (block, digest) = full.encode().unwrap();
    assert_eq!((block.len(), size(&block)), (header::LEN, LIMIT));
    assert_eq!(Header::check(&block), Ok((full, digest)));
    for longer in [1, 2, 100] {
        let error = of_size(LIMIT + longer).encode().unwrap_err();
        assert_eq!(error.fault(), &over(LIMIT + longer));
    }
}

#[test]
fn a_size_above_the_limit_is_found_at_its_field() {
    let (mut block, _) = of_size(LIMIT).encode().unwrap();
    for found in [LIMIT + 1, u64::from(u32::MAX)] {
        block[SIZE_AT..SIZE_AT + 4].copy_from_slice(&(found as u32).to_le_bytes());
        let covered = header::LEN - 32;
        let digest = Digest::of(&block[..covered]);
        block[covered..].copy_from_slice(digest.as_bytes());
        let error = Header::check(&block).unwrap_err();
        assert_eq!((error.fault(), error.at()), (&over(found), SIZE_AT as u64));
    }
}

#[test]
fn a_file_has_up_to_2_to_the_56_bytes() {
    let check = |size: u64| {
        let at = size - trailer::LEN as u64;
        let trailer = Trailer { index_at: at - 128, index_len: 128, size, root: Digest::of(b"") };
        Trailer::check(&trailer.encode(), at).map(|read| assert_eq!(read, trailer))
    };
    assert_eq!(check(limits::FILE), Ok(()));
    let found = limits::FILE + 64;
    let over = Fault::OverLimit { what: "the size of the file", found, limit: limits::FILE };
    assert_eq!(check(found).unwrap_err().fault(), &over);
}
