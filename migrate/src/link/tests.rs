//! Two ends of a socket, with what peers do.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};

use snapfmt::Digest;

use super::*;
use crate::core::{Code, trouble};
use crate::stream::message::Have;
use crate::stream::{Item, Message};

const MINUTE: Duration = Duration::from_secs(60);

fn link(socket: UnixStream, limit: Option<Rate>) -> (Link, Receiver<Event>) {
    let (tell, told) = channel();
    let connection = Connection::unix(socket).unwrap();
    let link = Link::start(connection, limit, move |event| tell.send(event).is_ok()).unwrap();
    (link, told)
}

fn pair() -> [(Link, Receiver<Event>); 2] {
    let (a, b) = UnixStream::pair().unwrap();
    [link(a, None), link(b, None)]
}

/// What comes next, but that time has passed.
fn next(told: &Receiver<Event>) -> Event {
    loop {
        match told.recv_timeout(MINUTE).unwrap() {
            Event::Progress | Event::Heard => {}
            event => return event,
        }
    }
}

fn message(told: &Receiver<Event>) -> Message {
    match next(told) {
        Event::Item(item, _) => match *item {
            Item::Message(message) => message,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_come_as_they_were_sent_and_then_the_end() {
    let [(a, at_a), (b, at_b)] = pair();
    for _ in 0..3 {
        a.outbox().message(&Message::Ping).unwrap();
    }
    b.outbox().message(&Message::Bye).unwrap();
    assert_eq!(message(&at_a), Message::Bye);
    for _ in 0..3 {
        assert_eq!(message(&at_b), Message::Ping);
    }
    a.outbox().message(&Message::Bye).unwrap();
    let closing = std::thread::spawn(move || a.close(MINUTE));
    assert_eq!(message(&at_b), Message::Bye);
    assert!(matches!(next(&at_b), Event::Closed(Closed::Ended, None)));
    assert_eq!(b.close(MINUTE), None);
    assert_eq!(closing.join().unwrap(), None);
}

#[test]
fn the_last_words_reach_a_peer_that_is_still_sending() {
    let [(a, at_a), (b, _at_b)] = pair();
    let sender = a.outbox().clone();
    // More than any buffer on the way takes, and more than will ever be read as items.
    let flood = std::thread::spawn(move || while sender.message(&Message::Ping).is_ok() {});
    let why = trouble(Code::Room, "there is no room");
    b.outbox().message(&Message::Error(why.clone())).unwrap();
    let closing = std::thread::spawn(move || b.close(MINUTE));
    assert_eq!(message(&at_a), Message::Error(why));
    a.close(Duration::ZERO);
    flood.join().unwrap();
    closing.join().unwrap();
}

#[test]
fn what_is_no_item_is_told_once_and_nothing_after_it() {
    let (mut peer, socket) = UnixStream::pair().unwrap();
    let (link, told) = link(socket, None);
    peer.write_all(b"Welcome to FreeBSD!\r\n").unwrap();
    let Event::Garbled(trouble) = next(&told) else { panic!() };
    assert!(trouble.words.contains("Welcome"), "{}", trouble.words);
    drop(peer);
    link.close(MINUTE);
    assert!(told.try_iter().all(|event| matches!(event, Event::Progress)));
}

#[test]
fn an_end_within_an_item_is_no_end() {
    let (mut peer, socket) = UnixStream::pair().unwrap();
    let (_link, told) = link(socket, None);
    peer.write_all(b"BHYVMESG").unwrap();
    drop(peer);
    assert!(matches!(next(&told), Event::Closed(Closed::Broken, Some(_))));
}

#[test]
fn a_peer_that_does_not_read_stops_the_progress_and_can_be_left() {
    let (peer, socket) = UnixStream::pair().unwrap();
    let (link, told) = link(socket, None);
    // Until the socket is full and the queue too: the thread that makes parts waits.
    let outbox = link.outbox().clone();
    let maker = std::thread::spawn(move || while outbox.part([vec![0; 1 << 20]]).is_ok() {});
    while !link.outbox().is_full() {
        // Nothing need be told between the last write and a full queue.
        let _ = told.recv_timeout(Duration::from_millis(10));
    }
    assert!(!maker.is_finished());
    link.close(Duration::ZERO);
    maker.join().unwrap();
    drop(peer);
}

#[test]
fn a_limit_does_not_change_what_is_sent() {
    let (mut peer, socket) = UnixStream::pair().unwrap();
    let (link, _told) = link(socket, Some("100M".parse().unwrap()));
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    link.outbox().part([bytes.clone()]).unwrap();
    let mut came = vec![0; bytes.len()];
    peer.read_exact(&mut came).unwrap();
    assert_eq!(came, bytes);
    let sent = link.sent().clone();
    drop(peer);
    link.close(MINUTE);
    assert_eq!(sent.get(), bytes.len() as u64);
}

#[test]
fn messages_that_nobody_deals_with_are_not_read_without_end() {
    let [(a, _at_a), (b, at_b)] = pair();
    let roots = vec![Digest::from_bytes([7; 32]); 4096];
    let root = Digest::from_bytes([1; 32]);
    let have = Have { root, block: 1 << 20, first: 0, roots, last: false };
    let count = 2 * HELD / (4096 * 32);
    for _ in 0..count {
        a.outbox().message(&Message::Have(have.clone())).unwrap();
    }
    let mut held = Vec::new();
    while !b.is_full() {
        if let Event::Item(_, one) = next(&at_b) {
            held.push(one);
        }
    }
    held.extend(at_b.try_iter().filter_map(|event| match event {
        Event::Item(_, one) => Some(one),
        _ => None,
    }));
    assert!(held.len() <= HELD / (4096 * 32) + 1, "{}", held.len());
    drop(held);
    a.close(Duration::ZERO);
    b.close(Duration::ZERO);
}
