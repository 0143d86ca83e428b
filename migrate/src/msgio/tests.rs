//! Lists and descriptors over real sockets. What libnv's own bytes give is in `tests`.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::thread;
use std::time::Duration;

use rustix::io::FdFlags;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use snapfmt::nvlist::{Builder, ErrorKind, Flags, Nvlist};

use super::*;

/// Nothing that a test waits for may take longer.
fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// For what is there already, or never will be.
fn now() -> Deadline {
    Deadline::after(Duration::ZERO)
}

fn command() -> Builder {
    Nvlist::builder().string("cmd", "checkpoint").string("filename", "vm.ckp")
}

fn list(builder: Builder) -> Nvlist {
    builder.build().unwrap()
}

/// As many descriptors, of as many files, which can be told apart.
fn files(count: usize) -> Vec<File> {
    let ends = |_| UnixStream::pair().unwrap().0;
    (0..count).map(ends).map(|end| File::from(OwnedFd::from(end))).collect()
}

fn borrowed(files: &[File]) -> Vec<BorrowedFd<'_>> {
    files.iter().map(AsFd::as_fd).collect()
}

fn inode(file: impl AsFd) -> u64 {
    rustix::fs::fstat(file).unwrap().st_ino
}

fn array(count: usize) -> Nvlist {
    list(Nvlist::builder().descriptor_array("all", 0..count as u64))
}

fn arrive(a: impl AsFd + Sync, b: impl AsFd, count: usize) {
    let sent = files(count);
    let out = array(count);
    let bounds = Bounds { descriptors: count as u64, ..Bounds::default() };
    let mut message = thread::scope(|scope| {
        scope.spawn(|| send(&a, &out, &borrowed(&sent), soon()).unwrap());
        recv(&b, bounds, soon()).unwrap()
    });
    assert_eq!(message.list(), &out);
    for (index, file) in (0..).zip(&sent) {
        let got = message.take_index(index).unwrap();
        assert_eq!(inode(&got), inode(file), "{index} of {count}");
        assert!(rustix::io::fcntl_getfd(&got).unwrap().contains(FdFlags::CLOEXEC));
        assert!(message.take_index(index).is_none(), "taken once");
    }
}

#[test]
fn descriptors_arrive_in_their_order_and_are_closed_on_exec() {
    for count in [1, 2, PACKAGE, PACKAGE + 1, 2 * PACKAGE + 3] {
        let (a, b) = UnixStream::pair().unwrap();
        arrive(a, b, count);
    }
}

#[test]
fn descriptors_arrive_in_datagrams_too() {
    for count in [1, PACKAGE + 1] {
        let (a, b) = UnixDatagram::pair().unwrap();
        arrive(a, b, count);
    }
}

#[test]
fn lists_go_both_ways_over_one_socket() {
    let (a, b) = UnixStream::pair().unwrap();
    let dir = File::open("/").unwrap();
    let there = list(command().boolean("suspend", false).descriptor("fddir", 0));
    send(&a, &there, &[dir.as_fd()], soon()).unwrap();
    let mut message = recv(&b, Bounds::default(), soon()).unwrap();
    assert_eq!(inode(message.take("fddir").unwrap()), inode(&dir));
    assert!(message.take("cmd").is_none());
    let back = list(Nvlist::builder().string("error", "no"));
    send(&b, &back, &[], soon()).unwrap();
    send(&b, &there, &[dir.as_fd()], soon()).unwrap();
    assert_eq!(recv(&a, Bounds::default(), soon()).unwrap().into_list(), back);
    assert_eq!(recv(&a, Bounds::default(), soon()).unwrap().into_list(), there);
}

#[test]
fn a_list_larger_than_the_buffers_of_a_socket_arrives_in_pieces() {
    let (a, b) = UnixStream::pair().unwrap();
    let large = list(command().binary("b", vec![7; 3 << 20]));
    let bounds = Bounds { size: 4 << 20, ..Bounds::default() };
    let got = thread::scope(|scope| {
        scope.spawn(|| send(&a, &large, &[], soon()).unwrap());
        recv(&b, bounds, soon()).unwrap()
    });
    assert_eq!(got.into_list(), large);
}

#[test]
fn a_list_arrives_one_byte_at_a_time() {
    let (mut a, b) = UnixStream::pair().unwrap();
    let out = list(command());
    let bytes = out.pack().unwrap();
    let got = thread::scope(|scope| {
        scope.spawn(|| bytes.iter().for_each(|byte| a.write_all(&[*byte]).unwrap()));
        recv(&b, Bounds::default(), soon()).unwrap()
    });
    assert_eq!(got.into_list(), out);
}

