//! The vectors of libnv's packed lists over Unix sockets: what goes out is what libnv sends, and
//! what comes in is taken and refused as its `nvlist_recv` does.

// A test may stop at what it does not expect, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use migrate::msgio::{Bounds, Deadline, Error, Message, PACKAGE, recv, send};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use snapfmt::nvlist::{Flags, Nvlist, Options};
use tests::vectors::{Vector, load};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn number(vector: &Vector, key: &str) -> u64 {
    vector.json[key].as_u64().unwrap()
}

fn flags(vector: &Vector) -> Flags {
    Flags::from_bits(u8::try_from(number(vector, "unpack_flags")).unwrap()).unwrap()
}

/// Descriptors that can be told apart.
fn descriptors(count: u64) -> Vec<OwnedFd> {
    (0..count).map(|_| UnixStream::pair().unwrap().0.into()).collect()
}

fn inode(fd: impl AsFd) -> u64 {
    rustix::fs::fstat(fd).unwrap().st_ino
}

/// The descriptors of one package, each with the byte that carries it taken off the stream.
fn package(socket: &UnixStream) -> Vec<OwnedFd> {
    let mut space = vec![MaybeUninit::uninit(); 4096];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut carrier = [7, 7];
    let mut into = [IoSliceMut::new(&mut carrier)];
    let got = recvmsg(socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    assert_eq!((got.bytes, carrier), (1, [0, 7]));
    let rights = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(all) => all.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    rights.collect()
}

#[test]
fn what_is_sent_is_byte_for_byte_what_libnv_sends() {
    let (mut lists, mut packages) = (0, 0);
    for vector in load("valid.jsonl") {
        let name = &vector.name;
        if vector.json["repack"] != "identical" {
            continue;
        }
        let count = number(&vector, "nfds");
        let options = Options::new().flags(flags(&vector)).descriptors(count);
        let list = Nvlist::unpack(&vector.bytes, &options).unwrap();
        let files = descriptors(count);
        let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        let (here, mut there) = UnixStream::pair().unwrap();
        let (bytes, found) = thread::scope(|scope| {
            scope.spawn(|| send(&here, &list, &borrowed, soon()).unwrap());
            let mut bytes = vec![0; vector.bytes.len()];
            there.read_exact(&mut bytes).unwrap();
            let mut found = Vec::new();
            for due in files.chunks(PACKAGE) {
                let package = package(&there);
                assert_eq!(package.len(), due.len(), "{name}");
                found.extend(package);
                packages += 1;
            }
            (bytes, found)
        });
        assert_eq!(bytes, vector.bytes, "{name}");
        assert!(found.iter().map(inode).eq(files.iter().map(inode)), "{name}");
        drop(here);
        assert_eq!(there.read(&mut [0]).unwrap(), 0, "{name}: nothing after it");
        lists += 1;
    }
    assert_eq!((lists, packages), (89, 9));
}

/// As libnv puts a package on a socket.
fn send_package(socket: &UnixStream, fds: &[BorrowedFd<'_>]) {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1)) * fds.len()];
    let mut control = SendAncillaryBuffer::new(&mut space);
    for fd in fds.chunks(1) {
        assert!(control.push(SendAncillaryMessage::ScmRights(fd)));
    }
    // The reader may have left, having seen enough.
    let _ = sendmsg(socket, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL);
}

/// What comes of exactly these bytes, then the descriptors, then the end.
fn receive(vector: &Vector) -> Result<Message, Error> {
    let (mut here, there) = UnixStream::pair().unwrap();
    let files = descriptors(number(vector, "nfds"));
    let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let bounds = Bounds { flags: flags(vector), size: 4 << 20, descriptors: 256 };
    thread::scope(|scope| {
        let borrowed = &borrowed;
        scope.spawn(move || {
            if here.write_all(&vector.bytes).is_ok() {
                borrowed.chunks(PACKAGE).for_each(|package| send_package(&here, package));
            }
        });
        let result = recv(&there, bounds, soon());
        drop(there);
        result
    })
}

fn errno(error: &Error) -> Option<&'static str> {
    match error {
        Error::Closed { .. } => Some("ENOTCONN"),
        Error::Package { .. } => Some("EINVAL"),
        Error::List(error) => error.errno().map(|errno| errno.name()),
        _ => None,
    }
}

#[test]
fn valid_lists_arrive_with_their_descriptors_in_either_byte_order() {
    for vector in load("valid.jsonl") {
        let name = &vector.name;
        let count = number(&vector, "nfds");
        let options = Options::new().flags(flags(&vector)).descriptors(count);
        let mut message = receive(&vector).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(message.list(), &Nvlist::unpack(&vector.bytes, &options).unwrap(), "{name}");
        assert!((0..count).all(|index| message.take_index(index).is_some()), "{name}");
        // libnv converts the header of a foreign list twice, and then refuses it.
        let theirs = vector.json["recv_stream"]["verdict"] == "accept";
        assert!(theirs || vector.json["byte_order"] == "big", "{name}");
    }
}

#[test]
fn what_libnv_refuses_from_a_stream_is_refused_with_its_errno() {
    let mut compared = 0;
    for vector in load("invalid.jsonl").into_iter().chain(load("lenient.jsonl")) {
        let (name, theirs) = (&vector.name, &vector.json["recv_stream"]);
        if theirs["verdict"] != "reject" {
            continue;
        }
        let error = receive(&vector).expect_err(name);
        // Of a foreign list libnv says EINVAL, whatever is wrong with it.
        let foreign = vector.json["byte_order"] == "big";
        if let (Some(wanted), Some(found), false) =
            (theirs["errno"].as_str(), errno(&error), foreign)
        {
            assert_eq!(found, wanted, "{name}: {error}");
            compared += 1;
        }
    }
    assert!(compared > 180, "only {compared}");
}

#[test]
fn what_follows_a_list_is_left_for_the_next_call() {
    let all = load("invalid.jsonl");
    for name in ["size_0", "trailing_1", "trailing_20", "two_messages"] {
        let vector = all.iter().find(|vector| vector.name == name).unwrap();
        assert_eq!(vector.json["recv_stream"]["verdict"], "accept", "{name}");
        assert!(receive(vector).is_ok(), "{name}");
    }
}
