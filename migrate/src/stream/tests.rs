//! Items there and back; what is refused is in `spec/vectors/stream`.

use snapfmt::Digest;
use snapfmt::part::codec::Compression;
use snapfmt::part::device::{Record, RecordId};
use snapfmt::part::meta::MetaText;
use snapfmt::state::host::Hex;

use super::message::{
    By, Disk, Facts, Finding, Grade, Have, Hello, Host, Needs, Operation, PartsEnd, Report, Status,
    Trouble,
};
use super::*;
use crate::handover::{self, Body};
use crate::{Identity, Session};

fn host() -> Host {
    let mut host = Host::default();
    host.facts.xcr0 = Some(Hex(0x2e7));
    host.facts.cpu_family = Some(6);
    host.facts.virtual_interrupt_delivery = Some(true);
    host.facts.unknown.insert("asids".to_owned(), "no SVM".to_owned());
    host.bhyve = Some("15.0".to_owned());
    host.room = Some(u64::MAX);
    let disk = Disk { path: "/dev/zvol/a".to_owned(), size: 1 << 40, identity: None };
    host.disks = vec![disk.clone(), Disk { identity: Some("x".to_owned()), ..disk }];
    host
}

/// One of each type at least.
fn messages() -> Vec<Message> {
    let (root, session) = (Digest::of(b"root"), Session::from_bytes([7; 16]));
    let end = PartsEnd { parts: 3, digest: Digest::of(b"parts") };
    let text = |text: &str| text.to_owned();
    let hello = |by| {
        let features = vec![text("dirty-log"), text("x")];
        Message::Hello(Hello { versions: vec![1, 2], producer: text("migrate 0.1"), features, by })
    };
    let migrate = Operation::Migrate { session, epoch: 4 };
    let needs = Needs {
        name: text("vm0"),
        arch: text("amd64"),
        ncpus: 2,
        memsize: 1 << 30,
        stored: 1 << 29,
        disks: host().disks,
    };
    let finding = Finding {
        subject: text("xcr0"),
        grade: Grade::MayFail,
        source: Some(text("0x2e7")),
        target: None,
        reason: text("not known"),
        option: Some(text("xcr0")),
    };
    let have = Have { root, block: 1 << 20, first: 0, roots: vec![root; 4096], last: false };
    let status = Status {
        phase: text("idle"),
        standing: text("no"),
        vm: None,
        session: Some(session),
        epoch: Some(0),
        content: Some(root),
        question: Some(text("?")),
    };
    let lines = vec![text("a line"), text("")];
    let trouble = Trouble { code: text("room"), words: text("no room"), hint: None, lines };
    let identity = Identity { session, epoch: 4, content: root };
    let handover = |body| Message::Handover(handover::Message { identity, body });
    vec![
        hello(By::Source(migrate)),
        hello(By::Source(Operation::Plan)),
        hello(By::Target { record: Some(text("Ready")) }),
        Message::Facts(Facts { host: host(), needs }),
        Message::Report(Report { host: Host::default(), findings: vec![finding] }),
        Message::Begin { overrides: vec![text("xcr0")] },
        Message::Have(have.clone()),
        Message::Have(Have { roots: vec![], last: true, ..have }),
        Message::State { rehearsal: true },
        Message::StateEnd(end),
        Message::StateDone { warnings: vec![] },
        Message::Round { round: 0, parent: root },
        Message::RoundEnd { round: 0, parts: end, stored: 9, root },
        Message::RoundDone { round: 0, root },
        Message::Ack { parts: 1, stored: 2 },
        handover(Body::NoRecord),
        handover(Body::Claimed(9)),
        Message::Copied { content: root },
        Message::Status(status),
        Message::Ping,
        Message::Error(trouble),
        Message::Bye,
    ]
}

/// What a decoder makes of bytes that come in pieces of `most` at most.
fn decode(bytes: &[u8], most: usize) -> (Vec<Item>, Result<(), Breach>) {
    let (mut decoder, mut items, mut rest) = (Decoder::new(), Vec::new(), bytes);
    while !rest.is_empty() {
        let space = decoder.space();
        let n = space.len().min(most).min(rest.len());
        let (now, later) = rest.split_at(n);
        space[..n].copy_from_slice(now);
        rest = later;
        match decoder.filled(n) {
            Ok(item) => items.extend(item),
            Err(breach) => return (items, Err(breach)),
        }
    }
    (items, decoder.ended())
}

#[test]
fn every_message_comes_as_it_went() {
    for message in messages() {
        let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
        encoder.message(&message, &mut bytes).unwrap();
        for most in [1, 100, usize::MAX] {
            assert_eq!(decode(&bytes, most), (vec![Item::Message(message.clone())], Ok(())));
        }
    }
}

