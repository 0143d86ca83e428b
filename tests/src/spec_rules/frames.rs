//! Chapter 4, and the sizes of chapter 10: part frames.

use crate::forge::{List, Piece, Plan, forge_with, places};

use super::{Case, Seek, case, piece};

const FRAME: &str = "part frame";

fn over(kind: u32, offset: usize, bytes: &[u8]) -> Vec<u8> {
    piece(kind, |piece| piece.over.push((offset, bytes.to_vec())))
}

pub(super) fn frames() -> Vec<Case> {
    let flags = ("value", "§4.3", FRAME);
    let short = |section| ("value", "§4.4", section);
    let align = |section| ("value", "§4.5", section);
    let u32_at = |kind, offset, value: u32| over(kind, offset, &value.to_le_bytes());
    let mut unsealed = Plan::small().forge();
    let at = places(&unsealed)[1].at;
    unsealed[at + 127] ^= 1;
    vec![
        case("4.1", "magic", ("magic", "", FRAME), over(1, 0, b"bhyvpart")),
        case("4.1", "magic of an extent", ("magic", "", FRAME), over(32, 7, b"X")).seek(Seek::Walk),
        case("4.3", "flag 1", flags, piece(1, |p| p.flags = 2)),
        case("4.3", "flag 31", flags, piece(16, |p| p.flags = 1 << 31)),
        case("4.3", "flag 0 in META", flags, piece(2, |p| p.flags = 1)),
        case("4.3", "flag 0 in MAP", flags, piece(33, |p| p.flags = 1)).seek(Seek::Map),
        case("4.3", "flag 1 in EXTENT", flags, piece(32, |p| p.flags = 3)).seek(Seek::Walk),
        case("4.4", "size 18 in VM", short("VM part"), u32_at(1, 16, 18)),
        case("4.4", "size 0 in META", short("META part"), u32_at(2, 16, 0)),
        case("4.4", "size 0 in EXTENT", short("EXTENT part"), u32_at(32, 16, 0)),
        case("4.5", "alignment 0", align("META part"), u32_at(2, 20, 0)),
        case("4.5", "alignment 2", align("META part"), u32_at(2, 20, 2)),
        case("4.5", "alignment 64", align("DEVICE part"), u32_at(16, 20, 64)),
        case("4.5", "alignment 8192", align("EXTENT part"), u32_at(32, 20, 8192)),
        case("4.5", "alignment 2^31", align("INDEX part"), u32_at(48, 20, 1 << 31)),
        case("4.5", "alignment without payload", align("VM part"), u32_at(1, 20, 4096)),
        case(
            "4.7",
            "nvlist digest",
            ("digest", "§4.7", "VM part"),
            piece(1, |p| p.nvlist_digest = Some([1; 32])),
        ),
        case(
            "4.7",
            "nvlist digest of a record",
            ("digest", "§4.7", "DEVICE part"),
            piece(16, |p| p.nvlist_digest = Some([1; 32])),
        ),
        case(
            "4.8",
            "payload digest",
            ("digest", "§4.8", "META part"),
            piece(2, |p| p.payload_digest = Some([1; 32])),
        ),
        case(
            "4.8",
            "digest of an empty payload",
            ("digest", "§4.8", "VM part"),
            piece(1, |p| p.payload_digest = Some([0; 32])),
        ),
        case(
            "4.8",
            "payload digest of a record",
            ("digest", "§4.8", "device record kern_structs/vrtc"),
            piece(16, |p| p.payload_digest = Some([1; 32])),
        ),
        case("4.9", "frame digest", ("digest", "§4.9", FRAME), unsealed),
    ]
}

/// The highest sizes of nvlist and payload, by type (§10).
pub const LIMITS: [(u32, &str, u32, u64); 9] = [
    (1, "VM part", 64 << 10, 0),
    (2, "META part", 64 << 10, 1 << 20),
    (0x8000_0003, "CONFIG part", 64 << 10, 1 << 20),
    (0x8000_0004, "optional (0x80000004) part", 1 << 20, 64 << 20),
    (0x8000_0099, "optional (0x80000099) part", 1 << 20, 64 << 20),
    (16, "DEVICE part", 4 << 20, 64 << 20),
    (32, "EXTENT part", 64 << 10, 4 << 20),
    (33, "MAP part", 64 << 10, 384 << 10),
    (48, "INDEX part", 4 << 20, 8 << 20),
];

pub(super) fn limits() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, section, nvlist, payload) in LIMITS {
        let base = Plan::small();
        let says = ("limit", "§10", section);
        let sized = |offset: usize, bytes: &[u8]| {
            forge_with(&base, &mut |step| match step {
                crate::forge::Step::Pieces(pieces) if kind & 0xff > 3 && kind >> 31 == 1 => {
                    pieces.insert(3, Piece::new(kind, List::new(), Vec::new()));
                }
                crate::forge::Step::Piece(piece) if piece.kind == kind => {
                    piece.over.push((offset, bytes.to_vec()));
                }
                _ => {}
            })
        };
        for over in [nvlist + 1, u32::MAX] {
            let what = format!("an nvlist of {over} bytes in {section}");
            cases.push(case("4.4", &what, says, sized(16, &over.to_le_bytes())));
        }
        for over in [payload + 1, 1 << 63, u64::MAX] {
            let what = format!("a payload of {over} bytes in {section}");
            cases.push(case("4.6", &what, says, sized(24, &over.to_le_bytes())));
        }
    }
    cases
}
