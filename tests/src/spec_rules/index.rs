//! Chapter 7: index and trailer.

use crate::forge::{List, Piece, Plan, Value};

use super::{Case, Seek, case, number, pair, piece, tail, text};

const INDEX: &str = "INDEX part";

pub(super) fn index() -> Vec<Case> {
    let differs = |rule, name: &str, says, value: Value| {
        case(rule, name, ("disagree", says, INDEX), pair(48, name, value))
    };
    let digest = || Value::Bytes(vec![1; 32]);
    let mut cases = vec![
        differs("7.1.1", "header", "§7.1.1", digest()),
        differs("7.1.2", "content", "§7.1.2", digest()),
        // `content` follows from the root that the index claims, so a quick check finds it too.
        differs("7.1.3", "memory_root", "§7.1.3", digest()),
        differs("7.1.4", "pages_data", "§7.1.4", number(4)),
        differs("7.1.4", "pages_zero", "§7.1.4", number(0)),
        differs("7.1.5", "extents", "§7.1.5", number(1)).seek(Seek::Map),
        differs("7.1.5", "stored", "§7.1.5", number(0)).seek(Seek::Walk),
    ];
    for name in ["header", "content", "memory_root"] {
        let short = pair(48, name, Value::Bytes(vec![1; 33]));
        cases.push(case("7.1", &format!("{name} of 33 bytes"), ("pair", "32", INDEX), short));
    }
    let one = ("value", "§7.1.8", INDEX);
    for (name, value) in [("delta_root", digest()), ("pages_inherited", number(0))] {
        let file = pair(48, name, value);
        cases.push(case("7.1.8", &format!("{name} in a full file"), one, file));
    }
    let both = piece(48, |piece| {
        piece.list.set("delta_root", digest());
        piece.list.set("pages_inherited", number(0));
    });
    cases.push(case("7.1.8", "both in a full file", ("disagree", "§7.1.8", INDEX), both));
    let sums = piece(48, |piece| {
        piece.list.set("pages_data", number(u64::MAX));
        piece.list.set("pages_zero", number(65));
    });
    cases.push(case("7.1.4", "sums that wrap", ("disagree", "§7.1.4", INDEX), sums));
    cases
}

/// The small file with another entry in `parts`.
fn part(index: usize, name: &str, value: Value) -> Vec<u8> {
    piece(48, |piece| piece.list.nth("parts", index).set(name, value.clone()))
}

fn parts_of(piece: &mut Piece) -> &mut Vec<List> {
    let pair = piece.list.pairs.iter_mut().find(|(name, _)| name == "parts");
    match pair {
        Some((_, Value::Lists(parts))) => parts,
        _ => unreachable!(),
    }
}

pub(super) fn parts() -> Vec<Case> {
    let differs = |what: &str, file| case("7.1.6", what, ("disagree", "§7.1.6", INDEX), file);
    let value = ("value", "§7.1.6", INDEX);
    let place = ("value", "§2.3", INDEX);
    let without = piece(48, |piece| drop(parts_of(piece).pop()));
    let more = piece(48, |piece| {
        let parts = parts_of(piece);
        parts.push(parts[1].clone());
    });
    let swapped = piece(48, |piece| parts_of(piece).swap(3, 4));
    let many = piece(48, |piece| {
        let parts = parts_of(piece);
        let one = parts[2].clone();
        parts.resize(1024 + 64 + 3, one);
    });
    let mut cases = vec![
        differs("type", part(0, "type", number(2))),
        differs("offset", part(0, "offset", number(4160))),
        differs("length", part(0, "length", number(64))),
        differs("digest", part(0, "digest", Value::Bytes(vec![1; 32]))),
        differs("section of a record", part(3, "section", text("devices"))),
        differs("name of a record", part(3, "name", text("vhpet"))),
        differs("size of a record", part(3, "size", number(139))),
        differs("sha256 of a record", part(3, "sha256", Value::Bytes(vec![1; 32]))),
        differs("a part less", without),
        differs("a part more", more),
        differs("two parts swapped", swapped),
        case("7.1.6", "1091 parts", ("limit", "1091", INDEX), many),
        case("7.1.6", "no parts", ("nvlist", "§1.3", INDEX), {
            piece(48, |piece| parts_of(piece).clear())
        }),
        case("2.3", "an offset that is no multiple", place, part(1, "offset", number(4097))),
        case("2.3", "a length that is no multiple", place, part(1, "length", number(65))),
        case("2.3", "a place that wraps", place, part(1, "offset", number(64_u64.wrapping_neg()))),
        case("2.3", "a place beyond 2^56", place, part(1, "offset", number(1 << 56))),
    ];
    for kind in [0, 3, 32, 33, 48, 1 << 32 | 1, u64::MAX] {
        let what = format!("type {kind:#x}");
        cases.push(case("7.1.6", &what, value, part(0, "type", number(kind))));
    }
    for (index, name) in [(0, "type"), (0, "digest"), (3, "section"), (4, "sha256")] {
        let none = piece(48, |piece| piece.list.nth("parts", index).drop(name));
        cases.push(case("7.1.6", &format!("no {name}"), ("pair", "§5", INDEX), none));
    }
    let extra = part(0, "name", text("x"));
    cases.push(case("7.1.6", "a name for VM", ("pair", "§5", INDEX), extra));
    cases
}

