//! §2.8 and §2.9: the lists of messages, and the pairs in them.

use crate::forge::stream::Item;
use crate::forge::{List, Value};

use super::sound::{boolean, disk, finding, full, host};
use super::{BODY, Case, alone, case, name};

/// Pairs that may be absent, by the type of their message.
const OPTIONAL: [(u32, &[&str]); 5] = [
    (3, &["findings"]),
    (4, &["overrides"]),
    (5, &["roots"]),
    (8, &["warnings"]),
    (17, &["hint", "lines"]),
];

/// Pairs of HELLO and HANDOVER whose absence breaks a rule of their own, or none.
const ELSEWHERE: [(u32, &[&str]); 2] =
    [(1, &["versions", "features", "operation", "session", "epoch"]), (13, &["claim"])];

fn wrong(what: &str, kind: u32, list: List) -> Case {
    let (item, items) = alone(Item::message(kind, list), kind);
    case("2.9", what, ("nvlist", name(kind), BODY), item, &items)
}

pub(super) fn forms() -> Vec<Case> {
    let kind = 12;
    let packed = |what: &str, bytes: Vec<u8>| {
        let mut message = Item::message(kind, List::new());
        message.as_message().packed = Some(bytes);
        let (item, items) = alone(message, kind);
        case("2.8", what, ("nvlist", name(kind), BODY), item, &items)
    };
    let ack = full(kind);
    let twice = ack.clone().number("parts", 1);
    let descriptor = ack.clone().with("new", Value::Raw(6, 8, 0, vec![0; 8]));
    let long = [ack.pack(), vec![0]].concat();
    let short = ack.pack()[..ack.pack().len() - 1].to_vec();
    let mut version = ack.pack();
    version[1] = 1;
    let mut big = List::new().pack();
    big[2] = 0x80;
    let zeros = ack.clone().with("new", Value::Raw(9, 0, 0, Vec::new()));
    vec![
        packed("flags of a list", List { flags: 1, ..ack.clone() }.pack()),
        packed("a name twice", twice.pack()),
        packed("a descriptor", descriptor.pack()),
        packed("a byte behind the list", long),
        packed("a list that ends early", short),
        packed("another version of libnv", version),
        packed("a big-endian list", big),
        packed("an empty array", zeros.pack()),
        packed("no list", vec![b'x'; 30]),
    ]
}

pub(super) fn pairs() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in 1..=18 {
        let list = full(kind);
        let may_lack = |pair: &str| {
            let tables = OPTIONAL.iter().chain(&ELSEWHERE);
            tables.filter(|row| row.0 == kind).any(|row| row.1.contains(&pair))
        };
        for (pair, _) in list.pairs.iter().filter(|(pair, _)| !may_lack(pair)) {
            let mut list = list.clone();
            list.drop(pair);
            cases.push(wrong(&format!("{} without {pair}", name(kind)), kind, list));
        }
        if kind != 1 {
            let list = list.with("new", Value::Null);
            cases.push(wrong(&format!("{} with a new pair", name(kind)), kind, list));
        }
    }
    let nested = |what: &str, kind: u32, pair: &str, change: &dyn Fn(&mut List)| {
        let mut list = full(kind);
        let found = list.pairs.iter_mut().find(|(known, _)| known == pair).map(|pair| &mut pair.1);
        match found {
            Some(Value::List(list)) => change(list),
            Some(Value::Lists(lists)) => change(&mut lists[0]),
            other => panic!("{what}: {other:?}"),
        }
        wrong(what, kind, list)
    };
    let new = |list: &mut List| list.set("new", Value::Null);
    cases.extend([
        nested("a new pair in needs", 2, "needs", &new),
        nested("needs without a name", 2, "needs", &|list| list.drop("name")),
        nested("a new pair in a finding", 3, "findings", &new),
        nested("a finding without a reason", 3, "findings", &|list| list.drop("reason")),
        nested("a host without a schema", 2, "host", &|list| list.drop("schema")),
        nested("a status without a phase", 15, "status", &|list| list.drop("phase")),
        nested("a disk without a size", 2, "host", &|host| {
            let mut disk = disk();
            disk.drop("size");
            host.set("disks", Value::Lists(vec![disk]));
        }),
    ]);
    cases
}

/// A value of another type than this one.
fn another(value: &Value) -> Value {
    match value {
        Value::Number(_) => boolean(true),
        _ => Value::Number(1),
    }
}

pub(super) fn types() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in 1..=18 {
        for (pair, value) in full(kind).pairs {
            let mut list = full(kind);
            list.set(&pair, another(&value));
            cases.push(wrong(&format!("{pair} of {} of another type", name(kind)), kind, list));
        }
    }
    cases
}

pub(super) fn words() -> Vec<Case> {
    let with = |what: &str, kind: u32, pair: &str, value: Value| {
        let mut list = full(kind);
        list.set(pair, value);
        wrong(what, kind, list)
    };
    let grade = {
        let mut finding = finding();
        finding.set("grade", Value::Text(b"fine".to_vec()));
        finding
    };
    let family = {
        let mut host = host();
        host.set("cpu_family", Value::Number(1 << 32));
        host
    };
    vec![
        with("a grade that is none", 3, "findings", Value::Lists(vec![grade])),
        with("a digest of 31 bytes", 11, "root", Value::Bytes(vec![7; 31])),
        with("a digest of 33 bytes", 7, "digest", Value::Bytes(vec![7; 33])),
        with("a session of 15 bytes", 13, "session", Value::Bytes(vec![9; 15])),
        with("a session of 32 bytes in HELLO", 1, "session", Value::Bytes(vec![9; 32])),
        with("text that is not UTF-8", 17, "words", Value::Text(vec![0xff])),
        with("a number that no fact has", 2, "host", Value::List(family)),
    ]
}
