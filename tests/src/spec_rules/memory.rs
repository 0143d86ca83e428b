//! Chapter 6: extents and maps.

use std::io::Write as _;

use crate::forge::plan::page;
use crate::forge::{Extent, Fact, Piece, Plan, Step, Value, forge_with};

use super::{Case, Seek, case, number, pair, piece, piece_of, plan, text};

const AT_0: &str = "memory extent at GPA 0x0";

/// The plan's file with its first extent changed.
pub(super) fn first(plan: &Plan, change: impl Fn(&mut Piece)) -> Vec<u8> {
    let mut done = false;
    forge_with(plan, &mut |step| match step {
        Step::Piece(piece) if piece.kind == 32 && !done => {
            done = true;
            change(piece);
        }
        _ => {}
    })
}

pub(super) fn extents() -> Vec<Case> {
    let raw = Plan::small();
    let set = |name: &str, value: Value| first(&raw, |piece| piece.list.set(name, value.clone()));
    let value = |rule| ("value", rule, AT_0);
    let at = |gpa: u64, section| {
        case(
            "6.2.1",
            &format!("gpa {gpa:#x}"),
            ("value", "§6.2.1", section),
            set("gpa", number(gpa)),
        )
    };
    let sized = |size: u64| {
        case("6.2.2", &format!("size {size}"), value("§6.2.2"), set("size", number(size)))
    };
    let bitmap = |what: &str, bitmap: &[u8]| {
        case("6.2.3", what, value("§6.2.3"), set("data", Value::Bytes(bitmap.to_vec())))
    };
    let absent = plan(|p| {
        p.extents[0] = Extent { gpa: 0x20000, ..p.extents[0].clone() };
        p.extents[0].pages = [(8, page(1))].into();
    });
    let short = |name: &str| {
        let bytes = Value::Bytes(vec![1; 31]);
        let plan = Plan::small_zstd();
        first(&plan, |piece| piece.list.set(name, bytes.clone()))
    };
    vec![
        at(0x1000, "memory extent at GPA 0x1000"),
        at(0x8000, "memory extent at GPA 0x8000"),
        at(1 << 52, "memory extent at GPA 0x10000000000000"),
        at(u64::MAX << 16, "memory extent at GPA 0xffffffffffff0000"),
        sized(0),
        sized(32 << 10),
        sized(96 << 10),
        sized(8 << 20),
        sized(1 << 63),
        sized(u64::MAX),
        bitmap("a byte less", &[2]),
        bitmap("a byte more", &[2, 128, 0]),
        bitmap("no page", &[0, 0]),
        case(
            "6.2.3",
            "a page outside of all segments",
            ("value", "§6.2.3", "memory extent at GPA 0x20000"),
            absent.forge(),
        ),
        case("6.2.4", "encoding", value("§6.2.4"), set("encoding", text("lz4"))),
        case("6.2.5", "root, and raw", value("§6.2.5"), set("root", Value::Bytes(vec![1; 32]))),
        case(
            "6.2.5",
            "no root, and zstd",
            value("§6.2.5"),
            first(&Plan::small_zstd(), |piece| piece.list.drop("root")),
        ),
        case("6.2.5", "a root of 31 bytes", ("pair", "32", AT_0), short("root")),
    ]
}

pub(super) fn leaves() -> Vec<Case> {
    let raw = Plan::small();
    let value = ("value", "§6.2.10", AT_0);
    let root = ("digest", "§6.2.8", AT_0);
    let changed = |plan: &Plan, change: fn(&mut Vec<u8>)| {
        first(plan, |piece| {
            let Some(Value::Bytes(leaves)) = piece.list.get("leaves") else { unreachable!() };
            let mut leaves = leaves.clone();
            change(&mut leaves);
            piece.list.set("leaves", Value::Bytes(leaves));
        })
    };
    let without = |plan: &Plan| first(plan, |piece| piece.list.drop("leaves"));
    vec![
        case("6.2.10", "no leaves", value, without(&raw)),
        case("6.2.10", "no leaves, zstd", value, without(&Plan::small_zstd())),
        case("6.2.10", "leaves as text", ("pair", "§5", AT_0), {
            first(&raw, |piece| piece.list.set("leaves", text("leaves")))
        }),
        case("6.2.10", "a leaf less", value, changed(&raw, |leaves| leaves.truncate(32))),
        case("6.2.10", "a leaf more", value, changed(&raw, |leaves| leaves.extend([0; 32]))),
        case("6.2.10", "a byte less", value, changed(&raw, |leaves| leaves.truncate(63))),
        case("6.2.10", "a byte more", value, changed(&raw, |leaves| leaves.push(0))),
        case("6.2.8", "another leaf", root, changed(&raw, |leaves| leaves[63] ^= 1)),
        case("6.2.8", "two leaves swapped", root, changed(&raw, |leaves| leaves.rotate_left(32))),
        case("6.2.8", "another leaf, zstd", root, {
            changed(&Plan::small_zstd(), |leaves| leaves[0] ^= 1)
        }),
    ]
}