pub(super) fn maps() -> Vec<Case> {
    let differs = |what: &str, offset: usize| {
        let file = piece(48, |piece| piece.payload[offset] ^= 0x40);
        case("7.1.7", what, ("disagree", "§7.1.7", INDEX), file).seek(Seek::Map)
    };
    let place = ("value", "§2.3", INDEX);
    vec![
        differs("offset", 0),
        differs("length", 8),
        differs("gpa", 16),
        differs("number of extents", 24),
        differs("digest", 32),
        case("7.1.7", "a byte more", ("value", "§7.1.7", INDEX), {
            piece(48, |piece| piece.payload.push(0))
        }),
        case("7.1.7", "none", ("disagree", "§7.1.7", INDEX), {
            piece(48, |piece| piece.payload.clear())
        }),
        case("7.1.7", "one more", ("disagree", "§7.1.7", INDEX), {
            piece(48, |piece| piece.payload.extend_from_within(..))
        })
        .seek(Seek::Map),
        case("2.3", "a MAP part between multiples", place, piece(48, |p| p.payload[0] |= 1)),
        case("2.3", "a MAP part beyond 2^56", place, piece(48, |p| p.payload[7] = 1)),
    ]
}

pub(super) fn trailer() -> Vec<Case> {
    const TRAILER: &str = "trailer";
    let place = ("value", "§7.3.2", TRAILER);
    let mut unsealed = Plan::small().forge();
    let last = unsealed.len() - 1;
    unsealed[last] ^= 1;
    vec![
        case("7.3.1", "magic", ("magic", "trailer", TRAILER), tail(|t| t.magic[0] = b'b')),
        case("7.3.1", "padding of the magic", ("magic", "trailer", TRAILER), {
            tail(|t| t.magic[15] = 1)
        }),
        case("7.3.2", "offset", place, tail(|t| t.index_at += 64)),
        case("7.3.2", "offset no multiple", place, {
            tail(|t| {
                t.index_at += 1;
                t.index_len -= 1;
            })
        }),
        case("7.3.2", "length", place, tail(|t| t.index_len += 64)),
        case("7.3.2", "length 0", place, {
            tail(|t| {
                t.index_at += t.index_len;
                t.index_len = 0;
            })
        }),
        case("7.3.2", "a sum that wraps", place, {
            tail(|t| {
                t.index_len = t.index_len.wrapping_add(t.index_at + 64);
                t.index_at = 64_u64.wrapping_neg();
            })
        }),
        case("7.2", "the middle of INDEX", ("disagree", "§7.3", TRAILER), {
            tail(|t| {
                t.index_at += 128;
                t.index_len -= 128;
            })
        }),
        case("7.3.3", "size", ("disagree", "§7.3.3", TRAILER), tail(|t| t.size += 64)),
        case("7.3.3", "size 0", ("disagree", "§7.3.3", TRAILER), tail(|t| t.size = 0)),
        case("7.3.3", "size above 2^56", ("limit", "§10", TRAILER), {
            tail(|t| t.size = (1 << 56) + 1)
        }),
        case("7.3.4", "reserved", ("padding", "§1.6", TRAILER), tail(|t| t.reserved[0] = 1)),
        case("7.3.4", "reserved, its end", ("padding", "§1.6", TRAILER), {
            tail(|t| t.reserved[23] = 128)
        }),
        case("7.3.5", "root", ("disagree", "§7.3", TRAILER), tail(|t| t.root[31] ^= 1)),
        case("7.3.6", "digest", ("digest", "§7.3.6", TRAILER), unsealed),
    ]
}
