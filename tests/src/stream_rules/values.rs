//! What pairs may say, each by a rule of its own (§4 to §8).

use crate::forge::stream::Item;
use crate::forge::{List, Value};

use super::sound::{SESSION, boolean, full, host, source, target};
use super::{BODY, Case, alone, case, name};

fn wrong(rule: &'static str, what: &str, kind: u32, list: List) -> Case {
    let (item, items) = alone(Item::message(kind, list), kind);
    case(rule, what, ("consistency", name(kind), BODY), item, &items)
}

fn with(mut list: List, pair: &str, value: Value) -> List {
    list.set(pair, value);
    list
}

fn without(mut list: List, pair: &str) -> List {
    list.drop(pair);
    list
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub(super) fn hello() -> Vec<Case> {
    let hello = |rule, what: &str, list| wrong(rule, what, 1, list);
    let versions = |what: &str, versions: Vec<u64>| {
        hello("4.1.1", what, with(source("plan"), "versions", Value::Numbers(versions)))
    };
    let features = |what: &str, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        hello("4.1.2", what, with(target(), "features", Value::Texts(names)))
    };
    vec![
        hello("4.1.1", "no versions", without(source("plan"), "versions")),
        versions("17 versions", (1..=17).collect()),
        versions("a version twice", vec![1, 1]),
        versions("versions that descend", vec![2, 1]),
        features("a feature with a capital", &["Dirty-log"]),
        features("a feature twice", &["a", "b", "a"]),
        features("a feature without a name", &[""]),
        features("a feature of 64 bytes", &[&"a".repeat(64)]),
        features("a feature that ends in a hyphen", &["a-"]),
        hello("4.1.3", "an operation that is none", source("move")),
        hello("4.1.3", "a source without an operation", without(source("plan"), "operation")),
        hello("4.1.3", "a target with an operation", target().text("operation", "plan")),
        hello("4.1.4", "a migration without a session", without(source("migrate"), "session")),
        hello("4.1.4", "a migration without an epoch", without(source("migrate"), "epoch")),
        hello("4.1.4", "a plan with a session", source("plan").bytes("session", &SESSION)),
        hello("4.1.4", "a copy with an epoch", source("copy").number("epoch", 1)),
        hello("4.1.4", "a target with a session", target().bytes("session", &SESSION)),
        hello("4.1.5", "a source with a record", source("migrate").text("record", "Ready")),
        hello("4.1.6", "a role that is none", with(target(), "role", text("Target"))),
    ]
}

pub(super) fn hosts() -> Vec<Case> {
    let fact = |what: &str, kind: u32, pair: &str, value: Value| {
        let host = with(host(), pair, value);
        wrong("5.1", what, kind, with(full(kind), "host", Value::List(host)))
    };
    vec![
        fact("facts in another version", 2, "schema", Value::Number(2)),
        fact("pages of 3 bytes", 2, "page_size", Value::Number(3)),
        fact("pages of 3 bytes at the target", 3, "page_size", Value::Number(3)),
        fact("an XCR0 without x87", 3, "xcr0", text("0x6")),
    ]
}

pub(super) fn have() -> Vec<Case> {
    let have =
        |what: &str, pair: &str, value: Value| wrong("6.3", what, 5, with(full(5), pair, value));
    let none = without(full(5), "roots");
    vec![
        have("blocks of no bytes", "block", Value::Number(0)),
        have("blocks of 32 KiB", "block", Value::Number(32 << 10)),
        have("blocks of 8 MiB", "block", Value::Number(8 << 20)),
        have("blocks of 192 KiB", "block", Value::Number(192 << 10)),
        have("4097 roots", "roots", Value::Bytes(vec![7; 32 * 4097])),
        have("a root and a byte", "roots", Value::Bytes(vec![7; 33])),
        wrong("6.3", "no roots, and more to come", 5, with(none.clone(), "last", boolean(false))),
        wrong("6.3", "no roots after others", 5, with(none, "first", Value::Number(4096))),
    ]
}

pub(super) fn handover() -> Vec<Case> {
    let says = |what: &str, list| wrong("8.1", what, 13, list);
    let claimed = full(13);
    let offer = without(with(full(13), "body", text("offer")), "claim");
    vec![
        says("a message that is none", with(offer.clone(), "body", text("hello"))),
        says("a message in capitals", with(offer.clone(), "body", text("OFFER"))),
        says("an offer with a claim", offer.number("claim", 2)),
        says("a claim without its epoch", without(claimed, "claim")),
    ]
}