#[test]
fn a_peer_that_closes_is_told_from_one_that_ends() {
    let bytes = list(command()).pack().unwrap();
    for cut in 0..bytes.len() {
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&bytes[..cut]).unwrap();
        drop(a);
        let error = recv(&b, Bounds::default(), now()).unwrap_err();
        let Error::Closed { had, .. } = error else { panic!("{cut}: {error}") };
        assert_eq!((had, error.is_end()), (cut, cut == 0));
    }
    let (a, b) = UnixStream::pair().unwrap();
    drop(b);
    let error = send(&a, &list(command()), &[], now()).unwrap_err();
    assert!(matches!(error, Error::Gone { .. }), "{error}");
}

#[test]
fn a_silent_peer_costs_no_more_than_the_time_it_is_given() {
    let (mut a, b) = UnixStream::pair().unwrap();
    let bytes = list(command().descriptor("d", 0)).pack_to_send().unwrap();
    let missing = || recv(&b, Bounds::default(), now()).unwrap_err();
    assert!(matches!(missing(), Error::TimedOut));
    a.write_all(&bytes[..30]).unwrap();
    assert!(matches!(missing(), Error::TimedOut));
    let (mut a, b) = UnixStream::pair().unwrap();
    a.write_all(&bytes).unwrap();
    let error = recv(&b, Bounds::default(), now()).unwrap_err();
    assert!(matches!(error, Error::TimedOut), "the package is missing: {error}");
}

#[test]
fn a_peer_that_does_not_read_costs_no_more_than_the_time_it_is_given() {
    let (a, _b) = UnixStream::pair().unwrap();
    let large = list(command().binary("b", vec![7; 16 << 20]));
    let soon = Deadline::after(Duration::from_millis(1));
    assert!(matches!(send(&a, &large, &[], soon).unwrap_err(), Error::TimedOut));
}

#[test]
fn hostile_sizes_are_refused_before_anything_is_allocated_or_awaited() {
    let header = |size: u64, descriptors: u64| {
        [&b"l\0\0"[..], &descriptors.to_le_bytes(), &size.to_le_bytes()].concat()
    };
    let refused = |header: &[u8]| {
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(header).unwrap();
        recv(&b, Bounds::default(), now()).unwrap_err()
    };
    for size in [u64::MAX, u64::MAX - 18, 1 << 40, (1 << 20) - 18] {
        let error = refused(&header(size, 0));
        assert!(matches!(error, Error::TooLong { announced, .. } if announced == size));
    }
    assert!(matches!(refused(&header((1 << 20) - 19, 0)), Error::TimedOut), "allowed");
    for descriptors in [171, u64::MAX] {
        let error = refused(&header(0, descriptors));
        assert!(matches!(error, Error::TooManyDescriptors { limit: 170, .. }));
    }
    let error = refused(&[b'x'; 19]);
    assert!(matches!(error, Error::List(e) if e.kind == ErrorKind::Magic { found: b'x' }));
}

/// Sends one byte and descriptors in one control message, as libnv does not.
fn package(socket: impl AsFd, carrier: u8, files: &[File]) {
    let descriptors = borrowed(files);
    let message = SendAncillaryMessage::ScmRights(&descriptors);
    let mut space = vec![MaybeUninit::uninit(); message.size()];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(message));
    sendmsg(socket, &[IoSlice::new(&[carrier])], &mut control, SendFlags::empty()).unwrap();
}

/// What comes of packages after a list that announces `announced` descriptors; and whether the
/// reader has closed all of them.
fn packages(announced: usize, sent: &[(u8, usize)]) -> Error {
    let (mut a, b) = UnixStream::pair().unwrap();
    a.write_all(&array(announced).pack_to_send().unwrap()).unwrap();
    let mut watched = Vec::new();
    for (carrier, count) in sent {
        let (here, there): (Vec<_>, Vec<_>) =
            (0..*count).map(|_| UnixStream::pair().unwrap()).unzip();
        let there: Vec<_> = there.into_iter().map(|end| File::from(OwnedFd::from(end))).collect();
        package(&a, *carrier, &there);
        watched.extend(here);
    }
    drop(a);
    let error = recv(&b, Bounds::default(), now()).unwrap_err();
    drop(b);
    for mut end in watched {
        end.set_nonblocking(true).unwrap();
        assert_eq!(end.read(&mut [0]).unwrap(), 0, "closed with the error");
    }
    error
}

