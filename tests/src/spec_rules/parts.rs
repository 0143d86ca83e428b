//! Chapter 5: what parts other than memory say.

use crate::forge::{Fact, List, Plan, Value, forge_with, tree};

use super::{Case, case, number, pair, piece, piece_of, plan, text};

/// The small file with another memory map; `memsize` fits it.
fn map(segments: &[(u64, u64)]) -> Vec<u8> {
    let (gpa, len): (Vec<_>, Vec<_>) = segments.iter().copied().unzip();
    let sum = len.iter().fold(0, |sum: u64, len| sum.wrapping_add(*len));
    piece(1, |piece| {
        piece.list.set("gpa", Value::Numbers(gpa.clone()));
        piece.list.set("len", Value::Numbers(len.clone()));
        piece.list.set("memsize", number(sum));
    })
}

pub(super) fn vm() -> Vec<Case> {
    const P: u64 = 4096;
    let wrong = ("value", "§5.1.5", "VM part");
    let segments = |what: &str, segments: &[(u64, u64)]| case("5.1.5", what, wrong, map(segments));
    let many: Vec<_> = (0..65).map(|i| (i * 2 * P, P)).collect();
    let uneven = piece(1, |piece| piece.list.set("gpa", Value::Numbers(vec![0])));
    let cpus = ("value", "§5.1.2", "VM part");
    let arch = |what: &str, arch: &str| {
        let file = plan(|p| p.arch = arch.to_owned()).forge();
        case("5.1.6", what, ("value", "§5.1.6", "VM part"), file)
    };
    vec![
        case("5.1.1", "256 bytes", ("value", "§5.1.1", "header block"), {
            plan(|p| p.name = "n".repeat(256)).forge()
        }),
        case("5.1.1", "256 bytes in VM", ("value", "§5.1.1", "VM part"), {
            pair(1, "name", text(&"n".repeat(256)))
        }),
        case("5.1.2", "no vCPU", cpus, plan(|p| p.ncpus = 0).forge()),
        case("5.1.2", "1025 vCPUs", cpus, plan(|p| p.ncpus = 1025).forge()),
        case("5.1.2", "2^64-1 vCPUs", cpus, plan(|p| p.ncpus = u64::MAX).forge()),
        case(
            "5.1.3",
            "memsize",
            ("disagree", "§5.1.3", "VM part"),
            pair(1, "memsize", number(65 * P)),
        ),
        case(
            "5.1.4",
            "memflags 2^32",
            ("limit", "memflags", "VM part"),
            plan(|p| p.memflags = 1 << 32).forge(),
        ),
        arch("an architecture without a name", ""),
        arch("an architecture of 32 bytes", &"a".repeat(32)),
        arch("an architecture in upper case", "AMD64"),
        arch("an architecture with a hyphen", "x86-64"),
        case("5.1.5", "more lengths than addresses", wrong, uneven),
        segments("65 segments", &many),
        segments("descending", &[(1 << 32, P), (0, P)]),
        segments("overlapping", &[(0, 3 * P), (2 * P, P)]),
        segments("the same twice", &[(0, P), (0, P)]),
        segments("touching", &[(0, P), (P, P)]),
        segments("empty", &[(0, P), (1 << 32, 0)]),
        segments("address within a page", &[(0, P), (1 << 32 | 512, P)]),
        segments("length within a page", &[(0, P + 1)]),
        segments("above 2^52", &[((1 << 52) - P, 2 * P)]),
        segments("beginning at 2^52", &[(0, P), (1 << 52, P)]),
        segments("around 2^64", &[(0, P), (P.wrapping_neg(), 2 * P)]),
        segments("around 2^64 to 0", &[(P.wrapping_neg(), P)]),
    ]
}

/// The small file with another text of `.meta`.
fn said(from: &str, to: &str) -> Vec<u8> {
    said_of(&Plan::small(), from, to)
}

fn said_of(plan: &Plan, from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(plan.meta_text()).unwrap();
    assert!(text.contains(from), "{text}");
    Plan { meta: Some(text.replacen(from, to, 1).into_bytes()), ..plan.clone() }.forge()
}

/// The small file with so many values in its `.meta` (§5.2.6).
pub(super) fn valued(count: usize) -> Vec<u8> {
    // The object; `basic metadata` and its four; two lists, each with a record of three.
    let known = 1 + 5 + 2 * (1 + 1 + 3);
    let zeros = vec!["0"; count - known - 1].join(",");
    said("{\"basic metadata\"", &format!("{{\"more\":[{zeros}],\"basic metadata\""))
}

