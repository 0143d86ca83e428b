//! How much a survey reads of files that were made to cost it much: frames that claim the same
//! bytes, indexes that list the same places. Bytes are counted, so that no clock decides.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;

use snapfmt::digest::Digest;
use snapfmt::layout::frame::{self, Frame};
use snapfmt::layout::kind::Kind;
use snapfmt::part::codec::Compression;
use snapfmt::read::survey::{Survey, What, survey};
use snapfmt::read::{Part, ReadAt};
use tests::forge::{Fact, List, Piece, Plan, Step, Value, forge_with, places};
use tests::image;

/// A file that counts what is read of it.
struct Counted<'a> {
    bytes: &'a [u8],
    read: Cell<u64>,
}

impl ReadAt for Counted<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.read.set(self.read.get() + buf.len() as u64);
        self.bytes.read_exact_at(buf, offset)
    }
}

/// The survey, its intact parts by offset, and how often each byte was read on average.
fn look(bytes: &[u8]) -> (Survey, BTreeMap<u64, Part>, u64) {
    let source = Counted { bytes, read: Cell::new(0) };
    let mut parts = BTreeMap::new();
    let survey = survey(&source, |at, _, part| drop(parts.insert(at, part))).unwrap();
    let mut free = 0;
    for span in &survey.spans {
        assert_eq!(span.at, free);
        free = span.end();
    }
    assert_eq!(free, bytes.len() as u64);
    (survey, parts, source.read.get().div_ceil(bytes.len() as u64))
}

/// No file may cost more than this for each of its bytes, however long it is.
const MOST: u64 = 24;

/// Frames of `kind`, one each `step` bytes, that all claim a payload nearly up to the end of `len`
/// bytes.
/// Frame and nvlist digests match, those of payloads do not.
fn stack(kind: Kind, len: usize, step: usize) -> Vec<u8> {
    let mut bytes = vec![0x5a; len];
    let nvlist_size = 19;
    for at in (0..len - 256).step_by(step).collect::<Vec<_>>().into_iter().rev() {
        let from = at + frame::LEN + nvlist_size;
        // It ends at a multiple of 64, so that no padding is wrong, and where no part begins.
        let payload_size = u64::try_from(len / 64 * 64 - 64 - from).unwrap();
        let frame = Frame {
            kind,
            tree: false,
            nvlist_size: u32::try_from(nvlist_size).unwrap(),
            alignment: 1,
            payload_size,
            nvlist_digest: Digest::of(&bytes[at + frame::LEN..from]),
            payload_digest: Digest::of(b""),
        };
        let end = at + frame::LEN;
        bytes[at..end].copy_from_slice(&frame.encode().0);
    }
    bytes
}

fn small() -> Vec<u8> {
    let plain = image::small().unwrap();
    image::pack(&image::Plain { compression: Compression::None, ..plain }).unwrap()
}

#[test]
fn parts_that_claim_the_same_bytes_are_not_all_read() {
    for (kind, len) in [(Kind::Device, 256 << 10), (Kind::Device, 1 << 20), (Kind::Extent, 1 << 20)]
    {
        let mut bytes = small()[..4096].to_vec();
        bytes.extend(stack(kind, len, 128));
        let (survey, _, times) = look(&bytes);
        assert!(times <= MOST, "{times} times {len}");
        assert!(survey.errors().any(|error| error.fault().id() == "digest"));
        // What was left alone is said to be, as one range or few.
        let left_alone = survey.errors().filter(|error| error.fault().id() == "limit").count();
        assert!((1..4).contains(&left_alone), "{left_alone}");
    }
}

#[test]
fn what_is_left_alone_makes_one_range_up_to_other_damage() {
    let mut bytes = small()[..4096].to_vec();
    bytes.extend(stack(Kind::Device, 256 << 10, 128));
    // Small enough to be read when nothing else is any more.
    let at = 4096 + (192 << 10);
    let frame = Frame {
        kind: Kind::Device,
        tree: false,
        nvlist_size: 19,
        alignment: 1,
        payload_size: 0,
        nvlist_digest: Digest::of(b""),
        payload_digest: Digest::of(b""),
    };
    bytes[at..at + frame::LEN].copy_from_slice(&frame.encode().0);
    let (survey, _, _) = look(&bytes);
    let id = |what: &What| match what {
        What::Damaged { error, .. } => error.fault().id(),
        other => panic!("{other:?}"),
    };
    let here = survey.spans.iter().position(|span| span.at == at as u64).unwrap();
    let ids: Vec<_> = survey.spans[here - 1..here + 2].iter().map(|s| id(&s.what)).collect();
    assert_eq!((ids, survey.spans[here].len), (vec!["limit", "digest", "limit"], 128));
}

