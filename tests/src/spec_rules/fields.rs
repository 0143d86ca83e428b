//! §5.4.8 to §5.4.10: records as fields.

use crate::forge::{Fields, List, Piece, Plan, Value};

use super::{Case, case, number, piece_of, text};

const DEVICE: &str = "DEVICE part";
pub(super) const VRTC: &str = "device record kern_structs/vrtc";

/// Fields of every type and width, in lists and in arrays of lists.
pub(super) fn sample() -> Fields {
    let inner = |n: u64| List::new().number("n", n);
    let list = List::new()
        .number("byte", 0x12)
        .number("word", 0x3456)
        .number("minus-two", 1_u64.wrapping_neg() - 1)
        .number("all", u64::MAX / 3)
        .with("numbers", Value::Numbers(vec![1, 0xffff, 1_u64.wrapping_neg()]))
        .bytes("bytes", b"\0and bytes")
        .with("list", Value::List(inner(0x789a_bcde).bytes("b", &[1])))
        .with("empty", Value::List(List::new()))
        .with("lists", Value::Lists(vec![inner(7), List::new(), inner(8)]));
    let widths = vec![1, 2, 4, 8, 2, 4, 1, 1];
    Fields { layout: "forge-sample".to_owned(), version: 3, list, widths, chunks: Vec::new() }
}

/// The same with two chunks of bulk among them.
pub(super) fn bulky() -> Fields {
    let mut fields = sample();
    fields.list.pairs.insert(1, ("large".to_owned(), Value::Null));
    fields.list = fields.list.with("last", Value::List(List::new().with("more", Value::Null)));
    fields.chunks = vec![vec![5; 5000], (0..4097_u32).map(|n| (n / 256) as u8).collect()];
    fields
}

/// The small plan with its first record as these fields.
pub(super) fn plan(fields: &Fields) -> Plan {
    super::plan(|plan| {
        plan.records[0].bytes = fields.record();
        plan.records[0].fields = Some(fields.clone());
    })
}

/// The file of a plan with its first record changed.
fn changed(plan: &Plan, change: impl Fn(&mut Piece)) -> Vec<u8> {
    piece_of(plan, 16, |piece| {
        if piece.list.get("layout").is_some() {
            change(piece);
        }
    })
}

fn set(plan: &Plan, name: &str, value: Value) -> Vec<u8> {
    changed(plan, |piece| piece.list.set(name, value.clone()))
}

/// The plan's file with another field.
fn field(plan: &Plan, name: &str, value: Value) -> Vec<u8> {
    changed(plan, |piece| {
        let fields = piece.list.pairs.iter_mut().find(|(name, _)| name == "fields");
        let Some((_, Value::List(fields))) = fields else { unreachable!() };
        fields.set(name, value.clone());
    })
}

pub(super) fn fields() -> Vec<Case> {
    let plan = plan(&sample());
    let (wrong, named) = (("fields", "§5.4.8", VRTC), ("value", "§5.4.8", VRTC));
    let without = |name: &str| changed(&plan, |piece| piece.list.drop(name));
    let layout =
        |what: &str, name: &str| case("5.4.8", what, named, set(&plan, "layout", text(name)));
    let version = |version: u64| {
        let what = format!("layout version {version}");
        case("5.4.8", &what, named, set(&plan, "layout_version", number(version)))
    };
    let other = |what: &str, value: Value| {
        case("5.4.9", what, ("fields", "§5.4.9", VRTC), field(&plan, "bytes", value))
    };
    let mut cases: Vec<_> = ["layout", "layout_version", "fields", "widths"]
        .into_iter()
        .map(|name| case("5.4.8", &format!("no {name}"), wrong, without(name)))
        .collect();
    for name in ["layout", "layout_version", "fields", "widths"] {
        let file = set(&plan, name, Value::Texts(vec!["x".to_owned()]));
        cases.push(case("5.4.8", &format!("{name} of another type"), ("pair", "§5", DEVICE), file));
    }
    cases.extend([
        layout("a layout without a name", ""),
        layout("a layout in upper case", "Vrtc"),
        layout("a layout with an underscore", "vm_rtc"),
        layout("a long name of a layout", &"l".repeat(64)),
        version(0),
        version(1 << 32),
        version(u64::MAX),
        other("a string for a field", text("bytes")),
        other("a bool for a field", Value::Raw(2, 1, 0, vec![1])),
        other("strings for a field", Value::Texts(vec!["bytes".to_owned()])),
        other("bools for a field", Value::Raw(8, 2, 2, vec![0, 1])),
        case("5.4.9", "another value of a field", ("digest", "§5.4.6", VRTC), {
            field(&plan, "byte", number(0x13))
        }),
        case("5.4.9", "a field less", ("fields", "§5.4.6", VRTC), {
            field(&plan, "bytes", Value::List(List::new()))
        }),
        case("5.4.9", "a byte more", ("fields", "§5.4.6", VRTC), {
            field(&plan, "bytes", Value::Bytes(b"\0and bytes!".to_vec()))
        }),
        case("5.4.9", "a size that is not the fields'", ("fields", "§5.4.6", VRTC), {
            set(&plan, "size", number(sample().record().len() as u64 + 1))
        }),
    ]);
    cases
}