pub(super) fn meta() -> Vec<Case> {
    let meta = ("disagree", "§5.2.1", "META part");
    let index = ("disagree", "§5.2.1", "INDEX part");
    let broken = ("meta", "§5.2.1", "META part");
    let extra = ", {\"device\": \"x\", \"size\": 0, \"file_offset\": 240}]}";
    let swapped = plan(|p| {
        p.meta = Some(p.meta_text());
        p.records.swap(0, 1);
    });
    let missing = plan(|p| {
        p.meta = Some(p.meta_text());
        p.records.pop();
    });
    let structs = plan(|p| {
        p.meta = Some(p.meta_text());
        p.records[0].section = "structs".to_owned();
    });
    let moved = plan(|p| {
        p.meta = Some(p.meta_text());
        p.records[0].section = "devices".to_owned();
    });
    let mut kern_in_a = Plan::small_a();
    kern_in_a.meta = Some(kern_in_a.meta_text());
    kern_in_a.records[0].section = "kern_structs".to_owned();
    let alone = plan(|p| {
        p.described = false;
        p.records[0].section = "structs".to_owned();
    });
    let in_structs = "device record structs/vrtc";
    let a_in_b = plan(|p| p.meta = Some(Plan::small_a().meta_text()));
    vec![
        case(
            "5.2",
            "generation C",
            ("value", "§5.2", "META part"),
            pair(2, "generation", text("C")),
        ),
        case("5.2.1", "another generation", meta, a_in_b.forge()),
        case("5.2.2", "not JSON", broken, plan(|p| p.meta = Some(b"meta".to_vec())).forge()),
        case("5.2.1", "empty", broken, plan(|p| p.meta = Some(Vec::new())).forge()),
        case("5.2.2", "a key twice", broken, said("\"ncpus\": 2", "\"ncpus\": 2, \"ncpus\": 2")),
        case("5.2.2", "something after it", broken, said("]}", "]} x")),
        case("5.2.3", "a key that must be there", broken, said("\"memsize\"", "\"size\"")),
        case("5.2.4", "a negative number", broken, said("\"ncpus\": 2", "\"ncpus\": -2")),
        case("5.2.4", "a number with a point", broken, said("\"ncpus\": 2", "\"ncpus\": 2.0")),
        case("5.2.4", "a number as text", broken, said("\"ncpus\": 2", "\"ncpus\": \"2\"")),
        case("5.2.6", "32769 values", broken, valued(32769)),
        case("5.2.5", "an offset that is another's", index, said("offset\": 140", "offset\": 0")),
        case("5.2.1", "name", meta, said("vm0", "vm1")),
        case("5.2.1", "no name", meta, said("\"vmname\": \"vm0\", ", "")),
        case("5.2.1", "ncpus", meta, said("\"ncpus\": 2", "\"ncpus\": 3")),
        case("5.2.1", "memsize", meta, said("262144", "262145")),
        case("5.2.1", "memflags", meta, said("\"memflags\": 0", "\"memflags\": 1")),
        case("5.2.1", "name of a record", index, said("vrtc", "vhpet")),
        case("5.2.1", "size of a record", index, said("\"size\": 140", "\"size\": 139")),
        case("5.2.1", "size of the last record", index, said("\"size\": 100", "\"size\": 99")),
        case("5.2.1", "offset of a record", index, said("offset\": 140", "offset\": 141")),
        case("5.2.1", "offset of the first record", index, said("offset\": 0", "offset\": 1")),
        case("5.2.1", "one record more", index, said("]}", extra)),
        case("5.2.1", "one record less", index, missing.forge()),
        case("5.2.1", "section of a record", index, moved.forge()),
        case("5.4.1", "`structs` in generation B", index, structs.forge()),
        case("5.4.1", "`kern_structs` in generation A", index, kern_in_a.forge()),
        case("5.2.7", "`structs` without META", ("value", "§5.2.7", in_structs), alone.forge()),
        case("5.4.7", "order of records", index, swapped.forge()),
    ]
}

