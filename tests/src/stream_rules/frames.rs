//! Chapters 1 and 2: items, and the frames of messages.

use crate::forge::List;
use crate::forge::stream::{Item, What, lay};

use super::sound::{full, migration};
use super::{BODY, Case, NAMES, case, changed, name};

const FRAME: &str = "message frame";
/// Where the migration has FACTS.
const FACTS: usize = 1;
/// Where it has META.
const META: usize = 5;

/// The most bytes of the lists of messages, by their types (§12).
const LIMITS: [u32; 18] = {
    let (few, many, roots) = (4 << 10, 64 << 10, 160 << 10);
    [
        few, many, many, many, roots, few, few, many, few, few, few, few, few, few, many, few,
        many, few,
    ]
};

fn bytes(bytes: &[u8]) -> Item {
    What::Bytes(bytes.to_vec()).into()
}

/// The migration up to `left` bytes of the item of index `item`.
fn cut(what: &str, section: &str, item: usize, left: usize) -> Case {
    let (all, starts) = lay(&migration());
    let mut case = case("1.4", what, ("layout", section, left), item, &migration());
    case.bytes = all[..starts[item] + left].to_vec();
    case
}

pub(super) fn items() -> Vec<Case> {
    let item = ("magic", "item", 0);
    let mut between = migration();
    between.insert(2, bytes(&[0]));
    let compressed = zstd::bulk::compress(&lay(&migration()).0, 3).unwrap();
    let over =
        |item, with: &[u8]| changed(item, |item| item.as_message().over.push((0, with.to_vec())));
    let after = |last: Item, more: Item| vec![migration().swap_remove(0), last, more];
    let (bye, ping) = (Item::message(18, List::new()), Item::message(16, List::new()));
    let stream = ("layout", "stream", 0);
    vec![
        case("1.2", "a greeting", item, 0, &[bytes(b"Last login: Tue\r\n")]),
        case("1.2", "a compressed stream", item, 0, &[bytes(&compressed)]),
        case("1.2", "a snapshot", item, 0, &[bytes(b"BHYVE CHECKPOINT IMAGE")]),
        case("1.2", "a byte between two items", item, 2, &between),
        case("1.2", "another first byte", item, 1, &over(1, b"b")),
        case("1.2", "another last byte of the magic", item, 1, &over(1, b"BHYVMESg")),
        cut("a cut after the first byte", "item", FACTS, 1),
        cut("a cut in the frame of a message", "item", FACTS, 100),
        cut("a cut after the frame of a message", "FACTS", FACTS, BODY),
        cut("a cut in a list", "FACTS", FACTS, BODY + 50),
        cut("a cut in the frame of a part", "item", META, 127),
        cut("a cut in the body of a part", "item", META, 150),
        case("1.5", "a message after BYE", stream, 2, &after(bye.clone(), ping.clone())),
        case("1.5", "BYE twice", stream, 2, &after(bye.clone(), bye.clone())),
        case("1.5", "a byte after BYE", stream, 2, &after(bye, bytes(&[10]))),
        case("1.5", "a message after ERROR", stream, 2, &after(Item::message(17, full(17)), ping)),
    ]
}

pub(super) fn fields() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in [0, 19, 1 << 31, u32::MAX] {
        let items = changed(FACTS, |item| item.as_message().kind = kind);
        let what = format!("type {kind:#x}");
        cases.push(case("2.2", &what, ("layout", FRAME, 8), FACTS, &items));
    }
    let numbered = |what: &str, item: usize, number: u64| {
        let items = changed(item, |item| item.as_message().number = Some(number));
        case("2.4", what, ("layout", FRAME, 16), item, &items)
    };
    let mut lost = migration();
    for (number, item) in lost.iter_mut().enumerate() {
        if let What::Message(message) = &mut item.what {
            message.number = Some(number as u64);
        }
    }
    let (mut twice, mut swapped) = (lost.clone(), lost.clone());
    twice.insert(2, twice[1].clone());
    swapped.swap(1, 2);
    lost.remove(META);
    // The first message behind the part that was lost is STATE-END.
    let number = ("layout", FRAME, 16);
    let end = META + 3;
    cases.extend([
        numbered("a HELLO that is not the first", 0, 1),
        numbered("a number that is too low", 2, 1),
        numbered("a number that is too high", 2, u64::MAX),
        numbered("parts that are not counted", META + 4, 5),
        case("2.4", "a part is lost", number, end, &lost),
        case("2.4", "a message is there twice", number, 2, &twice),
        case("2.4", "two messages are swapped", number, 1, &swapped),
    ]);
    for at in [24, 31, 40, 63] {
        let items = changed(FACTS, |item| item.as_message().over.push((at, vec![1])));
        let what = format!("byte {at} is not zero");
        cases.push(case("2.5", &what, ("layout", FRAME, 24), FACTS, &items));
    }
    cases
}

pub(super) fn sizes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, limit) in (1..).zip(LIMITS) {
        let sized = |size: u32| {
            let mut item = Item::message(kind, full(kind));
            item.as_message().over.push((12, size.to_le_bytes().to_vec()));
            super::alone(item, kind)
        };
        for (size, layer) in [(18, "layout"), (limit + 1, "limit"), (u32::MAX, "limit")] {
            let (item, items) = sized(size);
            let what = format!("a list of {size} bytes in {}", name(kind));
            cases.push(case("2.3", &what, (layer, FRAME, 12), item, &items));
        }
    }
    assert_eq!(LIMITS.len(), NAMES.len());
    cases
}

pub(super) fn digests() -> Vec<Case> {
    let flipped = |offset| changed(FACTS, |item| item.flips.push((offset, 1)));
    let (list, frame) = (("digest", "FACTS", BODY), ("digest", FRAME, 0));
    let stated = changed(FACTS, |item| item.as_message().nvlist_digest = Some([1; 32]));
    vec![
        case("2.6", "another digest of the list", list, FACTS, &stated),
        case("2.6", "a bit of the list", list, FACTS, &flipped(BODY)),
        case("2.6", "a bit of a value", list, FACTS, &flipped(BODY + 60)),
        case("2.7", "a bit of the type", frame, FACTS, &flipped(8)),
        case("2.7", "a bit of the size", frame, FACTS, &flipped(14)),
        case("2.7", "a bit of the number", frame, FACTS, &flipped(23)),
        case("2.7", "a bit of the reserved field", frame, FACTS, &flipped(50)),
        case("2.7", "a bit of the digest of the list", frame, FACTS, &flipped(95)),
        case("2.7", "a bit of the frame's digest", frame, FACTS, &flipped(127)),
    ]
}