pub(super) fn stored() -> Vec<Case> {
    let (raw, zstd) = (Plan::small(), Plan::small_zstd());
    let value = |rule| ("value", rule, AT_0);
    let root = ("digest", "§6.2.8", AT_0);
    let ascending = ("value", "§6.2.7", "memory extent at GPA 0x0");
    let above = "memory extent at GPA 0x10000";
    vec![
        case("6.2.6", "raw, without flag", value("§6.2.6"), {
            first(&raw, |piece| {
                piece.flags = 0;
                piece.payload_digest = None;
            })
        }),
        case("6.2.6", "zstd, with flag", value("§6.2.6"), first(&zstd, |piece| piece.flags = 1)),
        case("6.2.6", "zstd, aligned", value("§6.2.6"), first(&zstd, |piece| piece.align = 4096)),
        case("6.2.6", "a page less", value("§6.2.6"), {
            first(&raw, |piece| piece.payload.truncate(4096))
        }),
        case("6.2.6", "a byte more", value("§6.2.6"), first(&raw, |piece| piece.payload.push(0))),
        case("6.2.6", "no payload", ("value", "§4.5", "EXTENT part"), {
            first(&raw, |piece| piece.payload.clear())
        }),
        case("6.2.6", "zstd, and longer than the pages", value("§6.2.6"), {
            first(&zstd, |piece| piece.payload = noise(2 * 4096))
        }),
        case("6.2.7", "descending", ascending, plan(|p| p.extents.reverse()).forge())
            .seek(Seek::Map),
        case("6.2.7", "overlapping", ("value", "§6.2.7", above), overlapping()).seek(Seek::Map),
        case("6.2.7", "the same twice", ascending, {
            plan(|p| p.extents.insert(1, p.extents[0].clone())).forge()
        })
        .seek(Seek::Map),
        case("6.2.8", "another page", root, first(&raw, |piece| piece.payload[17] ^= 1)),
        case("6.2.8", "another root", root, {
            first(&raw, |piece| piece.payload_digest = Some([1; 32]))
        }),
        case("6.2.8", "SHA-256 of the pages for the root", root, {
            first(&raw, |piece| piece.payload_digest = None)
        }),
        case("6.2.8", "a page at another place", root, {
            first(&raw, |piece| piece.list.set("data", Value::Bytes(vec![4, 128])))
        }),
        case("6.2.8", "another root, zstd", root, {
            first(&zstd, |piece| piece.list.set("root", Value::Bytes(vec![1; 32])))
        }),
        case("6.2.8", "other pages, zstd", root, {
            let other = zstd::bulk::compress(&[1; 2 * 4096], 3).unwrap();
            first(&zstd, |piece| piece.payload = other.clone())
        }),
        case("6.5", "4097 extents without a MAP part", ("order", "4096", "EXTENT part"), many())
            .seek(Seek::Map),
    ]
}

/// A file with a block inside of the block before; each has the root that it would have alone.
fn overlapping() -> Vec<u8> {
    let alone = plan(|p| {
        p.segments[0].1 = 64 * 4096;
        p.extents.truncate(1);
        p.extents[0].size = 128 << 10;
    });
    let root = alone.memory().block(0, 128 << 10);
    let mut both = alone.clone();
    both.extents.push(Extent::new(64 << 10, &[(1, 9)]));
    first(&both, |piece| {
        piece.payload_digest = Some(root);
        piece.fact = Fact::Extent { gpa: 0, size: 128 << 10, data: 2, zero: 0, root };
    })
}

/// A file whose MAP part would come after 4097 extents.
fn many() -> Vec<u8> {
    let count = 4097;
    let extent = |number: u64| Extent {
        gpa: number << 16,
        size: 64 << 10,
        pages: [(number % 16, vec![1; 4096])].into(),
        ..Extent::default()
    };
    let plan = plan(|p| {
        p.segments = vec![(0, count << 16)];
        p.extents = (0..count).map(extent).collect();
        p.per_map = 4097;
        p.zstd = true;
    });
    plan.forge()
}

/// A file whose first extent can only be decompressed with a dictionary.
fn dictionary() -> Vec<u8> {
    let plan = plan(|p| {
        p.zstd = true;
        p.extents[0].pages = [(1, noise(4096))].into();
    });
    let page = noise(4096);
    let prepared = zstd::dict::EncoderDictionary::copy(&page, 3);
    let mut compressor = zstd::bulk::Compressor::with_prepared_dictionary(&prepared).unwrap();
    let payload = compressor.compress(&page).unwrap();
    assert!(payload.len() < 100, "{}", payload.len());
    let root = plan.memory().block(0, 64 << 10).to_vec();
    first(&plan, |piece| {
        let digest = Value::Bytes(root.clone());
        piece.list.set("encoding", text("zstd"));
        piece.list.set("root", digest);
        (piece.flags, piece.align, piece.payload_digest) = (0, 1, None);
        piece.payload = payload.clone();
    })
}