#[test]
fn messages_and_parts_are_counted_together() {
    let text = MetaText { generation: 'B', text: vec![7; 3 << 18] };
    let part = Outgoing::new(text.encode().unwrap()).unwrap();
    let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
    encoder.message(&Message::State { rehearsal: false }, &mut bytes).unwrap();
    let mut sent = PartsDigest::new();
    for _ in 0..2 {
        encoder.count_part();
        part.append(&mut bytes);
        sent.add(part.digest());
    }
    encoder.message(&Message::StateEnd(sent.end()), &mut bytes).unwrap();
    let (items, end) = decode(&bytes, 4000);
    assert_eq!(end, Ok(()));
    let [_, Item::Part(one), Item::Part(other), Item::Message(Message::StateEnd(end))] = &items[..]
    else {
        panic!("{items:?}");
    };
    let mut came = PartsDigest::new();
    came.add(one.digest());
    came.add(other.digest());
    assert_eq!(came.end(), *end);
    assert_eq!((one.stored(), one.length()), (part.stored(), part.length()));
    assert_eq!(MetaText::open(&one.clone().check().unwrap()).unwrap(), text);
}

#[test]
fn what_no_peer_would_take_is_not_sent() {
    let trouble = |words: String| {
        let code = "room".to_owned();
        Message::Error(Trouble { code, words, hint: None, lines: vec![] })
    };
    let root = Digest::of(b"root");
    let have = Have { root, block: 3, first: 0, roots: vec![], last: true };
    let (mut encoder, mut out) = (Encoder::new(), Vec::new());
    for (message, rule) in [
        (trouble("a\0b".to_owned()), "§2.8"),
        (trouble("x".repeat(64 << 10)), "§2.3"),
        (Message::Have(have), "§6.3"),
    ] {
        assert_eq!(encoder.message(&message, &mut out).unwrap_err().rule(), rule);
    }
    assert!(out.is_empty());
    encoder.message(&Message::Ping, &mut out).unwrap();
    assert_eq!(decode(&out, 200).0, [Item::Message(Message::Ping)]);
}

#[test]
fn trouble_can_be_told_however_much_there_is() {
    let long = "\u{fc}".repeat(40_000);
    let lines = vec![long.clone(); 300];
    let (words, hint) = (long.clone(), Some(long.clone()));
    let trouble = Trouble { code: long, words, hint, lines: lines.clone() }.fitting();
    assert_eq!(trouble.lines.len(), 48);
    assert_eq!(trouble.clone().fitting().lines, trouble.lines);
    let warnings = message::fitting(vec![String::new(); 70_000]);
    for message in [Message::Error(trouble), Message::StateDone { warnings }] {
        Encoder::new().message(&message, &mut Vec::new()).unwrap();
    }
}

#[test]
fn a_greeting_is_shown_and_a_later_one_is_not() {
    let greeting = b"Welcome to \x1b[1mFreeBSD\n";
    let (_, end) = decode(greeting, 200);
    let shown = "item 0, offset 0x0: neither a message nor a part begins here, but \
        \"Welcome to \\x1b[1mFreeBSD\\n\" (§1.2)";
    assert_eq!(end.unwrap_err().to_string(), shown);
    let mut bytes = Vec::new();
    Encoder::new().message(&Message::Ping, &mut bytes).unwrap();
    bytes.extend(greeting);
    let (items, end) = decode(&bytes, 200);
    assert_eq!((items.len(), end.unwrap_err().fault), (1, Fault::NoItem { found: None }));
}

#[test]
fn a_long_body_that_does_not_come_costs_little() {
    let record = vec![7; 5 << 20];
    let id = RecordId::of("devices", "fbuf", &record);
    let part = Record::encode(&id, &record, Compression::None).unwrap();
    let mut bytes = Vec::new();
    Outgoing::new(part).unwrap().append(&mut bytes);
    let (mut decoder, mut rest, mut spaces) = (Decoder::new(), &bytes[..], Vec::new());
    while !rest.is_empty() {
        let space = decoder.space();
        spaces.push(space.len());
        let (now, later) = rest.split_at(space.len());
        space.copy_from_slice(now);
        rest = later;
        decoder.filled(now.len()).unwrap();
    }
    assert_eq!(spaces, [128, 1 << 20, 1 << 20, 2 << 20, bytes.len() - 128 - (4 << 20)]);
}

#[test]
fn a_body_is_not_shown() {
    let text = MetaText { generation: 'B', text: b"secret".to_vec() };
    let mut bytes = Vec::new();
    Outgoing::new(text.encode().unwrap()).unwrap().append(&mut bytes);
    let (items, _) = decode(&bytes, 200);
    let shown = format!("{items:?}");
    assert!(shown.contains("Meta") && !shown.contains("115"), "{shown}");
}