#[test]
fn what_lies_beyond_a_stack_of_frames_is_found() {
    let (file, stack) = (small(), stack(Kind::Extent, 64 << 10, 128));
    let (_, before, _) = look(&file);
    let at = before.iter().find(|(_, part)| matches!(part, Part::Extent(_))).unwrap().0;
    let at = usize::try_from(*at).unwrap();
    let bytes = [&file[..at], &stack, &file[at..]].concat();
    let (survey, after, times) = look(&bytes);
    assert!(times <= MOST, "{times}");
    for (offset, part) in before.range(..at as u64) {
        assert_eq!(after.get(offset), Some(part));
    }
    // MAP and INDEX say where they should be, and so do not agree; records and extents do.
    for (offset, part) in before.range(at as u64..) {
        if matches!(part, Part::Extent(_)) {
            let moved = offset + stack.len() as u64;
            assert_eq!(after.get(&moved), Some(part), "{:#?}", survey.spans);
        }
    }
}

#[test]
fn what_the_index_lists_is_found_whatever_guest_memory_holds() {
    let mut plain = image::small().unwrap();
    plain.config = None;
    let stack = stack(Kind::Extent, 0x1_0000, 128);
    plain.ram[0x2_0000..0x3_0000].copy_from_slice(&stack);
    for block in 4..12 {
        plain.ram[block * 0x1_0000 + 0x3000] = 1;
    }
    let bytes = image::pack(&plain).unwrap();
    let (_, before, _) = look(&bytes);
    // No MAP part says where extents are, and the frame of the one with the stack is gone.
    let mut copy = bytes.clone();
    for (offset, part) in &before {
        let at = usize::try_from(*offset).unwrap();
        match part {
            Part::Extent(extent) if extent.block.gpa == 0x2_0000 => copy[at] ^= 1,
            Part::Map(_) => copy[at + 130] ^= 1,
            _ => {}
        }
    }
    let (survey, after, times) = look(&copy);
    assert!(times <= MOST, "{times}");
    assert_eq!(after.len(), before.len() - 2, "{:#?}", survey.spans);
}

#[test]
fn an_index_that_lists_one_place_many_times_does_not_make_it_read_so_often() {
    // Every 64 bytes of a damaged part are listed as a MAP part of their own.
    let file = forge_with(&Plan::complete(), &mut |step| match step {
        Step::Pieces(pieces) => {
            let map = pieces.iter().position(|piece| piece.fact == Fact::Map).unwrap();
            let filler = stack(Kind::Map, 300 << 10, 128);
            let part = Piece::new(0x8000_0077, List::new(), filler);
            pieces.insert(map.min(2), Piece { align: 4096, payload_digest: Some([0; 32]), ..part });
        }
        Step::Piece(piece) if piece.fact == Fact::Index => {
            let mut table = Vec::new();
            for place in 0..2 * 2400_u64 {
                table.extend((8192 + 64 * place).to_le_bytes());
                table.extend(64_u64.to_le_bytes());
                table.extend([0; 48]);
            }
            piece.payload = table;
            for (_, value) in &mut piece.list.pairs {
                if let Value::Lists(parts) = value {
                    parts.truncate(2);
                }
            }
        }
        _ => {}
    });
    let (_, _, times) = look(&file);
    assert!(times <= MOST, "{times}");
}

#[test]
fn damaged_frames_that_claim_long_lists_are_not_all_shown() {
    let file = small();
    let map = *places(&file).iter().find(|place| place.kind == Kind::Map.number()).unwrap();
    let mut frame = stack(Kind::Device, 512, 512)[..128].to_vec();
    frame[16..20].copy_from_slice(&(1_u32 << 17).to_le_bytes());
    let mut bytes = file[..4096].to_vec();
    for _ in 0..2000 {
        bytes.extend(&file[map.at..map.end]);
        bytes.extend(&frame);
    }
    let (_, _, times) = look(&bytes);
    assert!(times <= MOST, "{times}");
}

#[test]
fn compressed_blocks_in_guest_memory_are_decoded_as_often_as_there_is_memory() {
    // A file whose first extent is damaged, and is followed by extents that decode to much.
    let plain = image::small().unwrap();
    let (file, memory) = (small(), plain.ram.len());
    let (_, before, _) = look(&file);
    let at = before.iter().find(|(_, part)| matches!(part, Part::Extent(_))).unwrap().0;
    let mut bytes = file[..usize::try_from(*at).unwrap()].to_vec();
    let one = {
        let mut plain = plain.clone();
        plain.ram[..1 << 20].fill(7);
        plain.compression = Compression::default();
        let file = image::pack(&plain).unwrap();
        let extent = *places(&file).iter().find(|place| place.kind == 32).unwrap();
        file[extent.at..extent.end].to_vec()
    };
    bytes.extend([0; 128]);
    for _ in 0..100 {
        bytes.extend(&one);
    }
    let (survey, after, _) = look(&bytes);
    let extents = after.values().filter(|part| matches!(part, Part::Extent(_))).count();
    assert!((1..=2 * memory / image::BLOCK + 1).contains(&extents), "{extents}");
    let run = |what: &What| matches!(what, What::Memory(run) if run.scanned);
    assert!(survey.spans.iter().any(|span| run(&span.what)));
    assert!(survey.errors().any(|error| error.fault().id() == "limit"));
}