pub(super) fn records() -> Vec<Case> {
    let value = |rule| ("value", rule, "DEVICE part");
    let vrtc = "device record kern_structs/vrtc";
    let named = |name: &str| plan(|p| p.records[0].name = name.to_owned()).forge();
    let other = |section: &str| pair(16, "section", text(section));
    let lying = forge_with(&Plan::small(), &mut |step| {
        if let crate::forge::Step::Pieces(pieces) = step {
            let piece = pieces.iter_mut().find(|piece| piece.kind == 16).unwrap();
            let sum = tree::sum(&[b"another"]);
            piece.list.set("sha256", Value::Bytes(sum.to_vec()));
            piece.fact = Fact::Record("kern_structs".to_owned(), "vrtc".to_owned(), 140, sum);
        }
    });
    let size = |size: u64| pair(16, "size", number(size));
    let zstd = Plan::small_zstd();
    let stored = |payload: Vec<u8>| piece_of(&zstd, 16, |piece| piece.payload = payload.clone());
    let long: Vec<u8> = (0..140).map(|i: u8| i.wrapping_mul(77)).collect();
    vec![
        case("5.4.1", "section", value("§5.4.1"), other("kern")),
        case("5.4.1", "no section", value("§5.4.1"), other("")),
        case("5.4.2", "no name", value("§5.4.2"), named("")),
        case("5.4.2", "a long name", value("§5.4.2"), named(&"n".repeat(128))),
        case("5.4.3", "size", ("limit", "size of the record", "DEVICE part"), size(64 << 20 | 1)),
        case("5.4.3", "size 2^64-1", ("limit", "67108864", "DEVICE part"), size(u64::MAX)),
        case("5.4.5", "encoding", value("§5.4.5"), pair(16, "encoding", text("fields"))),
        case("5.4.5", "size above the payload", ("value", "§5.4.5", vrtc), size(141)),
        case("5.4.5", "size below the payload", ("value", "§5.4.5", vrtc), size(139)),
        case("5.4.5", "zstd, and as long as the record", ("value", "§5.4.5", vrtc), stored(long)),
        case("5.4.5", "zstd, and not zstd", ("zstd", "§6.6", vrtc), stored(vec![0; 20])),
        case(
            "5.4.5",
            "zstd of another size",
            ("zstd", "§6.6", vrtc),
            piece_of(&zstd, 16, |piece| piece.list.set("size", number(141))),
        ),
        case(
            "5.4.6",
            "another record",
            ("digest", "§5.4.6", vrtc),
            piece(16, |piece| piece.payload[0] ^= 1),
        ),
        case("5.4.6", "sha256, in INDEX too", ("digest", "§5.4.6", vrtc), lying),
        case(
            "5.4.6",
            "another record, compressed",
            ("digest", "§5.4.6", vrtc),
            stored(zstd::bulk::compress(&[1; 140], 3).unwrap()),
        ),
    ]
}

/// The pairs of each type of part, and the sections that errors in them name.
const PAIRS: [(u32, &str, &[&str]); 7] = [
    (1, "VM part", &["arch", "name", "ncpus", "memsize", "memflags", "gpa", "len"]),
    (2, "META part", &["generation"]),
    (0x8000_0003, "CONFIG part", &["kind"]),
    (16, "DEVICE part", &["section", "name", "size", "sha256", "encoding"]),
    (32, "memory extent at GPA 0x0", &["gpa", "size", "data", "encoding"]),
    (33, "MAP part", &["first", "count"]),
    (
        48,
        "INDEX part",
        &[
            "header",
            "content",
            "memory_root",
            "pages_data",
            "pages_zero",
            "extents",
            "stored",
            "parts",
        ],
    ),
];

pub(super) fn pairs() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, section, names) in PAIRS {
        for name in names {
            // An extent that does not say where it is can only be named by its type.
            let section = if (kind, *name) == (32, "gpa") { "EXTENT part" } else { section };
            let says = ("pair", "§5", section);
            let none = piece(kind, |piece| piece.list.drop(name));
            cases.push(case("5", &format!("no {name} in {section}"), says, none));
            let list = Value::List(List::new());
            let what = format!("{name} in {section} of another type");
            cases.push(case("5", &what, says, pair(kind, name, list)));
        }
        if kind >> 31 == 0 {
            let says = ("pair", "§5", if kind == 16 { "DEVICE part" } else { section });
            let what = format!("a pair that is not known in {section}");
            cases.push(case("5", &what, says, pair(kind, "a-new-pair", number(1))));
        }
    }
    let file = List::new().text("role", "disk").text("path", "/d").number("size", 1);
    let files = |change: fn(&mut List)| {
        let mut file = file.clone();
        change(&mut file);
        pair(0x8000_0003, "files", Value::Lists(vec![file]))
    };
    let says = ("pair", "§5", "CONFIG part");
    cases.extend([
        case("5.3", "files a number", says, pair(0x8000_0003, "files", number(1))),
        case("5.3", "no role", says, files(|file| file.drop("role"))),
        case("5.3", "no path", says, files(|file| file.drop("path"))),
        case("5.3", "no size", says, files(|file| file.drop("size"))),
        case("5.3", "a short digest", says, {
            files(|file| file.set("sha256", Value::Bytes(vec![1; 31])))
        }),
    ]);
    cases
}
