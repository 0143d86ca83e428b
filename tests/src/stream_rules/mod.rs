//! One stream for each rule of `spec/stream.md` that a decoder can see, wrong in that rule alone
//! while all digests match; and sound ones.
//!
//! The streams are forged from the spec's words and never by the library: the vectors in
//! `spec/vectors/stream` come from here.

mod frames;
mod lists;
mod parts;
mod sound;
mod values;

use std::collections::BTreeSet;

use crate::forge::stream::{Item, lay};
use crate::spec_rules::{compare, numbers};
use crate::vector_files::{Vector, slug};

pub use sound::{answers, boolean, full, migration, sound};

/// The name of the folder of the vectors.
pub const FOLDER: &str = "stream";

/// A stream that breaks one rule.
pub struct Case {
    /// The rule's number in the spec.
    pub rule: &'static str,
    /// What is wrong.
    pub what: String,
    /// The layer that refuses it.
    pub layer: &'static str,
    /// The structure that is wrong.
    pub section: String,
    /// The item that is wrong.
    pub item: usize,
    /// The offset in the stream that an error names.
    pub at: usize,
    /// The stream.
    pub bytes: Vec<u8>,
}

/// What a reader has to say: layer, section, offset in the item.
type Says<'a> = (&'static str, &'a str, usize);

/// Where the nvlist of a message, or the body of a part, begins.
const BODY: usize = 128;

fn case(rule: &'static str, what: &str, says: Says<'_>, item: usize, items: &[Item]) -> Case {
    let (bytes, starts) = lay(items);
    let (layer, section, offset) = says;
    let at = starts[item] + offset;
    Case { rule, what: what.to_owned(), layer, section: section.to_owned(), item, at, bytes }
}

/// The migration, with another item in the place of that of index `item`.
fn changed(item: usize, change: impl FnOnce(&mut Item)) -> Vec<Item> {
    let mut items = migration();
    change(&mut items[item]);
    items
}

/// A stream of a HELLO and this message, which is item 1; a HELLO is item 0.
fn alone(message: Item, kind: u32) -> (usize, Vec<Item>) {
    if kind == 1 { (0, vec![message]) } else { (1, vec![migration().swap_remove(0), message]) }
}

/// The names of messages, by their types.
pub const NAMES: [&str; 18] = [
    "HELLO",
    "FACTS",
    "REPORT",
    "BEGIN",
    "HAVE",
    "STATE",
    "STATE-END",
    "STATE-DONE",
    "ROUND",
    "ROUND-END",
    "ROUND-DONE",
    "ACK",
    "HANDOVER",
    "COPIED",
    "STATUS",
    "PING",
    "ERROR",
    "BYE",
];

/// The name of a type of message.
fn name(kind: u32) -> &'static str {
    NAMES[kind as usize - 1]
}

/// All of them.
#[must_use]
pub fn cases() -> Vec<Case> {
    [
        frames::items(),
        frames::fields(),
        frames::sizes(),
        frames::digests(),
        lists::forms(),
        lists::pairs(),
        lists::types(),
        lists::words(),
        values::hello(),
        values::hosts(),
        values::have(),
        values::handover(),
        parts::frames(),
        parts::bodies(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Rules that no item breaks by itself: what came before has to be known. Tests of the state
/// machines break them.
pub const SEEN_BY_CORE: [(&str, &str); 24] = [
    ("2.11", "who may say what, and when"),
    ("3.2", "which parts were announced"),
    ("3.3", "the number and the digest of the parts since"),
    ("3.4", "what may come between parts"),
    ("4.1", "HELLO is the first item; the pairs of it are rules of their own"),
    ("4.2", "what comes after HELLO"),
    ("4.3", "that a plan ends with REPORT"),
    ("4.4", "what BEGIN is refused for"),
    ("4.5", "one source at a time"),
    ("4.6", "that STATUS and BYE answer; 2.9 refuses its list"),
    ("5.4", "overrides against findings"),
    ("5.5", "facts against each other"),
    ("6.2", "extents against each other and the memory map"),
    ("6.4", "the root at ROUND-END"),
    ("6.5", "how much was acknowledged"),
    ("7.1", "records against each other and the rules of states"),
    ("7.2", "no OFFER after a rehearsal"),
    ("7.3", "what is started is what was checked"),
    ("8.2", "when OFFER may come, and its content"),
    ("8.3", "when BYE may come"),
    ("9.1", "the order of a copy"),
    ("9.2", "the content of a copy"),
    ("9.3", "memory of a copy as a beginning"),
    ("6.1", "what a target holds at first"),
];

/// Rules that no stream can break, and why.
pub const WITHOUT_STREAM: [(&str, &str); 6] = [
    ("1.1", "says what a connection has to be"),
    ("1.3", "the sender's duty alone"),
    ("2.1", "1.2 refuses other first bytes"),
    ("2.10", "2.9 refuses other lengths and text that is not UTF-8"),
    ("5.2", "2.9 refuses other pairs"),
    ("5.3", "2.9 refuses other pairs and other grades"),
];

/// The rules that no stream in `broken` breaks and that are not excused, and those that are both.
#[must_use]
pub fn uncovered<'a>(broken: &BTreeSet<&'a str>) -> (Vec<&'a str>, Vec<&'a str>) {
    let excused = SEEN_BY_CORE.iter().chain(&WITHOUT_STREAM).map(|(rule, _)| *rule).collect();
    compare(&rules(), broken, &excused)
}

/// The numbers of the rules that are looked at: those of what is said, in which order.
#[must_use]
pub fn rules() -> BTreeSet<&'static str> {
    let spec = include_str!("../../../spec/stream.md");
    numbers(spec, &["1", "2", "3", "4", "5", "6", "7", "8", "9"])
}

/// The vectors as the tables give them, in the order of the files.
#[must_use]
pub fn fresh() -> Vec<Vector> {
    let (mut vectors, mut names) = (Vec::new(), BTreeSet::new());
    for (what, items) in sound() {
        let (name, count) = (format!("ok-{}", slug(what)), items.len().to_string());
        let header = [("name", &*name), ("expect", "ok"), ("what", what), ("items", &count)];
        vectors.push(Vector::new(&header, lay(&items).0));
    }
    for case in cases() {
        let name = format!("{}-{}", case.rule, slug(&case.what));
        assert!(names.insert(name.clone()), "{name} is there twice");
        let (rule, item, at) = (format!("§{}", case.rule), case.item, case.at);
        let header = [
            ("name", &*name),
            ("expect", case.layer),
            ("rule", &rule),
            ("section", &case.section),
            ("item", &item.to_string()),
            ("offset", &at.to_string()),
            ("what", &case.what),
        ];
        vectors.push(Vector::new(&header, case.bytes));
    }
    vectors.sort_by_key(Vector::file);
    vectors
}
