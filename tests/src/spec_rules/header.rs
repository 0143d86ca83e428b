//! Chapters 1, 3 and 9: conventions, the header block, features.

use crate::forge::{List, Piece, Value, places};

use super::{Case, case, head, number, pair, piece, pieces, text};

const HEADER: &str = "header block";

/// A list in big-endian order, as libnv writes it on such a machine.
fn big_endian() -> Vec<u8> {
    let mut pair = vec![4];
    pair.extend(11_u16.to_be_bytes());
    pair.extend(2_u64.to_be_bytes());
    pair.extend(0_u64.to_be_bytes());
    pair.extend(b"generation\0B\0");
    let mut list = vec![b'l', 0, 0x80];
    list.extend(0_u64.to_be_bytes());
    list.extend((pair.len() as u64).to_be_bytes());
    [list, pair].concat()
}

/// The small file with a bit set in a padding that no digest covers.
fn padding(kind: u32, before_payload: bool) -> Vec<u8> {
    let mut file = piece(kind, |_| {});
    let place = *places(&file).iter().find(|place| place.kind == kind).unwrap();
    let at = if before_payload { place.payload - 1 } else { place.end - 1 };
    assert_eq!(file[at], 0);
    file[at] = 1;
    file
}

/// The small file with an optional part whose list has so many pairs and elements (§1.3.6).
pub(super) fn elements(count: usize) -> Vec<u8> {
    // One pair, one list in an array, one pair in that; the rest are empty strings.
    let texts = Value::Texts(vec![String::new(); count - 3]);
    let list = List::new().with("lists", Value::Lists(vec![List::new().with("texts", texts)]));
    pieces(|pieces| {
        let at = pieces.iter().position(|piece| piece.kind == 16).unwrap();
        pieces.insert(at, Piece::new(0x8000_0077, list.clone(), Vec::new()));
    })
}

pub(super) fn conventions() -> Vec<Case> {
    let nvlist = ("nvlist", "§1.3", "VM part");
    let nested = |flags: u8| {
        piece(48, |p| {
            let list = p.list.nth("parts", 0);
            list.flags = flags;
            list.pairs.push(("offset".to_owned(), number(0)));
        })
    };
    let with = |change: fn(&mut Vec<u8>)| {
        piece(1, |piece| {
            let mut packed = piece.list.pack();
            change(&mut packed);
            piece.packed = Some(packed);
        })
    };
    let twice = piece(1, |p| p.list.pairs.push(("ncpus".to_owned(), number(2))));
    let form = ("pair", "§1.3.1", "VM part");
    // The item count of the first pair, behind list header, type and two sizes.
    let counted = with(|list| list[19 + 1 + 2 + 8] = 1);
    let index_form = ("pair", "§1.3.1", "CONFIG part");
    let file = List::new().text("role", "disk").text("path", "/d").number("size", 1);
    let loose = piece(0x8000_0003, |piece| {
        let mut packed = piece.list.clone().with("new", Value::List(file.clone())).pack();
        // The data size of the pair, two numbers before its name; libnv reads any.
        let at = packed.windows(4).position(|name| name == b"new\0").unwrap() - 16;
        packed[at..at + 8].copy_from_slice(&1_u64.to_le_bytes());
        piece.packed = Some(packed);
    });
    let latin1 = Value::Text(b"caf\xe9".to_vec());
    let nul = Value::Raw(4, 4, 0, b"a\0b\0".to_vec());
    let not_zero = |section| ("padding", "§1.6", section);
    vec![
        case("1.3", "cut short", nvlist, with(|list| list.truncate(list.len() - 1))),
        case("1.3", "longer than its pairs", nvlist, with(|list| list.push(0))),
        case("1.3", "not a list", nvlist, with(|list| list[0] = b'x')),
        case("1.3", "list flag: case ignored", nvlist, with(|list| list[2] = 1)),
        case("1.3", "list flag: names not unique", nvlist, with(|list| list[2] = 2)),
        case("1.3", "a list with descriptors", nvlist, with(|list| list[3] = 1)),
        case("1.3", "a name twice", nvlist, twice),
        case("1.3", "a name twice in a nested list", ("nvlist", "§1.3", "INDEX part"), nested(0)),
        case("1.3.2", "flags of a nested list", ("nvlist", "§1.3", "INDEX part"), nested(2)),
        case(
            "1.3",
            "big-endian",
            ("pair", "§1.3", "META part"),
            piece(2, |piece| piece.packed = Some(big_endian())),
        ),
        case("1.3.1", "an item count where there are no items", form, counted),
        case("1.3.1", "a nested list that claims more than it has", index_form, loose),
        case(
            "1.3.6",
            "65537 pairs and elements",
            ("nvlist", "§1.3", "optional (0x80000077) part"),
            elements(65537),
        ),
        case("1.5", "text not UTF-8", ("pair", "not UTF-8", "VM part"), pair(1, "name", latin1)),
        case("1.5", "NUL in text", nvlist, pair(1, "name", nul)),
        case("1.6", "padding after VM", not_zero("VM part"), padding(1, false)),
        case("1.6", "padding after META", not_zero("META part"), padding(2, false)),
        case("1.6", "padding after INDEX", not_zero("INDEX part"), padding(48, false)),
        case("1.6", "padding after MAP", not_zero("MAP part"), padding(33, false)),
        case(
            "1.6",
            "padding before a payload",
            not_zero("memory extent at GPA 0x0"),
            padding(32, true),
        ),
        case(
            "1.6",
            "padding after a record",
            not_zero("device record kern_structs/vrtc"),
            padding(16, false),
        ),
    ]
}

