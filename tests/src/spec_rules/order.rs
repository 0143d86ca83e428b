//! Chapter 2: which parts there are, and in which order.

use crate::forge::{Fact, List, Piece, Place, Plan, Record, forge_with, places};

use super::{Case, Seek, case, number, pieces, plan, text};

const CONFIG: u32 = 0x8000_0003;
const HOST: u32 = 0x8000_0004;
const UNKNOWN: u32 = 0x8000_0077;
const PRIVATE: u32 = 0xa000_0077;
const OTHER: &str = "optional (0x80000077) part";

fn at(pieces: &[Piece], kind: u32) -> usize {
    pieces.iter().position(|piece| piece.kind == kind).unwrap()
}

/// The first part of type `kind` moved to where the first of type `to` is.
fn moved(kind: u32, to: u32) -> Vec<u8> {
    pieces(|pieces| {
        let to = at(pieces, to);
        let piece = pieces.remove(at(pieces, kind));
        pieces.insert(to, piece);
    })
}

fn without(kind: u32) -> Vec<u8> {
    pieces(|pieces| pieces.retain(|piece| piece.kind != kind))
}

fn doubled(kind: u32) -> Vec<u8> {
    pieces(|pieces| {
        let at = at(pieces, kind);
        let piece = pieces[at].clone();
        pieces.insert(at, piece);
    })
}

/// Another part of type `kind` among the optional ones.
fn added(kind: u32, times: usize) -> Vec<u8> {
    pieces(|pieces| {
        for _ in 0..times {
            let list = match kind {
                CONFIG => List::new().text("kind", "command-line"),
                _ => List::new(),
            };
            pieces.insert(at(pieces, 16), Piece::new(kind, list, Vec::new()));
        }
    })
}

/// The last part of type `kind` moved to the end of memory.
fn behind(kind: u32) -> Vec<u8> {
    pieces(|pieces| {
        let last = pieces.iter().rposition(|piece| piece.kind == kind).unwrap();
        let piece = pieces.remove(last);
        pieces.insert(at(pieces, 48), piece);
    })
}

/// Another part of type `kind` after memory.
fn late(kind: u32) -> Vec<u8> {
    pieces(|pieces| {
        let index = at(pieces, 48);
        pieces.insert(index, Piece::new(kind, List::new(), Vec::new()));
    })
}

/// An optional part that is not known, `behind` pieces behind the first part of type `kind`.
fn between(kind: u32, behind: usize) -> Vec<u8> {
    pieces(|pieces| {
        let place = at(pieces, kind) + behind;
        pieces.insert(place, Piece::new(UNKNOWN, List::new(), Vec::new()));
    })
}

/// The small file with 64 zero bytes before the part of type `kind`.
fn gap(kind: u32) -> Vec<u8> {
    let file = Plan::small().forge();
    let at = places(&file).iter().find(|place| place.kind == kind).unwrap().at;
    [&file[..at], &[0; 64], &file[at..]].concat()
}

pub(super) fn order() -> Vec<Case> {
    let order = |section| ("order", "§2.2", section);
    let none = ("magic", "", "part frame");
    let (vm, meta, index) = (order("VM part"), order("META part"), order("INDEX part"));
    let config = order("CONFIG part");
    let late_map = pieces(|pieces| {
        let map = at(pieces, 33);
        pieces.swap(map, map + 1);
    });
    vec![
        case("2.1", "a gap", none, gap(16)),
        case("2.1", "a gap before memory", none, gap(32)).seek(Seek::Quick),
        case("2.1", "a gap before the trailer", ("magic", "", "trailer"), gap(Place::TRAILER)),
        case(
            "2.1",
            "a byte after the trailer",
            ("trailing", "§2.1", "end of file"),
            [Plan::small().forge(), vec![0]].concat(),
        ),
        case("2.2", "no VM", meta, without(1)),
        case("2.2", "META after VM and CONFIG", meta, moved(CONFIG, 2)),
        case("2.2", "META after a record", meta, {
            pieces(|pieces| {
                let (from, record) = (at(pieces, 2), at(pieces, 16));
                let piece = pieces.remove(from);
                pieces.insert(record, piece);
            })
        }),
        case("2.2", "no INDEX", none, without(48)),
        case("2.2", "VM twice", vm, doubled(1)),
        case("2.2", "META twice", meta, doubled(2)),
        case("2.2", "META before VM", meta, moved(2, 1)),
        case("2.2", "INDEX twice", ("magic", "trailer", "trailer"), doubled(48)),
        case("2.2", "CONFIG twice", config, added(CONFIG, 1)),
        case("2.2", "HOST twice", order("optional (0x80000004) part"), added(HOST, 2)),
        case("2.2", "a record before CONFIG", config, moved(16, CONFIG)),
        case("2.2", "a record in memory", order("DEVICE part"), moved(16, 33)),
        case("2.2", "memory before a record", order("DEVICE part"), moved(32, 16)),
        case("2.2", "INDEX before MAP", index, late_map),
        case("2.2", "CONFIG after memory", config, behind(CONFIG)),
        case("2.2", "HOST after memory", order("optional (0x80000004) part"), late(HOST)),
        case("2.2", "a record after memory", order("DEVICE part"), behind(16)),
        case("2.2", "a record after an optional part after memory", order("DEVICE part"), {
            pieces(|pieces| {
                let last = pieces.iter().rposition(|piece| piece.kind == 16).unwrap();
                let record = pieces.remove(last);
                let index = at(pieces, 48);
                let other = Piece::new(UNKNOWN, List::new(), Vec::new());
                pieces.splice(index..index, [other, record]);
            })
        }),
        case("2.2", "an optional part between records", order("DEVICE part"), {
            pieces(|pieces| {
                let record = at(pieces, 16);
                let other = Piece::new(UNKNOWN, List::new(), Vec::new());
                pieces.insert(record + 1, other);
            })
        }),
        case("2.2", "an optional part between records and memory", order("EXTENT part"), {
            between(32, 0)
        })
        .seek(Seek::Quick),
        case("2.2", "an optional part between extents", order(OTHER), between(32, 1))
            .seek(Seek::Quick),
        case("2.2", "an optional part before MAP", order(OTHER), between(33, 0)).seek(Seek::Quick),
        case("2.2", "MAP before its extents", order("MAP part"), moved(33, 32)).seek(Seek::Map),
    ]
}