/// A frame without a window descriptor, with one of this exponent.
pub(super) fn windowed(frame: &[u8], exponent: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    // The frame header descriptor; its bit 5 says that there is none.
    assert_eq!(frame[4] & 0x20, 0x20);
    frame[4] &= !0x20;
    frame.insert(5, exponent << 3);
    frame
}

/// Bytes that do not compress.
fn noise(len: u32) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

pub(super) fn zstd() -> Vec<Case> {
    let plan = Plan::small_zstd();
    let pages = [page(1), page(2)].concat();
    let good = zstd::bulk::compress(&pages, 3).unwrap();
    let stored = |what: &str, says: &'static str, payload: Vec<u8>| {
        let file = first(&plan, |piece| piece.payload = payload.clone());
        case("6.6", what, ("zstd", says, AT_0), file)
    };
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&pages).unwrap();
    let unsized_frame = encoder.finish().unwrap();
    let mut corrupt = good.clone();
    let last = corrupt.len() - 1;
    corrupt[last / 2..].fill(0xff);
    let size = |pages: usize| zstd::bulk::compress(&vec![1; pages * 4096], 3).unwrap();
    vec![
        stored("empty", "not a zstd frame", vec![0]),
        stored("a skippable frame", "not a zstd frame", skippable.to_vec()),
        stored("a skippable frame before", "not a zstd frame", {
            [&skippable[..], &good].concat()
        }),
        stored("a skippable frame behind", "exactly one", [&good[..], &skippable].concat()),
        stored("two frames", "exactly one", [size(1), size(1)].concat()),
        stored("a byte behind", "exactly one", [&good[..], &[0]].concat()),
        stored("cut short", "exactly one", good[..last].to_vec()),
        stored("without its size", "does not state", unsized_frame),
        stored("a page less", "another size", size(1)),
        stored("a page more", "another size", size(3)),
        stored("64 MiB of zeros", "another size", {
            zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap()
        }),
        stored("a window of 128 MiB", "a window above", windowed(&good, 17)),
        case("6.6", "with a dictionary", ("zstd", "does not decompress", AT_0), dictionary()),
        stored("corrupt", "", corrupt),
    ]
}

pub(super) fn maps() -> Vec<Case> {
    let table = ("disagree", "§6.5.1", "MAP part");
    let map = |change: fn(&mut Piece)| piece(33, change);
    let byte = |what: &str, offset: usize| {
        let file = piece(33, |piece| piece.payload[offset] ^= 1);
        case("6.5.1", what, table, file)
    };
    let value = |rule| ("value", rule, "MAP part");
    let entry = |rule, says, what: &str, offset: usize, bytes: &[u8]| {
        let file = piece(33, |p| p.payload[offset..offset + bytes.len()].copy_from_slice(bytes));
        case(rule, what, value(says), file)
    };
    let per_map = plan(|p| p.per_map = 1);
    let count = |count: u64| {
        case("6.5", &format!("count {count}"), value("§6.5"), pair(33, "count", number(count)))
    };
    let descending = plan(|p| p.extents[1].gpa = 1 << 16 << 16);
    let swapped = piece_of(&descending, 33, |piece| {
        let (first, second) = piece.payload.split_at_mut(96);
        first.swap_with_slice(second);
    });
    vec![
        case("6.5.1", "first", table, pair(33, "first", number(1))),
        case("6.5.1", "first of the second MAP part", table, {
            piece_of(&per_map, 33, |piece| piece.list.set("first", number(0)))
        }),
        count(0),
        count(1),
        count(3),
        count(4097),
        count(u64::MAX),
        case("6.5", "payload", value("§6.5"), map(|piece| piece.payload.push(0))),
        case("6.5.1", "an extent less", table, {
            map(|piece| {
                piece.payload.truncate(96);
                piece.list.set("count", number(1));
            })
        }),
        byte("gpa", 96 + 3),
        byte("number of data pages", 28),
        byte("frame digest", 32).seek(Seek::Walk),
        byte("subtree root", 64),
        entry("6.5.1", "§6.2.1", "gpa not aligned", 0, &4096_u64.to_le_bytes()),
        entry("6.5.1", "§6.2.2", "size of the block", 24, &4096_u32.to_le_bytes()),
        entry("6.5.1", "§6.2.3", "no data pages", 28, &[0; 2]),
        entry("6.5.1", "§6.2.3", "17 data pages", 28, &17_u16.to_le_bytes()),
        case("6.5.1", "zero pages in a full file", table, map(|piece| piece.payload[30] = 1)),
        entry("2.3", "§2.3", "offset", 8, &[1]),
        entry("2.3", "§2.3", "length", 16, &[1]),
        entry("2.3", "§2.3", "beyond 2^56", 8, &(1_u64 << 56).to_le_bytes()),
        case("6.5.1", "descending", value("§6.2.7"), swapped),
        case("6.5.1", "offset", table, {
            map(|piece| piece.payload[8..16].copy_from_slice(&(1_u64 << 20).to_le_bytes()))
        }),
        case("6.5.1", "length", table, {
            map(|piece| piece.payload[16..24].copy_from_slice(&64_u64.to_le_bytes()))
        }),
    ]
}