pub(super) fn header() -> Vec<Case> {
    let zero = ("padding", "§1.6", HEADER);
    let nvlist = ("nvlist", "§1.3", HEADER);
    let mut unsealed = head(|_| {});
    unsealed[4095] ^= 1;
    let mut version = head(|h| h.ident[56] = 7);
    version[3000] = 1;
    let missing = ("missing-features", "quilt, seal (§9.3)", HEADER);
    let features = |names: &[&str]| Value::Texts(names.iter().map(|&n| n.to_owned()).collect());
    let all = features(&["quilt", "seal"]);
    let long = "f".repeat(64);
    let vm_uuid = head(|h| h.list.set("vm_uuid", Value::Text(b"vm0".to_vec())));
    let bad = |what: &str, names: &[&str]| {
        let value = features(names);
        let file = head(|h| h.list.set("compatible", value.clone()));
        case("9.3", what, ("value", "§9.3", HEADER), file)
    };
    vec![
        case("3.1", "magic", ("not-a-snapshot", "§3.1", HEADER), head(|h| h.ident[0] = b'b')),
        case("3.1", "padding of the magic", zero, head(|h| h.ident[40] = 1)),
        case("3.2", "version 0", ("version", "§3.2", HEADER), head(|h| h.ident[56] = 0)),
        case("3.2", "version 2^31", ("version", "§3.2", HEADER), head(|h| h.ident[59] = 128)),
        case("3.3", "reserved", zero, head(|h| h.ident[60] = 1)),
        case("3.4", "size 3997", ("limit", "§10", HEADER), head(|h| h.size = Some(3997))),
        case("3.4", "size 2^32-1", ("limit", "§10", HEADER), head(|h| h.size = Some(u32::MAX))),
        case("3.4", "size 18", nvlist, head(|h| h.packed = Some(vec![0; 18]))),
        case("3.4", "size 0", nvlist, head(|h| h.packed = Some(Vec::new()))),
        case("3.5", "not a list", nvlist, head(|h| h.packed = Some(vec![b'x'; 40]))),
        case("3.5", "padding", zero, head(|h| h.over.push((4063, vec![1])))),
        case("3.6", "digest", ("digest", "§3.6", HEADER), unsealed),
        case("3.6", "digest, before the version", ("digest", "§3.6", HEADER), version),
        case("9.3", "features", missing, head(|h| h.list.set("incompatible", all.clone()))),
        bad("a feature twice", &["a", "b", "a"]),
        bad("a feature in upper case", &["Delta"]),
        bad("a feature without a name", &[""]),
        bad("a long feature", &[&long]),
        bad("a feature with a space", &["a b"]),
        bad("a feature with an empty word", &["a--b"]),
        bad("a feature that begins with -", &["-a"]),
        case("3.5", "the VM's UUID", ("value", "§3", HEADER), vm_uuid),
    ]
}

pub(super) fn pairs() -> Vec<Case> {
    let wrong = ("pair", "§5", HEADER);
    let mut cases: Vec<_> = ["producer", "uuid", "vm_name", "created"]
        .into_iter()
        .flat_map(|name| {
            let without = head(|h| h.list.drop(name));
            let other = head(|h| h.list.set(name, Value::List(List::new())));
            [
                case("3.5", &format!("no {name}"), wrong, without),
                case("3.5", &format!("{name} of another type"), wrong, other),
            ]
        })
        .collect();
    let set = |name: &str, value: Value| head(|h| h.list.set(name, value.clone()));
    let uuid = "00112233-4455-6677-8899-aabbccddeefg";
    let long = "n".repeat(256);
    cases.extend([
        case("3.5", "a UUID with a g", ("value", "§3", HEADER), set("uuid", text(uuid))),
        case("3.5", "a short UUID", ("value", "§3", HEADER), set("uuid", text(&uuid[..35]))),
        case("3.5", "vm_uuid a number", wrong, set("vm_uuid", number(1))),
        case("3.5", "features a number", wrong, set("incompatible", number(1))),
        case("3.5", "a long name", ("value", "§5.1.1", HEADER), set("vm_name", text(&long))),
        case("3.5", "another VM", ("disagree", "§3", "VM part"), set("vm_name", text("vm1"))),
    ]);
    cases
}