pub(super) fn counts() -> Vec<Case> {
    let optional = added(0x8000_0077, 64);
    let many = plan(|plan| {
        plan.records =
            (0..1025).map(|n| Record::new("devices", &format!("d{n}"), Vec::new())).collect();
    });
    let unknown = |kind| {
        pieces(|pieces| {
            pieces.insert(at(pieces, 16), Piece::new(kind, List::new(), Vec::new()));
        })
    };
    let twice = forge_with(&Plan::small(), &mut |step| {
        if let crate::forge::Step::Pieces(pieces) = step {
            let place = at(pieces, 16);
            let mut again = pieces[place].clone();
            again.list.set("size", number(0));
            again.list.set("sha256", super::Value::Bytes(empty().to_vec()));
            again.list.set("encoding", text("raw"));
            again.payload.clear();
            again.fact = Fact::Record("kern_structs".to_owned(), "vrtc".to_owned(), 0, empty());
            pieces.insert(place + 1, again);
        }
    });
    let record = "device record kern_structs/vrtc";
    let said = |list: List| {
        pieces(|pieces| {
            pieces.insert(at(pieces, 16), Piece::new(PRIVATE, list.clone(), Vec::new()));
        })
    };
    let of = |vendor: &str| said(List::new().text("vendor", vendor));
    let private = "optional (0xa0000077) part";
    let (no_pair, wrong) = (("pair", "§5", private), ("value", "§4.13", private));
    vec![
        case(
            "4.12",
            "bound to the file, and mandatory",
            ("unknown-part", "§4.12", "part frame"),
            unknown(0x4000_0077),
        ),
        case("4.13", "private, and mandatory", ("unknown-part", "§4.12", "part frame"), {
            unknown(0x2000_0077)
        }),
        case("4.13", "a private part without a vendor", no_pair, said(List::new())),
        case("4.13", "a vendor that is a number", no_pair, said(List::new().number("vendor", 1))),
        case("4.13", "a vendor that is not UTF-8", no_pair, {
            said(List::new().with("vendor", super::Value::Text(vec![0xe9])))
        }),
        case("4.13", "a vendor without a name", wrong, of("")),
        case("4.13", "a vendor of 64 bytes", wrong, of(&"v".repeat(64))),
        case("10", "65 optional parts", ("limit", "65", "optional (0x80000077) part"), optional),
        case("10", "1025 records", ("limit", "1025", "DEVICE part"), many.forge()),
        case("4.12", "type 3", ("unknown-part", "0x3 ", "part frame"), unknown(3)),
        case("4.12", "type 0", ("unknown-part", "0x0 ", "part frame"), unknown(0)),
        case("4.2", "type 2^31-1", ("unknown-part", "§4.12", "part frame"), unknown(u32::MAX >> 1)),
        case("5.4.2", "a record twice", ("value", "§5.4.2", record), twice),
    ]
}

fn empty() -> [u8; 32] {
    crate::forge::tree::sum(&[])
}
