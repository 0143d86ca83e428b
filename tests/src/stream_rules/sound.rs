//! Sound streams, both ways, with everything that `spec/stream.md` allows.

use crate::forge::stream::{Item, OPEN, What};
use crate::forge::{List, Piece, Plan, Value};

/// The types of parts that make the state: META, CONFIG, DEVICE.
const STATE: [u32; 3] = [2, 0x8000_0003, 16];

/// Some digest.
pub(super) const ROOT: [u8; 32] = [7; 32];
/// Some session.
pub(super) const SESSION: [u8; 16] = [9; 16];

/// False or true.
#[must_use]
pub fn boolean(value: bool) -> Value {
    Value::Raw(2, 1, 0, vec![value.into()])
}

fn texts(texts: &[&str]) -> Value {
    Value::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// HELLO of a source.
pub(super) fn source(operation: &str) -> List {
    let list = List::new()
        .with("versions", Value::Numbers(vec![1]))
        .text("producer", "forge 1")
        .text("role", "source")
        .text("operation", operation);
    if operation == "migrate" {
        return list.bytes("session", &SESSION).number("epoch", 1);
    }
    list
}

/// HELLO of a target.
pub(super) fn target() -> List {
    List::new()
        .with("versions", Value::Numbers(vec![1, 2]))
        .text("producer", "forge 1")
        .text("role", "target")
}

pub(super) fn disk() -> List {
    List::new().text("path", "/dev/zvol/vm0").number("size", 1 << 30).text("identity", "serial")
}

pub(super) fn host() -> List {
    List::new()
        .number("schema", 1)
        .text("os", "FreeBSD")
        .text("machine", "amd64")
        .number("page_size", 4096)
        .number("cpu_family", 6)
        .text("xcr0", "0x2e7")
        .with("virtual_interrupt_delivery", boolean(true))
        .with("unknown", Value::List(List::new().text("asids", "no SVM here")))
        .text("version", "15.0")
        .number("memory", 1 << 34)
        .number("room", 1 << 40)
        .with("disks", Value::Lists(vec![disk()]))
}

fn needs() -> List {
    List::new()
        .text("name", "vm0")
        .text("arch", "amd64")
        .number("ncpus", 2)
        .number("memsize", 1 << 20)
        .number("stored", 1 << 19)
        .with("disks", Value::Lists(vec![disk()]))
}

pub(super) fn finding() -> List {
    List::new()
        .text("subject", "xcr0")
        .text("grade", "may-fail")
        .text("source", "0x2e7")
        .text("target", "0x7")
        .text("reason", "the guest may use what the target lacks")
        .text("option", "xcr0")
}

fn have(roots: usize, first: u64, last: bool) -> List {
    let mut list = List::new().bytes("root", &ROOT).number("block", 1 << 20).number("first", first);
    if roots > 0 {
        list = list.bytes("roots", &vec![7; 32 * roots]);
    }
    list.with("last", boolean(last))
}

fn handover(body: &str) -> List {
    let list = List::new().bytes("session", &SESSION).number("epoch", 1).bytes("content", &ROOT);
    let list = list.text("body", body);
    if body == "claimed" { list.number("claim", 2) } else { list }
}

fn status() -> List {
    List::new()
        .text("phase", "Ready")
        .text("standing", "no")
        .text("vm", "vm0")
        .bytes("session", &SESSION)
        .number("epoch", 1)
        .bytes("content", &ROOT)
        .text("question", "is the peer off?")
}

fn trouble() -> List {
    List::new()
        .text("code", "room")
        .text("words", "there is no room")
        .text("hint", "make some")
        .with("lines", texts(&["128 MiB wanted", ""]))
}

/// The pairs of each type of message, all of them; of HELLO those of a source.
#[must_use]
pub fn full(kind: u32) -> List {
    match kind {
        1 => source("migrate").with("features", texts(&["dirty-log"])),
        2 => List::new().with("host", Value::List(host())).with("needs", Value::List(needs())),
        3 => {
            let list = List::new().with("host", Value::List(host()));
            list.with("findings", Value::Lists(vec![finding()]))
        }
        4 => List::new().with("overrides", texts(&["xcr0"])),
        5 => have(3, 0, true),
        6 => List::new().with("rehearsal", boolean(false)),
        7 => List::new().number("parts", 0).bytes("digest", &OPEN),
        8 => List::new().with("warnings", texts(&["one"])),
        9 => List::new().number("round", 0).bytes("parent", &ROOT),
        10 => List::new()
            .number("round", 0)
            .number("parts", 0)
            .number("stored", 0)
            .bytes("digest", &OPEN)
            .bytes("root", &ROOT),
        11 => List::new().number("round", 0).bytes("root", &ROOT),
        12 => List::new().number("parts", 1).number("stored", 4096),
        13 => handover("claimed"),
        14 => List::new().bytes("content", &ROOT),
        15 => List::new().with("status", Value::List(status())),
        17 => trouble(),
        _ => List::new(),
    }
}

/// What a source says that moves the small machine.
#[must_use]
pub fn migration() -> Vec<Item> {
    let (full_file, delta) = (Plan::small(), Plan::small_xor());
    let round = |number, parent: &[u8]| {
        Item::message(9, List::new().number("round", number).bytes("parent", parent))
    };
    let end = |number, root: &[u8]| {
        let list = List::new().number("round", number).number("parts", 0).number("stored", 0);
        Item::message(10, list.bytes("digest", &OPEN).bytes("root", root))
    };
    let (before, after) = (full_file.memory().root(), delta.memory().root());
    let empty = Plan { extents: Vec::new(), ..Plan::small() }.memory().root();
    // As a delta to nothing, a full file's blocks say that no page became zero.
    let mut first = full_file.clone();
    first.parent = Some(Box::new(Plan { extents: Vec::new(), ..full_file }));
    [
        vec![Item::message(1, source("migrate")), Item::message(2, full(2))],
        vec![Item::message(4, full(4))],
        first.travelling(&[1]),
        vec![Item::message(6, full(6))],
        delta.travelling(&STATE),
        vec![Item::message(7, full(7)), round(0, &empty)],
        first.travelling(&[32]),
        vec![end(0, &before), Item::message(16, List::new()), round(1, &before)],
        delta.travelling(&[32]),
        vec![end(1, &after)],
        ["offer", "commit", "done"].map(|body| Item::message(13, handover(body))).into(),
        vec![Item::message(18, List::new())],
    ]
    .concat()
}

/// What the target answers.
#[must_use]
pub fn answers() -> Vec<Item> {
    let mut items = vec![Item::message(1, target()), Item::message(3, full(3))];
    items.extend([Item::message(5, have(4096, 0, false)), Item::message(5, have(1, 4096, true))]);
    items.extend([8, 12, 11].map(|kind| Item::message(kind, full(kind))));
    items.extend(["ready", "owner", "running"].map(|body| Item::message(13, handover(body))));
    items.push(Item::message(18, List::new()));
    items
}

/// Every message of the hand-over, from whichever side.
fn bodies() -> Vec<Item> {
    let bodies = [
        "offer",
        "ready",
        "commit",
        "owner",
        "running",
        "kept",
        "done",
        "release",
        "released",
        "no-record",
        "claimed",
        "superseded",
    ];
    let bodies = bodies.map(|body| Item::message(13, handover(body)));
    [vec![Item::message(1, source("migrate"))], bodies.into()].concat()
}

/// Messages without what may be absent.
fn bare() -> Vec<Item> {
    let schema = || Value::List(List::new().number("schema", 1));
    let needs = {
        let mut needs = needs();
        needs.drop("disks");
        needs
    };
    let finding = ["subject", "grade", "reason"].map(|name| (name, "same"));
    let finding = finding.into_iter().fold(List::new(), |list, (name, word)| list.text(name, word));
    let status = List::new().text("phase", "idle").text("standing", "no");
    vec![
        Item::message(1, target()),
        Item::message(2, List::new().with("host", schema()).with("needs", Value::List(needs))),
        Item::message(3, List::new().with("host", schema())),
        Item::message(
            3,
            List::new().with("host", schema()).with("findings", Value::Lists(vec![finding])),
        ),
        Item::message(4, List::new()),
        Item::message(5, have(0, 0, true)),
        Item::message(8, List::new()),
        Item::message(15, List::new().with("status", Value::List(status))),
        Item::message(17, List::new().text("code", "of-tomorrow").text("words", "")),
    ]
}

/// Lists that are just as long as they may be.
fn largest() -> Vec<Item> {
    let fill = |kind, pair: &str, limit: usize| {
        let mut list = full(kind);
        list.set(pair, Value::Text(Vec::new()));
        let left = limit - list.pack().len();
        list.set(pair, Value::Text(vec![b'x'; left]));
        Item::message(kind, list)
    };
    vec![fill(1, "producer", 4 << 10), fill(17, "words", 64 << 10)]
}

/// Unknown pairs wherever they are ignored.
fn news() -> Vec<Item> {
    let new = |list: List| list.with("new", Value::Numbers(vec![1, 2]));
    let mut host = new(host());
    host.set("disks", Value::Lists(vec![new(disk())]));
    let mut needs = needs();
    needs.set("disks", Value::Lists(vec![new(disk())]));
    let host = Value::List(host);
    vec![
        Item::message(1, new(target()).text("record", "Ready")),
        Item::message(2, List::new().with("host", host.clone()).with("needs", Value::List(needs))),
        Item::message(3, List::new().with("host", host)),
        Item::message(15, List::new().with("status", Value::List(new(status())))),
    ]
}

/// Parts of types that only a later version knows, between those of the state.
fn optional() -> Vec<Item> {
    let part = |kind| {
        let list = List::new().text("vendor", "another");
        What::Part(Piece::new(kind, list, vec![1, 2, 3])).into()
    };
    let state = Plan::small().travelling(&[16]);
    [
        vec![Item::message(1, source("copy")), Item::message(6, full(6))],
        vec![part(0x8000_0077), part(0x8000_0004)],
        state,
        vec![part(0xa000_0077), part(0xc000_0077), Item::message(7, full(7))],
    ]
    .concat()
}

/// Sound streams by what is special about them.
#[must_use]
pub fn sound() -> Vec<(&'static str, Vec<Item>)> {
    let says =
        |operation| vec![Item::message(1, source(operation)), Item::message(18, List::new())];
    vec![
        ("a migration", migration()),
        ("what a target answers", answers()),
        ("every message of the hand-over", bodies()),
        ("without what may be absent", bare()),
        ("lists that are as long as they may be", largest()),
        ("unknown pairs where they are ignored", news()),
        ("optional parts", optional()),
        ("a plan", says("plan")),
        ("a question after the status", says("status")),
        ("nothing at all", Vec::new()),
    ]
}