#[test]
fn packages_that_are_not_what_is_due_are_refused_and_closed() {
    let due = |error: Error| match error {
        Error::Package { found, due } => (found, due),
        other => panic!("{other}"),
    };
    assert_eq!(due(packages(2, &[])), (0, 2));
    assert_eq!(due(packages(2, &[(0, 1)])), (1, 2));
    assert_eq!(due(packages(2, &[(0, 1), (0, 1)])), (1, 2));
    assert_eq!(due(packages(1, &[(0, 2)])), (2, 1));
    assert_eq!(due(packages(1, &[(0, 40)])).1, 1);
    assert_eq!(due(packages(PACKAGE + 2, &[(0, PACKAGE), (0, 1)])), (1, 2));
    assert!(matches!(packages(1, &[(7, 1)]), Error::Carrier { found: 7 }));
}

#[test]
fn descriptors_of_a_malformed_list_are_closed() {
    let (mut a, b) = UnixStream::pair().unwrap();
    let mut bytes = array(1).pack_to_send().unwrap();
    *bytes.last_mut().unwrap() = 0x7f;
    a.write_all(&bytes).unwrap();
    let (mut here, there) = UnixStream::pair().unwrap();
    package(&a, 0, &[File::from(OwnedFd::from(there))]);
    let error = recv(&b, Bounds::default(), now()).unwrap_err();
    assert!(matches!(error, Error::List(_)), "{error}");
    here.set_nonblocking(true).unwrap();
    assert_eq!(here.read(&mut [0]).unwrap(), 0);
}

#[test]
fn descriptors_that_nobody_takes_are_closed_with_the_message() {
    let (a, b) = UnixStream::pair().unwrap();
    let (mut here, there) = UnixStream::pair().unwrap();
    send(&a, &array(1), &[there.as_fd()], now()).unwrap();
    drop(there);
    let message = recv(&b, Bounds::default(), now()).unwrap();
    here.set_nonblocking(true).unwrap();
    assert!(here.read(&mut [0]).is_err(), "open while the message is");
    drop(message);
    assert_eq!(here.read(&mut [0]).unwrap(), 0);
}

#[test]
fn descriptors_have_to_be_those_that_the_list_names() {
    let (a, b) = UnixStream::pair().unwrap();
    let one = files(1);
    let inner = list(Nvlist::builder().descriptor("d", 1));
    let bad = [
        (list(command()), 1),
        (array(2), 1),
        (list(command().descriptor("d", 1)), 1),
        (list(command().nvlist("l", inner.clone())), 1),
        (list(command().nvlist_array("l", [inner])), 1),
    ];
    for (list, count) in bad {
        let error = send(&a, &list, &borrowed(&one)[..count], now()).unwrap_err();
        assert!(matches!(error, Error::Unmatched { .. }), "{error}");
    }
    let twice = list(Nvlist::builder().descriptor("c", 0).descriptor("d", 0));
    let two = files(2);
    let error = send(&a, &twice, &borrowed(&two), now()).unwrap_err();
    assert!(matches!(error, Error::List(_)), "{error}");
    drop(a);
    assert!(recv(&b, Bounds::default(), now()).unwrap_err().is_end(), "nothing was sent");
}

#[test]
fn flags_are_those_that_the_reader_asks_for() {
    let flags = Flags { ignore_case: true, no_unique: false };
    let (a, b) = UnixStream::pair().unwrap();
    let out = list(Builder::with_flags(flags).null("x"));
    send(&a, &out, &[], now()).unwrap();
    send(&a, &out, &[], now()).unwrap();
    assert!(recv(&b, Bounds { flags, ..Bounds::default() }, now()).is_ok());
    assert!(matches!(recv(&b, Bounds::default(), now()), Err(Error::List(_))));
}

#[test]
fn a_datagram_is_one_list_and_a_bad_one_is_gone_with_its_error() {
    let (a, b) = UnixDatagram::pair().unwrap();
    let good = list(command());
    let bytes = good.pack().unwrap();
    let longer = [&bytes[..], b"x"].concat();
    for datagram in [&bytes[..10], &bytes[..bytes.len() - 1], &longer, &[b'x'; 40], &[]] {
        a.send(datagram).unwrap();
        a.send(&bytes).unwrap();
        let error = recv(&b, Bounds::default(), now()).unwrap_err();
        assert!(matches!(error, Error::Datagram { .. } | Error::List(_)), "{error}");
        assert_eq!(recv(&b, Bounds::default(), now()).unwrap().into_list(), good);
    }
}

#[test]
fn other_sockets_are_refused() {
    let file = File::open("/").unwrap();
    assert!(matches!(recv(&file, Bounds::default(), now()), Err(Error::Io { .. })));
}
