//! Chapter 3: parts, by what `spec/snapshot.md` says of them.

use crate::forge::stream::Item;
use crate::forge::{List, Piece};

use super::{BODY, Case, case, changed};

/// Where the migration has VM.
const VM: usize = 3;
/// Where it has META.
const META: usize = 5;
/// Where it has its first EXTENT, which is raw.
const EXTENT: usize = 11;

const FRAME: &str = "part frame";

fn piece(item: usize, change: impl FnOnce(&mut Piece)) -> Vec<Item> {
    changed(item, |item| change(item.as_part()))
}

/// The bytes of the list, and of the payload, of a part of the migration.
fn lengths(item: usize) -> (usize, usize) {
    let mut lengths = (0, 0);
    let _ = piece(item, |piece| lengths = (piece.list.pack().len(), piece.payload.len()));
    lengths
}

pub(super) fn frames() -> Vec<Case> {
    let of = |item, what: &str, says, change: &dyn Fn(&mut Piece)| {
        case("3.1", what, says, item, &piece(item, change))
    };
    let u32_at = |offset: usize, value: u32| {
        move |piece: &mut Piece| piece.over.push((offset, value.to_le_bytes().to_vec()))
    };
    let belongs =
        |kind: u32| move |piece: &mut Piece| *piece = Piece::new(kind, List::new(), Vec::new());
    let mut unsealed = changed(META, |item| item.flips.push((127, 1)));
    unsealed.truncate(META + 1);
    let (list, _) = lengths(META);
    vec![
        of(META, "a MAP part", ("layout", "MAP part", 0), &belongs(33)),
        of(META, "an INDEX part", ("layout", "INDEX part", 0), &belongs(48)),
        of(META, "an unknown mandatory part", ("layout", FRAME, 8), &belongs(77)),
        of(META, "alignment 4096", ("consistency", "META part", 0), &u32_at(20, 4096)),
        of(
            EXTENT,
            "alignment 4096 of an extent",
            ("consistency", "EXTENT part", 0),
            &u32_at(20, 4096),
        ),
        of(META, "alignment 64", ("layout", "META part", 0), &u32_at(20, 64)),
        of(VM, "alignment without payload", ("layout", "VM part", 0), &u32_at(20, 4096)),
        of(META, "flags of META", ("layout", FRAME, 12), &u32_at(12, 1)),
        of(META, "a list of 18 bytes", ("layout", "META part", 0), &u32_at(16, 18)),
        of(META, "a list above its limit", ("limit", "META part", 0), &u32_at(16, (64 << 10) + 1)),
        of(
            META,
            "a payload above its limit",
            ("limit", "META part", 0),
            &u32_at(24, (1 << 20) + 1),
        ),
        of(META, "a payload of 2^63 bytes", ("limit", "META part", 0), &u32_at(28, 1 << 31)),
        case("3.1", "a bit of the frame digest", ("digest", FRAME, 0), META, &unsealed),
        of(META, "another digest of the list", ("digest", "META part", BODY), &|piece| {
            piece.nvlist_digest = Some([1; 32]);
        }),
        of(META, "another digest of the payload", ("digest", "META part", BODY + list), &|piece| {
            piece.payload_digest = Some([1; 32]);
        }),
    ]
}

pub(super) fn bodies() -> Vec<Case> {
    let flipped = |item, what: &str, says: (&'static str, &str, usize), offset| {
        let items = changed(item, |item| item.flips.push((offset, 1)));
        case("3.1", what, says, item, &items)
    };
    let (list, payload) = lengths(META);
    let padding = BODY + list + payload;
    let meta = |layer, at| (layer, "META part", at);
    vec![
        flipped(META, "a bit of the list", meta("digest", BODY), BODY + 5),
        flipped(META, "a bit of the payload", meta("digest", BODY + list), BODY + list + 9),
        flipped(META, "a bit of the padding", meta("layout", padding), padding),
    ]
}
