//! Where the parts of a file lie, read off its frames without any check; for tests that damage
//! files and want to know what they hit.

use super::tree::sum;

/// A structure of a file: the header block, a part, or the trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The type of the part; [`HEADER`](Self::HEADER) or [`TRAILER`](Self::TRAILER).
    pub kind: u32,
    /// Where it begins.
    pub at: usize,
    /// Where its nvlist begins.
    pub nvlist: usize,
    /// Where its nvlist ends.
    pub nvlist_end: usize,
    /// Where its payload begins.
    pub payload: usize,
    /// Where its payload ends.
    pub payload_end: usize,
    /// Where it ends.
    pub end: usize,
}

impl Place {
    /// The kind of the header block; no part has it.
    pub const HEADER: u32 = 0;
    /// The kind of the trailer; no part has it.
    pub const TRAILER: u32 = u32::MAX;

    /// Whether the byte at `offset` is in it.
    #[must_use]
    pub fn contains(&self, offset: usize) -> bool {
        (self.at..self.end).contains(&offset)
    }

    fn plain(kind: u32, at: usize, end: usize) -> Self {
        Self { kind, at, nvlist: end, nvlist_end: end, payload: end, payload_end: end, end }
    }
}

fn number(bytes: &[u8], at: usize, len: usize) -> usize {
    bytes[at..at + len].iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte))
}

/// All structures of an undamaged file, in order and without gaps.
#[must_use]
pub fn places(bytes: &[u8]) -> Vec<Place> {
    let mut places = vec![Place::plain(Place::HEADER, 0, 4096)];
    let mut at = 4096;
    while bytes[at..].starts_with(b"BHYVPART") {
        let nvlist = at + 128;
        let nvlist_end = nvlist + number(bytes, at + 16, 4);
        let payload = nvlist_end.next_multiple_of(number(bytes, at + 20, 4));
        let payload_end = payload + number(bytes, at + 24, 8);
        let end = payload_end.next_multiple_of(64);
        let kind = number(bytes, at + 8, 4) as u32;
        places.push(Place { kind, at, nvlist, nvlist_end, payload, payload_end, end });
        at = end;
    }
    places.push(Place::plain(Place::TRAILER, at, at + 128));
    assert_eq!(at + 128, bytes.len(), "the file ends with its trailer");
    places
}

/// Computes the digest of the structure again, over its first bytes as they are now: the header
/// block's, a frame's or the trailer's.
pub fn reseal(bytes: &mut [u8], place: &Place) {
    let covered = if place.kind == Place::HEADER { 4064 } else { 96 };
    let digest = sum(&[&bytes[place.at..place.at + covered]]);
    bytes[place.at + covered..place.at + covered + 32].copy_from_slice(&digest);
}