pub(super) fn widths() -> Vec<Case> {
    let plan = plan(&sample());
    let wrong = ("fields", "§5.4.8", VRTC);
    let widths = |what: &str, change: fn(&mut Vec<u8>)| {
        let mut widths = sample().widths;
        change(&mut widths);
        case("5.4.8", what, wrong, set(&plan, "widths", Value::Bytes(widths)))
    };
    let high = |what: &str, name: &str, value: Value| {
        case("5.4.9", what, ("fields", "§5.4.9", VRTC), field(&plan, name, value))
    };
    vec![
        widths("a width less", |widths| widths.truncate(7)),
        widths("a width more", |widths| widths.push(1)),
        widths("width 0", |widths| widths[0] = 0),
        widths("width 3", |widths| widths[2] = 3),
        widths("width 16", |widths| widths[3] = 16),
        widths("width 255", |widths| widths[7] = 255),
        high("a number that does not fit its width", "byte", number(0x112)),
        high("a number that is neither extended by zeros nor by its sign", "word", {
            number(0xffff_ffff_0000_3456)
        }),
        high("a number whose sign is not that of its extension", "word", {
            number(0xffff_ffff_ffff_3456)
        }),
        high("an element that does not fit its width", "numbers", {
            Value::Numbers(vec![1, 0x1_ffff, 1_u64.wrapping_neg()])
        }),
    ]
}

pub(super) fn bulk() -> Vec<Case> {
    let (plain, bulky) = (plan(&sample()), plan(&bulky()));
    let zstd = Plan { zstd: true, ..bulky.clone() };
    let wrong = ("fields", "§5.4.8", VRTC);
    let sizes = |what: &str, sizes: &[u64]| {
        let file = set(&bulky, "bulk", Value::Numbers(sizes.to_vec()));
        case("5.4.8", what, wrong, file)
    };
    let stored = |what: &str, file: Vec<u8>| case("5.4.10", what, ("value", "§5.4.10", VRTC), file);
    vec![
        sizes("a size of a chunk less", &[5000 + 4097]),
        sizes("a size of a chunk more", &[5000, 4096, 1]),
        sizes("a chunk of 0 bytes", &[5000 + 4097, 0]),
        case("5.4.8", "a chunk above the limit", ("limit", "§10", VRTC), {
            set(&bulky, "bulk", Value::Numbers(vec![5000, (64 << 20) + 1]))
        }),
        case("5.4.8", "no sizes of chunks", wrong, {
            changed(&bulky, |piece| piece.list.drop("bulk"))
        }),
        case("5.4.8", "sizes of chunks without null pairs", wrong, {
            set(&plain, "bulk", Value::Numbers(vec![1]))
        }),
        case("5.4.8", "chunks that together wrap", ("limit", "§10", VRTC), {
            set(&bulky, "bulk", Value::Numbers(vec![1 << 63, 1 << 63]))
        }),
        stored("a byte of bulk less", changed(&bulky, |piece| piece.payload.truncate(9096))),
        stored("a byte of bulk more", changed(&bulky, |piece| piece.payload.push(0))),
        stored("the record for its bulk", {
            changed(&bulky, |piece| piece.payload.clone_from(&bulky.records[0].bytes))
        }),
        stored("bulk without null pairs", changed(&plain, |piece| piece.payload.push(0))),
        stored("zstd without null pairs", set(&plain, "encoding", text("zstd"))),
        case("5.4.10", "zstd of another size", ("zstd", "§6.6", VRTC), {
            changed(&zstd, |piece| {
                piece.payload = zstd::bulk::compress(&[5; 5000], 3).unwrap();
            })
        }),
        case("5.4.10", "other bulk", ("digest", "§5.4.6", VRTC), {
            changed(&bulky, |piece| piece.payload[4999] ^= 1)
        }),
        case("5.4.10", "chunks of other sizes", ("digest", "§5.4.6", VRTC), {
            set(&bulky, "bulk", Value::Numbers(vec![5001, 4096]))
        }),
    ]
}
